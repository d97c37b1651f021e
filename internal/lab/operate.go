package lab

import (
	"fmt"

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
	s.retire(t, StoppedByUser)
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

// ready reports whether every load balancer that the task is registered with,
// and its containers' checks, call it healthy.
func (t *task) ready() bool {
	for _, st := range t.def.LoadBalancers {
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
