package learn

import (
	"context"

	"github.com/hoplab/hoplab/internal/scenario"
)

// Flaky is a lesson whose first act goes wrong on a fast clock only.
func Flaky() Lesson {
	return Lesson{
		ID: "flaky", Title: "Flaky",
		Choices: []Choice{{"it goes well", func(r *Record) bool { return r.find("step").Key != "" }}},
		Acts:    []Act{{Title: "late", Scale: fast, Config: scenario.Default(), Steps: []Step{late{}}}},
	}
}

type late struct{}

func (late) show(_ context.Context, s *stage) (Shown, error) {
	out := Shown{Key: "step"}
	if s.act.Scale > slower {
		out.Differs = "too late"
	}
	return out, nil
}
