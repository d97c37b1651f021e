package compare_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/summary"
)

// Times of different stretches of a request differ for that reason alone: no word
// that nothing drifted makes a claim of it.
func TestTimesOfDifferentStretchesCarryNoClaim(t *testing.T) {
	tools := filepath.Join(cases, "other-tools")
	sound := filepath.Join(cases, "sound.json.gz")
	for file, names := range map[string]string{
		"alb.log":     "target_processing_time of a load balancer",
		"sc.json":     "duration of an agent",
		"vegeta.json": "vegeta, which counts connecting",
	} {
		r := must(t, compare.Options{A: []string{filepath.Join(tools, file)}, B: []string{sound}, AssumeSteady: true,
			Budgets: []string{"p50 <= 10s"}})
		s := &r.Summary
		if s.Verdict != summary.CannotTell || !strings.Contains(words(s), "Not alike: another time") || !strings.Contains(words(s), names) {
			t.Errorf("%s: verdict %q, %s", file, s.Verdict, words(s))
		}
	}
	r := must(t, compare.Options{A: []string{sound}, B: []string{filepath.Join(cases, "mix", "a.json.gz")}})
	if strings.Contains(words(&r.Summary), "another time") {
		t.Errorf("two files of k6: %s", words(&r.Summary))
	}
}

// Replicates whose mixes of requests differ carry no claim, as single files do not.
func TestReplicatesOfAnotherMixCarryNoClaim(t *testing.T) {
	run := func(seed uint64, slow int) string {
		tr := mixed
		tr.rate, tr.addUs = 50, map[string]float64{"/report": 3000}
		tr.arm = func(i int, _ *rand.Rand) string {
			if i%10 < slow {
				return "/report"
			}
			return "/ping"
		}
		return file(t, "run.json", bytes.ReplaceAll(ndjson(tr.requests(seed)), []byte(`"arm":`), []byte(`"name":`)))
	}
	r := must(t, compare.Options{A: []string{run(1, 6), run(2, 6)}, B: []string{run(3, 4), run(4, 4)}})
	if s := &r.Summary; s.Verdict != summary.CannotTell || !strings.Contains(words(s), "different mixes") {
		t.Errorf("verdict %q, %s", s.Verdict, words(s))
	}
}
