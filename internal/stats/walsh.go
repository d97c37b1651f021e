package stats

import (
	"math"
	"slices"
)

// HodgesLehmann is the median of all pairwise averages of d, each value with
// itself included: the shift estimate that belongs to the signed-rank test.
// It assumes that d is symmetric around the shift, and is NaN for an empty d.
// Hodges and Lehmann, Ann. Math. Statist. 34 (1963) 598.
func HodgesLehmann(d []float64) float64 {
	if len(d) == 0 {
		return math.NaN()
	}
	w := newWalsh(d)
	m := w.count()
	return (w.kth((m+1)/2) + w.kth(m/2+1)) / 2
}

// SignedRank is the Hodges-Lehmann estimate of d with the interval that
// inverts Wilcoxon's signed-rank test.
//
// Assumes independent values, symmetric around the shift. Up to 200 values the
// null distribution is exact, so the level is at least the one asked for
// (Achieved says which); above, it is the normal approximation with continuity
// correction. A sample too small for the level (fewer than 6 for 95 %) gives
// an unbounded interval. Hollander and Wolfe, Nonparametric Statistical
// Methods, 2nd ed. 1999, sections 3.1 to 3.3.
func SignedRank(d []float64, level float64) Interval {
	n := len(d)
	est := HodgesLehmann(d)
	k, achieved := signedRankCut(n, level)
	if k < 1 {
		return unbounded(est, level, n)
	}
	w := newWalsh(d)
	return Interval{Estimate: est, Low: w.kth(k), High: w.kth(w.count() + 1 - k), Level: level, Achieved: achieved, N: n}
}

// signedRankCut is the largest k for which the k-th smallest and k-th largest
// Walsh averages bound an interval of at least the level; 0 when there is none.
func signedRankCut(n int, level float64) (k int, achieved float64) {
	tail := (1 - level) / 2
	if n > exactSignedRank {
		mean, sd := signedRankMoments(n)
		k = int(math.Floor(mean + 0.5 + normalQuantile(tail)*sd))
		return max(k, 0), level
	}
	// P(T <= k-1) is the chance that the shift lies below the k-th average.
	var cum float64
	achieved = 1
	for t, p := range signedRankNull(n) {
		if cum+p > tail {
			return t, achieved
		}
		cum += p
		achieved = 1 - 2*cum
	}
	return 0, 1
}

// exactSignedRank is the largest sample with an exact null distribution: the
// normal approximation is good to four digits there, and the table is small.
const exactSignedRank = 200

// signedRankNull is the distribution of the signed-rank statistic under the
// null hypothesis: entry t is P(T = t), by adding one rank after the other.
func signedRankNull(n int) []float64 {
	p := make([]float64, n*(n+1)/2+1)
	p[0] = 1
	top := 0
	for r := 1; r <= n; r++ {
		top += r
		for t := top; t >= 0; t-- {
			v := p[t] / 2
			if t >= r {
				v += p[t-r] / 2
			}
			p[t] = v
		}
	}
	return p
}

func signedRankMoments(n int) (mean, sd float64) {
	f := float64(n)
	return f * (f + 1) / 4, math.Sqrt(f * (f + 1) * (2*f + 1) / 24)
}

// walsh selects order statistics among the n(n+1)/2 pairwise averages of a
// sample without making them: a value is found by bisection, counting the
// averages below it in one pass over the sorted sample. O(n) memory, O(n log)
// time per selection.
type walsh struct{ x []float64 }

func newWalsh(d []float64) walsh {
	x := slices.Clone(d)
	slices.Sort(x)
	return walsh{x}
}

func (w walsh) count() int { return len(w.x) * (len(w.x) + 1) / 2 }

// below counts the averages <= v, and returns the largest of them.
func (w walsh) below(v float64) (n int, largest float64) {
	largest = math.Inf(-1)
	j := len(w.x) - 1
	for i := 0; i < len(w.x); i++ {
		for j >= i && (w.x[i]+w.x[j])/2 > v {
			j--
		}
		if j < i {
			break
		}
		n += j - i + 1
		largest = max(largest, (w.x[i]+w.x[j])/2)
	}
	return n, largest
}

// kth is the k-th smallest average, k from 1 to count.
func (w walsh) kth(k int) float64 {
	return selectKth(w.x[0], w.x[len(w.x)-1], k, w.below)
}

// selectKth finds the k-th smallest of a multiset within [lo, hi] that can
// count its elements up to a value and name the largest of those.
func selectKth(lo, hi float64, k int, below func(float64) (int, float64)) float64 {
	if n, v := below(lo); n >= k {
		return v
	}
	// Here below(lo) < k <= below(hi).
	for {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		n, v := below(mid)
		if n < k {
			lo = mid
			continue
		}
		hi = v
		if n == k || hi <= lo {
			break
		}
	}
	return hi
}

// Shift is the shift from b to a, a - b, for two independent samples: the
// median of all differences a_i - b_j, with the interval that inverts the
// Mann-Whitney test (Moses; Hollander and Wolfe 1999, sections 4.2 and 4.3).
//
// Assumes that the values of both samples are independent and that the two
// distributions differ by a shift. It is for samples that cannot be paired,
// such as the windows of two runs; it does not cancel drift between them. The
// null distribution is exact for up to 50 values in each sample, else normal.
func Shift(a, b []float64, level float64) Interval {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return unbounded(math.NaN(), level, n+m)
	}
	s := newShifts(a, b)
	total := n * m
	est := (s.kth((total+1)/2) + s.kth(total/2+1)) / 2
	k, achieved := mannWhitneyCut(n, m, level)
	if k < 1 {
		return unbounded(est, level, n+m)
	}
	return Interval{Estimate: est, Low: s.kth(k), High: s.kth(total + 1 - k), Level: level, Achieved: achieved, N: n + m}
}

// shifts selects among all differences a_i - b_j, like walsh.
type shifts struct{ a, b []float64 }

func newShifts(a, b []float64) shifts {
	s := shifts{slices.Clone(a), slices.Clone(b)}
	slices.Sort(s.a)
	slices.Sort(s.b)
	return s
}

func (s shifts) below(v float64) (n int, largest float64) {
	largest = math.Inf(-1)
	i := 0 // values of a that are close enough to the current b
	for _, b := range s.b {
		for i < len(s.a) && s.a[i]-b <= v {
			i++
		}
		if i > 0 {
			n += i
			largest = max(largest, s.a[i-1]-b)
		}
	}
	return n, largest
}

func (s shifts) kth(k int) float64 {
	return selectKth(s.a[0]-s.b[len(s.b)-1], s.a[len(s.a)-1]-s.b[0], k, s.below)
}
