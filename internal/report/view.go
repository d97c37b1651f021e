package report

import (
	"math"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// view is what the renderings have in common: every number already in words.
type view struct {
	Summary     *summary.Summary
	Answer      []string
	NotWhat     string
	Partial     string // "" when the plan was finished
	Resume      string // the command that finishes it; "" when there is none
	Notes       *notes
	Refused     bool
	Columns     []string // quantile names, ascending: "p50", "p90", "p99"
	Arms        []armView
	Differences []differenceView
	AA          *differenceView // an arm less its twin: what the floor comes from; nil without a twin
	Floor       []string        // one per column; "" when not measured
	Budgets     []budgetView
	Ledger      *ledgerView
	Quantities  []quantityView
}

// quantityView is one quantity's row.
type quantityView struct {
	Of, What, A, B, Estimate, Interval string
}

// armView is one arm's row.
type armView struct {
	Arm      summary.Arm
	Name     string
	Path     string
	Requests string
	Cells    []string // one per column; "–" when the summary has no such quantile
	Proof    string
	Trouble  string
}

// differenceView is one comparison's row.
type differenceView struct {
	Of       string // as the summary names it; the place of its notes
	Name     string
	Interval string // "95 % interval"
	Basis    string // replicates, windows, method
	Cells    []differenceCell
}

// HasInterval tells whether any of its quantiles has an interval.
func (d *differenceView) HasInterval() bool { return d.Interval != intervalWords(0) }

// differenceCell is one quantile of one comparison.
type differenceCell struct {
	Difference *summary.Difference // nil when this quantile was not asked
	Estimate   string              // "+171 µs", or "cannot tell"
	Interval   string              // "[165, 178] µs"
	unit       quantity.Unit
	step       float64
}

// budgetView is one budget's row.
type budgetView struct {
	Budget, Verdict, Estimate, Interval string
}

// ledgerView is the ledger in one unit; the remainder is its last but one row.
type ledgerView struct {
	Title string
	Rows  []ledgerRow
}

type ledgerRow struct {
	Part, Number, By string
	Us               float64 // as printed, so that a picture adds up too
}

func newView(s *summary.Summary) *view {
	v := &view{
		Summary: s,
		Answer:  answer(s),
		NotWhat: notWhat(s),
		Notes:   collectNotes(s),
		Refused: s.Verdict == summary.Refused,
		Columns: columnsOf(s),
	}
	if s.Partial != nil {
		v.Partial, v.Resume = partialWords(s.Partial), clean(s.Partial.Resume)
	}
	if !v.Refused {
		v.Differences, v.AA = v.differences()
		v.Floor = v.floor()
		v.Budgets = budgets(s)
		v.Ledger = ledger(s)
		v.Quantities = quantities(s)
	}
	v.Arms = v.arms()
	return v
}

// columnsOf returns the names of the quantiles that a summary speaks of: p50,
// p90 and p99 of every arm, and those that were asked for in differences.
func columnsOf(s *summary.Summary) []string {
	quantiles := []float64{0.5, 0.9, 0.99}
	for _, d := range s.Differences {
		if d.Quantile > 0 && d.Quantile < 1 {
			quantiles = append(quantiles, d.Quantile)
		}
	}
	slices.Sort(quantiles)
	names := make([]string, len(quantiles))
	for i, q := range quantiles {
		names[i] = quantity.Quantile(q)
	}
	return slices.Compact(names)
}

func columnName(d *summary.Difference) string { return quantity.Quantile(d.Quantile) }

// latencyAt returns how to read a quantile by its name, and whether a summary has it.
func latencyAt(name string) (of func(summary.LatencyUs) float64, ok bool) {
	switch name {
	case "p50":
		return func(l summary.LatencyUs) float64 { return l.P50 }, true
	case "p90":
		return func(l summary.LatencyUs) float64 { return l.P90 }, true
	case "p95":
		return func(l summary.LatencyUs) float64 { return l.P95 }, true
	case "p99":
		return func(l summary.LatencyUs) float64 { return l.P99 }, true
	}
	return nil, false
}

// arms writes each arm's latencies, one unit and one step per column. A
// refused run's latencies are not written: nobody knows what they measure.
func (v *view) arms() []armView {
	rows := make([]armView, len(v.Summary.Arms))
	for i, a := range v.Summary.Arms {
		rows[i] = armView{
			Arm: a, Name: clean(a.Name), Path: pathWords(a), Requests: quantity.Count(a.Requests),
			Proof: proofWords(a), Trouble: troubleWords(a),
		}
		if v.Summary.Target == targetFiles && !looked(a) {
			rows[i].Proof = "" // files say nothing of paths, and NotShown says so
		}
	}
	for _, column := range v.Columns {
		texts := make([]string, len(rows)) // of a quantile that summaries do not hold
		for i := range texts {
			texts[i] = "–"
		}
		if of, ok := latencyAt(column); ok {
			texts = v.latencyColumn(column, of)
		}
		for i, text := range texts {
			rows[i].Cells = append(rows[i].Cells, text)
		}
	}
	return rows
}

// latencyColumn writes one latency of every arm, in one unit and to one step.
func (v *view) latencyColumn(name string, of func(summary.LatencyUs) float64) []string {
	var values []float64
	for _, a := range v.Summary.Arms {
		values = append(values, of(a.Latency))
	}
	unit, step := quantity.UnitFor(values...), v.columnStep(name, values)
	texts := make([]string, len(values))
	for i, a := range v.Summary.Arms {
		texts[i] = "–"
		if !v.Refused && a.Requests > a.Failed && v.Summary.Plan.Design != summary.DesignSummaries {
			texts[i] = unit.With(unit.Number(values[i], step))
		}
	}
	return texts
}

// columnStep is the step of the arms' latencies at a quantile: that of the
// least certain difference there, but two or three significant digits.
func (v *view) columnStep(column string, values []float64) float64 {
	largest := 0.0
	for _, us := range values {
		largest = math.Max(largest, us)
	}
	step := quantity.SignificantStep(largest, 3)
	for _, d := range v.Summary.Differences {
		if columnName(&d) == column && hasInterval(d) {
			step = math.Max(step, quantity.Step(d.LowUs, d.HighUs))
		}
	}
	return math.Min(step, quantity.SignificantStep(largest, 2))
}

// hasInterval tells whether a difference has an interval at all.
func hasInterval(d summary.Difference) bool {
	return d.Level > 0 && isFinite(d.LowUs) && isFinite(d.HighUs)
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// differences groups the summary's lines by comparison, in its order, and
// takes the comparison of an arm with its twin out: it is no answer, but the
// measure of the others.
func (v *view) differences() (rows []differenceView, aa *differenceView) {
	for i := range v.Summary.Differences {
		d := &v.Summary.Differences[i]
		at := slices.IndexFunc(rows, func(r differenceView) bool { return r.Of == d.Of })
		if at < 0 {
			at = len(rows)
			rows = append(rows, differenceView{
				Of: d.Of, Name: differenceName(d.Of), Interval: intervalWords(d.Level), Basis: basisWords(d),
				Cells: make([]differenceCell, len(v.Columns)),
			})
		}
		if column := slices.Index(v.Columns, columnName(d)); column >= 0 {
			rows[at].Cells[column] = newDifferenceCell(d, v.floorUs(v.Columns[column]))
			if c := &rows[at].Cells[column]; v.Summary.Target == targetFiles && hasInterval(*d) {
				c.Estimate = c.signed(d.EstimateUs) // of these runs, whatever caused it
			}
		}
	}
	if i := slices.IndexFunc(rows, func(r differenceView) bool { return isTwinDifference(v.Summary, r.Of) }); i >= 0 {
		twin := rows[i]
		for k, c := range twin.Cells {
			if c.Difference != nil && hasInterval(*c.Difference) { // not an answer: nothing is held back
				twin.Cells[k].Estimate = c.signed(c.Difference.EstimateUs)
			}
		}
		return slices.Delete(rows, i, i+1), &twin
	}
	return rows, nil
}

// isTwinDifference tells whether a comparison is of an arm with its A/A twin.
func isTwinDifference(s *summary.Summary, of string) bool {
	return slices.ContainsFunc(s.Arms, func(a summary.Arm) bool {
		return a.TwinOf != "" && (of == a.TwinOf+" - "+a.Name || of == a.Name+" - "+a.TwinOf)
	})
}

func newDifferenceCell(d *summary.Difference, floorUs float64) differenceCell {
	c := differenceCell{
		Difference: d,
		unit:       quantity.UnitFor(d.EstimateUs, d.LowUs, d.HighUs, floorUs),
		step:       quantity.Step(d.LowUs, d.HighUs),
	}
	c.Estimate, c.Interval = "cannot tell", "no interval"
	if hasInterval(*d) {
		c.Interval = c.unit.With(c.unit.Interval(d.LowUs, d.HighUs, c.step))
		if d.Verdict != summary.CannotTell {
			c.Estimate = c.signed(d.EstimateUs)
		}
	}
	return c
}

// signed writes another number (µs) of the same cell in its unit and to its step.
func (c differenceCell) signed(us float64) string { return c.unit.With(c.unit.Signed(us, c.step)) }

// spread writes a half-width or a standard deviation (µs) in the cell's unit,
// to its step or finer, so that a small one does not become zero.
func (c differenceCell) spread(us float64) string {
	return c.unit.With(c.unit.Number(us, math.Min(c.step, quantity.SignificantStep(us, 1))))
}

// basis says on what the differences rest: one line if it is the same for
// all, else one line for each.
func (v *view) basis() []string {
	var all, distinct []string
	for _, d := range v.Differences {
		words := d.Interval + "s from " + d.Basis + "."
		if !d.HasInterval() {
			words = "No interval: " + d.Basis + "."
		}
		all = append(all, d.Name+": "+words)
		distinct = append(distinct, words)
	}
	distinct = slices.Compact(distinct)
	if len(distinct) > 1 {
		distinct = all
	}
	if words := v.between(); words != "" {
		distinct = append(distinct, words)
	}
	return distinct
}

// between says how much of each interval the starts make: the spread of the
// replicates beyond what their own requests explain. "" without replicates.
func (v *view) between() string {
	var parts []string
	for _, d := range v.Differences {
		var spreads []string
		for i, c := range d.Cells {
			if c.Difference == nil || c.Difference.Replicates < 2 {
				continue
			}
			size := "nothing"
			if c.Difference.BetweenUs > 0 {
				size = c.spread(c.Difference.BetweenUs)
			}
			spreads = append(spreads, size+" at "+v.Columns[i])
		}
		if len(spreads) > 0 {
			parts = append(parts, joinNonEmpty(" ", d.Name+":", strings.Join(spreads, ", ")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Between replicates, beyond their own noise (standard deviation): " + strings.Join(parts, "; ") + "."
}

// basisWords says on what a difference rests.
func basisWords(d *summary.Difference) string {
	if d.Blocks > 0 {
		return joinNonEmpty("; ", plural(d.Blocks, "block")+" of "+trimFloat(twoDigits(d.BlockS))+" s", clean(d.Method))
	}
	text := plural(d.Replicates, "replicate") + ", " + plural(d.Windows, "window")
	if d.Voided > 0 {
		text += " (" + quantity.Count(int64(d.Voided)) + " more voided)"
	}
	if d.Method != "" {
		text += "; " + clean(d.Method)
	}
	return text
}

func (v *view) floorUs(column string) float64 { return v.Summary.NoiseFloorUs[column] }

// twoDigits rounds to two significant digits.
func twoDigits(v float64) float64 {
	if v <= 0 {
		return v
	}
	p := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/p) * p
}

// floor writes the A/A floor of each column, in the unit and to the step of
// the first difference there, or of its own. It is nil when no floor was measured.
func (v *view) floor() []string {
	if len(v.Summary.NoiseFloorUs) == 0 {
		return nil
	}
	cells := make([]string, len(v.Columns))
	for i, column := range v.Columns {
		us, measured := v.Summary.NoiseFloorUs[column]
		if !measured {
			continue
		}
		cell := differenceCell{unit: quantity.UnitFor(us), step: quantity.SignificantStep(us, 2)}
		if len(v.Differences) > 0 && v.Differences[0].Cells[i].Difference != nil {
			cell = v.Differences[0].Cells[i]
		}
		cells[i] = "±" + cell.spread(us)
	}
	return cells
}

func (v *view) floorLabel() string {
	if v.Floor == nil && v.Summary.Target == targetFiles {
		return ""
	}
	if v.Floor == nil {
		return "A/A floor: not measured"
	}
	return "A/A floor"
}

// marks returns the footnote marks of a place.
func (v *view) marks(place string, around ...string) string {
	return marks(v.Notes.at(place, around...))
}

// armCells returns an arm's latencies with their marks, one per column.
func (v *view) armCells(a armView) []cell {
	cells := make([]cell, len(a.Cells))
	for i, text := range a.Cells {
		cells[i] = cell{text, v.marks(cellPlace(a.Arm.Name, v.Columns[i]), v.Columns[i], a.Arm.Name)}
	}
	return cells
}

// floorCells returns the A/A floor with the marks of the comparison it comes from.
func (v *view) floorCells() []cell {
	cells := plain(v.Floor...)
	for i := range cells {
		if v.AA != nil {
			cells[i].marks = v.marks(cellPlace(v.AA.Of, v.Columns[i]), v.Columns[i])
		}
	}
	return cells
}

// estimateCells returns a comparison's estimates with their marks, one per column.
func (v *view) estimateCells(d differenceView) []cell {
	cells := make([]cell, len(d.Cells))
	for i, c := range d.Cells {
		if c.Difference == nil {
			cells[i] = cell{text: "–"}
			continue
		}
		cells[i] = cell{c.Estimate, v.marks(cellPlace(d.Of, v.Columns[i]), v.Columns[i], d.Of)}
	}
	return cells
}
