package pooled

import (
	"maps"
	"math/bits"
	"slices"
)

const (
	// binBits is how many bins a doubling of the value has: bins are exact below
	// 2^(binBits+1) units and at most 0.2 % wide above.
	binBits = 9
	binsPer = 1 << binBits
	// pageBins is how many neighbouring bins are kept together.
	pageBins = 64
	// mostWindows is how many windows an arm has before they get longer; at
	// least half of it when a run is long enough.
	mostWindows = 128
)

// Arm is the requests of one arm, by window. The zero value is ready. It is not
// safe for concurrent use.
type Arm struct {
	ms      int64 // length of a window; 1, 2, 4, ...
	windows map[int64]*window
	last    *window // the window of the request before
	at      int64   // its index
}

// window is what was counted in one window.
type window struct {
	pages    [][]uint32 // by bin / pageBins; nil where nothing is
	n        int64      // values
	sum      float64
	requests int64 // values and failures
}

// bin is the place of a value, in units of its resolution.
func bin(v int64) int {
	k := max(0, bits.Len64(uint64(v))-binBits-1)
	return k*binsPer + int(v>>k)
}

// edge is the smallest value of a bin.
func edge(b int) int64 {
	k := max(0, b/binsPer-1)
	return int64(b-k*binsPer) << k
}

// Add counts a request that ended at ms (Unix time in milliseconds) with a value
// of 0 or more.
func (a *Arm) Add(ms, value int64) {
	w := a.windowAt(ms)
	w.requests++
	w.n++
	w.sum += float64(value)
	b := bin(value)
	p := b / pageBins
	if p >= len(w.pages) {
		w.pages = append(w.pages, make([][]uint32, p+1-len(w.pages))...)
	}
	if w.pages[p] == nil {
		w.pages[p] = make([]uint32, pageBins)
	}
	w.pages[p][b%pageBins]++
}

// Fail counts a request without a value.
func (a *Arm) Fail(ms int64) { a.windowAt(ms).requests++ }

// windowAt finds the window of a time, making windows longer when there are too many.
func (a *Arm) windowAt(ms int64) *window {
	if a.windows == nil {
		a.windows, a.ms = map[int64]*window{}, 1
	}
	for {
		i := floorDiv(ms, a.ms)
		if a.last != nil && i == a.at {
			return a.last
		}
		w := a.windows[i]
		if w == nil {
			if len(a.windows) == mostWindows {
				a.double()
				continue
			}
			w = &window{}
			a.windows[i] = w
		}
		a.last, a.at = w, i
		return w
	}
}

// double joins neighbouring windows. In a file whose clock is far off two
// neighbours may never meet; then the windows grow until they do.
func (a *Arm) double() {
	joined := make(map[int64]*window, len(a.windows))
	for _, i := range slices.Sorted(maps.Keys(a.windows)) {
		w, k := a.windows[i], floorDiv(i, 2)
		if to := joined[k]; to != nil {
			to.merge(w)
		} else {
			joined[k] = w
		}
	}
	a.windows, a.ms, a.last = joined, a.ms*2, nil
}

func (w *window) merge(from *window) {
	w.n += from.n
	w.sum += from.sum
	w.requests += from.requests
	for p, bins := range from.pages {
		switch {
		case bins == nil:
		case p < len(w.pages) && w.pages[p] != nil:
			for i, n := range bins {
				w.pages[p][i] += n
			}
		default:
			if p >= len(w.pages) {
				w.pages = append(w.pages, make([][]uint32, p+1-len(w.pages))...)
			}
			w.pages[p] = slices.Clone(bins)
		}
	}
}

// Merge adds the requests of from, which stays as it is.
func (a *Arm) Merge(from *Arm) {
	for _, i := range slices.Sorted(maps.Keys(from.windows)) {
		a.windowAt(i * from.ms).merge(from.windows[i])
		for a.ms < from.ms {
			a.double()
		}
	}
}

// Empty reports whether nothing was counted.
func (a *Arm) Empty() bool { return len(a.windows) == 0 }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
