package report

import (
	_ "embed" // the schema
	"fmt"
	"io"
	"slices"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/summary"
)

// SummarySchema is the JSON Schema (draft 2020-12) of hoplab/summary/v1. What
// JSON writes is valid against it.
//
//go:embed schema/summary-v1.json
var SummarySchema []byte

// JSON writes a summary as hoplab/summary/v1, indented, with a newline at the
// end. Lists and maps that are nil become empty ones, so that a reader need
// not know null. A number that JSON cannot carry (NaN, infinity) is an error.
func JSON(w io.Writer, s *summary.Summary) error {
	if err := printable.JSON(w, withoutNil(*s)); err != nil {
		return fmt.Errorf("write summary of run %q as JSON: %w", s.Run, err)
	}
	return nil
}

// withoutNil returns a copy whose required lists and maps are not nil.
func withoutNil(s summary.Summary) summary.Summary {
	s.Arms = slices.Clone(s.Arms)
	for i := range s.Arms {
		e := &s.Arms[i].Evidence
		if e.AgentHops == nil {
			e.AgentHops = map[string]int64{}
		}
		e.By = present(e.By)
	}
	if s.NoiseFloorUs == nil {
		s.NoiseFloorUs = map[string]float64{}
	}
	s.Plan.Arms = present(s.Plan.Arms)
	s.Arms = present(s.Arms)
	s.Differences = present(s.Differences)
	s.Sentences = present(s.Sentences)
	s.Warnings = present(s.Warnings)
	if s.Ledger != nil {
		l := *s.Ledger
		l.Entries = present(l.Entries)
		s.Ledger = &l
	}
	return s
}

func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
