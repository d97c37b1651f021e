package analysis

import "github.com/hoplab/hoplab/internal/summary"

// notes are what the machinery that carried out a replicate noted of it, such
// as a load generator that had to be started again.
func (s *study) notes() []summary.Warning {
	var w warnings
	for _, r := range s.all {
		for _, text := range r.evidence.Warnings {
			w.add("replicate-note", "run", "Replicate %d: %s", r.index, text)
		}
	}
	return w
}
