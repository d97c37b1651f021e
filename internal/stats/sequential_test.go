package stats_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// stopped simulates runs that stop at the first interval narrower than target
// and returns how often the interval they end with covers the truth, 0.
func stopped(seed uint64, first, last int, level, target float64) float64 {
	rng := rand.New(rand.NewPCG(seed, 0))
	const runs = 4000
	covered := 0
	for range runs {
		var d []float64
		for {
			d = append(d, rng.NormFloat64())
			if len(d) < first {
				continue
			}
			i := stats.Student(d, level)
			if i.HalfWidth() <= target || len(d) == last {
				if !i.Excludes(0) {
					covered++
				}
				break
			}
		}
	}
	return float64(covered) / runs
}

func TestSequentialLevelKeepsTheLevelWhereTheNaiveRuleLosesIt(t *testing.T) {
	layer.Full(t, "simulates for seconds")
	const first, last = 3, 12
	level := stats.SequentialLevel(first, last, 0.95)
	worst, naive := 1.0, 1.0
	for i, target := range []float64{0.4, 0.6, 0.8, 1, 1.3, 2} {
		worst = min(worst, stopped(uint64(i), first, last, level, target))
		naive = min(naive, stopped(uint64(i), first, last, 0.95, target))
	}
	t.Logf("level %.4f: worst coverage %.3f; at 0.95 it is %.3f", level, worst, naive)
	if worst < 0.94 {
		t.Errorf("coverage falls to %.3f; want 0.95 within simulation error", worst)
	}
	if naive > 0.93 {
		t.Errorf("the naive rule covers %.3f; then there is nothing to correct, or the simulation is wrong", naive)
	}
}

func TestSequentialLevelGrowsWithTheLooks(t *testing.T) {
	if got := stats.SequentialLevel(6, 6, 0.95); got != 0.95 {
		t.Errorf("one look: got %v; want 0.95", got)
	}
	few, many := stats.SequentialLevel(6, 8, 0.95), stats.SequentialLevel(6, 20, 0.95)
	if !(0.95 < few && few <= many && many < 0.99) {
		t.Errorf("got %v for 3 looks, %v for 15; want them to grow from 0.95", few, many)
	}
	if a, b := stats.SequentialLevel(4, 9, 0.9), stats.SequentialLevel(4, 9, 0.9); a != b {
		t.Errorf("two calls differ: %v, %v", a, b)
	}
}
