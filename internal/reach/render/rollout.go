package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
)

// Rollout writes what callers see from phase to phase of an update as text:
// the phases, then each way that does not stay the same.
func Rollout(w io.Writer, t *rollout.Timeline, o TextOptions) error {
	b := bufio.NewWriter(w)
	if len(t.Paths) == 0 {
		fmt.Fprint(b, "Every caller sees the same before, during and after the update.\n")
		return b.Flush()
	}
	fmt.Fprint(b, "The update, in the order in which it is carried out\n\n")
	for i, name := range t.Phases {
		writeWrapped(b, fmt.Sprintf("%d  %s", i+1, name), 2, 5, o.width())
	}
	if len(t.Rolls) > 0 {
		fmt.Fprint(b, "\n")
		var names []string
		for _, id := range t.Rolls {
			names = append(names, string(id))
		}
		writeWrapped(b, "New tasks: "+strings.Join(names, ", ")+".", 0, 2, o.width())
	}
	fmt.Fprint(b, "\nWhat callers see, where it changes (of new connections; those that are up live on)\n\n")
	rest := 0
	for i := range t.Paths {
		if !o.All && !used(&t.Paths[i]) {
			rest++
			continue
		}
		writeStages(b, t, &t.Paths[i], o)
	}
	if rest > 0 {
		writeWrapped(b, fmt.Sprintf("%s that nothing in the source is known to use; --all shows them.", Plural(rest, "more way")), 0, 0, o.width())
	}
	return b.Flush()
}

// used reports whether somebody is likely to go a way, before the update or after.
func used(w *rollout.Path) bool {
	for _, p := range w.Seen {
		if p != nil && p.Likely {
			return true
		}
	}
	return false
}

func writeStages(b io.Writer, t *rollout.Timeline, w *rollout.Path, o TextOptions) {
	var p *reach.Prediction
	for _, seen := range w.Seen {
		if seen != nil {
			p = seen
		}
	}
	printable.Fprintf(b, "%s (%s)\n", p.URL, p.What)
	for i, seen := range w.Seen {
		text, color := "there is no such way", ""
		if seen != nil {
			text, color = outcomeText(seen.Outcome), Green
			if seen.Failed() {
				color = Red
			} else if seen.Outcome.Class == reach.Unknown {
				color = Yellow
			}
			if seen.Path != "" {
				text += " (" + seen.Path + ")"
			}
		}
		var line strings.Builder
		writeWrapped(&line, fmt.Sprintf("%d  %s", i+1, text), 2, 5, o.width())
		printable.Fprintf(b, "%s\n", printable.Safe(o.Paint(color, strings.TrimRight(line.String(), "\n"))))
	}
	if note := noteOf(t, w); note != "" {
		writeWrapped(b, note, 2, 4, o.width())
	}
	fmt.Fprint(b, "\n")
}

// noteOf says what the phases of a way amount to.
func noteOf(t *rollout.Timeline, w *rollout.Path) string {
	if _, ok := w.Outage(); ok {
		return "! An outage: it works before the update and after it, and not meanwhile."
	}
	at, ok := w.Breaks()
	switch {
	case !ok:
		return ""
	case t.Phases[at] == rollout.CleanedUp:
		return "! It breaks after the update: the deployment succeeds, and then the clean-up takes away what it needs."
	default:
		return "! It breaks with the update."
	}
}

// RolloutSchema is the schema of the JSON document.
const RolloutSchema = "hoplab/rollout/v1"

type rolloutDoc struct {
	Schema string `json:"schema"`
	*rollout.Timeline
	Paths []rolloutPath `json:"paths"`
}

type rolloutPath struct {
	ID   string         `json:"id"`
	Seen []*explainPath `json:"seen"` // by phase; null where there is no such way
	Note string         `json:"note,omitempty"`
}

// RolloutJSON writes the same as hoplab/rollout/v1, with all ways.
func RolloutJSON(w io.Writer, t *rollout.Timeline) error {
	doc := rolloutDoc{Schema: RolloutSchema, Timeline: t, Paths: []rolloutPath{}}
	for i := range t.Paths {
		way := rolloutPath{ID: t.Paths[i].ID, Note: strings.TrimPrefix(noteOf(t, &t.Paths[i]), "! ")}
		for _, p := range t.Paths[i].Seen {
			if p == nil {
				way.Seen = append(way.Seen, nil)
				continue
			}
			seen := pathOf(*p)
			way.Seen = append(way.Seen, &seen)
		}
		doc.Paths = append(doc.Paths, way)
	}
	return printable.JSON(w, doc)
}
