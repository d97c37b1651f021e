package compare

import (
	"slices"

	"github.com/hoplab/hoplab/internal/summary"
)

// primary is the quantile named in advance: the median.
func (c *comparison) primary() float64 { return 0.5 }

// judge answers every budget by the primary comparison.
func (c *comparison) judge(l *line, quantities []summary.Quantity) []summary.BudgetResult {
	var out []summary.BudgetResult
	for _, b := range c.budgets {
		r := summary.BudgetResult{Budget: b.Text, Quantile: b.quantile, LimitUs: b.LimitUs, Verdict: summary.CannotTell}
		scale, has, may := 1.0, false, true
		if b.quantile > 0 {
			k := slices.Index(c.quantiles, b.quantile)
			d := &l.lines[k]
			r.EstimateUs, r.LowUs, r.HighUs, has, may = d.EstimateUs, d.LowUs, d.HighUs, d.Level > 0, l.whys[k] == noReason
		} else {
			q := c.quantityOf(l, &b)
			if b.aboveUs > 0 {
				scale = 1e6
			}
			r.EstimateUs, r.LowUs, r.HighUs, has = q.Estimate*scale, q.Low*scale, q.High*scale, q.Level > 0
			may = c.mayClaim(l)
		}
		if !has {
			r.LowUs, r.HighUs = r.EstimateUs, r.EstimateUs
		}
		switch {
		case !has || !may:
		case r.HighUs <= b.LimitUs:
			r.Verdict = summary.Within
		case r.LowUs > b.LimitUs:
			r.Verdict = summary.Over
		}
		out = append(out, r)
	}
	return out
}

// mayClaim says whether means and shares of a line may carry a claim.
func (c *comparison) mayClaim(l *line) bool {
	return l.why == noReason && (l.cmp == nil && l.whys[0] == noReason || l.cmp != nil && l.cmp.Apart())
}

// byMean says that the mean is asked first: on a grid of whole milliseconds it
// sees differences that no quantile can.
func (c *comparison) byMean(gridUs float64) bool { return gridUs >= 1e3 && len(c.budgets) == 0 }

// meanOf is the primary comparison's mean among the quantities.
func (c *comparison) meanOf(sum *summary.Summary, l *line) *summary.Quantity {
	i := slices.IndexFunc(sum.Quantities, func(q summary.Quantity) bool { return q.Of == l.of && q.What == "mean" })
	return &sum.Quantities[i]
}

// verdict is that of the budgets, else of the primary quantile.
func (c *comparison) verdict(l *line, budgets []summary.BudgetResult) string {
	if len(budgets) == 0 {
		return l.lines[slices.Index(c.quantiles, c.primary())].Verdict
	}
	v := summary.Within
	for _, b := range budgets {
		switch b.Verdict {
		case summary.Over:
			return summary.Over
		case summary.CannotTell:
			v = summary.CannotTell
		}
	}
	return v
}
