package reach

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
}

// listener predicts what c sees on each rule and the default action of a listener.
func (p *Predictor) listener(c Caller, lb *topology.LoadBalancer, l *topology.Listener) []Prediction {
	var out []Prediction
	from := p.callerHost(c)
	for _, r := range l.Rules {
		q := p.asked(c, from, lb, l, r)
		out = append(out, p.actions(q, r.Actions)...)
	}
	q := p.asked(c, from, lb, l, nil)
	return append(out, p.actions(q, l.Default)...)
}

// asked describes the request of c that rule r takes: an example when r has conditions.
func (p *Predictor) asked(c Caller, from *host, lb *topology.LoadBalancer, l *topology.Listener, r *topology.ListenerRule) ask {
	name := label(lb.Origin, lb.Name)
	q := ask{caller: c, from: from, lb: lb, l: l, rule: r, path: "/"}
	hostName, action, key := name, "default action", "default"
	port, id := portText(l.Port), portText(l.Port)
	if _, ok := l.Port.Get(); !ok {
		id = string(l.ID)
	}
	if r != nil {
		var conds string
		hostName, q.path, conds = sampleOf(r, name)
		action, key = "rule "+portText(r.Priority)+conds, "rule-"+portText(r.Priority)
		if _, ok := r.Priority.Get(); !ok {
			key = "rule-" + string(r.ID)
		}
	}
	q.host = hostName
	q.url = schemeOf(l) + "://" + hostName + ":" + port + q.path
	q.what = fmt.Sprintf("%s to %s listener %s, %s", c.Name, name, port, action)
	q.id = fmt.Sprintf("alb/%s:%s/%s", lb.ID, id, key)
	if c.Kind != CallerAdmitted {
		q.id = fmt.Sprintf("alb/%s/%s:%s/%s", orElse(string(c.Service), c.Name), lb.ID, id, key)
	}
	return q
}

// portText writes a port, or ? when it is not known.
func portText(o topology.Opt[int]) string {
	if n, ok := o.Get(); ok {
		return itoa(n)
	}
	return "?"
}

func schemeOf(l *topology.Listener) string {
	if l.Protocol.Or("HTTP") == "HTTPS" {
		return "https"
	}
	return "http"
}

func (p *Predictor) newAsk(q ask, suffix string) *journey {
	j := p.begin(q.id+suffix, KindALB, q.caller, q.url, q.what)
	j.pr.LoadBalancer, j.pr.Listener = q.lb.ID, q.l.ID
	if q.rule != nil {
		j.pr.Rule = q.rule.ID
	}
	return j
}

// toALB walks the first leg, from the caller to the listener. The prediction is final when ok is false.
func (p *Predictor) toALB(j *journey, q ask) (final Prediction, ok bool) {
	port, known := q.l.Port.Get()
	if !known {
		return j.unknown("the listener's port is not settled: " + q.l.Port.Why()), false
	}
	if q.lb.Kind != "application" {
		return j.unknown(fmt.Sprintf("%s is a %s load balancer; only application load balancers are modelled", label(q.lb.Origin, q.lb.Name), q.lb.Kind)), false
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
	pass := j.leg(from, p.x.lbHost(q.lb), "client", "alb", port)
	switch pass.state {
	case HopUnknown:
		return j.unknown(pass.why), false
	case HopClosed:
		return j.end(Outcome{
			Class: Timeout, By: "network", Curl: curlTimeout(label(q.lb.Origin, q.lb.Name), port), Basis: "7", Inferred: true,
			Why: pass.why + "; a security group drops packets, so the caller waits until it gives up",
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
		j := p.newAsk(q, "")
		if final, ok := p.toALB(j, q); !ok {
			return []Prediction{final}
		}
		return []Prediction{j.unknown(fmt.Sprintf("action %s is not modelled", actions[0].Type))}
	case a.Type == "forward":
		return p.forward(q, a.Forward)
	}
	j := p.newAsk(q, "")
	if final, ok := p.toALB(j, q); !ok {
		return []Prediction{final}
	}
	if a.Type == "redirect" && a.Redirect != nil {
		return []Prediction{j.end(redirect(q, a.Redirect))}
	}
	if a.Fixed == nil {
		return []Prediction{j.unknown("the source does not say what the action answers")}
	}
	return []Prediction{j.end(fixed(a.Fixed))}
}

func fixed(f *topology.FixedResponse) Outcome {
	status, err := strconv.Atoi(f.Status)
	if err != nil {
		return Outcome{Class: Unknown, Why: fmt.Sprintf("the fixed response's status %q is not a number", f.Status)}
	}
	o := Outcome{Class: ClassOf(status), Status: status, Body: f.Body, Match: Exact, By: "alb", TimeKnown: true, Basis: "6", Why: "the listener answers itself"}
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
			j := p.newAsk(q, suffix)
			out = append(out, j.unknown("the target group is not settled: "+t.Group.Why()))
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
	g := p.x.tgs[id]
	single := func(finish func(*journey) Prediction) []Prediction {
		j := p.newAsk(q, suffix)
		j.pr.TargetGroup = id
		if final, ok := p.toALB(j, q); !ok {
			return []Prediction{final}
		}
		return []Prediction{finish(j)}
	}
	if g == nil {
		return single(func(j *journey) Prediction {
			return j.unknown(fmt.Sprintf("target group %s is not declared in the source", id))
		})
	}
	chosen, open, failed := p.choose(q.lb, g)
	switch {
	case len(chosen) == 0 && failed != nil:
		return single(func(j *journey) Prediction { return j.end(*failed) })
	case len(chosen) == 0 && p.x.alternates[g.ID] != nil:
		s := p.x.alternates[g.ID]
		return single(func(j *journey) Prediction {
			return j.unknown(fmt.Sprintf("%s deploys blue/green: each deployment moves its tasks between %s and its other target group, and the source does not say where the last one left them",
				label(s.Origin, s.Name), label(g.Origin, g.Name)))
		})
	case len(chosen) == 0 && p.x.openTargets != "":
		return single(func(j *journey) Prediction { return j.unknown(p.x.openTargets) })
	case len(chosen) == 0:
		return single(func(j *journey) Prediction {
			return j.end(Outcome{
				Class: HTTPError, Status: 503, Body: page503, Match: Contains, By: "alb", TimeKnown: true, Basis: "6, 10 row 28",
				Why: fmt.Sprintf("target group %s has no registered targets", label(g.Origin, g.Name)),
			})
		})
	}
	var out []Prediction
	for i, r := range chosen {
		qr, sfx := q, suffix
		if len(chosen) > 1 {
			who, _ := p.targetName(r)
			sfx += "/" + itoa(i+1)
			qr.what += fmt.Sprintf(", target %s:%s", who, portText(r.port))
		}
		out = append(out, p.toTarget(qr, g, r, sfx, open))
	}
	return out
}

// choose returns the registrations of g that get requests; open is set when
// all of them are unhealthy and get requests nevertheless. With none, failed
// tells a deployment that fails from a group that is empty.
func (p *Predictor) choose(lb *topology.LoadBalancer, g *topology.TargetGroup) (chosen []registration, open bool, failed *Outcome) {
	var all, good []registration
	for _, r := range p.x.registered[g.ID] {
		if r.service != nil {
			if o := p.deployOutcome(r.service); o != nil {
				failed = o
				continue
			}
			if has, _ := running(r.service); !has {
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

// toTarget walks from the listener to one registration.
func (p *Predictor) toTarget(q ask, g *topology.TargetGroup, r registration, suffix string, open bool) Prediction {
	j := p.newAsk(q, suffix)
	j.pr.TargetGroup = g.ID
	if final, ok := p.toALB(j, q); !ok {
		return final
	}
	if open {
		text := "no target is healthy, so the load balancer sends requests to all of them (fail-open)"
		if r.service != nil {
			text += " while ECS replaces the tasks; between two tasks the answer is 503"
		}
		j.pr.Remarks = append(j.pr.Remarks, text)
	}
	if r.service != nil && blueGreen(r.service, g.ID) {
		j.pr.Remarks = append(j.pr.Remarks, "as after the service's first deployment: it deploys blue/green, and each deployment moves its tasks to the other target group")
	}
	p.remarkIPv6(j, q)
	tls, ok := speaksTLS(g)
	if !ok {
		return j.unknown("the target group's protocol is not settled: " + g.Protocol.Why())
	}
	pass, a, why := p.reachTarget(j, q.lb, g, r, r.port, tls)
	if why != "" {
		return j.unknown(why)
	}
	if pass.state == HopClosed {
		return j.end(Outcome{
			Class: HTTPError, Status: 504, Body: page504, Match: Contains, By: "alb", After: albConnectTimeout, TimeKnown: true,
			Basis: "6, 10 rows 9, 10 and 27", Inferred: true,
			Why: pass.why + "; the load balancer gives up connecting after 10 s",
		})
	}
	return j.end(p.albOutcome(q, a))
}

// remarkIPv6 says what differs for IPv6 callers of a dual-stack load balancer;
// the path itself is that of an IPv4 caller, and targets are reached by IPv4.
func (p *Predictor) remarkIPv6(j *journey, q ask) {
	port, ok := q.l.Port.Get()
	if !ok || !q.from.anybody || !dualStack(q.lb) {
		return
	}
	switch rule, settled := p.x.ipv6Rule(q.lb, port); {
	case rule != nil:
		j.pr.Remarks = append(j.pr.Remarks, "IPv6 callers enter by "+p.x.ruleText(rule, Ingress))
	case settled:
		j.pr.Remarks = append(j.pr.Remarks, "no rule admits IPv6 callers: they wait until they fall back to IPv4 or give up")
	}
}

// dualStack reports whether the load balancer certainly has IPv6 addresses.
func dualStack(lb *topology.LoadBalancer) bool {
	return strings.HasPrefix(lb.IPAddressType.Or("ipv4"), "dualstack")
}
