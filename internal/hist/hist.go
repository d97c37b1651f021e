// Package hist counts latencies in mergeable histograms.
//
// It is a thin layer over HdrHistogram that fixes the unit, the range and the
// resolution, keeps minimum, maximum and sum exactly, and hands out its bars.
// Histograms add up: merging is associative and commutative, and a quantile
// after merging equals the quantile of the union, because every histogram has
// the same bars.
package hist

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Unit is the step in which latencies are counted: that of a sample file.
	Unit = 100 * time.Nanosecond
	// Max is the largest latency that can be recorded; a plan's timeout is at most 1 h.
	Max = 2 * time.Hour
	// digits makes a bar at most 1/16384 of its value wide.
	digits = 4
	// ExactBelow is the latency up to which every bar is one Unit wide.
	ExactBelow = 32768 * Unit
	// Resolution is the greatest relative width of a bar above ExactBelow.
	Resolution = 1.0 / 16384
)

// Hist is a histogram of latencies. The zero value is not ready; use New.
// It is not safe for concurrent use while something is recorded.
type Hist struct {
	h        *hdr.Histogram
	min, max int64 // Unit; valid when the count is positive
	sum      int64 // Unit; 2^63 units are 29 000 years of latency
}

// New returns an empty histogram. It takes about 3 MB.
func New() *Hist {
	return &Hist{h: hdr.New(1, int64(Max/Unit), digits), min: math.MaxInt64}
}

// Record counts one latency, rounded down to Unit. It fails, and counts
// nothing, for a negative latency or one above Max.
func (h *Hist) Record(d time.Duration) error { return h.RecordN(d, 1) }

// RecordN counts a latency n times; n must not be negative.
func (h *Hist) RecordN(d time.Duration, n int64) error {
	if d < 0 || d > Max {
		return fmt.Errorf("latency %v: expected 0 to %v", d, Max)
	}
	v := int64(d / Unit)
	if err := h.h.RecordValues(v, n); err != nil {
		return fmt.Errorf("latency %v: %w", d, err)
	}
	if n == 0 {
		return nil
	}
	h.min, h.max = min(h.min, v), max(h.max, v)
	h.sum += v * n
	return nil
}

// Merge adds the counts of from, which stays as it is.
func (h *Hist) Merge(from *Hist) {
	if from.Count() == 0 {
		return
	}
	// Nothing can be dropped: both have the same bars.
	h.h.Merge(from.h)
	h.min, h.max = min(h.min, from.min), max(h.max, from.max)
	h.sum += from.sum
}

// Reset makes the histogram empty again, keeping its memory.
func (h *Hist) Reset() {
	h.h.Reset()
	h.min, h.max, h.sum = math.MaxInt64, 0, 0
}

// Count is the number of latencies recorded.
func (h *Hist) Count() int64 { return h.h.TotalCount() }

// MinUs is the smallest latency in µs, exactly; 0 when empty.
func (h *Hist) MinUs() float64 {
	if h.Count() == 0 {
		return 0
	}
	return us(h.min)
}

// MaxUs is the largest latency in µs, exactly; 0 when empty.
func (h *Hist) MaxUs() float64 { return us(h.max) }

// MeanUs is the mean latency in µs, exactly up to Unit; 0 when empty.
func (h *Hist) MeanUs() float64 {
	if h.Count() == 0 {
		return 0
	}
	return float64(h.sum) / float64(h.Count()) / unitsPerUs
}

// QuantileUs is the smallest recorded latency with at least a share q of all
// at or below it, in µs: exact to Unit below ExactBelow, and to Resolution
// above. q is clamped to [0,1]; an empty histogram gives 0.
func (h *Hist) QuantileUs(q float64) float64 { return h.QuantilesUs([]float64{q})[0] }

// QuantilesUs is QuantileUs for several q in one pass, in their order.
//
// The library's own quantiles round the rank to the nearest whole number, by
// which a quantile may lie one request too low; these take the ceiling.
func (h *Hist) QuantilesUs(qs []float64) []float64 {
	out := make([]float64, len(qs))
	if h.Count() == 0 {
		return out
	}
	order := make([]int, len(qs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(qs[a], qs[b]) })
	next, seen := 0, int64(0)
	for _, b := range h.h.Distribution() {
		seen += b.Count
		for next < len(order) && seen >= rank(qs[order[next]], h.Count()) {
			// The upper edge of the last bar may lie above what was recorded.
			out[order[next]] = us(min(b.To, h.max))
			next++
		}
	}
	return out
}

// rank is ceil(q n) in [1, n]; the margin keeps 0.57 of 100 at 57 although
// the product is 56.99999999999999.
func rank(q float64, n int64) int64 {
	return min(n, max(1, int64(math.Ceil(q*float64(n)-1e-9))))
}

// Bar is a count of latencies that the histogram does not tell apart.
type Bar struct {
	Us    float64 // middle of the bar
	Count int64   // more than 0
}

// Bars returns the non-empty bars, ascending.
func (h *Hist) Bars() []Bar {
	var out []Bar
	for _, b := range h.h.Distribution() {
		if b.Count > 0 {
			out = append(out, Bar{Us: us(b.From+b.To) / 2, Count: b.Count})
		}
	}
	return out
}

const unitsPerUs = float64(time.Microsecond / Unit)

func us(units int64) float64 { return float64(units) / unitsPerUs }
