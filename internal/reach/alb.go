package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Times of the load balancer (section 6 of the semantics).
const (
	albConnectTimeout = 10 * time.Second
	albIdleSeconds    = 60
)

// Titles of the load balancer's own error pages; the markup around them changed over the years.
const (
	page502 = "502 Bad Gateway"
	page503 = "503 Service Temporarily Unavailable"
	page504 = "504 Gateway Time-out"
)

// ask is one request to a listener.
type ask struct {
	caller Caller
	from   *host
	lb     *topology.LoadBalancer
	l      *topology.Listener
	rule   *topology.ListenerRule // nil for the default action
	url    string
	host   string
	path   string
	what   string
	id     string
	// covered is set when no request was found that the rules before leave to this one.
	covered bool
}

// listener predicts what c sees on each rule and the default action of a listener.
func (p *Predictor) listener(c Caller, lb *topology.LoadBalancer, l *topology.Listener) []Prediction {
	var out []Prediction
	from := p.callerHost(c)
	for _, r := range l.Rules {
		out = append(out, p.inOrder(c, from, lb, l, r, r.Actions)...)
	}
	return append(out, p.inOrder(c, from, lb, l, nil, l.Default)...)
}

// inOrder predicts one rule, the default action for nil, at its place among the others.
func (p *Predictor) inOrder(c Caller, from *host, lb *topology.LoadBalancer, l *topology.Listener,
	r *topology.ListenerRule, actions []topology.Action) []Prediction {
	q := p.asked(c, from, lb, l, r)
	if by := p.x.shadow(l, r); by != nil {
		return []Prediction{p.unreached(q, by)}
	}
	if q.covered {
		return []Prediction{p.newAsk(q, "").unknown("the rules before it took every request that was tried")}
	}
	if why := l.RuleSet().Why(); why != "" && r == nil {
		return []Prediction{p.newAsk(q, "").unknown("whether a rule takes the request first is not settled: " + why)}
	}
	return p.actions(q, actions)
}

// asked describes the request of c that rule r takes: an example when r has conditions.
func (p *Predictor) asked(c Caller, from *host, lb *topology.LoadBalancer, l *topology.Listener, r *topology.ListenerRule) ask {
	name := topology.Label(lb.Origin, lb.Name)
	q := ask{caller: c, from: from, lb: lb, l: l, rule: r, path: "/"}
	hostName, action, key := name, "default action", "default"
	port, id := PortText(l.Port), PortText(l.Port)
	if _, ok := l.Port.Get(); !ok {
		id = string(l.ID)
	}
	ok := true
	if r == nil {
		_, q.path, _, ok = p.x.sample(l, nil, name)
	} else {
		var conds string
		hostName, q.path, conds, ok = p.x.sample(l, r, name)
		action, key = "rule "+PortText(r.Priority)+conds, "rule-"+PortText(r.Priority)
		if _, ok := r.Priority.Get(); !ok {
			key = "rule-" + string(r.ID)
		}
	}
	q.host, q.covered = hostName, !ok
	q.url = schemeOf(l) + "://" + hostName + ":" + port + q.path
	q.what = fmt.Sprintf("%s to %s listener %s, %s", c.Name, name, port, action)
	q.id = fmt.Sprintf("alb/%s:%s/%s", lb.ID, id, key)
	if c.Kind != CallerAdmitted {
		q.id = fmt.Sprintf("alb/%s/%s:%s/%s", cmp.Or(string(c.Service), c.Name), lb.ID, id, key)
	}
	return q
}

// PortText writes a port, or ? when it is not known.
func PortText(o topology.Opt[int]) string {
	if n, ok := o.Get(); ok {
		return strconv.Itoa(n)
	}
	return "?"
}

func schemeOf(l *topology.Listener) string {
	if p := l.Protocol.Or("HTTP"); p == "HTTPS" || p == "TLS" {
		return "https"
	}
	return "http"
}

func (p *Predictor) newAsk(q ask, suffix string) *trace {
	tr := p.begin(q.id+suffix, KindALB, q.caller, q.url, q.what)
	tr.pr.LoadBalancer, tr.pr.Listener = q.lb.ID, q.l.ID
	if q.rule != nil {
		tr.pr.Rule = q.rule.ID
	}
	return tr
}

// toALB traces the first hop, from the caller to the listener. The prediction is
// final when ok is false.
func (p *Predictor) toALB(tr *trace, q ask) (final Prediction, ok bool) {
	port, known := q.l.Port.Get()
	if !known {
		return tr.unknown("the listener's port is not settled: " + q.l.Port.Why()), false
	}
	if q.lb.Kind == "unknown" {
		return tr.unknown(fmt.Sprintf("%s is not declared in the source, so what kind of load balancer it is and whom it admits is not known", topology.Label(q.lb.Origin, q.lb.Name))), false
	}
	if why := notStream(q.lb, q.l); why != "" {
		return tr.unknown(why), false
	}
	if q.lb.Kind != "application" && q.lb.Kind != "network" {
		return tr.unknown(fmt.Sprintf("%s is of the kind %s; application and network load balancers are modelled", topology.Label(q.lb.Origin, q.lb.Name), q.lb.Kind)), false
	}
	from := q.from
	if inside, known := q.lb.Internal.Get(); !from.anybody && (!known || !inside) {
		// An internet-facing name resolves to public addresses, even inside the
		// VPC: the caller leaves through a gateway, under an address and
		// without a group that the load balancer's rules could name.
		from = &host{role: "client", name: from.name, groups: from.groups, free: true}
		from.noGroups = "its address at an internet-facing load balancer is a gateway's"
		from.groups = nil
	}
	sg := tr.hop(from, p.x.lbHost(q.lb), "client", lbRole(q.lb), port)
	switch sg.state {
	case HopUnknown:
		return tr.unknown(sg.why), false
	case HopClosed:
		return tr.end(Outcome{
			Class: Timeout, By: "network", Curl: curlTimeout(topology.Label(q.lb.Origin, q.lb.Name), port), Basis: semantics.Section(7),
			Inferred: true,
			Why:      sg.why + "; a security group drops packets, so the caller waits until it gives up",
		}), false
	}
	return Prediction{}, true
}

// actions predicts the final action of a rule: the first that answers or forwards.
func (p *Predictor) actions(q ask, actions []topology.Action) []Prediction {
	if len(actions) == 0 {
		return []Prediction{p.newAsk(q, "").unknown("the source gives no action")}
	}
	a := actions[len(actions)-1]
	switch {
	case len(actions) > 1 && actions[0].Type != a.Type, a.Type != "forward" && a.Type != "redirect" && a.Type != "fixed-response":
		tr := p.newAsk(q, "")
		if final, ok := p.toALB(tr, q); !ok {
			return []Prediction{final}
		}
		return []Prediction{tr.unknown(fmt.Sprintf("action %s is not modelled", actions[0].Type))}
	case a.Type == "forward":
		return p.forward(q, a.Forward)
	}
	tr := p.newAsk(q, "")
	if final, ok := p.toALB(tr, q); !ok {
		return []Prediction{final}
	}
	if a.Type == "redirect" && a.Redirect != nil {
		return []Prediction{tr.end(redirect(q, a.Redirect))}
	}
	if a.Fixed == nil {
		return []Prediction{tr.unknown("the source does not say what the action answers")}
	}
	return []Prediction{tr.end(fixed(a.Fixed))}
}

func fixed(f *topology.FixedResponse) Outcome {
	status, err := strconv.Atoi(f.Status)
	if err != nil {
		return Outcome{Class: Unknown, Why: fmt.Sprintf("the fixed response's status %q is not a number", f.Status)}
	}
	o := Outcome{Class: ClassOf(status), Status: status, Body: f.Body, Match: Exact, By: "alb", TimeKnown: true, Basis: semantics.Section(6),
		Why: "the listener answers itself"}
	return o
}

// forward predicts one path per target group and registration that gets requests.
func (p *Predictor) forward(q ask, targets []topology.WeightedTarget) []Prediction {
	total := 0
	for _, t := range targets {
		total += t.Weight
	}
	var out []Prediction
	for _, t := range targets {
		if t.Weight == 0 && len(targets) > 1 {
			continue
		}
		share := 1.0
		if total > 0 {
			share = float64(t.Weight) / float64(total)
		}
		suffix := ""
		id, ok := t.Group.Get()
		if len(targets) > 1 {
			suffix = "/" + string(id)
		}
		if !ok {
			tr := p.newAsk(q, suffix)
			out = append(out, tr.unknown("the target group is not settled: "+t.Group.Why()))
			continue
		}
		qt := q
		if len(targets) > 1 {
			qt.what += fmt.Sprintf(", %.0f %%", 100*share)
		}
		for _, pr := range p.toGroup(qt, id, suffix) {
			pr.Share = share
			out = append(out, pr)
		}
	}
	if len(out) == 0 {
		out = append(out, p.newAsk(q, "").unknown("every target group of the action has weight 0"))
	}
	return out
}

// toGroup predicts the requests that a target group gets: one path per
// registration that is chosen, healthy ones first, all of them when none is
// healthy (fail-open).
func (p *Predictor) toGroup(q ask, id topology.ID, suffix string) []Prediction {
	g := p.x.TargetGroup(id)
	single := func(finish func(*trace) Prediction) []Prediction {
		tr := p.newAsk(q, suffix)
		tr.pr.TargetGroup = id
		if final, ok := p.toALB(tr, q); !ok {
			return []Prediction{final}
		}
		return []Prediction{finish(tr)}
	}
	if g == nil {
		return single(func(tr *trace) Prediction {
			return tr.unknown(fmt.Sprintf("target group %s is not declared in the source", id))
		})
	}
	chosen, open, failed := p.choose(q.lb, g)
	switch {
	case isFunction(g):
		return single(func(tr *trace) Prediction { return tr.unknown(notFunction) })
	case len(chosen) == 0 && failed != nil:
		return single(func(tr *trace) Prediction { return tr.end(*failed) })
	case len(chosen) == 0 && p.x.AlternateOf(g.ID) != nil:
		s := p.x.AlternateOf(g.ID)
		return single(func(tr *trace) Prediction {
			return tr.unknown(fmt.Sprintf("%s deploys blue/green: each deployment moves its tasks between %s and its other target group, and the source does not say where the last one left them",
				topology.Label(s.Origin, s.Name), topology.Label(g.Origin, g.Name)))
		})
	case len(chosen) == 0 && p.x.Registrations(g.ID).Why() != "":
		return single(func(tr *trace) Prediction { return tr.unknown(p.x.Registrations(g.ID).Why()) })
	case len(chosen) == 0 && q.lb.Kind == "network":
		return single(func(tr *trace) Prediction {
			return tr.unknown("what a network load balancer does with a connection when no target is registered is not documented")
		})
	case len(chosen) == 0:
		return single(func(tr *trace) Prediction {
			return tr.end(Outcome{
				Class: HTTPError, Status: 503, Body: page503, Match: Contains, By: "alb", TimeKnown: true, Basis: semantics.Section(6).Row(28),
				Why: fmt.Sprintf("target group %s has no registered targets", topology.Label(g.Origin, g.Name)),
			})
		})
	}
	var out []Prediction
	for i, r := range chosen {
		qr, sfx := q, suffix
		if len(chosen) > 1 {
			who, _ := p.targetName(r)
			sfx += "/" + strconv.Itoa(i+1)
			qr.what += fmt.Sprintf(", target %s:%s", who, PortText(r.Port))
		}
		out = append(out, p.toTarget(qr, g, r, sfx, open))
	}
	return out
}

// choose returns the registrations of g that get requests; open is set when
// all of them are unhealthy and get requests nevertheless. With none, failed
// tells a deployment that fails from a group that is empty.
func (p *Predictor) choose(lb *topology.LoadBalancer, g *topology.TargetGroup) (chosen []topology.Registration, open bool, failed *Outcome) {
	var all, good []topology.Registration
	for _, r := range p.x.Registrations(g.ID).Read() {
		if r.Service != nil {
			if o := p.deployOutcome(r.Service); o != nil {
				failed = o
				continue
			}
			if has, _ := running(r.Service); !has {
				continue
			}
		}
		all = append(all, r)
		if t := p.health(lb, g, r).Target; t == nil || t.State != StateUnhealthy {
			good = append(good, r)
		}
	}
	if len(good) > 0 {
		return good, false, nil
	}
	return all, len(all) > 0, failed
}

// blueGreen reports whether s moves between target group id and another.
func blueGreen(s *topology.Service, id topology.ID) bool {
	return slices.ContainsFunc(s.LoadBalancers, func(t topology.ServiceTarget) bool {
		group, ok := t.Group.Get()
		return ok && group == id && !t.Alternate.IsAbsent()
	})
}

// toTarget traces the hops from the listener to one registration.
func (p *Predictor) toTarget(q ask, g *topology.TargetGroup, r topology.Registration, suffix string, open bool) Prediction {
	tr := p.newAsk(q, suffix)
	tr.pr.TargetGroup = g.ID
	if final, ok := p.toALB(tr, q); !ok {
		return final
	}
	if open {
		text := "no target is healthy, so the load balancer sends requests to all of them (fail-open)"
		if r.Service != nil {
			text += " while ECS replaces the tasks; between two tasks the answer is 503"
		}
		tr.pr.Remarks = append(tr.pr.Remarks, text)
	}
	if r.Service != nil && blueGreen(r.Service, g.ID) {
		tr.pr.Remarks = append(tr.pr.Remarks, "as after the service's first deployment: it deploys blue/green, and each deployment moves its tasks to the other target group")
	}
	p.remarkIPv6(tr, q)
	tls, ok := SpeaksTLS(g)
	if !ok {
		return tr.unknown("the target group's protocol is not settled: " + g.Protocol.Why())
	}
	sg, a, why := p.dialTarget(tr, q.lb, g, r, r.Port, tls)
	if why != "" {
		return tr.unknown(why)
	}
	if sg.state == HopClosed && q.lb.Kind == "network" {
		return tr.end(Outcome{
			Class: Timeout, By: "network", Curl: curlTimeout(topology.Label(q.lb.Origin, q.lb.Name), q.l.Port.Or(0)),
			Basis: semantics.Section(7), Inferred: true,
			Why: sg.why + "; the load balancer passes the connection on, so the caller waits until it gives up",
		})
	}
	if sg.state == HopClosed {
		return tr.end(Outcome{
			Class: HTTPError, Status: 504, Body: page504, Match: Contains, By: "alb", After: albConnectTimeout, TimeKnown: true,
			Basis: semantics.Section(6).Row(9, 10, 27), Inferred: true,
			Why: sg.why + "; the load balancer gives up connecting after 10 s",
		})
	}
	return tr.end(p.albOutcome(q, a))
}

// remarkIPv6 says what differs for IPv6 callers of a dual-stack load balancer;
// the path itself is that of an IPv4 caller, and targets are reached by IPv4.
func (p *Predictor) remarkIPv6(tr *trace, q ask) {
	port, ok := q.l.Port.Get()
	if !ok || !q.from.anybody || !DualStack(q.lb) {
		return
	}
	switch rule, settled := p.IPv6Rule(q.lb, port); {
	case rule != nil:
		tr.pr.Remarks = append(tr.pr.Remarks, "IPv6 callers enter by "+p.x.ruleText(rule, Ingress))
	case settled:
		tr.pr.Remarks = append(tr.pr.Remarks, "no rule admits IPv6 callers: they wait until they fall back to IPv4 or give up")
	}
}

// DualStack reports whether the load balancer certainly has IPv6 addresses.
func DualStack(lb *topology.LoadBalancer) bool {
	return strings.HasPrefix(lb.IPAddressType.Or("ipv4"), "dualstack")
}

// IPv6Rule returns an ingress rule for an IPv6 range on the port; settled is
// false when a rule or a group that is not known may admit IPv6 callers, a
// rule for a group included.
func (p *Predictor) IPv6Rule(lb *topology.LoadBalancer, port int) (rule *topology.Rule, settled bool) {
	settled = len(lb.Groups) > 0
	for _, o := range lb.Groups {
		id, ok := o.Get()
		g := p.x.SecurityGroup(id)
		if !ok || g == nil || g.Rules(false).Why() != "" {
			settled = false
			continue
		}
		for i := range g.Ingress {
			r := &g.Ingress[i]
			switch {
			case r.Unknown != "" || r.Maybe != "" || r.Peer.PrefixList != "":
				settled = false
			case !IsTCP(r.Protocol) || !covers(r, port):
			case r.Peer.Group != "":
				settled = false
			case r.Peer.CIDR.IsValid() && r.Peer.CIDR.Addr().Is6():
				return r, settled
			}
		}
	}
	return nil, settled
}

const notFunction = "a Lambda function as the target is not modelled"

// isFunction reports that the group's target is a Lambda function.
func isFunction(g *topology.TargetGroup) bool { return g.TargetType.Or("") == "lambda" }
