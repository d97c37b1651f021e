package sim

import (
	"cmp"

	"github.com/hoplab/hoplab/internal/stats"
)

// quantiles is stats.Quantile of x at each of qs, ascending, without sorting:
// it only brings the needed order statistics to their places, which is what
// lets the table run thousands of times. It reorders x.
func quantiles(x []float64, qs []float64) []float64 {
	out := make([]float64, len(qs))
	from := 0
	for i, q := range qs {
		place := stats.Rank(int64(len(x)), q) - 1
		low := min(int(place), len(x)-1)
		// Everything below from is in place already, because qs ascend.
		nth(x[from:], low-from)
		v := x[low]
		if part := place - float64(low); part > 0 && low+1 < len(x) {
			above := x[low+1]
			for _, y := range x[low+2:] {
				above = min(above, y)
			}
			v += part * (above - v)
		}
		out[i] = v
		from = low
	}
	return out
}

// nth reorders x so that x[k] is what it would be in ascending order, nothing
// before it is larger and nothing after it smaller: Hoare's selection with the
// median of three as the pivot.
func nth[T cmp.Ordered](x []T, k int) {
	lo, hi := 0, len(x)-1
	for lo < hi {
		mid := lo + (hi-lo)/2
		if x[mid] < x[lo] {
			x[mid], x[lo] = x[lo], x[mid]
		}
		if x[hi] < x[lo] {
			x[hi], x[lo] = x[lo], x[hi]
		}
		if x[hi] < x[mid] {
			x[hi], x[mid] = x[mid], x[hi]
		}
		pivot := x[mid]
		i, j := lo, hi
		for i <= j {
			for x[i] < pivot {
				i++
			}
			for x[j] > pivot {
				j--
			}
			if i <= j {
				x[i], x[j] = x[j], x[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return
		}
	}
}
