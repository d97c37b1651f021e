package check

import (
	"fmt"
	"time"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// rules is the registry, in the order in which the rules run. The order of
// findings does not depend on it.
var rules []Rule

// The registry refers to functions that look rules up in it, so it is filled here.
func init() {
	for _, list := range [][]Rule{deployRules, pathRules, connectRules, clientRules, changeRules, loadBalancerRules, taskRules,
		suppressionRules} {
		rules = append(rules, list...)
	}
}

var suppressionRules = []Rule{
	{
		ID: ruleUnusedSuppression, Severity: Note, Title: "A suppression suppresses nothing",
		Explain: "A suppression that no longer matches a finding hides the next one that does, for a reason that was given for something else.",
		Fix:     "Remove it.", Source: "hoplab's own",
		run: func(*checker) {}, // reported by suppress, once all rules ran
	},
	{
		ID: ruleBareSuppression, Severity: Error, Title: "A suppression gives no reason",
		Explain: "A finding may be accepted, but the reader must learn why. Without a reason nothing is suppressed.",
		Fix:     "Add a reason.", Source: "hoplab's own",
		run: func(*checker) {},
	},
}

// flawRule returns a rule that reports one kind of deployment flaw.
func flawRule(id, title, explain, fix, source string) Rule {
	return Rule{ID: id, Severity: Error, Title: title, Explain: explain, Fix: fix, Source: source, run: func(c *checker) {
		for _, f := range c.flaws[id] {
			g := c.add(f.At, f.Fix, "%s", f.Text)
			g.Effect = "the deployment fails"
			if f.Error != "" {
				g.Effect += ": " + f.Error
			}
		}
	}}
}

// effect says in one sentence what the caller of p sees.
func effect(p *reach.Prediction) string {
	o := p.Outcome
	who, gets, waits := p.Caller.Name, "gets", "waits until its own connect timeout"
	if p.Caller.Kind == reach.CallerAdmitted {
		who, gets, waits = "callers", "get", "wait until their own connect timeout"
	}
	switch o.Class {
	case reach.HTTPError, reach.OK:
		s := fmt.Sprintf("%s %s %d", who, gets, o.Status)
		if o.Body != "" {
			s += fmt.Sprintf(" %q", o.Body)
		}
		return s + afterText(o.After)
	case reach.Timeout:
		if p.Target != nil {
			return fmt.Sprintf("the target is %s (%s)", p.Target.State, p.Target.Reason)
		}
		return who + " " + waits
	case reach.Reset:
		if o.Curl == "" {
			return who + "'s connection is closed without an answer"
		}
		return who + " reads " + o.Curl
	case reach.NoName:
		return who + " reads " + o.Curl
	case reach.DeployFails:
		return "the deployment fails"
	}
	return ""
}

func afterText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf(" after %s", d)
}

// once returns a function that is true the first time it sees a key.
func once() func(parts ...any) bool {
	seen := map[string]bool{}
	return func(parts ...any) bool {
		k := fmt.Sprint(parts...)
		if seen[k] {
			return false
		}
		seen[k] = true
		return true
	}
}

// eachEndpoint calls f for every endpoint of every service, in order.
func (c *checker) eachEndpoint(f func(*topology.ConnectEndpoint)) {
	for _, s := range c.x.Topology.Services {
		for _, e := range c.x.Endpoints(s.ID) {
			f(e)
		}
	}
}

func (c *checker) eachListener(f func(*topology.LoadBalancer, *topology.Listener)) {
	for _, lb := range c.x.Topology.LoadBalancers {
		for _, l := range lb.Listeners {
			f(lb, l)
		}
	}
}

// eachForward calls f for every action that forwards to a target group.
func (c *checker) eachForward(f func(*topology.TargetGroup, topology.Forward)) {
	for _, g := range c.x.Topology.TargetGroups {
		for _, fw := range c.x.Forwards(g.ID).Read() {
			f(g, fw)
		}
	}
}

// eachTask calls f for every task definition once, with the first service that runs it or nil.
func (c *checker) eachTask(f func(*topology.TaskDefinition, *topology.Service)) {
	seen := map[*topology.TaskDefinition]bool{}
	for _, s := range c.x.Topology.Services {
		if s.Task != nil && !seen[s.Task] {
			seen[s.Task] = true
			f(s.Task, s)
		}
	}
	for _, d := range c.x.Topology.Standalone {
		if !seen[d] {
			seen[d] = true
			f(d, nil)
		}
	}
}
