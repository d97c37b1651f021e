package chart

import (
	"math"
	"strconv"

	"github.com/hoplab/hoplab/internal/quantity"
)

// scale turns a value into a coordinate.
type scale func(value float64) float64

// linear maps [low, high] to [from, to].
func linear(low, high, from, to float64) scale {
	return func(v float64) float64 { return from + (v-low)/(high-low)*(to-from) }
}

// logarithmic maps [low, high], both positive, to [from, to].
func logarithmic(low, high, from, to float64) scale {
	inner := linear(math.Log(low), math.Log(high), from, to)
	return func(v float64) float64 { return inner(math.Log(v)) }
}

// probability maps quantiles of (0,1) so that equal steps are equal steps of
// a normal distribution: the tail, where the questions are, gets room.
func probability(low, high, from, to float64) scale {
	inner := linear(probit(low), probit(high), from, to)
	return func(q float64) float64 { return inner(probit(q)) }
}

// probit is the inverse of the standard normal distribution function.
func probit(q float64) float64 { return math.Sqrt2 * math.Erfinv(2*q-1) }

// drawable tells whether a value can stand on an axis: a number within thirty
// years of zero. What is not is left out of a picture.
func drawable(us ...float64) bool {
	const most = 1e15 // µs
	for _, v := range us {
		if math.IsNaN(v) || math.Abs(v) > most {
			return false
		}
	}
	return true
}

// roundTicks returns multiples of a round step (1, 2 or 5 times a power of
// ten) within [low, high]; at most most of them, as many as that allows.
func roundTicks(low, high float64, most int) []float64 {
	if !(high > low) || most < 1 {
		return nil
	}
	step := roundStep((high - low) / float64(most))
	for countTicks(low, high, step) > most {
		step = roundStep(step * 1.01)
	}
	var ticks []float64
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		ticks = append(ticks, i*step+0) // + 0 makes the negative zero an ordinary one
	}
	return ticks
}

func countTicks(low, high, step float64) int {
	return int(math.Floor(high/step+1e-9)-math.Ceil(low/step-1e-9)) + 1
}

// roundStep is the smallest of 1, 2 and 5 times a power of ten that is at least v.
func roundStep(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*base >= v*(1-1e-9) {
			return m * base
		}
	}
	return 10 * base
}

// logTicks returns round values within [low, high] for a logarithmic axis:
// as many in every decade as give at most most in all.
// A range that holds fewer than three of these gets round steps instead.
func logTicks(low, high float64, most int) []float64 {
	for _, mantissas := range [][]float64{{1, 1.5, 2, 3, 4, 5, 7}, {1, 2, 3, 5}, {1, 2, 5}, {1, 3}, {1}} {
		var ticks []float64
		for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
			for _, m := range mantissas {
				if v := m * math.Pow(10, e); v >= low*(1-1e-9) && v <= high*(1+1e-9) {
					ticks = append(ticks, v)
				}
			}
		}
		if len(ticks) <= most {
			if len(ticks) < 3 {
				return roundTicks(low, high, most)
			}
			return ticks
		}
	}
	return []float64{low, high}
}

// latencyLabel writes a tick of an axis of latencies: a round number with its own unit.
func latencyLabel(us float64) string {
	unit := quantity.UnitFor(us)
	return strconv.FormatFloat(math.Round(us/unit.Us*1e6)/1e6, 'f', -1, 64) + " " + unit.Name
}

// signedLabels writes the ticks of an axis of differences in one unit.
func signedLabels(ticks []float64) []string {
	unit := quantity.UnitFor(ticks...)
	labels := make([]string, len(ticks))
	for i, us := range ticks {
		v := math.Round(us/unit.Us*1e6) / 1e6
		text := strconv.FormatFloat(math.Abs(v), 'f', -1, 64)
		switch {
		case v > 0:
			text = "+" + text
		case v < 0:
			text = "−" + text
		}
		if v != 0 {
			text += " " + unit.Name
		}
		labels[i] = text
	}
	return labels
}

// pad widens [low, high] by a share on both sides.
func pad(low, high, share float64) (float64, float64) {
	by := (high - low) * share
	return low - by, high + by
}
