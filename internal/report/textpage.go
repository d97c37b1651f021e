package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// style is the emphasis of a line; without colour it has no effect.
type style string

const (
	styleNone    style = ""
	styleStrong  style = "\x1b[1m"
	styleWarning style = "\x1b[33m"
	styleReset   style = "\x1b[0m"
)

// page collects lines of text for a terminal.
type page struct {
	width int
	color bool
	out   strings.Builder
}

func (p *page) line(s style, text string) {
	text = strings.TrimRight(text, " ")
	if p.color && s != styleNone && text != "" {
		text = string(s) + text + string(styleReset)
	}
	p.out.WriteString(text + "\n")
}

// gap writes one empty line, however often it is called.
func (p *page) gap() {
	if text := p.out.String(); text != "" && !strings.HasSuffix(text, "\n\n") {
		p.out.WriteString("\n")
	}
}

// paragraph writes wrapped text.
func (p *page) paragraph(s style, text string) { p.hanging(s, "", text) }

// hanging writes wrapped text after a short lead; further lines are indented as far as the lead reaches.
func (p *page) hanging(s style, lead, text string) {
	const readable = 100 // longer lines are hard to read, however wide the terminal
	for _, l := range wrap(text, min(p.width, readable)-columns(lead)) {
		p.line(s, lead+l)
		lead = spaces(columns(lead))
	}
}

// cell is one entry of a table. Footnote marks stand outside the column of the
// text, so that the digits of a column stay below each other.
type cell struct{ text, marks string }

func plain(texts ...string) []cell {
	cells := make([]cell, len(texts))
	for i, text := range texts {
		cells[i].text = text
	}
	return cells
}

// span is the width of a column: of its texts and of their marks.
type span struct{ text, marks int }

// widen makes room for a cell.
func (s *span) widen(c cell) {
	s.text, s.marks = max(s.text, columns(c.text)), max(s.marks, columns(c.marks))
}

// left sets a cell to the left of its column, right to the right.
func (s span) left(c cell) string {
	return c.text + c.marks + spaces(s.text+s.marks-columns(c.text)-columns(c.marks))
}

func (s span) right(c cell) string {
	return spaces(s.text-columns(c.text)) + c.text + c.marks + spaces(s.marks-columns(c.marks))
}

func spaces(n int) string { return strings.Repeat(" ", max(n, 0)) }

// table is rows of cells; right says which columns are set to the right.
type table struct {
	right []bool
	rows  [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// lines sets the table with two spaces between columns.
func (t *table) lines() []string {
	spans := make([]span, len(t.right))
	for _, row := range t.rows {
		for i, c := range row {
			spans[i].widen(c)
		}
	}
	lines := make([]string, len(t.rows))
	for r, row := range t.rows {
		parts := make([]string, len(row))
		for i, c := range row {
			if t.right[i] {
				parts[i] = spans[i].right(c)
			} else {
				parts[i] = spans[i].left(c)
			}
		}
		lines[r] = strings.TrimRight(strings.Join(parts, "  "), " ")
	}
	return lines
}

func longest(lines []string) int {
	n := 0
	for _, l := range lines {
		n = max(n, columns(l))
	}
	return n
}

// wrap breaks text between words into lines of at most limit columns; a
// longer word gets a line of its own. Text without words gives one empty line.
func wrap(text string, limit int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := lines[len(lines)-1]
		switch {
		case last == "":
			lines[len(lines)-1] = word
		case columns(last)+1+columns(word) <= limit:
			lines[len(lines)-1] = last + " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// columns counts the columns that text takes on a terminal: two for wide East
// Asian characters, none for marks that combine with the one before.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			if !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
				n++
			}
		}
	}
	return n
}

// marks writes footnote numbers as superscripts, "" for none.
func marks(numbers []int) string {
	var parts []string
	for _, n := range numbers {
		parts = append(parts, superscript(n))
	}
	return strings.Join(parts, ",")
}

// superscript writes a footnote number.
func superscript(n int) string {
	const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹"
	all := []rune(digits)
	if n < 10 {
		return string(all[n])
	}
	return superscript(n/10) + string(all[n%10])
}
