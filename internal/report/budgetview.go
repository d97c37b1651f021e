package report

import (
	"math"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

func budgets(s *summary.Summary) []budgetView {
	rows := make([]budgetView, len(s.Budgets))
	for i, b := range s.Budgets {
		rows[i] = newBudgetView(b)
	}
	return rows
}

func newBudgetView(b summary.BudgetResult) budgetView {
	unit, step := quantity.UnitFor(b.EstimateUs, b.LowUs, b.HighUs), quantity.Step(b.LowUs, b.HighUs)
	if b.Quantile == 0 && strings.HasSuffix(strings.TrimSpace(b.Budget), "%") {
		unit = quantity.Unit{Name: "%", Us: 1e4}
	}
	row := budgetView{
		Budget: clean(b.Budget), Verdict: verdictWords(b.Verdict),
		Estimate: unit.With(unit.Signed(b.EstimateUs, step)),
		Interval: unit.With(unit.Interval(b.LowUs, b.HighUs, step)),
	}
	if b.LowUs == b.HighUs { // an interval without width is one that nobody could compute
		row.Estimate, row.Interval = "cannot tell", "no interval"
	}
	return row
}

// quantities writes what else was compared, each row in units of its own.
func quantities(s *summary.Summary) []quantityView {
	rows := make([]quantityView, len(s.Quantities))
	for i, q := range s.Quantities {
		rows[i] = newQuantityView(q)
	}
	return rows
}

// wholeNumbers reports whether values are counts of something.
func wholeNumbers(values []float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return v != math.Trunc(v) })
}

func newQuantityView(q summary.Quantity) quantityView {
	scale := 1.0
	if q.Unit == summary.UnitShare {
		scale = 1e5 // quantity writes numbers to a tenth at the finest; a share has four decimals of a percent
	}
	var values []float64
	for _, v := range []*float64{q.A, q.B} {
		if v != nil {
			values = append(values, *v*scale)
		}
	}
	low, high, estimate := q.Low*scale, q.High*scale, q.Estimate*scale
	unit := quantity.UnitFor(append(values, estimate, low, high)...)
	switch q.Unit {
	case summary.UnitShare:
		unit = quantity.Unit{Name: "%", Us: 1e3}
	case summary.UnitCount:
		unit = quantity.Unit{Us: 1}
	}
	largest := 0.0
	for _, v := range values {
		largest = max(largest, math.Abs(v))
	}
	step := quantity.SignificantStep(largest, 3)
	if q.Level > 0 && high > low { // two copies have no width
		step = min(step, quantity.Step(low, high))
	}
	if q.Unit == summary.UnitCount && wholeNumbers(append(values, estimate)) {
		step = 1
	}
	write := func(number string) string { return strings.TrimSpace(unit.With(number)) }
	one := func(v *float64) string {
		if v == nil {
			return "–"
		}
		return write(unit.Number(*v*scale, step))
	}
	row := quantityView{Of: differenceName(q.Of), What: clean(q.What), A: one(q.A), B: one(q.B), Estimate: "–", Interval: "no interval"}
	if q.A != nil && q.B != nil {
		row.Estimate = write(unit.Signed(estimate, step))
	}
	if q.Level > 0 {
		row.Interval = write(unit.Interval(low, high, step))
	}
	return row
}

// ledger writes the ledger so that what is printed adds up: the remainder takes
// the rounding of the parts, which is at most half a step each.
func ledger(s *summary.Summary) *ledgerView {
	l := s.Ledger
	if l == nil {
		return nil
	}
	unit, step := quantity.UnitFor(l.TotalUs), quantity.SignificantStep(l.TotalUs, 3)
	round := func(us float64) float64 { return math.Round(us/step) * step }
	v := &ledgerView{Title: "Where the " + quantity.Quantile(l.Quantile) + " of " + clean(l.Arm) + " goes"}
	row := func(part string, us float64, by string) ledgerRow {
		return ledgerRow{part, unit.With(unit.Number(us, step)), by, us}
	}
	remainder := round(l.TotalUs)
	for _, e := range l.Entries {
		remainder -= round(e.Us)
		v.Rows = append(v.Rows, row(clean(e.Part), round(e.Us), differenceName(e.By)))
	}
	v.Rows = append(v.Rows, row("remainder", remainder, "total less the parts above"), row("total", round(l.TotalUs), ""))
	return v
}
