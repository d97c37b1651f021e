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

// htmlFigure is one section with a picture, or with the reason why there is none.
type htmlFigure struct {
	ID, Heading string
	Pictures    []markup
	Caption     string
	Table       *htmlTable
	Absent      string
}

// figures are sections 2 to 6, in the order of the page.
func (p *htmlPage) figures() []htmlFigure {
	styles := p.styles()
	figures := []htmlFigure{p.pathFigure(styles)}
	if p.Refused {
		const why = "Not drawn: the evidence contradicts the plan, so nobody knows what these latencies measure."
		return append(figures,
			htmlFigure{ID: "difference", Heading: "Difference by quantile", Absent: why},
			htmlFigure{ID: "latencies", Heading: "Latencies", Absent: why},
			htmlFigure{ID: "windows", Heading: "Over time", Absent: why},
			htmlFigure{ID: "ledger", Heading: "Where the time goes", Absent: why})
	}
	return append(figures, p.differenceFigure(styles), p.latencyFigure(styles), p.windowFigure(styles), p.ledgerFigure(styles))
}

func (p *htmlPage) styles() map[string]chart.Style {
	var names []string
	twinOf := map[string]string{}
	for _, a := range p.Summary.Arms {
		names = append(names, a.Name)
		if a.TwinOf != "" {
			twinOf[a.Name] = a.TwinOf
		}
	}
	return chart.Styles(names, twinOf)
}

// draw makes both forms of a picture. The chart package escapes all text, so
// its SVG is safe to put into the page as it is.
func (f *htmlFigure) draw(title, absent string, picture func(chart.Figure, chart.Form) string) {
	about := chart.Figure{ID: f.ID, Title: title, Desc: f.Caption}
	for _, form := range []chart.Form{chart.Wide, chart.Narrow} {
		if svg := picture(about, form); svg != "" {
			f.Pictures = append(f.Pictures, markup(svg))
		}
	}
	if len(f.Pictures) == 0 {
		f.Absent = absent
	}
}

func (p *htmlPage) pathFigure(styles map[string]chart.Style) htmlFigure {
	f := htmlFigure{ID: "paths", Heading: "Which way it went"}
	var captions []string
	for _, a := range p.Arms {
		if a.Arm.TwinOf == "" {
			captions = append(captions, fmt.Sprintf("%s: %s", a.Name, joinNonEmpty("; ", a.Proof, a.Trouble)))
		}
	}
	f.Caption = strings.Join(captions, ". ") + "."
	var rows []chart.PathRow
	f.Table = &htmlTable{Caption: "Every stop of every path", Sticky: true,
		Head: []htmlCell{word("arm"), word("stop"), word("ports"), number("proved"), word("by")}}
	for _, path := range p.paths() {
		row := chart.PathRow{Arm: clean(path.Arm), Style: styles[path.Arm], Around: p.aroundWords(path.Arm)}
		for _, b := range path.Boxes {
			b.Name, b.Ports, b.By = clean(b.Name), clean(b.Ports), clean(b.By)
			row.Boxes = append(row.Boxes, b)
			proved := "–"
			if chart.Counted(b) {
				proved = quantity.Count(b.Proved)
			}
			f.Table.add(word(row.Arm), word(b.Name), word(orDash(b.Ports)), number(proved), word(orDash(b.By)))
		}
		if len(row.Boxes) > 0 {
			rows = append(rows, row)
		}
	}
	f.draw("The path of each arm, with ports and proof", "Nothing to draw: the paths were not recorded.",
		func(about chart.Figure, form chart.Form) string { return chart.DrawPaths(rows, about, form) })
	return f
}

// paths are the recorded paths, or, when none were recorded, those that the
// arms name, without ports and proof.
func (p *htmlPage) paths() []summary.Path {
	twins := map[string]bool{}
	for _, a := range p.Summary.Arms {
		twins[a.Name] = a.TwinOf != ""
	}
	var paths []summary.Path
	for _, path := range p.Detail.Paths {
		if !twins[path.Arm] { // a twin's path is its arm's
			paths = append(paths, path)
		}
	}
	if len(paths) > 0 {
		return paths
	}
	for _, a := range p.Summary.Arms {
		if a.Path == "" || a.TwinOf != "" {
			continue
		}
		path := summary.Path{Arm: a.Name}
		for _, name := range strings.Split(a.Path, "→") {
			path.Boxes = append(path.Boxes, summary.Box{Name: strings.TrimSpace(name)})
		}
		paths = append(paths, path)
	}
	return paths
}

// aroundWords says of an agent that an arm goes around whether that was true of all its requests.
func (p *htmlPage) aroundWords(arm string) string {
	for _, a := range p.Summary.Arms {
		if a.Name == arm && a.Evidence.Contradictions > 0 {
			return "passed by " + quantity.Count(a.Evidence.Contradictions)
		}
	}
	return "not passed"
}

func (p *htmlPage) differenceFigure(styles map[string]chart.Style) htmlFigure {
	f := htmlFigure{ID: "difference", Heading: "Difference by quantile"}
	d := p.primary()
	if d == nil {
		f.Absent = "Nothing to draw: no difference was computed."
		return f
	}
	f.Caption = p.differenceCaption(d)
	in := chart.Difference{Name: d.Name, Style: p.styleOf(d.Of, styles), Points: p.Detail.Difference, Source: p.source()}
	if p.hasBand(d) {
		in.Interval = d.Interval
	}
	for i, c := range d.Cells {
		if c.Difference != nil && hasInterval(*c.Difference) {
			in.Marks = append(in.Marks, chart.Mark{Q: c.Difference.Quantile, EstimateUs: c.Difference.EstimateUs,
				LowUs: c.Difference.LowUs, HighUs: c.Difference.HighUs, Text: c.Estimate,
				Weak: len(p.view.Notes.touching(d.Of, p.Columns[i])) > 0})
		}
	}
	f.Table = p.curveTable(d)
	f.draw(d.Name+" at each quantile", "Nothing to draw: the run holds too few requests for a difference by quantile.",
		func(about chart.Figure, form chart.Form) string { return chart.DrawDifference(in, about, form) })
	return f
}

// styleOf is the look of the first arm of a difference.
func (p *htmlPage) styleOf(of string, styles map[string]chart.Style) chart.Style {
	best := ""
	for _, a := range p.Summary.Arms {
		if strings.HasPrefix(of, a.Name+" - ") && len(a.Name) > len(best) {
			best = a.Name
		}
	}
	if s, ok := styles[best]; ok {
		return s
	}
	return chart.Styles([]string{"agent"}, nil)["agent"]
}

// hasBand tells whether the curve has an interval anywhere: one replicate gives none.
func (p *htmlPage) hasBand(d *differenceView) bool {
	return d.HasInterval() && slices.ContainsFunc(p.Detail.Difference, func(c summary.CurvePoint) bool { return c.LowUs < c.HighUs })
}

// differenceCaption says what there is to see.
func (p *htmlPage) differenceCaption(d *differenceView) string {
	var told, untold []string
	weak := false
	for i, c := range d.Cells {
		switch {
		case c.Difference == nil:
		case c.Difference.Verdict == summary.CannotTell || !hasInterval(*c.Difference):
			untold = append(untold, p.Columns[i])
		default:
			told = append(told, p.Columns[i])
		}
		weak = weak || c.Difference != nil && len(p.view.Notes.touching(d.Of, p.Columns[i])) > 0
	}
	text := "The line is how much slower " + strings.Replace(d.Name, " − ", " is than ", 1) + " at each quantile"
	if p.hasBand(d) {
		text += ", the band its " + d.Interval + "."
	} else {
		text += ". It has no interval of its own, so it says nothing about chance."
	}
	if p.Floor != nil {
		text += " Hatched is the A/A floor: what two identical arms differ by in this run."
	}
	switch {
	case len(told) > 0 && len(untold) > 0:
		text += " The arms differ at " + andWords(told) + "; at " + andWords(untold) + " this run cannot tell."
	case len(told) > 0:
		text += " The arms differ at " + andWords(told) + "."
	case len(untold) > 0:
		text += " At " + andWords(untold) + " this run cannot tell."
	}
	if weak {
		text += " A hollow point is weakened by a warning."
	}
	return text
}

func andWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// tableQuantiles are the quantiles at which the table below the latencies reads their curves.
var tableQuantiles = []float64{0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999}

func (p *htmlPage) curveTable(d *differenceView) *htmlTable {
	t := &htmlTable{Caption: d.Name, Head: []htmlCell{word("quantile"), number("difference"), number(d.Interval), number("A/A floor")}}
	rows := p.curveRows()
	var all []float64
	for _, r := range rows {
		all = append(all, r.EstimateUs, r.LowUs, r.HighUs)
	}
	unit := quantity.UnitFor(all...)
	for _, r := range rows {
		cell := differenceCell{unit: unit, step: quantity.Step(r.LowUs, r.HighUs)}
		floor := "–"
		if r.AAHalfUs > 0 {
			floor = "±" + cell.spread(r.AAHalfUs)
		}
		t.add(word(shortQuantile(r.Q)), number(cell.signed(r.EstimateUs)), number(unit.With(unit.Interval(r.LowUs, r.HighUs, cell.step))), number(floor))
	}
	if len(rows) == 0 {
		return nil
	}
	return t
}

// curveRows are the computed points that the table shows: the quantiles that
// were asked for, and every so many of the others.
func (p *htmlPage) curveRows() []summary.CurvePoint {
	const most = 14
	points := p.Detail.Difference
	every := (len(points) + most - 1) / most
	var rows []summary.CurvePoint
	for i, point := range points {
		asked := slices.Contains(p.Columns, quantity.Quantile(point.Q))
		if (asked || i%every == 0 || i == len(points)-1) && isFinite(point.LowUs) && isFinite(point.HighUs) {
			rows = append(rows, point)
		}
	}
	return rows
}

// shortQuantile names a quantile with at most one decimal: "p24.6".
func shortQuantile(q float64) string { return quantity.Quantile(math.Round(q*1e3) / 1e3) }

func (p *htmlPage) latencyFigure(styles map[string]chart.Style) htmlFigure {
	f := htmlFigure{ID: "latencies", Heading: "Latencies"}
	f.Caption = "Each curve is an arm; further right is slower. At each height the share of requests named at the left was at least as fast. The marks are p50 and p99."
	in := chart.Latencies{Source: p.source()}
	f.Table = &htmlTable{Caption: "Latency by quantile", Sticky: true, Head: []htmlCell{word("quantile")}}
	for _, q := range tableQuantiles {
		f.Table.add(word(quantity.Quantile(q)))
	}
	for _, curve := range p.Detail.Curves {
		c := chart.Curve{Name: clean(curve.Arm), Style: styles[curve.Arm], Points: curve.Points}
		for _, a := range p.Arms {
			if a.Arm.Name == curve.Arm {
				c.P50, c.P99 = p.cellAt(a, "p50"), p.cellAt(a, "p99")
			}
		}
		in.Curves = append(in.Curves, c)
		f.Table.Head = append(f.Table.Head, number(c.Name))
		for i, q := range tableQuantiles {
			f.Table.Rows[i].Cells = append(f.Table.Rows[i].Cells, number(curveAt(curve, q)))
		}
	}
	f.draw("Cumulative distribution of each arm's latencies", "Nothing to draw: the run holds no latencies.",
		func(about chart.Figure, form chart.Form) string { return chart.DrawLatencies(in, about, form) })
	return f
}

func (p *htmlPage) cellAt(a armView, column string) string {
	for i, name := range p.Columns {
		if name == column {
			return a.Cells[i]
		}
	}
	return ""
}

func curveAt(c summary.Curve, q float64) string {
	us, ok := chart.At(c.Points, q)
	if !ok {
		return "–"
	}
	unit := quantity.UnitFor(us)
	return unit.With(unit.Number(us, quantity.SignificantStep(us, 3)))
}

func (p *htmlPage) ledgerFigure(styles map[string]chart.Style) htmlFigure {
	f := htmlFigure{ID: "ledger", Heading: "Where the time goes"}
	l := p.Ledger
	if l == nil {
		f.Absent = "Not split: this run measured too few arms to tell the parts apart."
		return f
	}
	f.Caption = "Each bar starts where the one above ends; together they are the total. Hatched is the remainder, which no measurement explains."
	in := chart.Waterfall{Title: l.Title, Style: styles[p.Summary.Ledger.Arm]}
	if in.Style.Color == "" {
		in.Style = p.styleOf("", styles)
	}
	f.Table = &htmlTable{Caption: l.Title, Head: []htmlCell{word("part"), number("time"), word("by")}}
	for i, r := range l.Rows {
		row := chart.WaterfallRow{Part: r.Part, By: r.By, Text: r.Number, Us: r.Us}
		switch {
		case i == len(l.Rows)-2:
			row.Kind = chart.Remainder
		case i == len(l.Rows)-1:
			row.Kind = chart.Total
		case strings.Contains(r.Part, "agent"):
			row.Kind = chart.Agent
		}
		in.Rows = append(in.Rows, row)
		f.Table.add(word(r.Part), number(r.Number), word(orDash(r.By)))
	}
	f.draw(l.Title, "", func(about chart.Figure, form chart.Form) string { return chart.DrawWaterfall(in, about, form) })
	return f
}
