// Package check finds what is wrong with a deployment: it holds the rules of
// hoplab check, applies them to a topology and to what reach predicts of it,
// marks what the author accepted, and writes the findings as text, JSON and
// SARIF.
//
// A new rule goes into the list of its subject (rules_*.go) and gets an example
// in the tests; docs/rules.md is written from both.
package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/topology"
)

// Rule is one thing that a check looks for.
type Rule struct {
	ID       string   `json:"id"` // stable; suppressions and SARIF refer to it
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`   // a short sentence
	Explain  string   `json:"explain"` // what happens and why
	Fix      string   `json:"fix"`     // what to do, in general
	Source   string   `json:"source"`  // where the facts come from
	run      func(*checker)
}

// Finding is what a rule found at one place.
type Finding struct {
	Rule     string          `json:"rule"`
	Severity Severity        `json:"severity"`
	Origin   topology.Origin `json:"origin"`
	Label    string          `json:"label"` // the resource's name for people
	// Related are further resources that play a part.
	Related []topology.Origin `json:"related,omitempty"`
	Message string            `json:"message"`
	Fix     string            `json:"fix"`
	// Effect is what a caller sees, in one sentence; empty when no caller sees it.
	Effect string `json:"effect,omitempty"`
	// Add is the security-group rule that mends it, if one does.
	Add *reach.OpenRule `json:"add,omitempty"`
	// Prediction is the ID of the prediction it rests on, if it does.
	Prediction string `json:"prediction,omitempty"`
	// When says under which of the source's conditions there is the finding, as
	// far as that is settled; "" when there always is.
	When string `json:"when,omitempty"`
	// Suppressed is set when the source or a file accepts the finding.
	Suppressed *Suppressed `json:"suppressed,omitempty"`

	// kind is what it has in common with findings that differ in their place
	// alone; the zero value for one that was not made by a check.
	kind kindOf
}

// Suppressed says who accepted a finding, and why.
type Suppressed struct {
	Reason string `json:"reason"`
	By     string `json:"by"` // "template" or the suppression file's name
}

// checker runs the rules over one topology and collects findings.
type checker struct {
	p            *reach.Predictor
	x            *topology.Index
	r            *reach.Report
	before       *topology.Index   // nil when nothing is known of it
	rollout      *rollout.Timeline // of the update from before; worked out once
	suppressions []SuppressEntry
	rule         *Rule
	out          []Finding
	// flaws by rule, worked out once for all deployment rules.
	flaws map[string][]reach.Flaw
	// called holds who is likely to call whom, once somebody asks.
	called map[[2]topology.ID]bool
}

// add records a finding of the current rule.
func (c *checker) add(at topology.Origin, fix, format string, args ...any) *Finding {
	c.out = append(c.out, Finding{
		Rule: c.rule.ID, Severity: c.rule.Severity, Origin: at, Label: c.label(at), Fix: fix, Message: fmt.Sprintf(format, args...),
	})
	return &c.out[len(c.out)-1]
}

// label returns the name of the resource with the origin.
func (c *checker) label(at topology.Origin) string {
	if s := c.x.Service(at.ID); s != nil {
		return topology.Label(s.Origin, s.Name)
	}
	if g := c.x.SecurityGroup(at.ID); g != nil {
		return topology.Label(g.Origin, g.Name)
	}
	return topology.OriginLabel(at)
}

// Options adjusts a check. The zero value is usable.
type Options struct {
	reach.Options
	// Suppress holds the entries of a suppression file.
	Suppress []SuppressEntry
	// Before is the deployment as it is now, if the one that is checked takes its
	// place; nil for rules about changes to find nothing.
	Before *topology.Topology
}

// Run applies every rule to t and returns the findings, the worst first,
// suppressed ones marked. The order is fixed for a given topology. It fails
// when an option names something that t does not have.
func Run(t *topology.Topology, o Options) ([]Finding, error) {
	p, err := reach.New(t, o.Options)
	if err != nil {
		return nil, err
	}
	var old *topology.Index
	if o.Before != nil {
		old = topology.NewIndex(o.Before)
	}
	c := newChecker(p, old)
	c.suppressions = o.Suppress
	c.out = findings(p, old)
	if s := p.Variants(); s != nil {
		c.out = conditional(p, old, s, c.out)
	}
	for i := range c.out {
		c.out[i].speak()
	}
	c.suppress()
	names := c.x.Names()
	for i := range c.out {
		c.out[i].kind = kindOfFinding(&c.out[i], names)
	}
	slices.SortStableFunc(c.out, order)
	return c.out, nil
}

// order puts findings in the order in which they are written, the worst first.
func order(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity, a.Severity),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Origin.ID, b.Origin.ID),
		cmp.Compare(a.Message, b.Message),
	)
}

func newChecker(p *reach.Predictor, before *topology.Index) *checker {
	return &checker{p: p, x: p.Index(), r: p.Report(), before: before, flaws: map[string][]reach.Flaw{}}
}

// findings applies every rule to what p predicts, and to what was there before.
func findings(p *reach.Predictor, before *topology.Index) []Finding {
	c := newChecker(p, before)
	for _, s := range c.x.Topology.Services {
		for _, f := range p.Flaws(s) {
			c.flaws[f.Rule] = append(c.flaws[f.Rule], f)
		}
	}
	for i := range rules {
		c.rule = &rules[i]
		c.rule.run(c)
	}
	return slices.DeleteFunc(c.out, opensNoPort)
}

// opensNoPort reports a finding whose rule would open a port that is none:
// port-out-of-range is the whole answer there.
func opensNoPort(f Finding) bool {
	return f.Add != nil && (topology.PortNumber{N: topology.Known(f.Add.Port)}).OutOfRange()
}

// Rules returns the registered rules, ordered by ID.
func Rules() []Rule {
	out := slices.Clone(rules)
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// renamed holds the IDs of earlier versions, which suppressions may still name.
var renamed = map[string]string{"two-open-doors": "two-open-ports"}

// current returns the ID that a rule has now.
func current(id string) string { return cmp.Or(renamed[id], id) }

// RuleByID returns the rule with the ID, or with an ID of an earlier version.
func RuleByID(id string) (Rule, bool) {
	id = current(id)
	for _, r := range rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// Refusals returns the errors among the findings, suppressed ones aside, that
// keep the deployment from being created or its tasks from starting.
func Refusals(fs []Finding) []Finding {
	deploy := map[string]bool{}
	for _, r := range deployRules {
		deploy[r.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(fs), func(f Finding) bool {
		return f.Severity < Error || f.Suppressed != nil || !deploy[f.Rule]
	})
}

// Worst returns the highest severity among the findings that are not
// suppressed, and false when there is none.
func Worst(fs []Finding) (Severity, bool) {
	worst, any := Note, false
	for _, f := range fs {
		if f.Suppressed == nil && (!any || f.Severity > worst) {
			worst, any = f.Severity, true
		}
	}
	return worst, any
}
