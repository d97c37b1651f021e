package compare_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
)

// No sentence, verdict or budget of any file may rest on an interval that
// excludes its own estimate: files of every size with steps, stalls, cold starts,
// trends, grids and few requests.
func TestNothingRestsOnAnIntervalWithoutItsEstimate(t *testing.T) {
	runs := 120
	if testing.Short() {
		runs = 30
	}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 17))
		tr := traffic{seconds: math.Exp(1 + 3.5*rng.Float64()), rate: math.Exp(1 + 4*rng.Float64()),
			failEvery: rng.IntN(3) * (2 + rng.IntN(40))}
		byTurns := rng.IntN(4)
		tr.arm = func(i int, r *rand.Rand) string {
			switch byTurns {
			case 0:
				return []string{"a", "b"}[i*2/max(1, int(tr.seconds*tr.rate))%2]
			case 1:
				return []string{"a", "b"}[i/50%2]
			}
			return []string{"a", "b"}[r.IntN(2)]
		}
		rs := tr.requests(uint64(seed))
		stallAt, stallFor, grid := rng.Float64(), rng.Float64()*0.2, []float64{0, 0, 1, 0.1}[rng.IntN(4)]
		cold, trend, tail := rng.Float64()*20*float64(rng.IntN(2)), rng.NormFloat64()*0.3, rng.Float64()*0.05
		for i := range rs {
			at := float64(i) / float64(len(rs))
			v := rs[i].ms * (1 + trend*at) * math.Exp(rng.Float64())
			if rs[i].arm == "b" && at > stallAt && at < stallAt+stallFor {
				v += 50
			}
			if rs[i].arm == "a" && at < 0.05 {
				v += cold
			}
			if rng.Float64() < tail {
				v += 1 / (0.01 + rng.Float64())
			}
			if grid > 0 {
				v = math.Round(v/grid) * grid
			}
			rs[i].ms = v
		}
		path := file(t, "any.json", ndjson(rs))
		for _, o := range []compare.Options{
			{A: []string{path}, By: "arm", Budgets: []string{"p50 <= 3ms", "p99 <= -1ms", "mean <= 1ms", "above 5ms <= 1%"}},
			{A: []string{path}, By: "arm", AssumeSteady: true},
			{A: []string{path, path}, By: "arm"},
		} {
			r, err := compare.Run(o)
			if err != nil {
				var f *fail.Error
				if !errors.As(err, &f) || f.Code != fail.Usage {
					t.Fatalf("seed %d: %v", seed, err)
				}
				continue // one arm had no request, in the smallest files
			}
			sound(t, &r.Summary)
			var n, counted int64
			for _, a := range r.Summary.Arms {
				n += a.Requests
			}
			for _, q := range rs {
				_ = q
				counted++
			}
			if want := counted * int64(len(o.A)); n != want {
				t.Errorf("seed %d: %d requests in the table; the files have %d", seed, n, want)
			}
			if t.Failed() {
				t.Fatalf("seed %d: %+v", seed, r.Summary.Sentences)
			}
		}
	}
}
