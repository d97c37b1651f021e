package topology

import (
	"fmt"
	"strconv"
)

// PortNumber is a TCP port that the source writes down: where, which one, and
// the number, which may be any.
type PortNumber struct {
	At   Origin
	What string // "the listener's port"
	N    Opt[int]
	// Override is set for an endpoint's ingress port override.
	Override bool
}

// OutOfRange reports whether the number is known to be no TCP port: those are
// 1 to 65535 (RFC 9293, section 3.1; 0 is reserved).
func (p PortNumber) OutOfRange() bool {
	n, ok := p.N.Get()
	return ok && (n < 1 || n > 65535)
}

// PortNumbers lists the ports that load balancers, agents and apps listen on or
// call, in the order of the source.
func (t *Topology) PortNumbers() []PortNumber {
	var out []PortNumber
	add := func(at Origin, what string, n Opt[int]) {
		out = append(out, PortNumber{At: at, What: what, N: n, Override: what == override})
	}
	for _, b := range t.LoadBalancers {
		for _, l := range b.Listeners {
			add(l.Origin, "the listener's port", l.Port)
		}
	}
	for _, g := range t.TargetGroups {
		add(g.Origin, "the target group's port", g.Port)
		if n, err := strconv.Atoi(g.Health.Port.Or("")); err == nil {
			add(g.Origin, "the health check's port", Known(n))
		}
		for _, target := range g.Targets {
			add(g.Origin, "a target's port", target.Port)
		}
	}
	for _, s := range t.Services {
		s.portNumbers(add)
	}
	return out
}

const override = "the ingress port override"

func (s *Service) portNumbers(add func(Origin, string, Opt[int])) {
	for _, target := range s.LoadBalancers {
		add(s.Origin, "the port of its targets", target.Port)
	}
	if s.Connect != nil {
		for _, e := range s.Connect.Endpoints {
			add(s.Origin, override, e.IngressPortOverride)
			for _, a := range e.Aliases {
				add(s.Origin, "the port of a client alias", a.Port)
			}
		}
	}
	if s.Task == nil {
		return
	}
	for _, c := range s.Task.Containers {
		for _, m := range c.Ports {
			add(s.Task.Origin, fmt.Sprintf("the port of container %q", c.Name), m.Port)
		}
	}
}
