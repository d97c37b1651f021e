package reach

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Ask predicts what c sees when it calls rawURL, an http or https URL. The
// host is an endpoint name, a load balancer (its name, label or ID) or a
// service (for the address of one of its tasks). More than one prediction
// comes back when the load balancer may choose between several targets. A
// name that c cannot resolve is a prediction too, not an error.
func (p *Predictor) Ask(c Caller, rawURL string) ([]Prediction, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fail.Newf(fail.Usage, "write http://HOST:PORT/PATH", "%q is no http URL", rawURL)
	}
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if s := u.Port(); s != "" {
		if port, err = strconv.Atoi(s); err != nil || port < 1 || port > 65535 {
			return nil, fail.Newf(fail.Usage, "write a port from 1 to 65535", "%q has no TCP port", rawURL)
		}
	}
	if c.Kind == CallerService && p.x.Service(c.Service) == nil {
		return nil, fail.Newf(fail.Usage, "name a service by its ID in the topology", "there is no service %s", c.Service)
	}
	path := cmp.Or(u.EscapedPath(), "/")
	if lb := p.balancer(u.Hostname()); lb != nil {
		return p.askBalancer(c, lb, u.Hostname(), port, path, u.Scheme)
	}
	if s := p.service(u.Hostname()); s != nil {
		return []Prediction{p.direct(c, s, port)}, nil
	}
	return []Prediction{looked(c, u.Hostname(), port, p.askName(c, u.Hostname(), port))}, nil
}

// looked is the prediction for a caller who looks the name up in another way
// than a task's C library and tries of its addresses what connects.
func looked(c Caller, host string, port int, pr Prediction) Prediction {
	if c.Lookup == call.LookupAll || pr.Outcome.Class == NoName || pr.Outcome.Class == Unknown || pr.Outcome.Class == DeployFails {
		return pr
	}
	pr.ID += "?lookup=" + string(c.Lookup)
	pr.Caller.Lookup = c.Lookup
	pr.Hops, pr.Path, pr.Evidence, pr.Otherwise = nil, "", nil, nil
	if c.Lookup == call.LookupDNS {
		pr.Outcome = noName(host, "the VPC's resolver does not know the names of Service Connect; they are in the hosts file of each task")
		return pr
	}
	pr.Outcome = Outcome{
		Class: Refused, By: "network", Curl: curlRefused(host, port), TimeKnown: true, Basis: semantics.Section(2).Row(38),
		Why: "the first address of the name is an IPv6 one, 2600:f0f0::n; a task without IPv6 has no route to it (network unreachable), and this caller tries no other",
	}
	return pr
}

// balancer finds a load balancer by name, label or ID; hosts come in lower case from some callers.
func (p *Predictor) balancer(host string) *topology.LoadBalancer {
	for _, lb := range p.x.Topology.LoadBalancers {
		if strings.EqualFold(host, topology.Label(lb.Origin, lb.Name)) || strings.EqualFold(host, string(lb.ID)) {
			return lb
		}
		for _, l := range lb.Listeners {
			for _, r := range l.Rules {
				if slices.ContainsFunc(r.Conditions, func(k topology.Condition) bool { return k.Field == "host-header" && meets(k, host, "/") == yes }) {
					return lb
				}
			}
		}
	}
	return nil
}

func (p *Predictor) service(host string) *topology.Service {
	for _, s := range p.x.Topology.Services {
		if strings.EqualFold(host, topology.Label(s.Origin, s.Name)) || strings.EqualFold(host, string(s.ID)) {
			return s
		}
	}
	return nil
}

func (p *Predictor) askBalancer(c Caller, lb *topology.LoadBalancer, host string, port int, path, scheme string) ([]Prediction, error) {
	from := p.callerHost(c)
	for _, l := range lb.Listeners {
		if n, ok := l.Port.Get(); !ok || n != port {
			continue
		}
		if scheme != schemeOf(l) {
			return nil, fail.Newf(fail.Usage, "use the listener's scheme, "+schemeOf(l), "listener %d of %s speaks %s", port, topology.Label(lb.Origin, lb.Name), strings.ToUpper(schemeOf(l)))
		}
		rule, open := pick(l, host, path)
		q := p.asked(c, from, lb, l, rule)
		q.host, q.path, q.url = host, path, scheme+"://"+host+":"+strconv.Itoa(port)+path
		if open != nil {
			tr := p.newAsk(q, "")
			return []Prediction{tr.unknown(fmt.Sprintf("whether the request meets the conditions of rule %s is not settled by its URL", PortText(open.Priority)))}, nil
		}
		if rule == nil {
			return p.actions(q, l.Default), nil
		}
		return p.actions(q, rule.Actions), nil
	}
	tr := p.begin(fmt.Sprintf("ask/%s:%d", lb.ID, port), KindALB, c, scheme+"://"+host+":"+strconv.Itoa(port)+path, fmt.Sprintf("%s to %s port %d", c.Name, topology.Label(lb.Origin, lb.Name), port))
	tr.pr.LoadBalancer = lb.ID
	for _, l := range lb.Listeners {
		if !l.Port.IsAbsent() && l.Port.IsUnknown() {
			return []Prediction{tr.unknown("a listener's port is not settled: " + l.Port.Why())}, nil
		}
	}
	sg := tr.hop(from, p.x.lbHost(lb), "client", "alb", port)
	why := fmt.Sprintf("%s has no listener on port %d", topology.Label(lb.Origin, lb.Name), port)
	switch sg.state {
	case HopUnknown:
		return []Prediction{tr.unknown(why + "; and " + sg.why)}, nil
	case HopClosed:
		return []Prediction{tr.end(Outcome{Class: Timeout, By: "network", Curl: curlTimeout(host, port), Basis: semantics.Section(7),
			Inferred: true, Why: why + "; and " + sg.why})}, nil
	}
	return []Prediction{tr.unknown(why + "; what a node of the load balancer does with such a packet is not documented")}, nil
}

// pick returns the rule that takes the request, nil for the default action;
// open is set when an earlier rule may take it.
func pick(l *topology.Listener, host, path string) (rule, open *topology.ListenerRule) {
	for _, r := range l.Rules {
		switch matches(r, host, path) {
		case yes:
			return r, nil
		case maybe:
			return nil, r
		}
	}
	return nil, nil
}

// askName predicts a call to an endpoint's name, or to a name that nobody has.
func (p *Predictor) askName(c Caller, host string, port int) Prediction {
	none := func(why string) Prediction {
		tr := p.begin(fmt.Sprintf("ask/%s/%s:%d", cmp.Or(string(c.Service), c.Name), host, port), KindMesh, c, "http://"+host+":"+strconv.Itoa(port)+"/", c.Name+" calls "+host)
		return tr.end(noName(host, why))
	}
	s := p.x.Service(c.Service)
	if s == nil || !s.Connected() {
		return none("ECS writes the names of a namespace only into tasks of services with Service Connect")
	}
	ns := p.x.NamespaceOf(s.Connect)
	if ns == nil {
		tr := p.begin(fmt.Sprintf("ask/%s/%s:%d", s.ID, host, port), KindMesh, c, "http://"+host+":"+strconv.Itoa(port)+"/", c.Name+" calls "+host)
		return tr.unknown("the caller's namespace is not settled: " + s.Connect.Namespace.Why())
	}
	names := ns.Named(host)
	for _, n := range names {
		if q, ok := n.Port.Get(); ok && q == port {
			return p.mesh(s, n, KindMesh)
		}
	}
	if len(names) == 0 {
		return none("no service publishes that name in the caller's namespace")
	}
	what := "port"
	if n, ok := names[0].Endpoint.Config.IngressPortOverride.Get(); ok && n == port {
		what = "the ingress port"
	} else if n, ok := names[0].Endpoint.ContainerPort.Get(); ok && n == port {
		what = "the container port"
	}
	return p.wrongPort(s, names[0], port, what)
}
