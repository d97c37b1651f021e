package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// current is the deployment whose tasks are started, completed the last one
	// that completed, if one has; deployments counts them, for their numbers.
	current     rollout
	completed   *rollout
	deployments int
	// starting counts tasks that are asked for and take their time to start.
	starting  int
	deploying bool // the current deployment has not completed yet
	steady    bool // a steady state was reported since the last change
	// failures counts the tasks in a row that ended or were replaced before they
	// were healthy; broken is set when the circuit breaker has opened.
	failures int
	broken   bool
	fault    string // how the last deployment failed
	faults   int    // deployments that failed
	removed  bool   // the deployment has it no more; its last tasks are being stopped
	stopped  []StoppedTask
}

// Event is something that Amazon ECS would write into a service's event list.
type Event struct {
	At   time.Duration `json:"at"` // since the lab's start, modelled time
	Text string        `json:"text"`
}

// maxEvents bounds the list; ECS keeps the last 100.
const maxEvents = 100

func (s *service) event(format string, args ...any) {
	s.append(fmt.Sprintf("(service %s) ", s.name()) + fmt.Sprintf(format, args...))
}

func (s *service) append(text string) {
	if len(s.events) >= maxEvents {
		s.events = slices.Delete(s.events, 0, 1)
	}
	l := s.copy.lab
	s.events = append(s.events, Event{At: l.clock.Modelled(time.Since(l.begun)), Text: text})
}

func (s *service) name() string { return s.def.Name.Or(string(s.def.ID)) }

// existing says which services exist for a deployment that is created now:
// all of them, once the first one is through.
func existing(topology.ID) bool { return true }

// deploy begins the service's first deployment: its tasks see the services that
// the source deploys before it and their own. It returns the tasks, which do
// not run yet.
func (s *service) deploy() []*task {
	if !s.hasTask() {
		return nil
	}
	s.roll(s.visibleIn(nil), nil)
	var out []*task
	for range s.desired {
		out = append(out, s.newTask(s.nextID()))
	}
	return out
}

// hasTask reports whether the source has the service's task, and notes why not.
func (s *service) hasTask() bool {
	if s.def.Task == nil {
		s.copy.lab.note(fmt.Sprintf("service %s has no task: %s", s.def.ID, s.def.TaskUnknown))
	}
	return s.def.Task != nil
}

// visibleIn says what a deployment that is created now can call: what there was,
// itself, and what the source deploys before it.
func (s *service) visibleIn(had map[topology.ID]bool) func(topology.ID) bool {
	return func(id topology.ID) bool { return had[id] || id == s.def.ID || slices.Contains(s.def.After, id) }
}

// nextID names the next task.
func (s *service) nextID() string {
	s.started++
	return taskID(s.copy.name, s.def.ID, s.started)
}

// begin asks for n more tasks, which are there after the time that a task
// takes to start; at once when that is not set. why is added to the events.
func (s *service) begin(ctx context.Context, n int, why string) error {
	l := s.copy.lab
	after := l.opts.Timing.TaskStart
	if s.def.Connected() {
		after += l.opts.Timing.AgentReady
	}
	var ids []string
	for range n {
		ids = append(ids, s.nextID())
	}
	if after == 0 {
		return s.add(ctx, ids, why)
	}
	s.starting += n
	for _, id := range ids {
		s.launched(id, why)
	}
	l.later(after, func() {
		s.starting -= n
		if s.broken {
			return
		}
		ids := ids[:max(0, min(n, s.most()-len(s.tasks)))]
		if _, err := s.run(l.ctx, ids); err != nil {
			s.unable(err)
		}
	})
	return nil
}

// most is how many tasks may run during a deployment: the maximum percent of
// the desired count, rounded down.
func (s *service) most() int {
	return max(s.desired*s.def.MaximumPercent.Or(200)/100, s.desired)
}

// add starts tasks and makes them known.
func (s *service) add(ctx context.Context, ids []string, why string) error {
	tasks, err := s.run(ctx, ids)
	for _, t := range tasks {
		s.entered(t, why)
	}
	return err
}

// entered reports a task that has been taken into service.
func (s *service) entered(t *task, why string) {
	s.launched(t.id, why)
	if groups := s.groups(); len(groups) > 0 {
		s.event("registered 1 targets in target-group %s", strings.Join(groups, ", "))
	}
}

func (s *service) launched(id, why string) {
	s.steady = false
	s.event("has started 1 tasks: (task %s).%s", id, why)
}

// run starts tasks side by side, takes those that run into service and returns
// them; the error is of the first that does not. Load balancers are told of them
// at once, the agents of their callers after the time that takes.
func (s *service) run(ctx context.Context, ids []string) ([]*task, error) {
	var tasks []*task
	for _, id := range ids {
		tasks = append(tasks, s.newTask(id))
	}
	running, err := s.copy.lab.startTasks(ctx, tasks)
	for _, t := range tasks {
		if slices.Contains(running, t) {
			s.enter(t)
		} else {
			s.keep(t)
		}
	}
	if len(running) == 0 {
		return nil, err
	}
	return running, errors.Join(err, s.copy.publish())
}

// enter takes a task that runs into service.
func (s *service) enter(t *task) {
	l := s.copy.lab
	s.tasks = append(s.tasks, t)
	t.supervise()
	if l.opts.Timing.Register == 0 {
		t.known = true
	} else {
		l.later(l.opts.Timing.Register, func() {
			t.known = slices.Contains(s.tasks, t)
			s.copy.publish()
		})
	}
	l.later(0, s.settle)
}

// settle reports the end of a deployment and a steady state, once each.
func (s *service) settle() {
	if s.steady || s.broken || s.starting > 0 || len(s.tasks) != s.desired {
		return
	}
	for _, t := range s.tasks {
		if !t.ready() || s.deploying && t.rollout != s.current.number {
			return
		}
	}
	s.steady = true
	if s.deploying {
		s.deploying = false
		done := s.current
		s.completed = &done
		s.event("(deployment %s) deployment completed.", s.deploymentName(done.number))
	}
	s.event("has reached a steady state.")
}

// groups are the names of the target groups that tasks are registered with.
func (s *service) groups() (names []string) {
	for _, b := range s.def.LoadBalancers {
		if id, ok := b.Group.Get(); ok && s.copy.balances(id) {
			names = append(names, s.copy.lab.groupName(string(id)))
		}
	}
	return names
}

// groupName is what events call a target group.
func (l *Lab) groupName(id string) string {
	if g := l.index.TargetGroup(topology.ID(id)); g != nil {
		return topology.Label(g.Origin, g.Name)
	}
	return id
}

func (s *service) unable(err error) {
	s.event("was unable to place a task. Reason: %v.", err)
	s.failed()
	s.copy.lab.later(s.backoff(), s.reconcile)
}

// reconcile starts or stops tasks until there are as many as desired. A task
// that cannot be started is tried again later.
func (s *service) reconcile() {
	l := s.copy.lab
	if n := s.desired - len(s.tasks) - s.starting; n > 0 && !l.closed && !s.broken && s.def.Task != nil {
		if err := s.begin(l.ctx, n, ""); err != nil {
			s.unable(err)
			return
		}
	}
	for len(s.tasks) > s.desired {
		s.retire(s.tasks[len(s.tasks)-1], Scaled)
	}
	l.later(0, s.settle)
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
	if s.broken || !s.deploying || !s.def.CircuitBreaker.Or(false) {
		return // after a deployment has completed, tasks are replaced for as long as it takes
	}
	// Half of the desired count, at least 3 and at most 200.
	if limit := min(max((s.desired+1)/2, 3), 200); s.failures >= limit {
		s.broken, s.fault = true, "its deployment failed: tasks failed to start"
		s.faults++
		s.event("(deployment %s) deployment failed: tasks failed to start.", s.deploymentName(s.current.number))
		s.rollBack()
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
	l := s.copy.lab
	t.state, t.why, s.steady = Deactivating, why, false
	t.known = t.known && l.opts.Timing.Deregister > 0
	s.copy.publish()
	s.event("has stopped 1 running tasks: (task %s).", t.id)
	if groups := s.groups(); len(groups) > 0 {
		s.event("deregistered 1 targets in target-group %s", strings.Join(groups, ", "))
		s.append(fmt.Sprintf("(service %s, taskSet %s) has begun draining connections on 1 tasks.", s.name(), s.deploymentName(t.rollout)))
	}
	l.wg.Go(func() {
		l.pause(l.opts.Timing.Deregister) // callers send requests until they are told
		l.mu.Lock()
		if t.known && !l.closed {
			t.known = false
			s.copy.publish()
		}
		l.mu.Unlock()
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
	t.why, t.known, s.steady = why, false, false
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
	s.keep(t)
	if !s.copy.lab.closed {
		t.detach()
	}
	s.leaving = slices.DeleteFunc(s.leaving, func(o *task) bool { return o == t })
	s.forget()
}

// targetChanged takes a change of a task's target health.
func (s *service) targetChanged(t *task, c alb.HealthChange) {
	t.targets[c.Group] = c.State
	switch c.State {
	case alb.Healthy:
		t.wasHealthy = true
		s.failures = 0
		s.settle()
	case alb.Unhealthy:
		_, port, _ := cutPort(c.Address)
		s.event("(task %s) (port %s) is unhealthy in target-group %s due to (reason %s)", t.id, port, s.copy.lab.groupName(c.Group), c.Description)
		s.unhealthy(t, FailedTarget+c.Group+")", func() bool { return t.targets[c.Group] == alb.Unhealthy })
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
	if s.broken || !slices.Contains(s.tasks, t) {
		return // nothing would take its place, or the deployment was rolled back
	}
	// Where the maximum percent leaves room, the replacement starts first.
	const replaces = " Amazon ECS replaced 1 tasks due to an unhealthy status."
	if len(s.tasks)+s.starting < s.most() {
		if err := s.begin(l.ctx, 1, replaces); err != nil {
			s.unable(err)
		}
		s.retire(t, why)
		return
	}
	s.retire(t, why)
	if err := s.begin(l.ctx, 1, replaces); err != nil {
		s.unable(err)
	}
}

func (s *service) grace() time.Duration {
	return time.Duration(s.def.GraceSeconds.Or(0)) * time.Second
}
