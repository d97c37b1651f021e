package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Student is the mean of d with Student's t interval.
//
// Assumes that the values are independent with a common mean, and that their
// mean is near normal; a difference of two like arms is symmetric, which makes
// this safe at 6 values (see internal/sim for its measured coverage). Fewer
// than two values give an unbounded interval.
func Student(d []float64, level float64) Interval {
	n := len(d)
	if n == 0 {
		return unbounded(math.NaN(), level, 0)
	}
	mean, sd := stat.MeanStdDev(d, nil)
	if n == 1 {
		return unbounded(mean, level, 1)
	}
	h := TQuantile((1+level)/2, float64(n-1)) * sd / math.Sqrt(float64(n))
	return Interval{Estimate: mean, Low: mean - h, High: mean + h, Level: level, Achieved: level, N: n}
}

// StudentP is the two-sided p-value of Student's one-sample t test of mean 0:
// the p that belongs to the interval of Student. It is 1 for fewer than two
// values and for values that are all 0.
func StudentP(d []float64) float64 {
	n := len(d)
	if n < 2 {
		return 1
	}
	mean, sd := stat.MeanStdDev(d, nil)
	switch {
	case sd == 0 && mean == 0:
		return 1
	case sd == 0:
		return 0
	}
	t := mean / sd * math.Sqrt(float64(n))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Survival(math.Abs(t))
}

// TQuantile is the p-quantile of Student's t with df degrees of freedom, p in (0,1), df > 0.
func TQuantile(p, df float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(p)
}

// SmallestVisible is the shift that a t interval over n replicates tells from
// 0 with the given power (0.8 by custom), when the replicates' estimates have
// standard deviation sd. It is +Inf for n < 2. It adds the two t quantiles, as
// Cohen does (Statistical Power Analysis, 1988, ch. 2); against the noncentral
// t that is off by less than 1 % from 6 replicates on.
func SmallestVisible(sd float64, n int, level, power float64) float64 {
	if n < 2 {
		return math.Inf(1)
	}
	df := float64(n - 1)
	return (TQuantile((1+level)/2, df) + TQuantile(power, df)) * sd / math.Sqrt(float64(n))
}

// Between is the standard deviation of replicate estimates that is left when
// what the windows within them explain is taken away: the offset that each
// start has of its own. within holds each replicate's squared standard error,
// as its own windows give it. The difference of two noisy variances can fall
// below 0; then Between is 0, which means "not seen", not "none".
func Between(estimates, within []float64) float64 {
	if len(estimates) < 2 {
		return 0
	}
	v := stat.Variance(estimates, nil)
	if len(within) > 0 {
		v -= stat.Mean(within, nil)
	}
	return math.Sqrt(max(0, v))
}

// Welch is the difference of two means, a - b, with Welch's t interval and the
// p-value of "no difference".
//
// Assumes independent values within and between the samples and means that are
// near normal; the spreads may differ. It is for replicates of two runs that
// cannot be paired, and does not cancel what changed between the runs. Fewer
// than two values on a side give an unbounded interval and a p of 1. Welch,
// Biometrika 34 (1947) 28, with the degrees of freedom of Satterthwaite.
func Welch(a, b []float64, level float64) (Interval, float64) {
	n, m := float64(len(a)), float64(len(b))
	if n == 0 || m == 0 {
		return unbounded(math.NaN(), level, len(a)+len(b)), 1
	}
	est := stat.Mean(a, nil) - stat.Mean(b, nil)
	if n < 2 || m < 2 {
		return unbounded(est, level, len(a)+len(b)), 1
	}
	va, vb := stat.Variance(a, nil)/n, stat.Variance(b, nil)/m
	i := Interval{Estimate: est, Low: est, High: est, Level: level, Achieved: level, N: len(a) + len(b)}
	if va+vb == 0 {
		if est == 0 {
			return i, 1
		}
		return i, 0
	}
	df := (va + vb) * (va + vb) / (va*va/(n-1) + vb*vb/(m-1))
	h := TQuantile((1+level)/2, df) * math.Sqrt(va+vb)
	i.Low, i.High = est-h, est+h
	t := math.Abs(est) / math.Sqrt(va+vb)
	return i, 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}
