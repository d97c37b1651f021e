package compare

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/pooled"
	"github.com/hoplab/hoplab/internal/summary"
)

// comparison is what was read, and what is made of it.
type comparison struct {
	o          *Options
	name       string
	budgets    []budget
	quantiles  []float64
	recordings []*recording
	parts      []part
	// together says that the arms share a clock and blocks of time, file by file.
	together bool
	same     bool // both sides are one file
	logs     []*input
	paths    *proof
}

// part is one arm over all files, which are its replicates.
type part struct {
	name  string
	files []*armData
}

func (p *part) requests() (all, failed, answered int64) {
	for _, f := range p.files {
		all += f.requests
		failed += f.failed
		answered += f.hist.Count()
	}
	return all, failed, answered
}

// hist is the latencies of all files.
func (p *part) hist() *hist.Hist {
	if len(p.files) == 1 {
		return p.files[0].hist
	}
	h := hist.New()
	for _, f := range p.files {
		h.Merge(f.hist)
	}
	return h
}

// sharesClock reports whether the files of both sides lie side by side in time,
// each with its counterpart: they were cut from the same runs.
func (c *comparison) sharesClock() bool {
	a, b := c.parts[0].files, c.parts[1].files
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sideBySide(a[i], b[i]) {
			return false
		}
	}
	return true
}

// leastShared is how much of both arms must lie in blocks that hold both, for
// drift to move both alike.
const leastShared = 0.8

func sideBySide(a, b *armData) bool {
	return pooled.Shared(a.pooled(), b.pooled()) >= leastShared
}

// result computes everything.
func (c *comparison) result() (*summary.Result, error) {
	grid := 0.0
	for _, p := range c.parts {
		for _, f := range p.files {
			grid = max(grid, f.gridUs())
		}
	}
	if err := belowGrid(c.budgets, grid, c.recordings[0].in.path); err != nil {
		return nil, err
	}
	if len(c.o.AgentLog) > 0 {
		if err := c.prove(); err != nil {
			return nil, err
		}
	}
	out := &summary.Result{Summary: summary.Summary{Schema: summary.Schema, Run: c.name, Target: analysis.TargetFiles,
		NoiseFloorUs: map[string]float64{},
		Differences:  []summary.Difference{}, Warnings: []summary.Warning{}, Verdict: summary.CannotTell}}
	sum := &out.Summary
	sum.Plan = summary.Plan{Profile: plan.ProfileCustom, Design: c.design(), Replicates: len(c.parts[0].files), KeepAlive: true}
	for _, p := range c.parts {
		sum.Plan.Arms = append(sum.Plan.Arms, p.name)
		sum.Arms = append(sum.Arms, c.arm(&p))
		out.Detail.Curves = append(out.Detail.Curves, curve(&p))
	}
	sum.Warnings = c.warnings(grid)
	if s := c.unanswered(); s != "" {
		sum.Sentences = []string{s}
		for _, b := range c.budgets {
			sum.Budgets = append(sum.Budgets, summary.BudgetResult{Budget: b.Text, Quantile: b.quantile,
				LimitUs: b.LimitUs, Verdict: summary.CannotTell})
		}
		sum.Round()
		return out, nil
	}
	u := c.unlike()
	var all []*line
	last := &c.parts[len(c.parts)-1]
	for i := range c.parts[:len(c.parts)-1] {
		l := c.contrast(&c.parts[i], last, u)
		all = append(all, l...)
	}
	for _, l := range all {
		sum.Differences = append(sum.Differences, l.lines...)
	}
	c.otherQuantities(sum, all, grid)
	primary := all[0]
	sum.Budgets = c.judge(primary, sum.Quantities)
	sum.Verdict = c.verdict(primary, sum.Budgets)
	if c.byMean(grid) {
		sum.Verdict = c.meanOf(sum, primary).Verdict
	}
	sum.Round()
	for _, l := range all {
		l.lines, sum.Differences = sum.Differences[:len(l.lines)], sum.Differences[len(l.lines):]
	}
	sum.Differences = nil
	for _, l := range all {
		sum.Differences = append(sum.Differences, l.lines...)
	}
	sum.Sentences = u.sentences
	if c.byMean(grid) {
		sum.Sentences = append(sum.Sentences, c.meanSentence(primary, c.meanOf(sum, primary)))
	}
	sum.Sentences = append(sum.Sentences, c.sentences(primary, sum)...)
	out.Detail.Primary = primary.of
	out.Detail.Difference = c.differenceCurve(primary)
	out.Detail.Method = c.method()
	out.Detail.NotShown = c.notShown()
	return out, nil
}

func (c *comparison) design() string {
	switch {
	case len(c.parts[0].files) > 1:
		return "replicates"
	case c.together:
		return "one run"
	}
	return "separate runs"
}

func (c *comparison) arm(p *part) summary.Arm {
	a := summary.Arm{Name: p.name, Evidence: summary.Evidence{AgentCounter: -1}}
	a.Requests, a.Failed, _ = p.requests()
	if h := p.hist(); h.Count() > 0 {
		q := h.QuantilesUs([]float64{0.5, 0.9, 0.95, 0.99})
		a.Latency = summary.LatencyUs{Min: h.MinUs(), P50: q[0], P90: q[1], P95: q[2], P99: q[3], Max: h.MaxUs(), Mean: h.MeanUs()}
	}
	if c.paths != nil {
		a.Path, a.Evidence = c.paths.of(p.name)
	}
	return a
}

// unanswered is the sentence of a comparison in which an arm has no latency.
func (c *comparison) unanswered() string {
	for _, p := range c.parts {
		if all, _, answered := p.requests(); answered == 0 {
			whys := map[string]int64{}
			for _, f := range p.files {
				for why, n := range f.byWhy {
					whys[why] += n
				}
			}
			return fmt.Sprintf("These files cannot tell: `%s` has no answered request among its %s (%s).", p.name,
				countOf(all, "request"), strings.Join(most(whys, 3), ", "))
		}
	}
	return ""
}
