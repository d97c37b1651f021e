package check

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/topology"
)

// several is from how many places on what is found alike is written once.
const several = 4

// kindOf is what findings have in common that differ in their place alone: the
// words without the names in them.
type kindOf struct {
	rule, message, fix, effect, reason, by string
	severity                               Severity
}

func kindOfFinding(f *Finding, names map[string]bool) kindOf {
	k := kindOf{rule: f.Rule, severity: f.Severity, message: topology.Nameless(f.Message, names), fix: topology.Nameless(f.Fix, names),
		effect: topology.Nameless(f.Effect, names)}
	if f.Suppressed != nil {
		k.reason, k.by = f.Suppressed.Reason, f.Suppressed.By
	}
	return k
}

// alike returns the findings in groups that a reader takes for one. Few of a
// kind stay apart, each in its place in the order of all.
func alike(findings []Finding) [][]Finding {
	of := map[kindOf][]Finding{}
	for _, f := range findings {
		of[f.kind] = append(of[f.kind], f)
	}
	var out [][]Finding
	written := map[kindOf]bool{}
	for _, f := range findings {
		switch group := of[f.kind]; {
		case f.kind == kindOf{} || len(group) < several:
			out = append(out, []Finding{f})
		case !written[f.kind]:
			written[f.kind] = true
			out = append(out, group)
		}
	}
	return out
}

// writeAlike writes findings that differ in their place alone as one: the first
// of them, and where they all are.
func writeAlike(b io.Writer, fs []Finding, o render.TextOptions) {
	fs = slices.Clone(fs)
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line))
	})
	f := fs[0]
	printable.Fprintf(b, "%s  %s  %s\n", printable.Safe(o.Paint(severityColor(f.Severity), f.Severity.String())), f.Rule,
		render.Plural(len(fs), "place"))
	writeWords(b, f, o)
	for len(fs) > 0 {
		n := slices.IndexFunc(fs, func(g Finding) bool { return g.Origin.File != fs[0].Origin.File })
		if n < 0 {
			n = len(fs)
		}
		writePlaces(b, fs[:n], o)
		fs = fs[n:]
	}
	fmt.Fprintln(b)
}

// writePlaces writes the places in one file: a file and line each while they are
// few, else the file once.
func writePlaces(b io.Writer, fs []Finding, o render.TextOptions) {
	const few = 10
	var list []string
	for _, f := range fs {
		if len(fs) <= few {
			render.Wrap(b, fmt.Sprintf("%s  %s", f.Label, place(topology.Origin{File: f.Origin.File, Line: f.Origin.Line})), 4, 6, o)
			continue
		}
		list = append(list, fmt.Sprintf("%s:%d", f.Label, f.Origin.Line))
	}
	if len(list) > 0 {
		file := cmp.Or(fs[0].Origin.File, "the source")
		render.Wrap(b, fmt.Sprintf("In %s, with the line of each: %s", file, strings.Join(list, ", ")), 4, 6, o)
	}
}
