package cloud

import (
	"context"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/resource"
	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

// behind is the lab behind the stacks: a resource.Lab.
type behind struct {
	lab    *lab.Lab
	stacks *stack.Stacks

	mu   sync.Mutex // one change to the lab at a time, so that an older view never follows a newer one
	seen map[topology.ID]int
}

// Show makes the lab that of what the stacks are now.
func (b *behind) Show(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	view, err := b.stacks.View()
	if err != nil {
		return err
	}
	asm, err := cfn.Templates(view, cfn.Options{})
	if err != nil {
		return err
	}
	t, err := deployment.FromTemplates(asm)
	if err != nil {
		return err
	}
	t.Name = "hoplab cloud"
	_, err = b.lab.Apply(ctx, t)
	return err
}

// Deployed waits for the end of a service's deployment.
func (b *behind) Deployed(ctx context.Context, stack, key string) error {
	id := idOf(stack, key)
	return poll(ctx, func() (bool, error) {
		r, ok := b.lab.Rollout(id)
		if !ok {
			return true, nil // the lab says in its notes why it does not run it
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if over := r.Stable || r.RolloutState == lab.Failed; over && r.Faults > b.seen[id] {
			b.seen[id] = r.Faults
			return true, resource.ErrBreaker
		}
		return r.Stable, nil
	})
}

// Gone waits until the last task of a removed service has ended.
func (b *behind) Gone(ctx context.Context, stack, key string) error {
	id := idOf(stack, key)
	return poll(ctx, func() (bool, error) {
		_, ok := b.lab.Rollout(id)
		if !ok {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.seen, id)
		}
		return !ok, nil
	})
}

// poll asks until the answer is yes.
func poll(ctx context.Context, ask func() (bool, error)) error {
	for pause := 2 * time.Millisecond; ; pause = min(pause*3/2, 50*time.Millisecond) {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
