package check

import (
	"io"

	"github.com/hoplab/hoplab/internal/printable"
)

// Schema is the schema of the JSON document.
const Schema = "hoplab/check/v1"

// document is hoplab/check/v1.
type document struct {
	Schema   string         `json:"schema"`
	Topology string         `json:"topology"`
	Counts   map[string]int `json:"counts"` // by severity; suppressed findings under "suppressed"
	Findings []Finding      `json:"findings"`
}

// JSON writes the findings as hoplab/check/v1, suppressed ones included.
// topology is what was read, for the reader.
func JSON(w io.Writer, topology string, findings []Finding) error {
	d := document{Schema: Schema, Topology: topology, Findings: findings,
		Counts: map[string]int{"error": 0, "warning": 0, "note": 0, "suppressed": 0}}
	if d.Findings == nil {
		d.Findings = []Finding{}
	}
	for _, f := range findings {
		if f.Suppressed != nil {
			d.Counts["suppressed"]++
		} else {
			d.Counts[f.Severity.String()]++
		}
	}
	return printable.JSON(w, d)
}
