// Package rollout says what callers see while an update of a deployment is
// carried out. An update is no single moment: CloudFormation changes security
// groups, listeners and target groups first, then Amazon ECS replaces tasks,
// and only when that is through is removed what the new template lacks. Each of
// these phases is a topology, and package reach predicts it.
package rollout

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// Phase is a stretch of an update in which the deployment stays the same.
type Phase struct {
	Name string
	// Topology is what is deployed in the phase. It shares parts with those
	// that Phases was given, and is only to be read.
	Topology *topology.Topology
}

// The phases' names, for people.
const (
	Now       = "now"
	OldTasks  = "rules and listeners are the new ones and the old tasks run"
	NewTasks  = "the new tasks run and what the update removes is still there"
	CleanedUp = "what the update removes is gone"
)

// Phases returns the phases of the update from one topology to another, the
// first before it and the last after it. Resources are the same if their IDs
// are. Sources of the order: CloudFormation updates a resource before those
// that refer to it, creates what replaces a resource before it deletes the old
// one, and deletes in a clean-up when all else has succeeded (its guide to the
// update behaviours of stack resources). An inline rule is changed with its
// group; a rule that is a resource of its own is there from before the service's
// deployment until the clean-up. Terraform has no clean-up: what it removes is
// gone before the new tasks are there.
//
// A new service has no tasks before its own deployment, so it is missing from
// the second phase.
func Phases(before, after *topology.Topology) []Phase {
	m := merge{before: topology.NewIndex(before), after: topology.NewIndex(after)}
	return []Phase{
		{Now, before},
		{OldTasks, m.between(false)},
		{NewTasks, m.between(true)},
		{CleanedUp, after},
	}
}

type merge struct{ before, after *topology.Index }

// between is the deployment in mid-update, before or after the new tasks run.
func (m *merge) between(deployed bool) *topology.Topology {
	t := *m.after.Topology
	t.SecurityGroups = m.groups()
	t.TargetGroups = slices.Concat(t.TargetGroups, m.leftGroups())
	for _, lb := range m.before.Topology.LoadBalancers {
		if m.after.LoadBalancer(lb.ID) == nil && leftToCleanUp(lb.Origin) {
			t.LoadBalancers = append(slices.Clip(t.LoadBalancers), lb)
		}
	}
	t.Services = nil
	for _, s := range m.after.Topology.Services {
		switch old := m.before.Service(s.ID); {
		case deployed || old != nil && topology.SameRevision(old, s) && !m.movesGroup(old):
			t.Services = append(t.Services, s)
		case old != nil:
			t.Services = append(t.Services, m.inOldGroups(old))
		}
	}
	for _, s := range m.before.Topology.Services {
		if m.after.Service(s.ID) == nil && leftToCleanUp(s.Origin) {
			t.Services = append(t.Services, m.inOldGroups(s))
		}
	}
	return &t
}

// groups are the security groups in mid-update: each with the new source's
// rules, and with those resources of the old one that only the clean-up removes.
func (m *merge) groups() []*topology.SecurityGroup {
	var out []*topology.SecurityGroup
	for _, g := range m.after.Topology.SecurityGroups {
		if old := m.before.SecurityGroup(g.ID); old != nil {
			both := *g
			both.Ingress = slices.Concat(g.Ingress, leftRules(old.Ingress, g.Ingress))
			both.Egress = slices.Concat(g.Egress, leftRules(old.Egress, g.Egress))
			g = &both
		}
		out = append(out, g)
	}
	for _, g := range m.before.Topology.SecurityGroups {
		if m.after.SecurityGroup(g.ID) == nil && leftToCleanUp(g.Origin) {
			out = append(out, g)
		}
	}
	return out
}

// leftRules are the old rules that the clean-up will remove.
func leftRules(old, now []topology.Rule) []topology.Rule {
	var out []topology.Rule
	for _, r := range old {
		standalone := r.Type == "AWS::EC2::SecurityGroupIngress" || r.Type == "AWS::EC2::SecurityGroupEgress"
		if standalone && !slices.ContainsFunc(now, func(n topology.Rule) bool { return topology.Same(r, n) }) {
			out = append(out, r)
		}
	}
	return out
}

// leftToCleanUp reports whether a resource that the new source lacks outlives
// the deployment of the new tasks.
func leftToCleanUp(o topology.Origin) bool { return strings.HasPrefix(o.Type, "AWS::") }

// replacedID names the old one of two target groups with one ID.
func replacedID(id topology.ID) topology.ID { return id + " (replaced)" }

// leftGroups are the target groups that only the clean-up removes: those that
// the new source lacks, and those that it replaces.
func (m *merge) leftGroups() []*topology.TargetGroup {
	var out []*topology.TargetGroup
	for _, g := range m.before.Topology.TargetGroups {
		switch {
		case !leftToCleanUp(g.Origin):
		case m.after.TargetGroup(g.ID) == nil:
			out = append(out, g)
		case m.replaced(g.ID):
			old := *g
			old.ID = replacedID(g.ID)
			out = append(out, &old)
		}
	}
	return out
}

// replaced reports whether the update makes a new target group in the place of
// the old one: Name, Port, Protocol, ProtocolVersion, TargetType and VpcId
// cannot change otherwise (AWS::ElasticLoadBalancingV2::TargetGroup, "Update
// requires: Replacement").
func (m *merge) replaced(id topology.ID) bool {
	a, b := m.before.TargetGroup(id), m.after.TargetGroup(id)
	return a != nil && b != nil && leftToCleanUp(a.Origin) && !topology.Same(identity(a), identity(b))
}

type groupIdentity struct {
	name, protocol, version, kind topology.Opt[string]
	port                          topology.Opt[int]
	vpc                           topology.Opt[topology.ID]
}

func identity(g *topology.TargetGroup) groupIdentity {
	return groupIdentity{g.Name, g.Protocol, g.ProtocolVersion, g.TargetType, g.Port, g.VPC}
}

// movesGroup reports whether a target group of the service is replaced.
func (m *merge) movesGroup(s *topology.Service) bool {
	return slices.ContainsFunc(s.LoadBalancers, func(t topology.ServiceTarget) bool {
		id, ok := t.Group.Get()
		return ok && m.replaced(id)
	})
}

// inOldGroups is a service as its old tasks are registered.
func (m *merge) inOldGroups(s *topology.Service) *topology.Service {
	if !m.movesGroup(s) {
		return s
	}
	old := *s
	old.LoadBalancers = slices.Clone(s.LoadBalancers)
	for i, t := range old.LoadBalancers {
		if id, ok := t.Group.Get(); ok && m.replaced(id) {
			old.LoadBalancers[i].Group = topology.Known(replacedID(id))
		}
	}
	return &old
}
