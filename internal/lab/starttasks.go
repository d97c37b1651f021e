package lab

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
)

// atOnce is how many tasks start at the same time. A task that starts mostly
// waits: for the kernel, for its processes. An Envoy computes, and must be ready
// in time.
func (l *Lab) atOnce() int {
	if l.envoy != "" {
		return max(2, runtime.NumCPU())
	}
	return 16
}

// startTasks starts tasks side by side, in their order, and returns those that
// run. The error is that of the first that does not; of those nothing is left.
// Lab.mu is held.
func (l *Lab) startTasks(ctx context.Context, tasks []*task) ([]*task, error) {
	errs := make([]error, len(tasks))
	for i, t := range tasks {
		errs[i] = t.attach() // one after the other: addresses stay the same from run to run
	}
	err := l.fabric.Batch(func() error {
		var wg sync.WaitGroup
		slots := make(chan struct{}, l.atOnce())
		for i, t := range tasks {
			if errs[i] != nil {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				errs[i] = t.start(ctx)
			})
		}
		wg.Wait()
		return nil
	})
	var running []*task
	var first error
	for i, t := range tasks {
		if errs[i] = cmp.Or(errs[i], err); errs[i] == nil {
			running = append(running, t)
			continue
		}
		t.abandon()
		t.why = NotStarted + errs[i].Error()
		if first == nil {
			first = fmt.Errorf("service %s: task %s: %w", t.service.def.ID, t.id, errs[i])
		}
	}
	return running, first
}

// abandon removes what there is of a task that did not start.
func (t *task) abandon() {
	t.kill()
	t.cancel()
	t.detach()
}
