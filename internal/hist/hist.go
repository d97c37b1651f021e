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

// QuantileUs is the q-quantile in µs: the recorded latencies in ascending order,
// interpolated at rank 1 + (n-1) q (type 7 of Hyndman and Fan, Am. Statist. 50
// (1996) 361; the same as stats.Quantile). Each latency counts with the middle
// of its bar: exact to Unit below ExactBelow, and to Resolution above. q is
// clamped to [0,1]; an empty histogram gives 0.
func (h *Hist) QuantileUs(q float64) float64 { return h.QuantilesUs([]float64{q})[0] }

// QuantilesUs is QuantileUs for several q in one pass, in their order.
func (h *Hist) QuantilesUs(qs []float64) []float64 {
	ranks := make([]float64, len(qs))
	for i, q := range qs {
		ranks[i] = 1 + float64(h.Count()-1)*min(1, max(0, q))
	}
	return h.AtRanksUs(ranks)
}

// AtRanksUs is the latency at each rank in µs: rank 1 is the smallest, Count
// the largest, fractions lie between their neighbours in proportion. Ranks
// outside are clamped; an empty histogram gives zeros.
func (h *Hist) AtRanksUs(ranks []float64) []float64 {
	out := make([]float64, len(ranks))
	n := h.Count()
	if n == 0 {
		return out
	}
	order := make([]int, len(ranks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	bars := h.Bars()
	bar, upTo := 0, int64(0) // bars[bar] holds ranks upTo+1 to upTo+Count
	if len(bars) > 0 {
		upTo = bars[0].Count
	}
	for _, i := range order {
		r := min(float64(n), max(1, ranks[i]))
		low := int64(r)
		for upTo < low {
			bar++
			upTo += bars[bar].Count
		}
		v := bars[bar].Us
		if part := r - float64(low); part > 0 && low == upTo && bar+1 < len(bars) {
			v += part * (bars[bar+1].Us - v)
		}
		out[i] = min(max(v, h.MinUs()), h.MaxUs())
	}
	return out
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
