package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/topology"
)

// Part is what Kill kills.
type Part string

// The parts of a task.
const (
	WholeTask Part = "task"
	AgentPart Part = "agent"
	AppPart   Part = "app"
)

// TaskRef names a service, or one of its tasks.
type TaskRef struct {
	Service topology.ID
	Twin    string // the twin's instead, when set
	Task    string // a task's id; empty means the first that runs
}

// Kill kills processes of a task with SIGKILL, as an out-of-memory kill or a
// lost host does. The service then replaces the task.
func (l *Lab) Kill(p TaskRef, part Part) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, t, err := l.find(p)
	if err != nil {
		return err
	}
	hit := false
	if part != AppPart && t.agent != nil {
		t.agent.proc.Kill()
		hit = true
	}
	if part != AgentPart {
		for _, a := range t.apps {
			a.proc.Kill()
			hit = true
		}
	}
	if !hit {
		return fail.Newf(fail.Usage, "kill another part of it", "task %s has no process for %q", t.id, part)
	}
	return nil
}

// KillLoadBalancer kills a load balancer's node; a new one takes its place.
func (l *Lab) KillLoadBalancer(id topology.ID, twin string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dc := l.copyNamed(twin); dc != nil {
		for _, b := range dc.balancers {
			if b.def.ID == id {
				b.proc.Kill()
				return nil
			}
		}
	}
	return fail.Newf(fail.Usage, "`hoplab lab status` lists what there is", "the lab has no load balancer %s", id)
}

// Drain stops a task gracefully, as StopTask does; the service replaces it.
func (l *Lab) Drain(p TaskRef) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, t, err := l.find(p)
	if err != nil {
		return err
	}
	s.retire(t, "a user asked for it")
	s.reconcile()
	return nil
}

// Scale sets a service's desired count. Tasks start before it returns and
// stop after it.
func (l *Lab) Scale(p TaskRef, count int) error {
	if count < 0 || count > MaxTasks {
		return fail.Newf(fail.Usage, fmt.Sprintf("give a number from 0 to %d", MaxTasks), "a service of a lab cannot have %d tasks", count)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.findService(p)
	if err != nil {
		return err
	}
	s.desired, s.broken, s.failures = count, false, 0
	s.reconcile()
	return nil
}

// Redeploy replaces a service's tasks by new ones, which see the names that
// exist now, within its minimum and maximum percent. It returns when the old
// tasks have been taken out of service, or with an error when ctx ends before
// the new ones are healthy.
func (l *Lab) Redeploy(ctx context.Context, p TaskRef) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.findService(p)
	if err != nil {
		return err
	}
	if s.def.Task == nil {
		return fmt.Errorf("service %s has no task: %s", s.def.ID, s.def.TaskUnknown)
	}
	s.deployments++
	s.deploying, s.steady = true, false
	s.broken, s.failures, s.visible = false, 0, existing
	d := deployment{service: s, old: slices.Clone(s.tasks)}
	for {
		if done, err := d.step(ctx); done || err != nil {
			return err
		}
		l.mu.Unlock()
		sleep(ctx, 5*time.Millisecond)
		l.mu.Lock()
		switch {
		case l.closed:
			return fmt.Errorf("the lab was closed")
		case ctx.Err() != nil:
			return fmt.Errorf("service %s: %d of %d old tasks still run; either the new ones are not healthy or minimum and maximum percent leave no room: %w",
				s.def.ID, d.left(), len(d.old), ctx.Err())
		}
	}
}

// deployment is a rolling replacement of a service's tasks.
type deployment struct {
	service *service
	old     []*task
}

// left counts the old tasks that still take traffic.
func (d *deployment) left() (n int) {
	for _, t := range d.service.tasks {
		if slices.Contains(d.old, t) {
			n++
		}
	}
	return n
}

// step starts as many new tasks and stops as many old ones as may be now, and
// reports whether it is through.
func (d *deployment) step(ctx context.Context) (done bool, err error) {
	s := d.service
	least := (s.desired*s.def.MinimumHealthyPercent.Or(100) + 99) / 100 // rounded up
	there := len(s.tasks) + s.starting
	if n := min(s.desired-(there-d.left()), s.desired*s.def.MaximumPercent.Or(200)/100-there); n > 0 {
		if err := s.begin(ctx, n, ""); err != nil {
			return false, err
		}
	}
	ready := 0
	for _, t := range s.tasks {
		if !slices.Contains(d.old, t) && t.ready() {
			ready++
		}
	}
	// Old tasks stay until new ones take over, unless only their end makes room.
	keep := s.desired
	if len(s.tasks)-d.left() < s.desired {
		keep = least
	}
	for _, t := range d.old {
		if ready+d.left() > keep {
			s.retire(t, "a new deployment replaces it")
		}
	}
	if d.left() == 0 {
		s.copy.lab.later(0, s.settle)
	}
	return d.left() == 0, nil
}

// ready reports whether every load balancer that the task is registered with,
// and its containers' checks, call it healthy.
func (t *task) ready() bool {
	for _, st := range t.service.def.LoadBalancers {
		g, ok := st.Group.Get()
		if !ok || !t.service.copy.balances(g) {
			continue
		}
		if s := t.targets[string(g)]; s != alb.Healthy && s != alb.Unavailable {
			return false
		}
	}
	for _, h := range t.containers {
		if h != containerHealthy {
			return false
		}
	}
	return true
}

func (l *Lab) findService(p TaskRef) (*service, error) {
	if dc := l.copyNamed(p.Twin); dc != nil {
		if s := dc.service(p.Service); s != nil {
			return s, nil
		}
	}
	return nil, fail.Newf(fail.Usage, "`hoplab lab status` lists what there is", "the lab has no service %s", p.Service)
}

func (l *Lab) find(p TaskRef) (*service, *task, error) {
	s, err := l.findService(p)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range s.tasks {
		if p.Task == "" || t.id == p.Task {
			return s, t, nil
		}
	}
	return nil, nil, fail.Newf(fail.Usage, "`hoplab lab status` lists what there is", "service %s has no running task %s", p.Service, p.Task)
}
