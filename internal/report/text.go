package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/summary"
)

// TextOptions says where text goes.
type TextOptions struct {
	Color bool // ANSI emphasis; leave it out when the output is piped
	Width int  // columns of the terminal; 0 means 80, and less than 40 is taken as 40
}

// Text writes a summary for a terminal: the answer, what it is not, the arms
// with their proof, the differences with the A/A floor, budgets, the ledger
// and the plan. Lines fit opts.Width columns unless one word is longer than
// that. Where the width allows, an arm or a difference takes a single line.
func Text(w io.Writer, s *summary.Summary, opts TextOptions) error {
	width := opts.Width
	if width == 0 {
		width = 80
	}
	p := &page{width: max(width, 40), color: opts.Color}
	v := newView(s)
	p.answer(v)
	if v.Refused {
		p.contradictions(s)
	}
	p.tables(v)
	for _, n := range v.Notes.Numbered {
		p.hanging(styleWarning, superscript(n.Number)+" ", n.Words())
	}
	p.gap()
	p.budgets(v)
	p.quantities(v)
	p.ledger(v)
	p.closing(v)
	_, err := io.WriteString(w, p.out.String())
	return err
}

func (p *page) answer(v *view) {
	for _, sentence := range v.Answer {
		p.paragraph(styleStrong, sentence)
	}
	p.paragraph(styleNone, v.NotWhat)
	if v.Partial != "" {
		p.paragraph(styleWarning, v.Partial)
	}
	if v.Resume != "" {
		p.line(styleWarning, "Finish it with:")
		p.line(styleNone, "  "+v.Resume) // not wrapped, so that it can be copied
	}
	for _, warning := range v.Notes.Run {
		p.paragraph(styleWarning, "Warning: "+clean(warning.Text))
	}
	p.gap()
}

func (p *page) contradictions(s *summary.Summary) {
	p.line(styleStrong, "What contradicts the plan:")
	for _, c := range s.Contradictions {
		p.hanging(styleNone, "  ", contradictionWords(c))
	}
	p.gap()
}

// tables writes the arms and the differences, on single lines if they fit.
func (p *page) tables(v *view) {
	arms, differences := wideArms(v).lines(), wideDifferences(v).lines()
	if max(longest(arms), longest(differences)) <= p.width {
		p.lines(arms)
		p.lines(differences)
	} else {
		p.stacked(v)
	}
	p.basis(v)
}

// basis says what stands behind the differences, once if it is the same for all.
func (p *page) basis(v *view) {
	for _, words := range v.basis() {
		p.paragraph(styleNone, words)
	}
	p.gap()
}

func (p *page) budgets(v *view) {
	if len(v.Budgets) == 0 {
		return
	}
	t := &table{right: []bool{false, false, true, true}}
	t.add(plain("budget", "verdict", "difference", "interval")...)
	for _, b := range v.Budgets {
		t.add(plain(b.Budget, b.Verdict, b.Estimate, b.Interval)...)
	}
	p.lines(t.lines())
}

// quantities writes what else was compared, one table for each difference.
func (p *page) quantities(v *view) {
	for from := 0; from < len(v.Quantities); {
		of := v.Quantities[from].Of
		a, b, kind := armsOf(of)
		t := &table{right: []bool{false, true, true, true, true}}
		t.add(plain(kind, a, b, "difference", "interval")...)
		var long []quantityView
		for ; from < len(v.Quantities) && v.Quantities[from].Of == of; from++ {
			q := v.Quantities[from]
			if columns(q.What) > 24 {
				long = append(long, q)
				continue
			}
			t.add(plain(q.What, q.A, q.B, q.Estimate, q.Interval)...)
		}
		if lines := t.lines(); longest(lines) <= p.width {
			p.lines(lines)
		} else {
			for _, row := range t.rows[1:] {
				p.hanging(styleNone, "  ", fmt.Sprintf("%s: %s and %s, %s %s", row[0].text, row[1].text, row[2].text,
					row[3].text, row[4].text))
			}
			p.gap()
		}
		for _, q := range long {
			p.hanging(styleNone, "  ", fmt.Sprintf("%s: %s and %s, %s %s", q.What, q.A, q.B, q.Estimate, q.Interval))
		}
		p.gap()
	}
}

// armsOf splits "agent − bypass", or "agent − bypass, /ping" of one kind of requests.
func armsOf(of string) (a, b, kind string) {
	a, b, _ = strings.Cut(of, " − ")
	b, kind, _ = strings.Cut(b, ", ")
	return a, b, kind
}

func (p *page) ledger(v *view) {
	if v.Ledger == nil {
		return
	}
	p.line(styleStrong, v.Ledger.Title)
	t := &table{right: []bool{false, true}}
	for _, r := range v.Ledger.Rows {
		t.add(plain("  "+r.Part, r.Number)...)
	}
	for i, l := range t.lines() {
		by := v.Ledger.Rows[i].By
		if columns(l)+2+columns(by) <= p.width {
			p.line(styleNone, l+"  "+by)
			continue
		}
		p.line(styleNone, l)
		p.hanging(styleNone, "    ", by)
	}
	p.gap()
}

// lines writes a table and a gap after it.
func (p *page) lines(lines []string) {
	for _, l := range lines {
		p.line(styleNone, l)
	}
	p.gap()
}

func (p *page) closing(v *view) {
	s := v.Summary
	p.hanging(styleStrong, "verdict  ", verdictWords(s.Verdict))
	p.hanging(styleNone, "plan     ", planWords(s.Plan))
	p.hanging(styleNone, "run      ", clean(s.Run)+", seed "+strconv.FormatUint(s.Seed, 10))
}

// wideArms puts each arm on one line, with its path and its proof.
func wideArms(v *view) *table {
	t := &table{right: []bool{false, false, true}}
	head := plain("arm", "path", "requests")
	for _, column := range v.Columns {
		head = append(head, cell{column, v.marks(column)})
		t.right = append(t.right, true)
	}
	t.add(append(head, cell{text: "proof"})...)
	t.right = append(t.right, false)
	for _, a := range v.Arms {
		row := []cell{{a.Name, v.marks(a.Arm.Name)}, {text: a.Path}, {text: a.Requests}}
		row = append(row, v.armCells(a)...)
		t.add(append(row, cell{text: joinNonEmpty("; ", a.Proof, a.Trouble)})...)
	}
	return t
}

// wideDifferences puts each difference on one line: quantile, estimate and
// interval side by side, and the A/A floor below.
func wideDifferences(v *view) *table {
	t := &table{right: []bool{false}}
	for range v.Columns {
		t.right = append(t.right, true, true, false)
	}
	for _, d := range v.Differences {
		row := []cell{{d.Name, v.marks(d.Of)}}
		for i, c := range v.estimateCells(d) {
			row = append(row, cell{text: "  " + v.Columns[i]}, c, cell{text: d.Cells[i].Interval})
		}
		t.add(row...)
	}
	if len(v.Differences) > 0 && v.floorLabel() != "" {
		row := plain(v.floorLabel())
		for i, f := range v.floorCells() {
			row = append(row, cell{text: "  " + v.Columns[i]}, f, cell{})
		}
		t.add(row...)
	}
	return t
}

func joinNonEmpty(sep string, parts ...string) string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, sep)
}
