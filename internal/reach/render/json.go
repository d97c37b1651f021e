package render

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
)

// ExplainSchema is the schema of the JSON document.
const ExplainSchema = "hoplab/explain/v1"

// explainDoc is hoplab/explain/v1: reach.Report with times in seconds.
type explainDoc struct {
	Schema string `json:"schema"`
	*reach.Report
	Predictions []explainPath `json:"predictions"`
}

type explainPath struct {
	reach.Prediction
	Outcome   explainOutcome      `json:"outcome"`
	Otherwise *explainAlternative `json:"otherwise,omitempty"`
}

type explainAlternative struct {
	If      string         `json:"if"`
	Outcome explainOutcome `json:"outcome"`
}

// explainOutcome adds the time to the outcome. after_s is null when it is not known.
type explainOutcome struct {
	reach.Outcome
	AfterS *float64 `json:"after_s"`
}

func timed(o reach.Outcome) explainOutcome {
	e := explainOutcome{Outcome: o}
	if o.TimeKnown {
		s := o.After.Seconds()
		e.AfterS = &s
	}
	return e
}

func pathOf(p reach.Prediction) explainPath {
	e := explainPath{Prediction: p, Outcome: timed(p.Outcome)}
	if p.Otherwise != nil {
		e.Otherwise = &explainAlternative{If: p.Otherwise.If, Outcome: timed(p.Otherwise.Outcome)}
	}
	return e
}

// ExplainJSON writes the report with the paths as hoplab/explain/v1, one path
// after the other, so that it takes the memory of one.
func ExplainJSON(w io.Writer, r *reach.Report, paths iter.Seq[reach.Prediction]) error {
	var frame strings.Builder
	if err := printable.JSON(&frame, explainDoc{Schema: ExplainSchema, Report: r, Predictions: []explainPath{}}); err != nil {
		return err
	}
	const empty = "[]\n}\n" // of the predictions, which come last
	head, ok := strings.CutSuffix(frame.String(), empty)
	if !ok {
		return errors.New("render: the predictions are not the last field of the document")
	}
	b := bufio.NewWriter(w)
	b.WriteString(head + "[")
	n := 0
	for p := range paths {
		var one strings.Builder
		if err := printable.JSON(&one, pathOf(p)); err != nil {
			return err
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString("\n    " + strings.ReplaceAll(strings.TrimSuffix(one.String(), "\n"), "\n", "\n    "))
	}
	if n > 0 {
		b.WriteString("\n  ")
	}
	b.WriteString("]\n}\n")
	return b.Flush()
}
