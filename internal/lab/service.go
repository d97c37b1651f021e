package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/topology"
)

// service is a running ECS service: it keeps the desired number of tasks
// running. Lab.mu guards it.
type service struct {
	copy    *deploymentCopy
	def     *topology.Service
	desired int
	tasks   []*task // that take traffic, the oldest first
	leaving []*task // that are being stopped
	started int     // tasks ever started, for their names
	events  []Event
	// visible says which services existed when the current deployment was
	// created: every task of a deployment resolves the same names, also one
	// that replaces another or scales out later.
	visible func(topology.ID) bool
	// failures counts the tasks in a row that ended or were replaced before they
	// were healthy; broken is set when the circuit breaker has opened.
	failures int
	broken   bool
}

// Event is something that Amazon ECS would write into a service's event list.
type Event struct {
	At   time.Duration `json:"at"` // since the lab's start, modelled time
	Text string        `json:"text"`
}

// maxEvents bounds the list; ECS keeps the last 100.
const maxEvents = 100

func (s *service) event(format string, args ...any) {
	if len(s.events) >= maxEvents {
		s.events = slices.Delete(s.events, 0, 1)
	}
	l := s.copy.lab
	s.events = append(s.events, Event{At: l.clock.Modelled(time.Since(l.begun)),
		Text: fmt.Sprintf("(service %s) ", s.name()) + fmt.Sprintf(format, args...)})
}

func (s *service) name() string { return s.def.Name.Or(string(s.def.ID)) }

// existing says which services exist for a deployment that is created now:
// all of them, once the first one is through.
func existing(topology.ID) bool { return true }

// first deploys the service for the first time: its tasks see the services
// that the source deploys before it and their own, and an error ends the
// lab's start.
func (s *service) first(ctx context.Context) error {
	if s.def.Task == nil {
		s.copy.lab.notes = append(s.copy.lab.notes, fmt.Sprintf("service %s has no task: %s", s.def.ID, s.def.TaskUnknown))
		return nil
	}
	s.visible = func(id topology.ID) bool { return id == s.def.ID || slices.Contains(s.def.After, id) }
	for len(s.tasks) < s.desired {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.add(ctx); err != nil {
			return err
		}
	}
	return nil
}

// add starts one more task and makes it known.
func (s *service) add(ctx context.Context) error {
	t, err := s.startTask(ctx)
	if err != nil {
		return err
	}
	s.tasks = append(s.tasks, t)
	t.supervise()
	s.event("has started 1 tasks: (task %s).", t.id)
	return s.copy.publish()
}

// reconcile starts or stops tasks until there are as many as desired. A task
// that cannot be started is tried again later.
func (s *service) reconcile() {
	l := s.copy.lab
	for !l.closed && !s.broken && s.def.Task != nil && len(s.tasks) < s.desired {
		if err := s.add(l.ctx); err != nil {
			s.event("was unable to place a task. Reason: %v.", err)
			s.failed()
			l.later(s.backoff(), s.reconcile)
			return
		}
	}
	for len(s.tasks) > s.desired {
		s.retire(s.tasks[len(s.tasks)-1], "the desired count was lowered")
	}
}

// backoff is how long to wait before the next try after failures in a row.
// How ECS throttles restarts is not documented in numbers; doubling from one
// second up to a minute keeps a broken image from busying the machine.
func (s *service) backoff() time.Duration {
	return min(time.Second<<min(s.failures, 6), time.Minute)
}

// failed counts a task that did not become healthy and applies the circuit breaker.
func (s *service) failed() {
	s.failures++
	if s.broken || !s.def.CircuitBreaker.Or(false) {
		return
	}
	// Half of the desired count, at least 3 and at most 200.
	if limit := min(max((s.desired+1)/2, 3), 200); s.failures >= limit {
		s.broken = true
		s.event("deployment failed: %d tasks failed in a row (circuit breaker). No more tasks are started.", s.failures)
	}
}

// retire takes a task out of service: it is deregistered, drained and stopped,
// in the background.
func (s *service) retire(t *task, why string) {
	i := slices.Index(s.tasks, t)
	if i < 0 {
		return
	}
	drained := t.expectDrain()
	s.tasks = slices.Delete(s.tasks, i, i+1)
	s.leaving = append(s.leaving, t)
	t.state, t.why = Deactivating, why
	s.copy.publish()
	s.event("has begun draining connections on 1 tasks: (task %s): %s.", t.id, why)
	l := s.copy.lab
	l.wg.Go(func() {
		t.waitDrained(drained)
		t.stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		s.gone(t)
	})
}

// lost handles a task whose processes have ended: what is left of it is
// killed, and another one is started.
func (s *service) lost(t *task, why string) {
	i := slices.Index(s.tasks, t)
	if i < 0 {
		return
	}
	s.tasks = slices.Delete(s.tasks, i, i+1)
	s.leaving = append(s.leaving, t)
	t.why = why
	s.event("(task %s) stopped: %s.", t.id, why)
	if !t.wasHealthy {
		s.failed()
	}
	t.kill()
	s.gone(t)
	s.copy.publish()
	if s.failures > 0 {
		s.copy.lab.later(s.backoff(), s.reconcile)
		return
	}
	s.reconcile()
}

// gone removes a stopped task's host and interface.
func (s *service) gone(t *task) {
	t.state = Stopped
	t.cancel()
	if !s.copy.lab.closed {
		t.detach()
	}
	s.leaving = slices.DeleteFunc(s.leaving, func(o *task) bool { return o == t })
}

// targetChanged takes a change of a task's target health.
func (s *service) targetChanged(t *task, c alb.HealthChange) {
	t.targets[c.Group] = c.State
	switch c.State {
	case alb.Healthy:
		t.wasHealthy = true
		s.failures = 0
		s.event("registered 1 targets in (target-group %s) as healthy: (task %s).", c.Group, t.id)
	case alb.Unhealthy:
		_, port, _ := cutPort(c.Address)
		s.event("(task %s) (port %s) is unhealthy in (target-group %s) due to (reason %s).", t.id, port, c.Group, c.Reason)
		s.unhealthy(t, "failed ELB health checks in (target-group "+c.Group+")", func() bool { return t.targets[c.Group] == alb.Unhealthy })
	}
}

// unhealthy replaces a task, after the grace period and only if it still is
// unhealthy then.
func (s *service) unhealthy(t *task, why string, still func() bool) {
	l := s.copy.lab
	if l.opts.KeepUnhealthy || !slices.Contains(s.tasks, t) {
		return
	}
	if left := s.grace() - l.clock.Modelled(time.Since(t.begun)); left > 0 {
		l.later(left, func() {
			if still() {
				s.unhealthy(t, why, still)
			}
		})
		return
	}
	if !t.wasHealthy {
		s.failed()
	}
	if s.broken {
		return // nothing would take its place
	}
	s.retire(t, why)
	s.reconcile()
}

func (s *service) grace() time.Duration {
	return time.Duration(s.def.GraceSeconds.Or(0)) * time.Second
}
