package reach

import (
	"fmt"
	"strconv"

	"github.com/hoplab/hoplab/internal/topology"
)

// reachTarget walks from a node of the load balancer into the target.
func (p *Predictor) reachTarget(j *journey, lb *topology.LoadBalancer, g *topology.TargetGroup, r registration, at topology.Opt[int], tls bool) (passage, arrival, string) {
	port, ok := at.Get()
	if !ok {
		return passage{}, arrival{}, "the target's port is not settled: " + orElse(at.Why(), "the source gives none")
	}
	if r.service != nil {
		j.pr.Service = r.service.ID
		if _, assumes := running(r.service); assumes != "" {
			j.pr.Assumes = append(j.pr.Assumes, assumes)
		}
		pass := j.leg(p.x.lbHost(lb), p.x.taskHost(r.service), "alb", "app", port)
		if pass.state == HopUnknown {
			return pass, arrival{}, pass.why
		}
		if pass.state == HopClosed {
			j.name(r.service, port)
			return pass, arrival{}, ""
		}
		a := j.enter(r.service, port, tls)
		if a.kind == unsettled {
			return pass, a, a.why
		}
		return pass, a, ""
	}
	return p.reachStatic(j, lb, g, r, port, tls)
}

// name gives a closed hop the role that would have taken it.
func (j *journey) name(s *topology.Service, port int) {
	for _, e := range j.p.x.endpoints[s.ID] {
		if n, ok := e.ingress().Get(); ok && n == port {
			j.pr.Hops[len(j.pr.Hops)-1].To = "agent"
		}
	}
}

func (p *Predictor) reachStatic(j *journey, lb *topology.LoadBalancer, g *topology.TargetGroup, r registration, port int, tls bool) (passage, arrival, string) {
	id, ok := r.target.Instance.Get()
	if !ok {
		if ip, ok := r.target.IP.Get(); ok {
			return passage{}, arrival{}, fmt.Sprintf("target %s of %s is an address; what has it is not in the source", ip, label(g.Origin, g.Name))
		}
		return passage{}, arrival{}, "the target is not settled: " + orElse(r.target.Instance.Why(), r.target.IP.Why())
	}
	i := p.x.instances[id]
	if i == nil {
		return passage{}, arrival{}, fmt.Sprintf("instance %s is not declared in the source", id)
	}
	pass := j.leg(p.x.lbHost(lb), p.x.instanceHost(i), "alb", "app", port)
	if pass.state == HopUnknown {
		return pass, arrival{}, pass.why
	}
	if pass.state == HopOpen && tls {
		return pass, arrival{}, "whether the app itself speaks TLS is not in the source"
	}
	if pass.state == HopOpen {
		j.pr.Assumes = append(j.pr.Assumes, fmt.Sprintf("a server on %s listens on port %d", label(i.Origin, i.Name), port))
	}
	return pass, arrival{}, ""
}

// albOutcome is what the caller of the load balancer sees of a target that was reached.
func (p *Predictor) albOutcome(q ask, a arrival) Outcome {
	switch a.kind {
	case refused:
		return Outcome{
			Class: HTTPError, Status: 502, Body: page502, Match: Contains, By: "alb", TimeKnown: true, Basis: "6, 10 row 15",
			Inferred: true, Why: a.why + "; the load balancer's connection is reset",
		}
	case wantsTLS, wantsPlain:
		return Outcome{
			Class: HTTPError, Status: 502, Body: page502, Match: Contains, By: "alb", TimeKnown: true, Basis: "4, 6, 10 row 26",
			Inferred: true, Why: a.why,
		}
	case appRefuses:
		if a.agent.http() {
			return agentRefused(a)
		}
		return Outcome{
			Class: HTTPError, Status: 502, Body: page502, Match: Contains, By: "alb", TimeKnown: true, Basis: "3, 6", Inferred: true,
			Why: a.why + "; as a TCP proxy it closes the connection",
		}
	}
	o := appOutcome(a, q.path)
	o.Basis = "1, 6"
	if a.app.Delay == 0 {
		return o
	}
	idle := albIdleSeconds
	if s, ok := q.lb.Attributes["idle_timeout.timeout_seconds"]; ok {
		n, err := strconv.Atoi(s.Or(""))
		if err != nil {
			return Outcome{Class: Unknown, Why: "the load balancer's idle timeout is not settled: " + s.Why()}
		}
		idle = n
	}
	if a.agent != nil && a.agent.http() {
		limit, ok := a.agent.requestTimeout().Get()
		if !ok || limit > 0 && a.app.Delay > seconds(limit) && a.app.Delay < seconds(idle) {
			return Outcome{Class: Unknown, Basis: "12",
				Why: "the app is slower than the per-request timeout, and whether the server's agent applies it to a load balancer's requests is not documented"}
		}
	}
	if a.app.Delay >= seconds(idle) {
		return Outcome{
			Class: HTTPError, Status: 504, Body: page504, Match: Contains, By: "alb", After: seconds(idle), TimeKnown: true,
			Basis: "6, 10 row 17", Why: fmt.Sprintf("no answer within the load balancer's idle timeout of %d s", idle),
		}
	}
	return o
}

// speaksTLS reports whether the load balancer dials the targets of g with TLS.
func speaksTLS(g *topology.TargetGroup) (tls, ok bool) {
	if g.Protocol.IsUnknown() {
		return false, false
	}
	return g.Protocol.Or("HTTP") == "HTTPS", true
}
