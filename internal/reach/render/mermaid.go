package render

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
)

// Mermaid writes the paths as one Mermaid flowchart: a subgraph per path, a
// node per role, an edge per hop with its port, a dotted edge where the path
// is closed or not settled, and the outcome at its end.
func Mermaid(w io.Writer, paths iter.Seq[reach.Prediction], all bool) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "flowchart LR")
	n := 0
	for _, p := range byKind(paths) {
		if all || !hidden(p) {
			n++
			writeMermaid(b, n, p)
		}
	}
	return b.Flush()
}

func writeMermaid(b io.Writer, n int, p reach.Prediction) {
	node := func(i int) string { return fmt.Sprintf("p%dn%d", n, i) }
	printable.Fprintf(b, "  subgraph p%d[%s]\n", n, quote(p.What))
	first := "client"
	if len(p.Hops) > 0 {
		first = p.Hops[0].From
	}
	printable.Fprintf(b, "    %s([%s])\n", node(0), quote(first))
	for i, h := range p.Hops {
		edge := "-->"
		if h.State != reach.HopOpen {
			edge = "-.->"
		}
		printable.Fprintf(b, "    %s[%s]\n", node(i+1), quote(h.To+": "+h.Name))
		printable.Fprintf(b, "    %s %s|%s| %s\n", node(i), edge, quote(arrowLabel(h)), node(i+1))
	}
	end := len(p.Hops) + 1
	printable.Fprintf(b, "    %s{{%s}}\n", node(end), quote(short(p)))
	printable.Fprintf(b, "    %s === %s\n", node(end-1), node(end))
	fmt.Fprintln(b, "  end")
}

func arrowLabel(h reach.Hop) string {
	s := h.Ports()
	if h.Through != "" {
		s += " " + h.Through
	}
	if h.State == reach.HopClosed {
		s += " closed"
	} else if h.State == reach.HopUnknown {
		s += " unknown"
	}
	return s
}

// short is the outcome in a few words.
func short(p reach.Prediction) string {
	if t := p.Target; t != nil {
		return strings.TrimSpace(t.State + " " + t.Reason)
	}
	o := p.Outcome
	if o.Status != 0 {
		return strings.TrimSpace(fmt.Sprintf("%d %s", o.Status, o.Body))
	}
	if o.Curl != "" {
		return o.Curl
	}
	return string(o.Class)
}

// quote writes text as a Mermaid string: in double quotes, in which only the
// quote itself and the hash of its entity codes need care beside what cannot be
// printed.
func quote(s string) string {
	s = strings.NewReplacer("#", "#35;", `"`, "#quot;").Replace(printable.Line(s))
	return `"` + s + `"`
}
