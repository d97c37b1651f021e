package reach

import (
	"strings"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// A listener evaluates its rules by ascending priority and the default action
// last; the first that matches takes the request.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html

// Shadow returns the rule before r that takes every request which r would, or
// nil; a nil r stands for the default action.
func (p *Predictor) Shadow(l *topology.Listener, r *topology.ListenerRule) *topology.ListenerRule {
	return p.x.shadow(l, r)
}

// shadow is Shadow.
func (x *index) shadow(l *topology.Listener, r *topology.ListenerRule) *topology.ListenerRule {
	for _, e := range before(l, r) {
		if x.stands(e, r) && takesAll(e, r) {
			return e
		}
	}
	return nil
}

// stands reports that rule e certainly exists wherever r does; a nil r, the
// default action, does everywhere.
func (x *index) stands(e, r *topology.ListenerRule) bool {
	return e.Maybe == "" || r != nil && x.variants.Implies(r.Origin, e.Origin)
}

// maxBefore bounds how many rules a rule is compared with; a load balancer has
// 100 unless AWS raises its quota.
const maxBefore = 200

// before returns the rules that are certainly asked before r.
func before(l *topology.Listener, r *topology.ListenerRule) []*topology.ListenerRule {
	rules := l.Rules[:min(len(l.Rules), maxBefore)]
	if r == nil {
		return rules
	}
	at, ok := r.Priority.Get()
	if !ok {
		return nil
	}
	var out []*topology.ListenerRule
	for _, e := range rules {
		if n, ok := e.Priority.Get(); ok && n < at {
			out = append(out, e)
		}
	}
	return out
}

// takesAll reports whether e certainly matches every request that r matches.
func takesAll(e, r *topology.ListenerRule) bool {
	if len(e.Conditions) == 0 {
		return false
	}
	for _, c := range e.Conditions {
		if !implied(c, r) {
			return false
		}
	}
	return true
}

// implied reports whether every request that r matches meets c.
func implied(c topology.Condition, r *topology.ListenerRule) bool {
	if everyRequest(c) {
		return true
	}
	if r == nil {
		return false
	}
	for _, d := range r.Conditions {
		if d.Field != c.Field || !strings.EqualFold(d.Name, c.Name) || len(d.Values) == 0 {
			continue
		}
		all := true
		for _, v := range d.Values {
			q, ok := v.Get()
			all = all && ok && oneContains(c, q)
		}
		if all {
			return true
		}
	}
	return false
}

// everyRequest reports whether no request fails c.
func everyRequest(c topology.Condition) bool {
	switch c.Field {
	case "path-pattern":
		return oneContains(c, "/*")
	case "host-header":
		return oneContains(c, "*")
	case "source-ip":
		var v4, v6 bool
		for _, v := range c.Values {
			v4 = v4 || v.Or("") == "0.0.0.0/0"
			v6 = v6 || v.Or("") == "::/0"
		}
		return v4 && v6
	}
	return false
}

// oneContains reports whether a value of c matches whatever the pattern q matches.
func oneContains(c topology.Condition, q string) bool {
	for _, v := range c.Values {
		p, ok := v.Get()
		if !ok {
			continue
		}
		switch c.Field {
		case "path-pattern":
			if strings.HasPrefix(q, "*") { // every path begins with a slash
				q = "/" + q
			}
			if contained(p, q) {
				return true
			}
		case "host-header", "http-header":
			if contained(strings.ToLower(p), strings.ToLower(q)) {
				return true
			}
		case "http-request-method":
			if p == q {
				return true
			}
		}
	}
	return false
}

// contained reports whether pattern p matches every text that pattern q
// matches. It may miss that it does, and never says so wrongly. It takes time
// proportional to the product of the lengths.
func contained(p, q string) bool {
	// Nearly all pairs of patterns differ before the first wildcard.
	for i := 0; i < min(len(p), len(q)) && p[i] != '*' && p[i] != '?'; i++ {
		if p[i] != q[i] {
			return false
		}
	}
	// can[j] is whether p from i on covers q from j on, filled from the end.
	can := make([]bool, len(q)+1)
	can[len(q)] = true
	for i := len(p) - 1; i >= 0; i-- {
		next := make([]bool, len(q)+1)
		next[len(q)] = p[i] == '*' && can[len(q)]
		for j := len(q) - 1; j >= 0; j-- {
			switch {
			case p[i] == '*':
				next[j] = can[j] || next[j+1]
			case q[j] == '*':
				next[j] = false
			default:
				next[j] = (p[i] == '?' || p[i] == q[j]) && can[j+1]
			}
		}
		can = next
	}
	return can[0]
}

// fillers are what stands for a wildcard in the request that is asked; the
// first that the rules before leave alone is used.
var fillers = []string{"x", "", "other", "hoplab-7", "x/y"}

// sample returns a host and a path that reach r, the default action for nil,
// past the rules before it. ok is false when none of those tried does.
func (x *index) sample(l *topology.Listener, r *topology.ListenerRule, lb string) (host, path, conds string, ok bool) {
	first, n := true, len(fillers)
	for k := range n {
		h, u, c := lb, "/", ""
		if r == nil {
			if k > 0 {
				u = "/" + fillers[k]
			}
		} else {
			h, u, c = sampleOf(r, lb, k)
		}
		if first {
			host, path, conds, first = h, u, c, false
		}
		if x.taken(l, r, h, u) {
			continue
		}
		return h, u, c, true
	}
	return host, path, conds, false
}

// taken reports whether a rule before r certainly takes a plain request.
func (x *index) taken(l *topology.Listener, r *topology.ListenerRule, host, path string) bool {
	for _, e := range before(l, r) {
		if x.stands(e, r) && len(e.Conditions) > 0 && matches(e, host, path) == yes {
			return true
		}
	}
	return false
}

// unreached predicts an action that no request reaches.
func (p *Predictor) unreached(q ask, by *topology.ListenerRule) Prediction {
	tr := p.newAsk(q, "")
	return tr.end(Outcome{
		Class: NoTraffic, By: "alb", Basis: semantics.Section(6),
		Why: "no request reaches it: rule " + PortText(by.Priority) + " comes first and takes them all",
	})
}
