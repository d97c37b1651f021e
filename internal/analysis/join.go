package analysis

import (
	"math"
	"slices"
)

// openGroup is a group of neighbouring windows being joined.
type openGroup struct {
	openWindow
	group, parts int
}

// joinedWindow is one or several neighbouring windows with enough requests for a quantile.
type joinedWindow struct {
	value []float64 // by arm, µs; NaN where there are too few
}

// joinBlocks makes a group of every quantile a whole number of rounds, each of
// which holds one block of every arm.
func (c *collector) joinBlocks(arms int) {
	c.blocks = true
	for i, k := range c.groups {
		c.groups[i] = (k + arms - 1) / arms * arms
	}
}

// join adds window i, which counts, to its group of every quantile. Window i
// belongs to group i/k whatever happened to its neighbours.
func (c *collector) join(i int, w *openWindow) {
	for q, k := range c.groups {
		if k <= 1 {
			c.joined[q] = append(c.joined[q], c.joinedOf(w, q))
			continue
		}
		p := &c.pending[q]
		if p.group != i/k {
			c.flush(q)
			p.group = i / k
		}
		for a := range p.latencies {
			p.latencies[a] = append(p.latencies[a], w.latencies[a]...)
		}
		p.parts++
	}
}

// flush ends the open group of a quantile. It counts when at least half of its
// windows do, or all of them under design blocks, where a missing one would
// leave an arm without its share. What is left out here still counts in the
// replicate's own quantile.
func (c *collector) flush(q int) {
	p, k := &c.pending[q], c.groups[q]
	if p.parts == k || (!c.blocks && p.parts > 0 && 2*p.parts >= k) {
		for _, ls := range p.latencies {
			slices.Sort(ls)
		}
		c.joined[q] = append(c.joined[q], c.joinedOf(&p.openWindow, q))
	}
	for a := range p.latencies {
		p.latencies[a] = p.latencies[a][:0]
	}
	p.parts = 0
}

// joinedOf takes quantile i of each arm; the latencies are sorted.
func (c *collector) joinedOf(w *openWindow, i int) joinedWindow {
	out := joinedWindow{value: make([]float64, c.arms)}
	for a, ls := range w.latencies {
		out.value[a] = math.NaN()
		if len(ls) >= atLeast(c.qs[i])/2 {
			out.value[a] = quantileOf(ls, c.qs[i])
		}
	}
	return out
}

// atLeast is the number of requests of one arm that a window needs for the
// q-quantile: 100 at p50 and 300 at p99, as trials suggested; in between and
// beyond, three in the thinner tail.
func atLeast(q float64) int {
	return max(100, int(math.Ceil(3/min(q, 1-q)-1e-9)))
}

// groupsFor is how many windows to join for each quantile, so that the arm
// with the smallest share can expect enough requests. It follows from the plan
// alone, never from the data.
func groupsFor(qs []float64, perWindow float64) []int {
	out := make([]int, len(qs))
	for i, q := range qs {
		out[i] = 1
		if perWindow > 0 {
			// 5 % off: the counts are random, and a window at 95 % of its due is no different.
			out[i] = max(1, int(math.Ceil(0.95*float64(atLeast(q))/perWindow)))
		}
	}
	return out
}
