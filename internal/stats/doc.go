// Package stats turns paired differences into estimates with intervals.
//
// The sample behind a headline interval is one number per replicate: the
// difference of two arms' quantiles within that start of everything. Requests
// of one run are not independent, so nothing here takes requests as a sample;
// a test on raw requests is deliberately missing. Windows may be taken as a
// sample for an interval that is named "within": it is blind to what differs
// between starts.
//
// Values carry no unit of their own: whatever unit goes in (µs everywhere in
// hoplab) comes out. All functions are pure and safe for concurrent use, and
// leave their arguments as they are.
package stats

import "math"

// Interval is an estimate with its two-sided confidence interval.
type Interval struct {
	Estimate, Low, High float64
	// Level is the confidence level that was asked for; Achieved is what an
	// exact discrete method gives, at least Level. Methods that are not
	// discrete set it to Level.
	Level, Achieved float64
	N               int // size of the sample
}

// HalfWidth is half the interval's length, +Inf when an end is infinite.
func (i Interval) HalfWidth() float64 { return (i.High - i.Low) / 2 }

// Excludes reports whether x lies outside the interval.
func (i Interval) Excludes(x float64) bool { return x < i.Low || x > i.High }

// unbounded is the honest interval of a sample that is too small for the level.
func unbounded(estimate, level float64, n int) Interval {
	return Interval{Estimate: estimate, Low: math.Inf(-1), High: math.Inf(1), Level: level, Achieved: 1, N: n}
}
