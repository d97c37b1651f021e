package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// htmlTable is a table of the page; the first cell of a row names it.
type htmlTable struct {
	Caption string
	Marks   []int // at the caption
	Sticky  bool  // the first column stays when the table is scrolled on a phone
	Head    []htmlCell
	Rows    []htmlRow
}

type htmlRow struct {
	Strong bool
	Cells  []htmlCell
}

type htmlCell struct {
	Text   string
	Number bool
	Marks  []int
}

func word(text string) htmlCell   { return htmlCell{Text: text} }
func number(text string) htmlCell { return htmlCell{Text: text, Number: true} }

func (t *htmlTable) add(cells ...htmlCell) { t.Rows = append(t.Rows, htmlRow{Cells: cells}) }

// answerTables are one small table for each difference, a row for each
// quantile, so that they fit a phone.
func (p *htmlPage) answerTables() []*htmlTable {
	var tables []*htmlTable
	for _, d := range p.Differences {
		t := &htmlTable{Caption: d.Name, Marks: p.view.Notes.at(d.Of),
			Head: []htmlCell{word(""), number("difference"), number(d.Interval)}}
		if p.Floor != nil {
			t.Head = append(t.Head, number("A/A floor"))
		}
		for i, c := range d.Cells {
			if c.Difference == nil {
				continue
			}
			row := []htmlCell{{Text: p.Columns[i], Marks: p.view.Notes.at(p.Columns[i])}, p.estimateCell(d, i), number(c.Interval)}
			if p.Floor != nil {
				row = append(row, htmlCell{Text: orDash(p.Floor[i]), Number: true, Marks: p.floorMarks(i)})
			}
			t.add(row...)
		}
		tables = append(tables, t)
	}
	return tables
}

func (p *htmlPage) quantileHead(first string) []htmlCell {
	head := []htmlCell{word(first)}
	for _, column := range p.Columns {
		head = append(head, htmlCell{Text: column, Number: true, Marks: p.view.Notes.at(column)})
	}
	return head
}

func (p *htmlPage) estimateCell(d differenceView, i int) htmlCell {
	if d.Cells[i].Difference == nil {
		return number("–")
	}
	return htmlCell{Text: d.Cells[i].Estimate, Number: true, Marks: p.view.Notes.at(cellPlace(d.Of, p.Columns[i]), p.Columns[i], d.Of)}
}

func (p *htmlPage) floorCells() []htmlCell {
	cells := []htmlCell{word("A/A floor")}
	for i := range p.Columns {
		if p.Floor == nil {
			cells = append(cells, number("–"))
		} else {
			cells = append(cells, htmlCell{Text: orDash(p.Floor[i]), Number: true, Marks: p.floorMarks(i)})
		}
	}
	return cells
}

// floorMarks are the warnings about the comparison that the floor comes from.
func (p *htmlPage) floorMarks(i int) []int {
	if p.AA == nil {
		return nil
	}
	return p.view.Notes.at(cellPlace(p.AA.Of, p.Columns[i]), p.Columns[i])
}

func (p *htmlPage) budgetTable() *htmlTable {
	if len(p.view.Budgets) == 0 {
		return nil
	}
	t := &htmlTable{Caption: "Budgets", Head: []htmlCell{word("budget"), word("verdict"), number("interval")}}
	for _, b := range p.view.Budgets {
		t.add(word(b.Budget), word(b.Verdict), number(b.Interval))
	}
	return t
}

// numbers are the full tables: latencies, proof, and each difference.
func (p *htmlPage) numbers() []*htmlTable {
	tables := []*htmlTable{p.latencyTable(), p.proofTable()}
	for _, d := range p.Differences {
		tables = append(tables, p.differenceTable(d))
	}
	if p.AA != nil {
		aa := p.differenceTable(*p.AA)
		aa.Caption += " (A/A: the same path twice, where no difference is the sound result)"
		tables = append(tables, aa)
	}
	return append(tables, p.quantityTables()...)
}

// quantityTables are what else was compared, a table for each difference.
func (p *htmlPage) quantityTables() []*htmlTable {
	var tables []*htmlTable
	of := ""
	for _, q := range p.Quantities {
		if q.Of != of || len(tables) == 0 {
			of = q.Of
			a, b, _ := armsOf(of)
			tables = append(tables, &htmlTable{Caption: of + ": means, shares and failures", Sticky: true,
				Head: []htmlCell{word(""), number(a), number(b), number("difference"), number("interval")}})
		}
		tables[len(tables)-1].add(word(q.What), number(q.A), number(q.B), number(q.Estimate), number(q.Interval))
	}
	return tables
}

// latencyTable has a row for each arm.
func (p *htmlPage) latencyTable() *htmlTable {
	t := &htmlTable{Caption: "Latency of each arm", Sticky: true, Head: []htmlCell{word("arm"), number("requests")}}
	for _, a := range p.Arms {
		t.add(htmlCell{Text: a.Name, Marks: p.view.Notes.at(a.Arm.Name)}, number(a.Requests))
	}
	columns := []struct {
		name string
		of   func(summary.LatencyUs) float64
	}{
		{"min", func(l summary.LatencyUs) float64 { return l.Min }}, {"p50", func(l summary.LatencyUs) float64 { return l.P50 }},
		{"p90", func(l summary.LatencyUs) float64 { return l.P90 }}, {"p95", func(l summary.LatencyUs) float64 { return l.P95 }},
		{"p99", func(l summary.LatencyUs) float64 { return l.P99 }}, {"max", func(l summary.LatencyUs) float64 { return l.Max }},
		{"mean", func(l summary.LatencyUs) float64 { return l.Mean }},
	}
	for _, column := range columns {
		t.Head = append(t.Head, htmlCell{Text: column.name, Number: true, Marks: p.view.Notes.at(column.name)})
		for i, text := range p.latencyColumn(column.name, column.of) {
			t.Rows[i].Cells = append(t.Rows[i].Cells, htmlCell{Text: text, Number: true,
				Marks: p.view.Notes.at(cellPlace(p.Arms[i].Arm.Name, column.name), column.name, p.Arms[i].Arm.Name)})
		}
	}
	return t
}

// proofTable says what proved each arm's path.
func (p *htmlPage) proofTable() *htmlTable {
	t := &htmlTable{Caption: "Path and proof of each arm", Sticky: true, Head: []htmlCell{
		word("arm"), word("path"), word("proof"), word("by"), number("agent counted"), number("bytes")}}
	for _, a := range p.Arms {
		e := a.Arm.Evidence
		counter, bytes := "not read", "–"
		if e.AgentCounter >= 0 && a.Arm.Requests > 0 {
			counter = quantity.Count(e.AgentCounter)
		}
		if e.ResponseBytes > 0 {
			bytes = quantity.Count(int64(e.ResponseBytes))
		}
		t.add(htmlCell{Text: a.Name, Marks: p.view.Notes.at(a.Arm.Name)}, word(orDash(a.Path)), word(joinNonEmpty("; ", a.Proof, a.Trouble)),
			word(orDash(clean(strings.Join(e.By, ", ")))), number(counter), number(bytes))
	}
	return t
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// differenceTable is everything about one comparison, a column for each quantile.
func (p *htmlPage) differenceTable(d differenceView) *htmlTable {
	t := &htmlTable{Caption: d.Name, Sticky: true, Head: p.quantileHead("")}
	for _, line := range []struct {
		name string
		of   func(c differenceCell) string
	}{
		{d.Interval, func(c differenceCell) string { return c.Interval }},
		{"interval within replicates", withinWords},
		{"spread between replicates", betweenWords},
		{"replicates", func(c differenceCell) string { return quantity.Count(int64(c.Difference.Replicates)) }},
		{"windows", func(c differenceCell) string { return quantity.Count(int64(c.Difference.Windows)) }},
		{"windows voided", func(c differenceCell) string { return quantity.Count(int64(c.Difference.Voided)) }},
		{"p (sign flip)", func(c differenceCell) string { return probabilityWords(c.Difference.P) }},
		{"p (Holm)", func(c differenceCell) string { return probabilityWords(c.Difference.PHolm) }},
		{"verdict", func(c differenceCell) string { return verdictWords(c.Difference.Verdict) }},
	} {
		cells := []htmlCell{word(line.name)}
		for _, c := range d.Cells {
			text := "–"
			if c.Difference != nil {
				text = line.of(c)
			}
			cells = append(cells, number(text))
		}
		t.add(cells...)
	}
	estimate := htmlRow{Strong: true, Cells: []htmlCell{{Text: "estimate", Marks: p.view.Notes.at(d.Of)}}}
	for i := range d.Cells {
		estimate.Cells = append(estimate.Cells, p.estimateCell(d, i))
	}
	rows := []htmlRow{estimate, t.Rows[0]}
	if (p.AA == nil || d.Of != p.AA.Of) && p.floorLabel() != "" {
		rows = append(rows, htmlRow{Cells: p.floorCells()})
	}
	t.Rows = append(rows, t.Rows[1:]...)
	return t
}

// withinWords is the interval that takes the replicates for granted.
func withinWords(c differenceCell) string {
	d := c.Difference
	if d.WithinLowUs == d.WithinHighUs || !isFinite(d.WithinLowUs) || !isFinite(d.WithinHighUs) {
		return "no interval"
	}
	step := math.Min(c.step, quantity.Step(d.WithinLowUs, d.WithinHighUs))
	return c.unit.With(c.unit.Interval(d.WithinLowUs, d.WithinHighUs, step))
}

// betweenWords is the spread of the replicates; one alone has none.
func betweenWords(c differenceCell) string {
	if c.Difference.Replicates < 2 {
		return "–"
	}
	return c.spread(c.Difference.BetweenUs)
}

// probabilityWords writes a p-value with two significant digits.
// One that was not computed is a dash.
func probabilityWords(p *float64) string {
	switch {
	case p == nil:
		return "–"
	case *p < 0.001:
		return "< 0.001"
	}
	return strconv.FormatFloat(*p, 'g', 2, 64)
}
