package lab

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// rollout is a deployment of a service: what all of its tasks have in common,
// also those that replace another or scale out later.
type rollout struct {
	number int
	// def is the service as it was when the deployment was created: its revision.
	// names are those that its tasks resolve, which existed then, and endpoints
	// what they offer.
	def       *topology.Service
	names     []name
	endpoints []*topology.ConnectEndpoint
	// env are variables of the app in place of the task definition's, NAME=value:
	// a revision of the task definition.
	env []string
}

// roll begins a deployment. visible says which services exist: its tasks resolve
// their names and no others.
func (s *service) roll(visible func(topology.ID) bool, env []string) {
	s.deployments++
	s.current = rollout{number: s.deployments, def: s.def, names: s.copy.namesFor(s.def, visible),
		endpoints: s.copy.lab.index.Endpoints(s.def.ID), env: env}
	s.deploying, s.steady, s.broken, s.failures, s.fault = true, false, false, 0, ""
}

// deploymentName names a deployment as Amazon ECS does: ecs-svc/ and a number.
func (s *service) deploymentName(number int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d", s.copy.name, s.def.ID, number)
	return fmt.Sprintf("ecs-svc/%019d", h.Sum64()%1e19)
}

// rollBack returns to the last deployment that completed, where the circuit
// breaker is to do so and there is one: its tasks stay and the others go.
func (s *service) rollBack() {
	if !s.def.Rollback.Or(false) || s.completed == nil || s.completed.number == s.current.number {
		return
	}
	s.event("rolling back to deployment %s.", s.deploymentName(s.completed.number))
	s.fault = "its deployment failed and was rolled back to " + s.deploymentName(s.completed.number)
	s.current = *s.completed
	s.def = s.current.def
	s.deploying, s.steady, s.broken, s.failures = true, false, false, 0
	for _, t := range slices.Clone(s.tasks) {
		if t.rollout != s.current.number {
			s.retire(t, DeploymentFailed)
		}
	}
	s.copy.lab.later(0, s.reconcile)
}

// stable reports what the waiter services-stable of the AWS CLI waits for: one
// deployment, and as many tasks running as desired. Which deployment it is does
// not matter to it, so that a rollback makes it succeed.
func (s *service) stable() bool { return !s.deploying && s.starting == 0 && len(s.tasks) == s.desired }

// Redeploy replaces a service's tasks by new ones, which see the names that
// exist now, within its minimum and maximum percent. env are variables of the
// app, NAME=value, that the new tasks have in place of the old ones': a new
// revision. It returns when the old tasks have been taken out of service, or
// with an error when the circuit breaker rolled the deployment back or ctx ends
// before the new tasks are healthy.
func (l *Lab) Redeploy(ctx context.Context, p TaskRef, env ...string) error {
	for _, v := range env {
		if name, _, ok := strings.Cut(v, "="); !ok || !slices.Contains(passed, name) || strings.ContainsRune(v, 0) {
			return fail.Newf(fail.Usage, "choose from "+strings.Join(passed, ", "), "%q sets no variable that says how the app answers", v)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.findService(p)
	if err != nil {
		return err
	}
	if s.def.Task == nil {
		return fmt.Errorf("service %s has no task: %s", s.def.ID, s.def.TaskUnknown)
	}
	s.roll(existing, env)
	d := deployment{service: s, number: s.current.number, old: slices.Clone(s.tasks)}
	return d.follow(ctx)
}

// errNotStarted is behind the error of a task that could not be started.
var errNotStarted = errors.New("no task could be started")

// follow rolls the deployment until the old tasks are out of service. Lab.mu is
// held, but while it waits.
func (d *deployment) follow(ctx context.Context) error {
	s, l := d.service, d.service.copy.lab
	for {
		if done, err := d.step(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotStarted, err)
		} else if done {
			return nil
		}
		l.mu.Unlock()
		sleep(ctx, 5*time.Millisecond)
		l.mu.Lock()
		switch {
		case l.closed:
			return fmt.Errorf("the lab was closed")
		case s.current.number < d.number:
			return fail.Newf(fail.Finding, "the service's events say why its tasks failed", "the deployment of %s failed and was rolled back to %s",
				s.name(), s.deploymentName(s.current.number))
		case s.current.number > d.number:
			return fmt.Errorf("another deployment of %s took this one's place", s.name())
		case ctx.Err() != nil:
			return fmt.Errorf("service %s: %d of %d old tasks still run; either the new ones are not healthy or minimum and maximum percent leave no room: %w",
				s.def.ID, d.left(), len(d.old), ctx.Err())
		}
	}
}

// deployment is a rolling replacement of a service's tasks.
type deployment struct {
	service *service
	number  int
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
			s.retire(t, Superseded)
		}
	}
	if d.left() == 0 {
		s.copy.lab.later(0, s.settle)
	}
	return d.left() == 0, nil
}
