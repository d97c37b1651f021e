// Package render writes what reach found and predicted: findings as text,
// JSON and SARIF, predictions as text, JSON and Mermaid. Every function is
// pure: the same value gives the same bytes.
package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// TextOptions adjusts text for people.
type TextOptions struct {
	// Width is the number of columns, 80 to 100; 0 means 80 and other values
	// are brought into that range.
	Width int
	// Color writes severities and outcomes in colour. Leave it off when the
	// output is no terminal.
	Color bool
	// All prints suppressed findings, and the paths that nobody is likely to use.
	All bool
}

func (o TextOptions) width() int {
	switch {
	case o.Width == 0:
		return 80
	case o.Width < 80:
		return 80
	case o.Width > 100:
		return 100
	}
	return o.Width
}

const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	dim    = "\x1b[2m"
	reset  = "\x1b[0m"
)

func (o TextOptions) paint(color, s string) string {
	if !o.Color || color == "" {
		return s
	}
	return color + s + reset
}

func severityColor(s reach.Severity) string {
	switch s {
	case reach.Error:
		return red
	case reach.Warning:
		return yellow
	}
	return dim
}

// Check writes the findings as text: one block each, the worst first, then a
// line that counts them.
func Check(w io.Writer, findings []reach.Finding, o TextOptions) error {
	b := bufio.NewWriter(w)
	hidden := 0
	for _, f := range findings {
		if f.Suppressed != nil && !o.All {
			hidden++
			continue
		}
		writeFinding(b, f, o)
	}
	fmt.Fprintln(b, count(findings, hidden))
	return b.Flush()
}

func writeFinding(b io.Writer, f reach.Finding, o TextOptions) {
	fmt.Fprintf(b, "%s  %s  %s\n", o.paint(severityColor(f.Severity), f.Severity.String()), f.Rule, f.Label)
	if at := place(f.Origin); at != "" {
		writeWrapped(b, at, 2, 4, o.width())
	}
	writeWrapped(b, capital(f.Message)+".", 2, 2, o.width())
	if f.Effect != "" {
		writeWrapped(b, "Effect: "+f.Effect+".", 2, 10, o.width())
	}
	writeWrapped(b, "Fix:    "+f.Fix, 2, 10, o.width())
	if f.Suppressed != nil {
		writeWrapped(b, fmt.Sprintf("Suppressed (%s): %s", f.Suppressed.By, f.Suppressed.Reason), 2, 4, o.width())
	}
	fmt.Fprintln(b)
}

// place names the file and line, the construct and the resource of an origin.
func place(o topology.Origin) string {
	var parts []string
	if o.File != "" {
		at := o.File
		if o.Line > 0 {
			at = fmt.Sprintf("%s:%d", o.File, o.Line)
		}
		parts = append(parts, at)
	}
	if o.Path != "" {
		parts = append(parts, o.Path)
	}
	if o.ID != "" {
		parts = append(parts, strings.TrimSpace(o.Type+" "+string(o.ID)))
	}
	return strings.Join(parts, "  ")
}

func count(fs []reach.Finding, hidden int) string {
	var n [3]int
	for _, f := range fs {
		if f.Suppressed == nil {
			n[f.Severity]++
		}
	}
	var parts []string
	for s := reach.Error; s >= reach.Note; s-- {
		if n[s] > 0 {
			parts = append(parts, plural(n[s], s.String()))
		}
	}
	text := "nothing found"
	if len(parts) > 0 {
		text = strings.Join(parts, ", ")
	}
	if hidden > 0 {
		text += fmt.Sprintf("; %d suppressed (--all shows them)", hidden)
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// capital raises the first letter of a sentence, unless it starts with a name.
func capital(s string) string {
	for _, word := range []string{"a ", "an ", "the ", "nothing ", "no ", "requests ", "listener ", "port ", "task ", "container ", "endpoints ", "health "} {
		if strings.HasPrefix(s, word) {
			return strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return s
}

// writeWrapped writes text in lines of at most width columns, the first
// indented by first, the others by rest. A word longer than a line stands alone.
func writeWrapped(w io.Writer, text string, first, rest, width int) {
	line, used := strings.Repeat(" ", first), first
	empty := true
	for _, word := range splitWords(text) {
		n := utf8.RuneCountInString(word)
		gap := 1
		if empty {
			gap = 0
		}
		if !empty && used+gap+n > width {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line, used, gap = strings.Repeat(" ", rest), rest, 0
		}
		line += strings.Repeat(" ", gap) + word
		used += gap + n
		empty = false
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// splitWords splits at single spaces, so that runs of spaces inside text, used
// to line things up, survive as leading spaces of a word.
func splitWords(s string) []string {
	var out []string
	for _, f := range strings.Split(s, " ") {
		if f == "" && len(out) > 0 {
			out[len(out)-1] += " "
			continue
		}
		out = append(out, f)
	}
	return out
}

// Wrap writes text in lines of the options' width, the first indented by
// first columns, the others by rest.
func Wrap(w io.Writer, text string, first, rest int, o TextOptions) {
	writeWrapped(w, text, first, rest, o.width())
}
