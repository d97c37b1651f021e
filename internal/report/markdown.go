package report

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/summary"
)

// Markdown writes a result for a pull request: the answer, one table, and a
// folded block with the rest. It needs no picture to be understood.
func Markdown(w io.Writer, r *summary.Result) error {
	m := &markdown{view: newView(&r.Summary)}
	m.answer()
	m.table()
	m.notes()
	m.folded(&r.Detail)
	_, err := io.WriteString(w, m.out.String())
	return err
}

type markdown struct {
	view *view
	out  strings.Builder
}

// block writes a paragraph and the empty line after it.
func (m *markdown) block(text string) { m.out.WriteString(text + "\n\n") }

func (m *markdown) item(text string) { m.out.WriteString("- " + text + "\n") }

func (m *markdown) row(cells ...string) {
	m.out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func (m *markdown) answer() {
	for _, sentence := range m.view.Answer {
		m.block("**" + mdSentence(sentence) + "**")
	}
	m.block(mdText(m.view.NotWhat))
	if m.view.Partial != "" {
		m.block("⚠ " + mdText(m.view.Partial))
	}
	m.command("Finish it with:", m.view.Resume)
	for _, warning := range m.view.Notes.Run {
		m.block("⚠ Warning: " + mdText(clean(warning.Text)))
	}
	if !m.view.Refused {
		return
	}
	m.block("What contradicts the plan:")
	for _, c := range m.view.Summary.Contradictions {
		m.item(mdText(contradictionWords(c)))
	}
	m.out.WriteString("\n")
}

// table is the arms with their proof, the differences and the A/A floor.
func (m *markdown) table() {
	v := m.view
	head, rule := []string{"arm"}, []string{"---"}
	for _, column := range v.Columns {
		head, rule = append(head, column+v.marks(column)), append(rule, "---:")
	}
	m.row(append(head, "path and proof")...)
	m.row(append(rule, "---")...)
	for _, a := range v.Arms {
		cells := append([]string{mdText(a.Name) + v.marks(a.Arm.Name)}, joinCells(v.armCells(a))...)
		m.row(append(cells, mdText(joinNonEmpty(": ", a.Path, joinNonEmpty("; ", a.Proof, a.Trouble))))...)
	}
	for _, d := range v.Differences {
		cells := []string{"**" + mdText(d.Name) + "**" + v.marks(d.Of)}
		intervals := []string{d.Interval}
		for i, c := range v.estimateCells(d) {
			cells = append(cells, "**"+c.text+"**"+c.marks)
			intervals = append(intervals, d.Cells[i].Interval)
		}
		m.row(append(cells, "")...)
		m.row(append(intervals, "")...)
	}
	if len(v.Differences) > 0 && v.floorLabel() != "" {
		cells := append([]string{v.floorLabel()}, joinCells(v.floorCells())...)
		for len(cells) < len(v.Columns)+2 {
			cells = append(cells, "")
		}
		m.row(cells...)
	}
	m.out.WriteString("\n")
	m.quantities()
}

// quantities is what else was compared.
func (m *markdown) quantities() {
	of := ""
	for i, q := range m.view.Quantities {
		if q.Of != of || i == 0 {
			if i > 0 {
				m.out.WriteString("\n")
			}
			of = q.Of
			a, b, kind := armsOf(of)
			m.row(mdText(kind), mdText(a), mdText(b), "difference", "interval")
			m.row("---", "---:", "---:", "---:", "---:")
		}
		m.row(mdText(q.What), q.A, q.B, q.Estimate, q.Interval)
	}
	if len(m.view.Quantities) > 0 {
		m.out.WriteString("\n")
	}
}

func joinCells(cells []cell) []string {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = c.text + c.marks
	}
	return texts
}

func (m *markdown) notes() {
	for _, n := range m.view.Notes.Numbered {
		m.block(superscript(n.Number) + " " + mdText(n.Words()))
	}
	m.block("Verdict: **" + mdText(verdictWords(m.view.Summary.Verdict)) + "**")
}

// folded is the block that opens on demand: budgets, ledger, plan, machine,
// method, commands and limits.
func (m *markdown) folded(d *summary.Detail) {
	v, s := m.view, m.view.Summary
	m.block("<details><summary>How it was measured, and what it does not show</summary>")
	for _, words := range v.basis() {
		m.block(mdText(words))
	}
	for _, b := range v.Budgets {
		m.item(mdText(fmt.Sprintf("budget %s: %s, %s %s", b.Budget, b.Verdict, b.Estimate, b.Interval)))
	}
	if v.Ledger != nil {
		m.item(mdText(v.Ledger.Title + ":"))
		for _, r := range v.Ledger.Rows {
			m.out.WriteString("  - " + mdText(joinNonEmpty(", ", r.Part+" "+r.Number, r.By)) + "\n")
		}
	}
	m.item(mdText("plan: " + planWords(s.Plan)))
	m.item(mdText("run: " + clean(s.Run) + ", seed " + strconv.FormatUint(s.Seed, 10)))
	for _, kv := range d.Machine {
		m.item(mdText(clean(kv.Key) + ": " + clean(kv.Value)))
	}
	m.out.WriteString("\n")
	if d.Method != "" {
		m.block(mdText(clean(d.Method)))
	}
	m.command("Repeat it:", d.Repeat)
	m.command("Render it again:", d.Render)
	if len(d.NotShown) > 0 {
		m.block("What this does not show:")
	}
	for _, limit := range d.NotShown {
		m.item(mdText(clean(limit)))
	}
	m.out.WriteString("\n</details>\n")
}

// command shows a command as indented code, which no text inside can end.
func (m *markdown) command(title, command string) {
	if command != "" {
		m.block(title)
		m.block("    " + clean(command))
	}
}

// mdText escapes text so that it is shown as it is.
func mdText(text string) string { return printable.Markdown(text) }

// mdSentence escapes a sentence and keeps its code spans.
func mdSentence(text string) string {
	var out strings.Builder
	for _, s := range codeSpans(text) {
		if s.Code {
			out.WriteString("`" + s.Text + "`")
		} else {
			out.WriteString(mdText(s.Text))
		}
	}
	return out.String()
}

// phrase is a part of a sentence: plain text, or a name that the sentence sets in backticks.
type phrase struct {
	Text string
	Code bool
}

var codeSpan = regexp.MustCompile("`[A-Za-z0-9._-]+`")

// codeSpans splits a sentence at the names that it sets in backticks. Only
// names of plain characters count, so that nothing needs escaping inside.
func codeSpans(text string) []phrase {
	var spans []phrase
	at := 0
	for _, m := range codeSpan.FindAllStringIndex(text, -1) {
		if m[0] > at {
			spans = append(spans, phrase{Text: text[at:m[0]]})
		}
		spans = append(spans, phrase{Text: text[m[0]+1 : m[1]-1], Code: true})
		at = m[1]
	}
	if at < len(text) {
		spans = append(spans, phrase{Text: text[at:]})
	}
	return spans
}
