package reach

import (
	"cmp"
	"fmt"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// dynamic is the range from which Docker takes a host port for a container
// port that asks for none.
// Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
var dynamic = span{from: 32768, to: 65535}

// onNodes reports whether the tasks of s run with the network of their
// instances: in mode bridge or host, or without a mode on EC2, which is bridge.
func (x *index) onNodes(s *topology.Service) bool {
	return s.OnNodes()
}

// nodesOf returns the security groups and subnets of the instances on which
// the tasks of s run; why says why there are none.
func (x *index) nodesOf(s *topology.Service) (groups, subnets []topology.Opt[topology.ID], why string) {
	mode := s.Task.NetworkMode.Or("bridge")
	if len(s.Nodes) == 0 {
		return nil, nil, fmt.Sprintf("in network mode %s the security groups of its instances apply, and %s", mode, cmp.Or(s.OpenNodes, "those are not in the source"))
	}
	for i, id := range s.Nodes {
		n := x.Instance(id)
		if n == nil {
			return nil, nil, fmt.Sprintf("in network mode %s the security groups of its instances apply, and %s is not in the source", mode, id)
		}
		if i > 0 && !sameIDs(n.Groups, groups) {
			return nil, nil, fmt.Sprintf("in network mode %s the security groups of its instances apply, and those differ between %s and %s", mode, s.Nodes[0], id)
		}
		groups = n.Groups
		subnets = append(subnets, n.Places()...)
	}
	if len(groups) == 0 {
		return nil, subnets, fmt.Sprintf("in network mode %s the security groups of its instances apply, and they name none; the VPC whose default group they have is not in the source", mode)
	}
	if s.OpenNodes != "" {
		groups = append(groups[:len(groups):len(groups)], topology.Unknown[topology.ID](s.OpenNodes))
	}
	return groups, subnets, ""
}

func sameIDs(a, b []topology.Opt[topology.ID]) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, okx := a[i].Get()
		y, oky := b[i].Get()
		if !okx || !oky || x != y {
			return false
		}
	}
	return true
}

// nodePorts returns the ports of an instance behind which a container port of
// s is, or why they are not settled. A port that no container maps is the
// instance's own.
func (x *index) nodePorts(s *topology.Service, container topology.Opt[int]) (span, string) {
	port, ok := container.Get()
	if !ok {
		return span{}, "the port is not settled: " + cmp.Or(container.Why(), "the source gives none")
	}
	if s.Task.NetworkMode.Or("bridge") == "host" {
		return single(port), ""
	}
	for _, c := range s.Task.Containers {
		for _, m := range c.Ports {
			if n, ok := m.Port.Get(); !ok || n != port {
				continue
			}
			switch host, ok := m.HostPort.Get(); {
			case m.HostPort.IsUnknown():
				return span{}, "the host port is not settled: " + m.HostPort.Why()
			case !ok || host == 0:
				return dynamic, ""
			default:
				return single(host), ""
			}
		}
	}
	return single(port), ""
}

// lbRole is the word for a load balancer on a path.
func lbRole(lb *topology.LoadBalancer) string {
	if lb != nil && lb.Kind == "network" {
		return "nlb"
	}
	return "alb"
}

// notStream says why a listener of a network load balancer is not predicted.
func notStream(lb *topology.LoadBalancer, l *topology.Listener) string {
	if lb.Kind != "network" {
		return ""
	}
	switch p, ok := l.Protocol.Get(); {
	case !ok:
		return "the listener's protocol is not settled: " + l.Protocol.Why()
	case p != "TCP" && p != "TLS" && p != "TCP_UDP": // of that, what comes over TCP
		return fmt.Sprintf("listeners of protocol %s are not modelled; the health check of a target is, which is never UDP", p)
	}
	return ""
}

// nlbOutcome is what the caller of a network load balancer sees of a target
// that was reached: the load balancer passes bytes on and writes nothing itself.
func (p *Predictor) nlbOutcome(q ask, a Delivery) Outcome {
	label, port := topology.Label(q.lb.Origin, q.lb.Name), q.l.Port.Or(0)
	switch a.Kind {
	case DeliveryRefused:
		return Outcome{
			Class: Refused, By: "network", Curl: curlRefused(label, port), Basis: semantics.Section(6), Inferred: true, Why: a.Why,
		}
	case DeliveryWantsTLS, DeliveryWantsPlain:
		return Outcome{Class: Reset, By: "agent", Basis: semantics.Section(4), Inferred: true, Why: a.Why}
	case DeliveryAgentRefused:
		return agentRefused(a)
	}
	o := appOutcome(a, q.path)
	o.Basis = semantics.Section(1, 6)
	return o
}
