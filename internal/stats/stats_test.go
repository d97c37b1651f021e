package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/test/layer"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: got %v; want %v within %v", what, got, want, tolerance)
	}
}

// Student's own example: extra hours of sleep of ten patients, two drugs
// (Biometrika 6 (1908) 20). The interval is in every textbook.
var sleep = []float64{1.2, 2.4, 1.3, 1.3, 0, 1.0, 1.8, 0.8, 4.6, 1.4}

// Hamilton depression scores of nine patients before and after (Hollander and
// Wolfe 1999, table 3.1).
var (
	before = []float64{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}
	after  = []float64{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29}
)

// Darwin's maize: height differences of 15 pairs in eighths of an inch, of
// which Fisher tried all sign patterns (The Design of Experiments, section 21).
var maize = []float64{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48}

// Water permeability of membranes at two ages (Hollander and Wolfe 1999, table 4.1).
var (
	term  = []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	early = []float64{1.15, 0.88, 0.90, 0.74, 1.21}
)

func differences(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}

func TestStudentOnHisOwnExample(t *testing.T) {
	i := stats.Student(sleep, 0.95)
	near(t, "mean", i.Estimate, 1.58, 1e-9)
	near(t, "low", i.Low, 0.7001142, 1e-6)
	near(t, "high", i.High, 2.4598858, 1e-6)
	near(t, "p", stats.StudentP(sleep), 0.002833, 1e-6)
}

func TestSmallSamplesAreUnboundedAndNeverSignificant(t *testing.T) {
	for _, d := range [][]float64{nil, {3}} {
		i := stats.Student(d, 0.95)
		if !math.IsInf(i.Low, -1) || !math.IsInf(i.High, 1) || i.Excludes(0) {
			t.Errorf("Student of %v: got %+v; want an unbounded interval", d, i)
		}
		if p := stats.StudentP(d); p != 1 {
			t.Errorf("StudentP of %v: got %v; want 1", d, p)
		}
	}
	// A two-sided sign flip of 5 cannot get under 0.05, so the signed-rank
	// interval at 95 % does not exist either; with 6 it does.
	if i := stats.SignedRank([]float64{1, 2, 3, 4, 5}, 0.95); !math.IsInf(i.HalfWidth(), 1) {
		t.Errorf("signed rank of 5: got %+v; want unbounded", i)
	}
	i := stats.SignedRank([]float64{1, 2, 3, 4, 5, 6}, 0.95)
	if i.Low != 1 || i.High != 6 {
		t.Errorf("signed rank of 6: got [%v, %v]; want the range [1, 6]", i.Low, i.High)
	}
	near(t, "achieved level at 6", i.Achieved, 1-2.0/64, 1e-12)
	if p := stats.StudentP([]float64{0, 0, 0}); p != 1 {
		t.Errorf("StudentP of zeros: got %v; want 1", p)
	}
	if p := stats.StudentP([]float64{2, 2, 2}); p != 0 {
		t.Errorf("StudentP of a constant shift: got %v; want 0", p)
	}
}

func TestSignedRankOnHollanderAndWolfe(t *testing.T) {
	i := stats.SignedRank(differences(before, after), 0.95)
	near(t, "estimate", i.Estimate, 0.46, 1e-9)
	near(t, "low", i.Low, 0.010, 1e-9)
	near(t, "high", i.High, 0.786, 1e-9)
	near(t, "achieved", i.Achieved, 0.9609375, 1e-9)
}

// Critical values of Wilcoxon's table at two-sided 5 % (Wilcoxon 1945, and
// every textbook since): the largest T that is significant. The k of the
// interval is one more.
func TestSignedRankCriticalValues(t *testing.T) {
	for n, critical := range map[int]int{6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 12: 13, 15: 25, 20: 52, 25: 89, 30: 137, 50: 434} {
		d := make([]float64, n)
		for i := range d {
			d[i] = float64(i) + 0.1*float64(i*i%7) // distinct averages do not matter here
		}
		i := stats.SignedRank(d, 0.95)
		all := walshBrute(d)
		if want := all[critical]; i.Low != want {
			t.Errorf("n=%d: low end %v; want the average number %d, %v", n, i.Low, critical+1, want)
		}
		if want := all[len(all)-1-critical]; i.High != want {
			t.Errorf("n=%d: high end %v; want %v", n, i.High, want)
		}
	}
}

func walshBrute(d []float64) []float64 {
	var all []float64
	s := slices.Clone(d)
	slices.Sort(s)
	for i := range s {
		for j := i; j < len(s); j++ {
			all = append(all, (s[i]+s[j])/2)
		}
	}
	slices.Sort(all)
	return all
}

func TestHodgesLehmannEqualsTheMedianOfAllAverages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		d := make([]float64, 1+rng.IntN(40))
		for i := range d {
			d[i] = rng.NormFloat64()
			if rng.IntN(3) == 0 {
				d[i] = float64(rng.IntN(3)) // ties
			}
		}
		all := walshBrute(d)
		want := (all[(len(all)-1)/2] + all[len(all)/2]) / 2
		if got := stats.HodgesLehmann(d); got != want {
			t.Fatalf("%v: got %v; want %v", d, got, want)
		}
	}
}

// The exact table ends at 200; the approximation must continue it.
func TestSignedRankApproximationContinuesTheTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	d := make([]float64, 201)
	for i := range d {
		d[i] = rng.NormFloat64()
	}
	exact, approx := stats.SignedRank(d[:200], 0.95), stats.SignedRank(d, 0.95)
	if r := approx.HalfWidth() / exact.HalfWidth(); r < 0.97 || r > 1.03 {
		t.Errorf("half-widths at 200 and 201: ratio %v; want about 1", r)
	}
}

func TestShiftOnHollanderAndWolfe(t *testing.T) {
	i := stats.Shift(term, early, 0.95)
	near(t, "estimate", i.Estimate, 0.305, 1e-9)
	near(t, "low", i.Low, -0.15, 1e-9)
	near(t, "high", i.High, 0.76, 1e-9)
	if i.Achieved < 0.95 || i.Achieved > 0.97 {
		t.Errorf("achieved %v; want just above 0.95", i.Achieved)
	}
}

func TestShiftEqualsTheMedianOfAllDifferences(t *testing.T) {
	layer.Full(t, "simulates for seconds")
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		a, b := make([]float64, 1+rng.IntN(60)), make([]float64, 1+rng.IntN(60))
		for i := range a {
			a[i] = float64(rng.IntN(20)) / 4
		}
		for i := range b {
			b[i] = rng.NormFloat64()
		}
		var all []float64
		for _, x := range a {
			for _, y := range b {
				all = append(all, x-y)
			}
		}
		slices.Sort(all)
		want := (all[(len(all)-1)/2] + all[len(all)/2]) / 2
		if got := stats.Shift(a, b, 0.95).Estimate; got != want {
			t.Fatalf("got %v; want %v", got, want)
		}
	}
}

// Fisher counted 863 of 32768 sign patterns with a sum at least as great.
func TestSignFlipOnFishersMaize(t *testing.T) {
	near(t, "p", stats.SignFlip(maize), 2*863.0/32768, 1e-12)
}

func TestSignFlipAgreesBeyondTheExactRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	d := make([]float64, 21)
	for i := range d {
		d[i] = rng.NormFloat64() + 0.5
	}
	// With many values the test comes close to Student's.
	near(t, "p", stats.SignFlip(d), stats.StudentP(d), 0.02)
	if a, b := stats.SignFlip(d), stats.SignFlip(d); a != b {
		t.Errorf("two calls differ: %v, %v", a, b)
	}
	for n := range 7 {
		all := make([]float64, n)
		for i := range all {
			all[i] = 1
		}
		want := 1.0
		if n > 0 {
			want = 2 / math.Pow(2, float64(n))
		}
		near(t, "smallest p", stats.SignFlip(all), min(1, want), 1e-12)
	}
}

func TestHolm(t *testing.T) {
	got := stats.Holm([]float64{0.01, 0.04, 0.03, 0.005})
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		near(t, "adjusted p", got[i], want, 1e-12)
	}
	if got := stats.Holm([]float64{0.7, 0.6}); got[0] != 1 || got[1] != 1 {
		t.Errorf("got %v; want ones", got)
	}
	if got := stats.Holm(nil); len(got) != 0 {
		t.Errorf("got %v; want nothing", got)
	}
}

// Type 7 of Hyndman and Fan places the q-quantile at 1 + (n-1) q; the values are
// those of R's quantile(1:10) and of the quartiles in its manual.
func TestQuantileByTypeSeven(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.1: 1.9, 0.25: 3.25, 0.5: 5.5, 0.75: 7.75, 0.9: 9.1, 1: 10} {
		near(t, "quantile", stats.Quantile(x, q), want, 1e-12)
	}
	near(t, "of one", stats.Quantile([]float64{7}, 0.99), 7, 0)
	if !math.IsNaN(stats.Quantile(nil, 0.5)) {
		t.Error("the quantile of nothing is a number")
	}
}

// The standard error of a median of n normal values is 1.2533 / sqrt(n).
func TestErrorRanksGiveTheStandardError(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	const n, runs = 400, 300
	var sum float64
	for range runs {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		slices.Sort(x)
		lo, hi := stats.ErrorRanks(n, 0.5)
		at := func(r float64) float64 { return stats.Quantile(x, (r-1)/(n-1)) }
		sum += (at(hi) - at(lo)) / 2
	}
	near(t, "standard error", sum/runs, 1.2533/math.Sqrt(n), 0.002)
}

func TestContrast(t *testing.T) {
	near(t, "one baseline", stats.Contrast(10, 4), 6, 0)
	near(t, "with its twin", stats.Contrast(10, 4, 6), 5, 0)
}

func TestBetweenTakesTheWindowsShareAway(t *testing.T) {
	// Variance 4 of the estimates, of which the windows explain 1.
	near(t, "between", stats.Between([]float64{8, 10, 12}, []float64{1, 1, 1}), math.Sqrt(3), 1e-12)
	near(t, "between", stats.Between([]float64{8, 10, 12}, []float64{9, 9, 9}), 0, 0)
	near(t, "between", stats.Between([]float64{8}, nil), 0, 0)
}

// Cohen's table 2.4.1 by way of the noncentral t: six pairs see an effect of
// 1.43 standard deviations with 80 % power.
func TestSmallestVisible(t *testing.T) {
	near(t, "n=6", stats.SmallestVisible(1, 6, 0.95, 0.8), 1.435, 0.02)
	near(t, "n=20", stats.SmallestVisible(1, 20, 0.95, 0.8), 0.66, 0.005)
	if !math.IsInf(stats.SmallestVisible(1, 1, 0.95, 0.8), 1) {
		t.Error("one replicate sees something")
	}
}

// Student's sleep data taken as two groups: R's t.test(extra ~ group).
func TestWelchOnStudentsTwoGroups(t *testing.T) {
	drug1 := []float64{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0}
	drug2 := []float64{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4}
	i, p := stats.Welch(drug1, drug2, 0.95)
	near(t, "difference", i.Estimate, -1.58, 1e-9)
	near(t, "low", i.Low, -3.3654832, 1e-6)
	near(t, "high", i.High, 0.2054832, 1e-6)
	near(t, "p", p, 0.07939414, 1e-7)
	if i, p := stats.Welch([]float64{1}, []float64{1, 2}, 0.95); p != 1 || i.Excludes(100) {
		t.Errorf("one value on a side: got %+v, p %v; want an unbounded interval", i, p)
	}
}
