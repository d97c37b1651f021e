package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	mm "github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/stat/distuv"
)

// exactSignFlip is the largest sample for which SignFlip tries all signs.
const exactSignFlip = 20

// signFlipDraws is the number of random sign patterns above exactSignFlip; the
// p-value is then good to ±0.002 near 0.05.
const signFlipDraws = 50_000

// SignFlip is the two-sided p-value of the sign-flip permutation test of
// "no shift" for paired differences: the share of sign patterns whose mean is
// at least as far from 0 as the one seen.
//
// Assumes only that each difference is as likely as its negative when there is
// no effect. Exact up to 20 values; above, a fixed set of 50 000 random
// patterns, the same for every call, so that a report repeats byte for byte.
// n values cannot give less than 2/2^n: fewer than 6 never reach 0.05. Fisher,
// The Design of Experiments, 1935, section 21.
func SignFlip(d []float64) float64 {
	if len(d) == 0 {
		return 1
	}
	if len(d) > exactSignFlip {
		return signFlipRandom(d)
	}
	var seen float64
	for _, x := range d {
		seen += x
	}
	// Sums that differ by rounding alone count as equal.
	limit := math.Abs(seen) - tolerance(d)
	// A Gray code changes one sign at a time; the first value keeps its sign,
	// because a pattern and its negative are equally far from 0.
	sum, hits := seen, 0
	sign := make([]float64, len(d))
	for i := range sign {
		sign[i] = 1
	}
	patterns := 1 << (len(d) - 1)
	for g := 0; ; {
		if math.Abs(sum) >= limit {
			hits++
		}
		if g++; g == patterns {
			break
		}
		i := 1
		for b := g; b&1 == 0; b >>= 1 {
			i++
		}
		sum -= 2 * sign[i] * d[i]
		sign[i] = -sign[i]
	}
	return float64(hits) / float64(patterns)
}

func signFlipRandom(d []float64) float64 {
	rng := rand.New(rand.NewPCG(0x5157, uint64(len(d))))
	var seen float64
	for _, x := range d {
		seen += x
	}
	limit := math.Abs(seen) - tolerance(d)
	hits := 1 // the pattern seen is one of them
	for range signFlipDraws - 1 {
		var sum float64
		var bits uint64
		for i, x := range d {
			if i%64 == 0 {
				bits = rng.Uint64()
			}
			if bits&1 == 0 {
				sum += x
			} else {
				sum -= x
			}
			bits >>= 1
		}
		if math.Abs(sum) >= limit {
			hits++
		}
	}
	return float64(hits) / signFlipDraws
}

func tolerance(d []float64) float64 {
	var sum float64
	for _, x := range d {
		sum += math.Abs(x)
	}
	return 1e-12 * sum
}

// Holm adjusts p-values of several tests so that the chance of any false alarm
// among them stays at the level (Holm, Scand. J. Statist. 6 (1979) 65). The
// result is in the order of p, each at most 1. It makes no assumption on how
// the tests depend on each other.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(p))
	running := 0.0
	for rank, i := range order {
		running = max(running, min(1, float64(len(p)-rank)*p[i]))
		out[i] = running
	}
	return out
}

func normalQuantile(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

// exactMannWhitney is the largest sample with an exact null distribution.
const exactMannWhitney = 50

// mannWhitneyCut is the largest k for which the k-th smallest and k-th largest
// differences bound an interval of at least the level; 0 when there is none.
func mannWhitneyCut(n, m int, level float64) (k int, achieved float64) {
	tail := (1 - level) / 2
	if n > exactMannWhitney || m > exactMannWhitney {
		f, g := float64(n), float64(m)
		k = int(math.Floor(f*g/2 + 0.5 + normalQuantile(tail)*math.Sqrt(f*g*(f+g+1)/12)))
		return max(k, 0), level
	}
	u := mm.UDist{N1: n, N2: m}
	// P(U <= k-1) is the chance that the shift lies below the k-th difference.
	k = sort.Search(n*m/2, func(i int) bool { return u.CDF(float64(i)) > tail })
	if k == 0 {
		return 0, 1
	}
	return k, 1 - 2*u.CDF(float64(k-1))
}
