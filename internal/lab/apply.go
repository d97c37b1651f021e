package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// Change is one thing that Apply does.
type Change struct {
	ID   topology.ID `json:"id"`
	Name string      `json:"name"`
	What string      `json:"what"` // "service", "load balancer" or "instance"
	// How is "added", "removed", "changed", "scaled" or, for a service whose
	// tasks are replaced, "deployed".
	How string `json:"how"`
}

// Apply makes a running lab that of another topology, as an update of the
// deployment does. Security groups, listeners and target groups are as the new
// topology has them when it returns; connections that are up stay up. A service
// that is new, gone or scaled gets or loses tasks; one whose tasks would differ
// gets a new deployment, which rolls within the minimum and maximum percent
// after Apply has returned: WaitDeployed waits for it. Tasks keep the revision
// that they were started with, and the names that existed when their deployment
// was created. A lab with twins is an experiment's, and is not changed.
func (l *Lab) Apply(ctx context.Context, t *topology.Topology) ([]Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, errors.New("the lab was closed")
	case len(l.copies) != 1:
		return nil, fail.Newf(fail.Usage, "start another lab", "a lab with twins keeps its deployment")
	case t == nil:
		return nil, errors.New("lab: no topology")
	}
	opts := l.opts
	opts.Topology = t
	if err := errors.Join(opts.checkCounts(), opts.checkPorts()); err != nil {
		return nil, err
	}
	l.opts, l.index = opts, topology.NewIndex(t)
	l.network.Follow(l.index)
	u := update{lab: l, dc: l.copies[0], next: l.newCopy("", nil)}
	if err := u.carryOut(ctx); err != nil {
		return u.changes, err
	}
	return u.changes, nil
}

// update is the way from what a copy of the deployment is to what it is to be.
type update struct {
	lab     *Lab
	dc      *deploymentCopy
	next    *deploymentCopy // that does not run: what there is to be
	changes []Change
}

func (u *update) carryOut(ctx context.Context) error {
	had := map[topology.ID]bool{}
	for _, s := range u.dc.services {
		had[s.def.ID] = !s.removed
	}
	u.loadBalancersGone()
	deploys := u.services()
	if err := errors.Join(u.loadBalancers(ctx), u.instances(ctx), u.lab.applyPolicy()); err != nil {
		return err
	}
	u.lab.setNames()
	for _, deploy := range deploys {
		deploy(had)
	}
	return u.dc.publish()
}

func (u *update) note(o topology.Origin, name, what, how string) {
	u.changes = append(u.changes, Change{ID: o.ID, Name: name, What: what, How: how})
}

// services takes the new definitions and returns what starts tasks, for when
// everything else is in place; it is told which services there were.
func (u *update) services() (deploys []func(had map[topology.ID]bool)) {
	var list []*service
	for _, n := range u.next.services {
		s := u.dc.service(n.def.ID)
		if s == nil || s.removed {
			if s != nil { // its last tasks still run: theirs and their deployments' names are taken
				n.started, n.deployments, n.faults = s.started, s.deployments, s.faults
			}
			n.copy, u.dc.byID[n.def.ID] = u.dc, n
			u.note(n.def.Origin, n.name(), "service", "added")
			list = append(list, n)
			deploys = append(deploys, n.appear)
			continue
		}
		list = append(list, s)
		before, desired := s.def, n.desired
		if topology.Same(before.DesiredCount, n.def.DesiredCount) {
			desired = s.desired // an update leaves alone what it does not change, such as a count that a user set
		}
		s.def = n.def
		switch {
		case !topology.SameRevision(before, n.def):
			s.desired = desired
			u.note(n.def.Origin, s.name(), "service", "deployed")
			deploys = append(deploys, s.replace)
		case s.desired != desired:
			s.current.def, s.desired, s.broken, s.failures = n.def, desired, false, 0
			u.note(n.def.Origin, s.name(), "service", "scaled")
			deploys = append(deploys, func(map[topology.ID]bool) { s.reconcile() })
		default:
			s.current.def = n.def // counts of other things than its tasks
		}
	}
	for _, s := range u.dc.services {
		if u.next.service(s.def.ID) != nil && !s.removed {
			continue
		}
		list = append(list, s)
		if !s.removed {
			s.removed, s.desired = true, 0
			u.note(s.def.Origin, s.name(), "service", "removed")
			deploys = append(deploys, func(map[topology.ID]bool) { s.reconcile(); s.forget() })
		}
	}
	u.dc.services = list
	return deploys
}

// appear starts the tasks of a service that is new.
func (s *service) appear(had map[topology.ID]bool) {
	if !s.hasTask() {
		return
	}
	s.roll(s.visibleIn(had), nil)
	s.reconcile()
}

// replace begins a deployment of the new definition and lets it roll.
func (s *service) replace(had map[topology.ID]bool) {
	if s.hasTask() {
		s.rollOut(s.visibleIn(had))
	}
}

// Deploy begins a new deployment of a service as it is defined now, whose tasks
// see the names that exist now, and lets it roll: WaitDeployed waits for it.
func (l *Lab) Deploy(p TaskRef) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.findService(p)
	if err != nil {
		return err
	}
	if s.def.Task == nil {
		return fmt.Errorf("service %s has no task: %s", s.def.ID, s.def.TaskUnknown)
	}
	s.rollOut(existing)
	return nil
}

// rollOut begins a deployment whose tasks see what visible says.
func (s *service) rollOut(visible func(topology.ID) bool) {
	l := s.copy.lab
	s.roll(visible, nil)
	d := deployment{service: s, number: s.current.number, old: slices.Clone(s.tasks)}
	l.wg.Go(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for {
			err := d.follow(l.ctx)
			if !errors.Is(err, errNotStarted) || s.broken || s.current.number != d.number {
				return // through, or an event says why not
			}
			s.unable(err)
			l.mu.Unlock()
			l.pause(s.backoff())
			l.mu.Lock()
		}
	})
}

// forget takes a service that was removed off the list once its last task has
// ended.
func (s *service) forget() {
	dc := s.copy
	if !s.removed || len(s.tasks)+len(s.leaving)+s.starting > 0 {
		return
	}
	dc.services = slices.DeleteFunc(dc.services, func(o *service) bool { return o == s })
	if dc.byID[s.def.ID] == s {
		delete(dc.byID, s.def.ID)
	}
}

// loadBalancersGone closes the load balancers that are to be no more, before
// anything takes their place.
func (u *update) loadBalancersGone() {
	var stay []*balancer
	for _, b := range u.dc.balancers {
		if slices.ContainsFunc(u.next.balancers, func(n *balancer) bool { return n.def.ID == b.def.ID }) {
			stay = append(stay, b)
			continue
		}
		u.note(b.def.Origin, b.def.Name.Or(string(b.def.ID)), "load balancer", "removed")
		b.remove()
	}
	u.dc.balancers = stay
}

// loadBalancers configures those that stay and starts those that are new.
func (u *update) loadBalancers(ctx context.Context) error {
	for _, n := range u.next.balancers {
		i := slices.IndexFunc(u.dc.balancers, func(b *balancer) bool { return b.def.ID == n.def.ID })
		name := n.def.Name.Or(string(n.def.ID))
		if i < 0 {
			n.copy = u.dc
			u.dc.balancers = append(u.dc.balancers, n)
			u.note(n.def.Origin, name, "load balancer", "added")
			if err := n.start(ctx); err != nil {
				return err
			}
			continue
		}
		b := u.dc.balancers[i]
		regrouped := !topology.Same(b.def.Groups, n.def.Groups)
		b.def = n.def
		u.lab.network.Regroup(b.iface, n.def.Groups)
		changed, err := b.configure()
		if err != nil {
			return fmt.Errorf("load balancer %s: %w", n.def.ID, err)
		}
		if changed || regrouped {
			u.note(n.def.Origin, name, "load balancer", "changed")
		}
	}
	return nil
}

// instances stops those that are gone or changed and starts the others.
func (u *update) instances(ctx context.Context) error {
	var stay []*instance
	for _, i := range u.dc.instances {
		k := slices.IndexFunc(u.next.instances, func(n *instance) bool { return n.def.ID == i.def.ID })
		if k >= 0 && topology.Same(u.next.instances[k].def, i.def) {
			stay = append(stay, i)
			continue
		}
		if k < 0 {
			u.note(i.def.Origin, i.name(), "instance", "removed")
		}
		i.remove()
	}
	u.dc.instances = stay
	for _, n := range u.next.instances {
		if slices.ContainsFunc(stay, func(i *instance) bool { return i.def.ID == n.def.ID }) {
			continue
		}
		n.copy = u.dc
		u.dc.instances = append(u.dc.instances, n)
		u.note(n.def.Origin, n.name(), "instance", "added")
		if err := n.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// WaitDeployed waits until no deployment is under way any more and no task is
// being stopped. The error names the services whose deployment failed or was
// rolled back, or, when ctx ends first, those that are still at it.
func (l *Lab) WaitDeployed(ctx context.Context) error {
	for pause := 2 * time.Millisecond; ; pause = min(pause*3/2, 100*time.Millisecond) {
		busy, failed := l.deployments()
		if len(busy) == 0 {
			if len(failed) > 0 {
				return fail.Newf(fail.Finding, "`hoplab lab status --events` says why their tasks failed", "%s", some(failed, maxNamed))
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fail.Newf(fail.Environment, "`hoplab lab status` shows how far they are", "still deploying: %s: %w", some(busy, maxNamed), ctx.Err())
		case <-time.After(pause):
		}
	}
}

func (l *Lab) deployments() (busy, failed []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, dc := range l.copies {
		for _, s := range dc.services {
			switch {
			case s.def.Task == nil:
			case s.fault != "" && (s.broken || s.stable()):
				failed = append(failed, s.name()+": "+s.fault)
			case !s.stable() || s.removed || len(s.leaving) > 0:
				busy = append(busy, s.name())
			}
		}
	}
	return busy, failed
}
