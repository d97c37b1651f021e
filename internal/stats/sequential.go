package stats

import (
	"math"
	"math/rand/v2"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// SequentialLevel is the level at which to compute each look's t interval, so
// that a run that looks after every replicate from first to last, and stops as
// soon as the interval is narrow enough, still covers with probability level.
//
// Stopping on a narrow interval favours replicates that happen to agree, whose
// interval is too narrow; at level 0.95 with 3 to 12 replicates it would cover
// as little as 90 %. The answer is the smallest level whose coverage holds for
// the worst ratio of wanted width to spread. It assumes normal replicate
// estimates; given their spread the mean is independent of the stopping time,
// so coverage is the mean of a normal probability over simulated spreads: a
// fixed set of seeded paths, the same for every call. Error about ±0.002.
//
// first is at least 3 and at most last; the level is in (0,1). The cost is some
// tens of milliseconds.
func SequentialLevel(first, last int, level float64) float64 {
	if first >= last {
		return level
	}
	paths := spreadPaths(first, last)
	// Levels in steps of a thousandth of the error; more than enough.
	const steps = 200
	at := func(i int) float64 { return 1 - (1-level)*(1-float64(i)/steps) }
	i := sort.Search(steps-1, func(i int) bool { return worstCoverage(paths, first, at(i)) >= level })
	return at(i)
}

// spreadPaths simulates how the estimated standard deviation of unit normal
// values moves: entry [path][n-first] is the one after n values.
func spreadPaths(first, last int) [][]float64 {
	const paths = 3000
	rng := rand.New(rand.NewPCG(0x5e9, uint64(first)<<32|uint64(last)))
	out := make([][]float64, paths)
	for k := range out {
		var ss float64
		for n := 2; n <= last; n++ {
			z := rng.NormFloat64() // Helmert's transformation: n-1 independent squares
			ss += z * z
			if n >= first {
				out[k] = append(out[k], math.Sqrt(ss/float64(n-1)))
			}
		}
	}
	return out
}

// worstCoverage is the coverage of stopping at the first interval whose half
// width, in standard deviations of one value, is at most w; for the worst w.
func worstCoverage(paths [][]float64, first int, level float64) float64 {
	t := make([]float64, len(paths[0]))
	for i := range t {
		t[i] = TQuantile((1+level)/2, float64(first+i-1))
	}
	worst := 1.0
	for w := 0.1; w < 4; w *= 1.15 {
		var sum float64
		for _, s := range paths {
			i := 0
			for i < len(s)-1 && t[i]*s[i]/math.Sqrt(float64(first+i)) > w {
				i++
			}
			sum += 2*distuv.UnitNormal.CDF(t[i]*s[i]) - 1
		}
		worst = min(worst, sum/float64(len(paths)))
	}
	return worst
}
