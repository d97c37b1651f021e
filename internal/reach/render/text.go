// Package render writes what reach predicted as text, JSON and Mermaid, and
// lays out text for whoever else writes to people. Every function is pure: the
// same value gives the same bytes.
package render

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hoplab/hoplab/internal/printable"
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

// Colours of a terminal.
const (
	Red    = "\x1b[31m"
	Yellow = "\x1b[33m"
	Green  = "\x1b[32m"
	Dim    = "\x1b[2m"

	reset = "\x1b[0m"
)

// Paint returns s in the colour, or s itself when the options ask for none.
func (o TextOptions) Paint(color, s string) string {
	if !o.Color || color == "" {
		return s
	}
	return color + s + reset
}

// Plural returns n and the noun, with an s unless n is 1.
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Capital raises the first letter of a sentence, unless it starts with a name.
func Capital(s string) string {
	for _, word := range []string{"a ", "an ", "the ", "nothing ", "no ", "requests ", "listener ", "port ", "task ", "container ",
		"endpoints ", "health "} {
		if strings.HasPrefix(s, word) {
			return strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return s
}

// writeWrapped writes text as printable.Line shows it, in lines of at most width
// columns, the first indented by first, the others by rest. A word longer than a
// line stands alone.
func writeWrapped(w io.Writer, text string, first, rest, width int) {
	breakLines(w, printable.Line(text), first, rest, width)
}

func breakLines(w io.Writer, text string, first, rest, width int) {
	line, used := strings.Repeat(" ", first), first
	empty := true
	for _, word := range splitWords(text) {
		n := utf8.RuneCountInString(word)
		gap := 1
		if empty {
			gap = 0
		}
		if !empty && used+gap+n > width {
			printable.Fprintln(w, printable.Safe(strings.TrimRight(line, " ")))
			line, used, gap = strings.Repeat(" ", rest), rest, 0
		}
		line += strings.Repeat(" ", gap) + word
		used += gap + n
		empty = false
	}
	printable.Fprintln(w, printable.Safe(strings.TrimRight(line, " ")))
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

// Wrap writes text as printable.Line shows it in lines of the options' width,
// the first indented by first columns, the others by rest.
func Wrap(w io.Writer, text string, first, rest int, o TextOptions) {
	writeWrapped(w, text, first, rest, o.width())
}

// WrapPainted is Wrap for text that has colours in it and is otherwise printable.
func WrapPainted(w io.Writer, text printable.Safe, first, rest int, o TextOptions) {
	breakLines(w, string(text), first, rest, o.width())
}
