package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/report/chart"
	"github.com/hoplab/hoplab/internal/summary"
)

// windowFigure is the difference at the median, window by window.
func (p *htmlPage) windowFigure(styles map[string]chart.Style) htmlFigure {
	f := htmlFigure{ID: "windows", Heading: "Over time"}
	d := p.primary()
	if d == nil {
		f.Absent = "Nothing to draw: no difference was computed."
		return f
	}
	windows, every := chart.Thin(cleanWindows(p.Detail.Windows))
	in := chart.Windows{Name: d.Name, Style: p.styleOf(d.Of, styles), Windows: windows,
		Replicates: cleanReplicates(p.Detail.Replicates), Source: p.source()}
	if c := p.atMedian(); c != nil {
		in.HasInterval, in.EstimateText = true, c.Estimate
		in.EstimateUs, in.LowUs, in.HighUs = c.Difference.EstimateUs, c.Difference.LowUs, c.Difference.HighUs
	}
	f.Caption = p.windowCaption(d, every)
	f.Table = p.replicateTable()
	f.draw(d.Name+" at p50 in each window", "Nothing to draw: the run holds no windows.",
		func(about chart.Figure, form chart.Form) string { return chart.DrawWindows(in, about, form) })
	return f
}

func cleanWindows(windows []summary.Window) []summary.Window {
	out := slices.Clone(windows)
	for i := range out {
		out[i].Void = clean(out[i].Void)
	}
	return out
}

func cleanReplicates(replicates []summary.Replicate) []summary.Replicate {
	out := slices.Clone(replicates)
	for i := range out {
		out[i].Missing, out[i].Note = clean(out[i].Missing), clean(out[i].Note)
	}
	return out
}

func (p *htmlPage) windowCaption(d *differenceView, every int) string {
	text := "Each dot is the p50 difference inside one window, each bar a replicate's own estimate"
	if d.HasInterval() {
		text += ", the band the headline " + d.Interval
	}
	text += ". Bars that spread more than their dots show that each start has an offset of its own."
	if reasons := voidReasons(p.Detail.Windows); len(reasons) > 0 {
		text += " Hollow dots are windows that were voided: " + strings.Join(reasons, ", ") + "."
	} else {
		text += " No window was voided."
	}
	var missing []string
	for _, r := range p.Detail.Replicates {
		if r.Missing != "" {
			missing = append(missing, fmt.Sprintf(" Replicate %d does not count: %s.", r.Index, strings.TrimSuffix(clean(r.Missing), ".")))
		}
	}
	text += strings.Join(missing, "")
	if every > 1 {
		text += fmt.Sprintf(" Of %s windows, one in %d is drawn; all are counted.", quantity.Count(int64(len(p.Detail.Windows))), every)
	}
	return text
}

// voidReasons counts the voided windows by reason, the commonest first; rare
// ones beyond the fourth are counted together.
func voidReasons(windows []summary.Window) []string {
	const most = 4
	type reason struct {
		text  string
		count int
	}
	var reasons []reason
	for _, w := range windows {
		if w.Void == "" {
			continue
		}
		i := slices.IndexFunc(reasons, func(r reason) bool { return r.text == w.Void })
		if i < 0 {
			i = len(reasons)
			reasons = append(reasons, reason{text: w.Void})
		}
		reasons[i].count++
	}
	slices.SortStableFunc(reasons, func(a, b reason) int { return b.count - a.count })
	var out []string
	others := 0
	for i, r := range reasons {
		if i < most {
			out = append(out, fmt.Sprintf("%s for %s", quantity.Count(int64(r.count)), clean(r.text)))
		} else {
			others += r.count
		}
	}
	if others > 0 {
		out = append(out, quantity.Count(int64(others))+" for other reasons")
	}
	return out
}

// replicateTable has a row for each replicate, with the range of its windows.
func (p *htmlPage) replicateTable() *htmlTable {
	t := &htmlTable{Caption: "Replicates", Sticky: true, Head: []htmlCell{
		word("replicate"), number("difference at p50"), number("windows"), number("lowest window"), number("highest window"),
		number("voided"), word("note")}}
	unit, step := p.windowUnit()
	for _, r := range p.Detail.Replicates {
		counted, voided := 0, 0
		low, high := math.Inf(1), math.Inf(-1)
		for _, w := range p.Detail.Windows {
			switch {
			case w.Replicate != r.Index:
			case w.Void != "":
				voided++
			default:
				counted++
				low, high = min(low, w.DiffUs), max(high, w.DiffUs)
			}
		}
		own, lowest, highest, note := unit.With(unit.Signed(r.DiffUs, step)), "–", "–", r.Note
		if counted > 0 {
			lowest, highest = unit.With(unit.Signed(low, step)), unit.With(unit.Signed(high, step))
		}
		if r.Missing != "" {
			own, note = "–", "does not count: "+r.Missing
		}
		t.add(word(quantity.Count(int64(r.Index))), number(own), number(quantity.Count(int64(counted))), number(lowest), number(highest),
			number(quantity.Count(int64(voided))), word(orDash(clean(note))))
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// windowUnit is the unit and the step of the windows: those of the headline
// difference, or three digits of the largest.
func (p *htmlPage) windowUnit() (quantity.Unit, float64) {
	if c := p.atMedian(); c != nil {
		return c.unit, math.Max(c.step/10, quantity.Finest)
	}
	largest := 0.0
	for _, r := range p.Detail.Replicates {
		largest = max(largest, math.Abs(r.DiffUs))
	}
	return quantity.UnitFor(largest), quantity.SignificantStep(largest, 3)
}
