package reach

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// dialTarget traces the hops from a node of the load balancer into the target.
func (p *Predictor) dialTarget(tr *trace, lb *topology.LoadBalancer, g *topology.TargetGroup, r topology.Registration,
	at topology.Opt[int], tls bool) (verdict, Delivery, string) {
	port, ok := at.Get()
	if !ok && at.Symbol() != "" && plain(r.Service) {
		return p.dialSymbol(tr, lb, g, r.Service, at.Symbol())
	}
	if !ok {
		return verdict{}, Delivery{}, "the target's port is not settled: " + cmp.Or(at.Why(), "the source gives none")
	}
	if r.Service != nil {
		tr.pr.Service = r.Service.ID
		if _, assumes := running(r.Service); assumes != "" {
			tr.pr.Assumes = append(tr.pr.Assumes, assumes)
		}
		ports := single(port)
		if p.x.onNodes(r.Service) {
			var why string
			if ports, why = p.x.nodePorts(r.Service, at); why != "" {
				return verdict{}, Delivery{}, why
			}
		}
		sg := tr.hopTo(p.source(tr, lb, g), p.x.taskHost(r.Service), lbRole(lb), "app", ports)
		if sg.state == HopUnknown {
			return sg, Delivery{}, sg.why
		}
		if sg.state == HopClosed {
			tr.name(r.Service, port)
			return sg, Delivery{}, ""
		}
		if p.x.onNodes(r.Service) && r.Service.Connected() {
			return sg, Delivery{}, "what the Service Connect agent takes of a load balancer's traffic in network mode bridge is not documented"
		}
		how := inPlain
		if tls {
			how = inTLS
		}
		a := tr.enter(r.Service, port, how)
		if a.Kind == DeliveryUnsettled {
			return sg, a, a.Why
		}
		return sg, a, ""
	}
	return p.dialStatic(tr, lb, g, r, port, tls)
}

// plain reports whether only the app of s takes connections, each task at its
// own address.
func plain(s *topology.Service) bool {
	return s != nil && s.Task != nil && s.Connect == nil && s.ConnectUnknown == "" && awsvpc(s)
}

// dialSymbol walks into a target whose port is not settled, but is certainly
// the one that the rules and the container name too.
func (p *Predictor) dialSymbol(tr *trace, lb *topology.LoadBalancer, g *topology.TargetGroup, s *topology.Service,
	symbol string) (verdict, Delivery, string) {
	tr.pr.Service = s.ID
	sg := tr.hopTo(p.source(tr, lb, g), p.x.taskHost(s), lbRole(lb), "app", span{symbol: symbol})
	if sg.state == HopUnknown {
		return sg, Delivery{}, sg.why
	}
	for _, c := range s.Task.Containers {
		for _, m := range c.Ports {
			if m.Port.Symbol() == symbol {
				tr.pr.Assumes = append(tr.pr.Assumes, fmt.Sprintf("the app listens on port %s", symbol))
				return sg, Delivery{Kind: DeliveryServed, App: p.app(s)}, ""
			}
		}
	}
	return sg, Delivery{}, fmt.Sprintf("no container of %s certainly declares port %s", topology.Label(s.Origin, s.Name), symbol)
}

// source returns what the target sees as the other side of a connection: a node
// of the load balancer, or the caller himself where a network load balancer
// keeps his address.
func (p *Predictor) source(tr *trace, lb *topology.LoadBalancer, g *topology.TargetGroup) *host {
	node := p.x.lbHost(lb)
	if lb == nil || lb.Kind != "network" || tr.pr.Kind != KindALB || !keepsAddress(g) {
		return node
	}
	from := *p.callerHost(tr.pr.Caller)
	from.groups, from.free = node.groups, node.free || from.free
	return &from
}

// keepsAddress reports whether a network load balancer keeps the client's
// address towards the targets of g.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html
func keepsAddress(g *topology.TargetGroup) bool {
	if v, ok := g.Attributes["preserve_client_ip.enabled"].Get(); ok {
		return v == "true"
	}
	p := g.Protocol.Or("TCP")
	return g.TargetType.Or("instance") != "ip" || p != "TCP" && p != "TLS"
}

// name gives a closed hop the role that would have taken it.
func (tr *trace) name(s *topology.Service, port int) {
	for _, e := range tr.p.x.Endpoints(s.ID) {
		if n, ok := e.IngressPort.Get(); ok && n == port {
			tr.pr.Hops[len(tr.pr.Hops)-1].To = "agent"
		}
	}
}

func (p *Predictor) dialStatic(tr *trace, lb *topology.LoadBalancer, g *topology.TargetGroup, r topology.Registration, port int,
	tls bool) (verdict, Delivery, string) {
	id, ok := r.Target.Instance.Get()
	if !ok {
		if ip, ok := r.Target.IP.Get(); ok {
			return verdict{}, Delivery{}, fmt.Sprintf("target %s of %s is an address; what has it is not in the source", ip, topology.Label(g.Origin, g.Name))
		}
		return verdict{}, Delivery{}, "the target is not settled: " + cmp.Or(r.Target.Instance.Why(), r.Target.IP.Why())
	}
	i := p.x.Instance(id)
	if i == nil {
		return verdict{}, Delivery{}, fmt.Sprintf("instance %s is not declared in the source", id)
	}
	sg := tr.hop(p.source(tr, lb, g), p.x.instanceHost(i), lbRole(lb), "app", port)
	if sg.state == HopUnknown {
		return sg, Delivery{}, sg.why
	}
	if sg.state == HopOpen && tls {
		return sg, Delivery{}, "whether the app itself speaks TLS is not in the source"
	}
	if sg.state == HopOpen {
		tr.pr.Assumes = append(tr.pr.Assumes, fmt.Sprintf("a server on %s listens on port %d", topology.Label(i.Origin, i.Name), port))
	}
	return sg, Delivery{Kind: DeliveryServed}, ""
}

// albOutcome is what the caller of the load balancer sees of a target that was reached.
func (p *Predictor) albOutcome(q ask, a Delivery) Outcome {
	if q.lb.Kind == "network" {
		return p.nlbOutcome(q, a)
	}
	switch a.Kind {
	case DeliveryRefused:
		return Outcome{
			Class: HTTPError, Status: 502, Body: page502, Match: Contains, By: "alb", TimeKnown: true, Basis: semantics.Section(6).Row(15),
			Inferred: true, Why: a.Why + "; the load balancer's connection is reset",
		}
	case DeliveryWantsTLS, DeliveryWantsPlain:
		return Outcome{
			Class: HTTPError, Status: 502, Body: page502, Match: Contains, By: "alb", TimeKnown: true, Basis: semantics.Section(4, 6).Row(26),
			Inferred: true, Why: a.Why,
		}
	case DeliveryAgentRefused:
		if a.Agent.HTTP() {
			return agentRefused(a)
		}
		return Outcome{
			Class: HTTPError, Status: 502, Body: page502, Match: Contains, By: "alb", TimeKnown: true, Basis: semantics.Section(3, 6),
			Inferred: true,
			Why:      a.Why + "; as a TCP proxy it closes the connection",
		}
	}
	o := appOutcome(a, q.path)
	o.Basis = semantics.Section(1, 6)
	if a.App.Delay == 0 {
		return o
	}
	timeout := IdleTimeout(q.lb)
	idle, ok := timeout.Get()
	if !ok {
		return Outcome{Class: Unknown, Why: "the load balancer's idle timeout is not settled: " + timeout.Why()}
	}
	if a.Agent != nil && a.Agent.HTTP() {
		limit, ok := RequestTimeout(a.Agent).Get()
		if !ok {
			return Outcome{Class: Unknown, Why: "the per-request timeout is not settled: " + RequestTimeout(a.Agent).Why()}
		}
		if limit > 0 && limit < idle && a.App.Delay > seconds(limit) {
			return ingressTimeout(limit)
		}
	}
	if a.App.Delay >= seconds(idle) {
		return Outcome{
			Class: HTTPError, Status: 504, Body: page504, Match: Contains, By: "alb", After: seconds(idle), TimeKnown: true,
			Basis: semantics.Section(6).Row(17), Why: fmt.Sprintf("no answer within the load balancer's idle timeout of %d s", idle),
		}
	}
	return o
}

// SpeaksTLS reports whether the load balancer dials the targets of g with TLS.
func SpeaksTLS(g *topology.TargetGroup) (tls, ok bool) {
	if g.Protocol.IsUnknown() {
		return false, false
	}
	return g.Protocol.Or("HTTP") == "HTTPS", true
}

// IdleTimeout returns the load balancer's idle timeout in seconds, 60 by default.
func IdleTimeout(lb *topology.LoadBalancer) topology.Opt[int] {
	a := lb.Attributes["idle_timeout.timeout_seconds"]
	if a.IsAbsent() {
		return topology.Known(albIdleSeconds)
	}
	s, ok := a.Get()
	if !ok {
		return topology.Unknown[int](a.Why())
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return topology.Unknown[int](fmt.Sprintf("%q is no number of seconds", s))
	}
	return topology.Known(n)
}
