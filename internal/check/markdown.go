package check

import (
	"bufio"
	"io"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
)

// mostInMarkdown is how many findings, or groups of like ones, a comment of a
// pull request holds: GitHub takes 65,536 characters, and nobody reads more.
const mostInMarkdown = 50

// Markdown writes the findings for a comment of a pull request: what was
// counted, then one item each, the worst first, what is alike at several places
// once. Suppressed findings are counted only. Nothing in it is a link, a tag or
// a mention, whatever a template's names hold. files says of what it is.
func Markdown(w io.Writer, files string, findings []Finding) error {
	b := bufio.NewWriter(w)
	hidden := 0
	var shown []Finding
	for _, f := range findings {
		if f.Suppressed != nil {
			hidden++
			continue
		}
		shown = append(shown, f)
	}
	text := func(s string) string { return printable.Markdown(printable.Line(s)) }
	total := strings.Replace(count(findings, hidden), " (--all shows them)", "", 1)
	printable.Fprintf(b, "### hoplab check: %s\n\n%s\n", total, text(files))
	groups := alike(shown)
	for i, fs := range groups {
		if i == mostInMarkdown {
			printable.Fprintf(b, "\n… and %d more: `hoplab check` prints them all.\n", len(groups)-i)
			break
		}
		f := fs[0]
		printable.Fprintf(b, "\n- **%s** [%s](%s%s) %s  \n  %s.\n", f.Severity, f.Rule, rulesURI, f.Rule, text(f.Label), text(render.Capital(f.Message)))
		if f.Effect != "" {
			printable.Fprintf(b, "  Effect: %s.\n", text(f.Effect))
		}
		printable.Fprintf(b, "  **Fix:** %s\n", text(f.Fix))
		if at := place(f.Origin); at != "" {
			printable.Fprintf(b, "  %s", text(at))
			if len(fs) > 1 {
				printable.Fprintf(b, ", and %d more like it", len(fs)-1)
			}
			printable.Fprintln(b)
		}
	}
	return b.Flush()
}
