package diagnose

import (
	"bufio"
	"fmt"
	"io"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
)

// Text writes diagnoses for people: the conclusion, then the checklist, the
// culprit first.
func Text(w io.Writer, ds []Diagnosis, o render.TextOptions) error {
	b := bufio.NewWriter(w)
	for i, d := range ds {
		if i > 0 {
			fmt.Fprintln(b)
		}
		how := "predicted"
		if d.Observed {
			how = "observed"
		}
		state := d.State
		if state == "" {
			state = "no target"
		}
		if d.Reason != "" {
			state += " (" + d.Reason + ")"
		}
		render.Wrap(b, fmt.Sprintf("%s in %s: %s, %s", d.Target, d.Label, state, how), 0, 2, o)
		render.Wrap(b, "→ "+d.Conclusion, 0, 2, o)
		fmt.Fprintln(b)
		for _, l := range d.Lines {
			writeLine(b, l, o)
		}
	}
	return b.Flush()
}

var marks = map[Status]string{Fault: "✕", Suspect: "!", Unknown: "?", OK: "✓"}

func writeLine(b io.Writer, l Line, o render.TextOptions) {
	render.Wrap(b, marks[l.Status]+" "+l.Question, 2, 4, o)
	for _, e := range l.Evidence {
		live := ""
		if l.Live {
			live = " (observed)"
		}
		render.Wrap(b, e+live, 6, 8, o)
	}
	if l.Origin != nil && l.Origin.File != "" {
		render.Wrap(b, fmt.Sprintf("at %s:%d %s", l.Origin.File, l.Origin.Line, l.Origin.Path), 6, 8, o)
	}
	if l.Fix != "" {
		render.Wrap(b, "Fix: "+l.Fix, 6, 8, o)
	}
}

// Schema is the schema of the JSON document.
const Schema = "hoplab/diagnose/v1"

// JSON writes diagnoses as hoplab/diagnose/v1.
func JSON(w io.Writer, ds []Diagnosis) error {
	return printable.JSON(w, struct {
		Schema    string      `json:"schema"`
		Diagnoses []Diagnosis `json:"diagnoses"`
	}{Schema, ds})
}
