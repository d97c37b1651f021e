package render

import (
	"io"

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

// ExplainJSON writes the report as hoplab/explain/v1, all paths included.
func ExplainJSON(w io.Writer, r *reach.Report) error {
	d := explainDoc{Schema: ExplainSchema, Report: r, Predictions: []explainPath{}}
	for _, p := range r.Predictions {
		e := explainPath{Prediction: p, Outcome: timed(p.Outcome)}
		if p.Otherwise != nil {
			e.Otherwise = &explainAlternative{If: p.Otherwise.If, Outcome: timed(p.Otherwise.Outcome)}
		}
		d.Predictions = append(d.Predictions, e)
	}
	return printable.JSON(w, d)
}
