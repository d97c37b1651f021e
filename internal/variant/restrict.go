package variant

import (
	"github.com/hoplab/hoplab/internal/topology"
)

// Topology returns what exists in the variant. The things of t are not changed,
// and those without a formula are shared with it.
func (v Variant) Topology(t *topology.Topology) *topology.Topology {
	out := *t
	out.VPCs = keep(v, t.VPCs, func(x *topology.VPC) *topology.Origin { return &x.Origin })
	out.Subnets = keep(v, t.Subnets, func(x *topology.Subnet) *topology.Origin { return &x.Origin })
	out.Namespaces = keep(v, t.Namespaces, func(x *topology.Namespace) *topology.Origin { return &x.Origin })
	out.SecurityGroups = keep(v, t.SecurityGroups, func(x *topology.SecurityGroup) *topology.Origin { return &x.Origin })
	for i, g := range out.SecurityGroups {
		c := *g
		c.Ingress, c.Egress = v.rules(g.Ingress), v.rules(g.Egress)
		out.SecurityGroups[i] = &c
	}
	out.LoadBalancers = keep(v, t.LoadBalancers, func(x *topology.LoadBalancer) *topology.Origin { return &x.Origin })
	for i, lb := range out.LoadBalancers {
		out.LoadBalancers[i] = v.balancer(lb)
	}
	out.TargetGroups = keep(v, t.TargetGroups, func(x *topology.TargetGroup) *topology.Origin { return &x.Origin })
	for i, g := range out.TargetGroups {
		c := *g
		c.Targets = v.values(g.Targets)
		out.TargetGroups[i] = &c
	}
	tasks := map[*topology.TaskDefinition]*topology.TaskDefinition{}
	out.Services = keep(v, t.Services, func(x *topology.Service) *topology.Origin { return &x.Origin })
	for i, s := range out.Services {
		if s.Task == nil || s.Task.When == nil {
			continue
		}
		c := *s
		if !v.Holds(s.Task.When) {
			c.Task, c.TaskUnknown = nil, "task definition "+string(s.Task.ID)+" does not exist"
			out.Services[i] = &c
			continue
		}
		if tasks[s.Task] == nil {
			d := *s.Task
			d.Maybe, d.When = "", nil
			tasks[s.Task] = &d
		}
		c.Task = tasks[s.Task]
		out.Services[i] = &c
	}
	out.Clusters = keep(v, t.Clusters, func(x *topology.Cluster) *topology.Origin { return &x.Origin })
	out.Standalone = keep(v, t.Standalone, func(x *topology.TaskDefinition) *topology.Origin { return &x.Origin })
	out.Records = keep(v, t.Records, func(x *topology.Record) *topology.Origin { return &x.Origin })
	out.Instances = keep(v, t.Instances, func(x *topology.Instance) *topology.Origin { return &x.Origin })
	out.Roles = keep(v, t.Roles, func(x *topology.Role) *topology.Origin { return &x.Origin })
	out.Malformed = nil
	for _, n := range t.Malformed {
		if v.Holds(n.Origin.When) {
			n.Origin = settled(n.Origin)
			out.Malformed = append(out.Malformed, n)
		}
	}
	return &out
}

func settled(o topology.Origin) topology.Origin {
	if o.When != nil {
		o.Maybe, o.When = "", nil
	}
	return o
}

// keep returns the things that exist in the variant, without their formulas.
func keep[T any](v Variant, list []*T, origin func(*T) *topology.Origin) []*T {
	out := make([]*T, 0, len(list))
	for _, x := range list {
		o := origin(x)
		if !v.Holds(o.When) {
			continue
		}
		if o.When != nil {
			c := *x
			x = &c
			*origin(x) = settled(*o)
		}
		out = append(out, x)
	}
	return out
}

func (v Variant) rules(list []topology.Rule) []topology.Rule {
	out := make([]topology.Rule, 0, len(list))
	for _, r := range list {
		if v.Holds(r.When) {
			r.Origin = settled(r.Origin)
			out = append(out, r)
		}
	}
	return out
}

func (v Variant) values(list []topology.Target) []topology.Target {
	var out []topology.Target
	for _, x := range list {
		if v.Holds(x.When) {
			x.Origin = settled(x.Origin)
			out = append(out, x)
		}
	}
	return out
}

func (v Variant) balancer(lb *topology.LoadBalancer) *topology.LoadBalancer {
	c := *lb
	c.Listeners = keep(v, lb.Listeners, func(x *topology.Listener) *topology.Origin { return &x.Origin })
	for i, l := range c.Listeners {
		m := *l
		m.Rules = keep(v, l.Rules, func(x *topology.ListenerRule) *topology.Origin { return &x.Origin })
		c.Listeners[i] = &m
	}
	return &c
}

// eachOrigin calls f for the origin of everything in t that may be conditional.
func eachOrigin(t *topology.Topology, f func(*topology.Origin)) {
	for _, x := range t.VPCs {
		f(&x.Origin)
	}
	for _, x := range t.Subnets {
		f(&x.Origin)
	}
	for _, x := range t.Namespaces {
		f(&x.Origin)
	}
	for _, x := range t.SecurityGroups {
		f(&x.Origin)
		for _, rules := range [][]topology.Rule{x.Ingress, x.Egress} {
			for i := range rules {
				f(&rules[i].Origin)
			}
		}
	}
	for _, x := range t.LoadBalancers {
		f(&x.Origin)
		for _, l := range x.Listeners {
			f(&l.Origin)
			for _, r := range l.Rules {
				f(&r.Origin)
			}
		}
	}
	for _, x := range t.TargetGroups {
		f(&x.Origin)
		for i := range x.Targets {
			f(&x.Targets[i].Origin)
		}
	}
	for _, x := range t.Services {
		f(&x.Origin)
		if x.Task != nil {
			f(&x.Task.Origin)
		}
	}
	eachOther(t, f)
}

func eachOther(t *topology.Topology, f func(*topology.Origin)) {
	for _, x := range t.Clusters {
		f(&x.Origin)
	}
	for _, x := range t.Standalone {
		f(&x.Origin)
	}
	for _, x := range t.Records {
		f(&x.Origin)
	}
	for _, x := range t.Instances {
		f(&x.Origin)
	}
	for _, x := range t.Roles {
		f(&x.Origin)
	}
	for i := range t.Malformed {
		f(&t.Malformed[i].Origin)
	}
}
