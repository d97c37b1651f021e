package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// sentences answers in plain words, one sentence for each quantile of the primary
// comparison; a quantile with a budget gets the budget's answer. Budgets on means
// and shares follow.
func (c *comparison) sentences(l *line, sum *summary.Summary) []string {
	var out []string
	for k := range l.lines {
		d := &l.lines[k]
		asked := false
		for i, b := range c.budgets {
			if b.quantile == d.Quantile {
				asked = true
				out = append(out, c.budgetSentence(l, k, sum.Budgets[i]))
			}
		}
		if !asked {
			out = append(out, c.sentence(l, k))
		}
	}
	for i, b := range c.budgets {
		if b.quantile == 0 {
			out = append(out, c.shareSentence(l, &b, sum.Budgets[i]))
		}
	}
	return out
}

// sentence says what a line claims, or what it shows and why it claims nothing.
func (c *comparison) sentence(l *line, k int) string {
	d := &l.lines[k]
	name := plan.QuantileName(d.Quantile)
	u, step := units(d)
	if d.Verdict == summary.Different {
		low, high, est, word := d.LowUs, d.HighUs, d.EstimateUs, "slower"
		if est < 0 {
			low, high, est, word = -high, -low, -est, "faster"
		}
		return fmt.Sprintf("`%s` is %s than `%s` by %s at %s (%s %% interval %s to %s).", l.a.name, word, l.b.name,
			u.With(u.Number(est, step)), name,
			trim(100*d.Level), u.Number(low, step), u.With(u.Number(high, step)))
	}
	return c.cannotTell(l, k, "")
}

func (c *comparison) cannotTell(l *line, k int, about string) string {
	d := &l.lines[k]
	u, step := units(d)
	head := fmt.Sprintf("At %s these files cannot tell%s: ", plan.QuantileName(d.Quantile), about)
	seen := u.With(u.Signed(d.EstimateUs, step))
	if d.Level == 0 {
		return head + fmt.Sprintf("they differ by %s, with %s.", seen, l.whys[k])
	}
	between := fmt.Sprintf("between %s and %s", u.Signed(d.LowUs, step), u.With(u.Signed(d.HighUs, step)))
	if why := l.whys[k]; why != noReason {
		return head + fmt.Sprintf("`%s` less `%s` is %s, %s for these requests alone, and %s.", l.a.name, l.b.name,
			seen, between, because(why))
	}
	if d.LowUs > 0 || d.HighUs < 0 {
		return head + fmt.Sprintf("the difference lies %s, which could be chance among the quantiles looked at.", between)
	}
	return head + fmt.Sprintf("the difference lies %s.", between)
}

// because turns a reason into the end of a sentence.
func because(why reason) string {
	switch why {
	case fewBlocks, fewTail, noAnswer:
		return "there are " + string(why)
	}
	return string(why)
}

func (c *comparison) budgetSentence(l *line, k int, b summary.BudgetResult) string {
	d := &l.lines[k]
	u, step := units(d)
	limit, name := exactly(b.LimitUs), plan.QuantileName(b.Quantile)
	switch b.Verdict {
	case summary.Within:
		return fmt.Sprintf("%s grows by at most %s, within the budget of %s.", name, u.With(u.Number(d.HighUs, step)), limit)
	case summary.Over:
		return fmt.Sprintf("%s grows by at least %s, over the budget of %s.", name, u.With(u.Number(d.LowUs, step)), limit)
	}
	return c.cannotTell(l, k, " whether the budget of "+limit+" holds")
}

// shareSentence answers a budget on a mean or a share.
func (c *comparison) shareSentence(l *line, b *budget, r summary.BudgetResult) string {
	what, number := "The mean", func(v float64) string {
		u, step := quantity.UnitFor(r.EstimateUs, r.LowUs, r.HighUs), quantity.Step(r.LowUs, r.HighUs)
		return u.With(u.Signed(v, step))
	}
	limit := exactly(b.LimitUs)
	if b.aboveUs > 0 {
		what, limit = "The share above "+timeOf(b.aboveUs), trim(100*b.limit)+" %"
		number = func(v float64) string { return strings.Replace(fmt.Sprintf("%+.3g %%", v/1e4), "-", "−", 1) }
	}
	switch r.Verdict {
	case summary.Within:
		return fmt.Sprintf("%s grows by at most %s, within the budget of %s.", what, number(r.HighUs), limit)
	case summary.Over:
		return fmt.Sprintf("%s grows by at least %s, over the budget of %s.", what, number(r.LowUs), limit)
	}
	if r.LowUs == r.HighUs {
		return fmt.Sprintf("%s differs by %s; whether the budget of %s holds these files cannot tell.", what, number(r.EstimateUs), limit)
	}
	why := ""
	if l.why != noReason {
		why = ", and " + because(l.why)
	}
	return fmt.Sprintf("%s differs by %s, between %s and %s; whether the budget of %s holds these files cannot tell%s.",
		what, number(r.EstimateUs), number(r.LowUs), number(r.HighUs), limit, why)
}

// meanSentence says what the mean shows.
func (c *comparison) meanSentence(l *line, q *summary.Quantity) string {
	u, step := quantity.UnitFor(q.Estimate, q.Low, q.High), quantity.Step(q.Low, q.High)
	if q.Verdict == summary.Different {
		low, high, est, word := q.Low, q.High, q.Estimate, "slower"
		if est < 0 {
			low, high, est, word = -high, -low, -est, "faster"
		}
		return fmt.Sprintf("`%s` is %s than `%s` by %s in the mean (%s %% interval %s to %s).", l.a.name, word,
			l.b.name, u.With(u.Number(est, step)),
			trim(100*q.Level), u.Number(low, step), u.With(u.Number(high, step)))
	}
	if q.Level == 0 {
		return fmt.Sprintf("In the mean these files cannot tell: they differ by %s, with %s.",
			u.With(u.Signed(q.Estimate, step)), fewBlocks)
	}
	text := fmt.Sprintf("In the mean these files cannot tell: the difference lies between %s and %s", u.Signed(q.Low,
		step), u.With(u.Signed(q.High, step)))
	if l.why != noReason {
		text += " for these requests alone, and " + because(l.why)
	}
	return text + "."
}

// units is how a line's numbers are written: one unit, and the digits that its
// interval supports.
func units(d *summary.Difference) (quantity.Unit, float64) {
	return quantity.UnitFor(d.EstimateUs, d.LowUs, d.HighUs), quantity.Step(d.LowUs, d.HighUs)
}

// exactly writes a limit as it was given, without digits it has not.
func exactly(us float64) string {
	u := quantity.UnitFor(us)
	return strings.Replace(fmt.Sprintf("%g", us/u.Us), "-", "−", 1) + " " + u.Name
}

func trim(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.4g", v), ".0") }

// warnings are about the comparison as a whole and about arms.
func (c *comparison) warnings(gridUs float64) []summary.Warning {
	out := []summary.Warning{}
	add := func(code, about, format string, args ...any) {
		out = append(out, summary.Warning{Code: code, About: about, Text: fmt.Sprintf(format, args...)})
	}
	files := len(c.parts[0].files)
	several := files > 1 || len(c.parts[len(c.parts)-1].files) > 1
	switch {
	case c.same:
		add("same-file", "run", "Both sides hold the same requests: it is one file, or a copy of it.")
	case several:
		if files < 6 || len(c.parts[len(c.parts)-1].files) < 6 {
			add("few-replicates", "run",
				"Only %d and %d replicates: the interval is wide and leans on their spread being normal; 6 or more are better.", files, len(c.parts[len(c.parts)-1].files))
		}
	case c.o.By != "" && c.oneAfterAnother():
		add("unpaired", "run",
			"The arms ran one after the other: drift between them is in the difference, and the interval does not cover it.%s", c.vouched())
	case c.o.By == "" && c.together:
		add("separate-runs", "run",
			"The arms come from two files whose clocks agree, and are paired; whether they were cut from one run the files do not say.%s", c.vouched())
	case !c.together:
		add("separate-runs", "run",
			"The arms come from separate runs: what drifted or differed between the runs is in the difference, and the interval does not cover it.%s", c.vouched())
	default:
		add("one-start", "run", "These requests come from one start of everything, whose own offset the interval does not cover.")
	}
	if gridUs >= 100 {
		add("grid", "run",
			"The times are multiples of %s. No interval of a quantile is narrower than that; means and shares above a limit see more.", timeOf(gridUs))
	}
	for _, r := range c.recordings {
		for _, text := range r.describe(c.o.By) {
			add("left-out", "run", "%s", upper(text))
		}
	}
	for _, p := range c.parts {
		all, failed, _ := p.requests()
		if failed > 0 && float64(failed) >= 0.001*float64(all) {
			add("failures", p.name, "%s of %s failed (%s); they count in no latency.", quantity.Count(failed),
				countOf(all, "request"), whysWords(&p))
		}
		var unknown int64
		for _, f := range p.files {
			unknown += f.unknown
		}
		if unknown > 0 && strings.HasPrefix(c.o.Metric, "http_req_") {
			add("outcome-unknown", p.name,
				"Of %s nothing says whether they failed: they have no status, and the file no http_req_failed.", countOf(unknown, "request"))
		}
	}
	return out
}

func whysWords(p *part) string {
	counts := map[string]int64{}
	for _, f := range p.files {
		for why, n := range f.byWhy {
			counts[why] += n
		}
	}
	var parts []string
	for i, why := range most(counts, 4) {
		if i == 3 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, why+": "+quantity.Count(counts[why]))
	}
	return strings.Join(parts, ", ")
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// vouched says on whose word a verdict rests.
func (c *comparison) vouched() string {
	if c.o.AssumeSteady {
		return " The verdict rests on --assume-steady: somebody vouched that nothing drifted."
	}
	return " Therefore no verdict: give several runs a side (--a F… --b F…), or vouch for it with --assume-steady."
}

// oneAfterAnother reports whether any arm shares too little time with the last one.
func (c *comparison) oneAfterAnother() bool {
	last := c.parts[len(c.parts)-1].files[0]
	return slices.ContainsFunc(c.parts[:len(c.parts)-1], func(p part) bool { return !sideBySide(p.files[0], last) })
}

// methodLine says in one line how a difference was computed.
func (c *comparison) methodLine(l *line) string {
	if l.cmp == nil {
		if c.together && len(l.a.files) == len(l.b.files) {
			return fmt.Sprintf("mean difference of the quantiles of %d files, paired; Student t interval", len(l.a.files))
		}
		return fmt.Sprintf("difference of the mean quantiles of %d and %d files; Welch's t interval", len(l.a.files), len(l.b.files))
	}
	return "difference of pooled quantiles; accelerated bootstrap of whole blocks"
}

func (c *comparison) method() string {
	if len(c.parts[0].files) > 1 || len(c.parts[len(c.parts)-1].files) > 1 {
		return "Each file is a replicate and gives one quantile of its pooled requests for each arm. Files that lie side by side in time are paired, and their differences are the sample of Student's t; else the two sides are compared with Welch's."
	}
	text := "The estimate is the difference of the quantiles of all answered requests. Its interval is of the same quantity: the run is cut into blocks of time, whole blocks are drawn anew 1999 times (circular block bootstrap), and the ends are the percentiles of what comes out, corrected for bias and skew (Efron) and for the small number of blocks (Student). Blocks are made longer until neighbouring ones are uncorrelated."
	if c.together {
		return text + " The arms share a clock: the same blocks are drawn for both, so that what moved both cancels."
	}
	return text + " The arms do not share a clock: their blocks are drawn apart, and what changed between them is in the difference."
}

func (c *comparison) notShown() []string {
	out := []string{}
	if c.paths == nil {
		out = append(out, "The paths of these requests: result files carry no evidence of them.")
	}
	if len(c.parts[0].files) == 1 {
		out = append(out, "Another start of everything: its own offset is not in the interval.")
	}
	return out
}

// curve is an arm's distribution on a probability scale, as far as at least five
// requests lie beyond a point.
func curve(p *part) summary.Curve {
	h := p.hist()
	c := summary.Curve{Arm: p.name}
	if h.Count() == 0 {
		return c
	}
	qs := probabilities(h, 160)
	for i, v := range h.QuantilesUs(qs) {
		c.Points = append(c.Points, summary.QuantileUs{Q: qs[i], Us: v})
	}
	return c
}

// probabilities are even steps of a probability scale.
func probabilities(h *hist.Hist, points int) []float64 {
	reach := distuv.UnitNormal.Quantile(1 - max(1e-5, min(0.5, 5/float64(h.Count()))))
	qs := make([]float64, points)
	for i := range qs {
		qs[i] = distuv.UnitNormal.CDF(reach * (2*float64(i)/float64(points-1) - 1))
	}
	return qs
}

// differenceCurve is the primary difference at the reported quantiles.
func (c *comparison) differenceCurve(l *line) []summary.CurvePoint {
	var out []summary.CurvePoint
	for i, d := range l.lines {
		if d.Level > 0 && l.tail[i] >= plan.MinTail/2 && !math.IsNaN(d.EstimateUs) {
			out = append(out, summary.CurvePoint{Q: d.Quantile, EstimateUs: d.EstimateUs, LowUs: d.LowUs, HighUs: d.HighUs})
		}
	}
	return out
}
