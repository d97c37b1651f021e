package check

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/topology"
)

func severityColor(s Severity) string {
	switch s {
	case Error:
		return render.Red
	case Warning:
		return render.Yellow
	}
	return render.Dim
}

// Text writes the findings as text: one block each, the worst first, what is
// alike at several places once with its places, then a line that counts them.
func Text(w io.Writer, findings []Finding, o render.TextOptions) error {
	b := bufio.NewWriter(w)
	hidden := 0
	var shown []Finding
	for _, f := range findings {
		if f.Suppressed != nil && !o.All {
			hidden++
			continue
		}
		shown = append(shown, f)
	}
	for _, fs := range alike(shown) {
		if len(fs) > 1 {
			writeAlike(b, fs, o)
		} else {
			writeFinding(b, fs[0], o)
		}
	}
	printable.Fprintln(b, count(findings, hidden))
	return b.Flush()
}

func writeFinding(b io.Writer, f Finding, o render.TextOptions) {
	printable.Fprintf(b, "%s  %s  %s\n", printable.Safe(o.Paint(severityColor(f.Severity), f.Severity.String())), f.Rule, f.Label)
	if at := place(f.Origin); at != "" {
		render.Wrap(b, at, 2, 4, o)
	}
	writeWords(b, f, o)
	fmt.Fprintln(b)
}

// writeWords writes what a finding says.
func writeWords(b io.Writer, f Finding, o render.TextOptions) {
	render.Wrap(b, render.Capital(f.Message)+".", 2, 2, o)
	if f.Effect != "" {
		render.Wrap(b, "Effect: "+f.Effect+".", 2, 10, o)
	}
	render.Wrap(b, "Fix:    "+f.Fix, 2, 10, o)
	if f.Suppressed != nil {
		render.Wrap(b, fmt.Sprintf("Suppressed (%s): %s", f.Suppressed.By, f.Suppressed.Reason), 2, 4, o)
	}
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

func count(fs []Finding, hidden int) string {
	var n [3]int
	for _, f := range fs {
		if f.Suppressed == nil {
			n[f.Severity]++
		}
	}
	var parts []string
	for s := Error; s >= Note; s-- {
		if n[s] > 0 {
			parts = append(parts, render.Plural(n[s], s.String()))
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
