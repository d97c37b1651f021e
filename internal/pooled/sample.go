package pooled

import (
	"maps"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/stats"
)

// Sample is arms of one clock, cut into the same windows. Windows in which
// nothing happened are no windows: a pause between requests is not a block.
type Sample struct {
	Window time.Duration // from one to the next, as a rule
	arms   []table
	n      int
}

// table is one arm in the windows of its sample.
type table struct {
	pool             *stats.Pool
	n, sum, requests []float64
	total, totalSum  float64
	totalRequests    float64
}

// Join cuts arms of one clock into the same windows. The arms stay as they are.
func Join(arms ...*Arm) *Sample {
	at, ms := windowsOf(arms...)
	s := &Sample{Window: time.Duration(usualGap(at)*ms) * time.Millisecond, n: len(at)}
	for _, a := range arms {
		s.arms = append(s.arms, a.table(at, ms))
	}
	return s
}

// usualGap is the median distance of windows that hold anything: more than 1
// where times are whole seconds or requests are rare.
func usualGap(at []int64) int64 {
	if len(at) < 2 {
		return 1
	}
	gaps := make([]int64, len(at)-1)
	for i := range gaps {
		gaps[i] = at[i+1] - at[i]
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// windowsOf is the places of windows that hold anything of the arms, and their length.
func windowsOf(arms ...*Arm) (at []int64, ms int64) {
	ms = 1
	for _, a := range arms {
		ms = max(ms, a.ms)
	}
	for ; ; ms *= 2 {
		seen := map[int64]bool{}
		for _, a := range arms {
			for i := range a.windows {
				seen[floorDiv(i*a.ms, ms)] = true
			}
		}
		if at = slices.Sorted(maps.Keys(seen)); len(at) <= mostWindows {
			return at, ms
		}
	}
}

// table lays an arm out over windows at the given places.
func (a *Arm) table(at []int64, ms int64) table {
	n := len(at)
	t := table{n: make([]float64, n), sum: make([]float64, n), requests: make([]float64, n)}
	pages := map[int]bool{}
	for _, w := range a.windows {
		for p, bins := range w.pages {
			if bins != nil {
				pages[p] = true
			}
		}
	}
	order := slices.Sorted(maps.Keys(pages))
	place := map[int]int{} // page -> its first row
	pool := &stats.Pool{Windows: n}
	for _, p := range order {
		// Between pages that do not touch lies an empty bin.
		if k := len(pool.Edges); k > 0 && pool.Edges[k-1] < float64(edge(p*pageBins)) {
			pool.Edges = append(pool.Edges, float64(edge(p*pageBins)))
		} else if k == 0 {
			pool.Edges = append(pool.Edges, float64(edge(p*pageBins)))
		}
		place[p] = len(pool.Edges) - 1
		for b := range pageBins {
			pool.Edges = append(pool.Edges, float64(edge(p*pageBins+b+1)))
		}
	}
	bins := max(0, len(pool.Edges)-1)
	pool.Below = make([]float32, bins*n)
	for i, w := range a.windows {
		k, _ := slices.BinarySearch(at, floorDiv(i*a.ms, ms))
		t.n[k] += float64(w.n)
		t.sum[k] += w.sum
		t.requests[k] += float64(w.requests)
		for p, counts := range w.pages {
			for b, c := range counts {
				if c > 0 {
					pool.Below[(place[p]+b)*n+k] += float32(c)
				}
			}
		}
	}
	for k := 1; k < bins; k++ {
		for w := range n {
			pool.Below[k*n+w] += pool.Below[(k-1)*n+w]
		}
	}
	for w := range n {
		t.total += t.n[w]
		t.totalSum += t.sum[w]
		t.totalRequests += t.requests[w]
	}
	t.pool = pool
	return t
}

// Shared is the share of the requests, of the arm with the least, that lie in
// blocks in which both arms have at least a fifth of their usual number: 1 for
// arms drawn at random, about 0 for one after the other.
func Shared(a, b *Arm) float64 {
	at, ms := windowsOf(a, b)
	if len(at) == 0 {
		return 0
	}
	length := (len(at) + stats.FewestBlocks*2 - 1) / (stats.FewestBlocks * 2)
	inA, allA := a.blocks(at, ms, length)
	inB, allB := b.blocks(at, ms, length)
	var x, y float64
	for k := range inA {
		if 5*inA[k]*float64(len(inA)) >= allA && 5*inB[k]*float64(len(inB)) >= allB {
			x += inA[k]
			y += inB[k]
		}
	}
	return min(x/max(1, allA), y/max(1, allB))
}

// blocks counts an arm's requests in blocks of windows.
func (a *Arm) blocks(at []int64, ms int64, length int) (sums []float64, all float64) {
	requests := make([]float64, len(at))
	for i, w := range a.windows {
		k, _ := slices.BinarySearch(at, floorDiv(i*a.ms, ms))
		requests[k] += float64(w.requests)
		all += float64(w.requests)
	}
	return stats.BlockSums(requests, length), all
}
