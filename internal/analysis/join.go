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

// grow adds a window to the open group of every quantile, and ends those in
// which every arm has enough. A group that gets long because an arm is away is
// given up: the arms took turns too slowly to be paired.
func (c *collector) grow(w *openWindow) {
	for q := range c.qs {
		p := &c.pending[q]
		least, all := math.MaxInt, 0
		for a := range p.latencies {
			p.latencies[a] = append(p.latencies[a], w.latencies[a]...)
			least = min(least, len(p.latencies[a]))
			all += len(p.latencies[a])
		}
		switch need := atLeast(c.qs[q]); {
		case least >= need:
			for _, ls := range p.latencies {
				slices.Sort(ls)
			}
			c.keep(q, c.joinedOf(&p.openWindow, q))
		case all < 50*need*len(p.latencies):
			continue
		}
		for a := range p.latencies {
			p.latencies[a] = p.latencies[a][:0]
		}
	}
}

// maxKept is how many windows without a plan are kept one by one.
const maxKept = 8192

// runningMean averages neighbouring windows, so that memory does not grow with
// the length of a file.
type runningMean struct {
	each int // windows in one kept value; 0 counts as 1
	n    int
	sum  []float64
}

// keep adds a window's values. When too many are kept, neighbours are averaged
// in twos, and from then on twice as many windows make one value.
func (c *collector) keep(q int, w joinedWindow) {
	if c.means == nil {
		c.means = make([]runningMean, len(c.qs))
	}
	m := &c.means[q]
	if m.sum == nil {
		m.each, m.sum = 1, make([]float64, c.arms)
	}
	for a, v := range w.value {
		m.sum[a] += v
	}
	if m.n++; m.n < m.each {
		return
	}
	for a := range m.sum {
		w.value[a] = m.sum[a] / float64(m.n)
		m.sum[a] = 0
	}
	m.n = 0
	c.joined[q] = append(c.joined[q], w)
	if len(c.joined[q]) < maxKept {
		return
	}
	half := c.joined[q][:maxKept/2]
	for i := range half {
		x, y := c.joined[q][2*i], c.joined[q][2*i+1]
		for a := range x.value {
			x.value[a] = (x.value[a] + y.value[a]) / 2
		}
		half[i] = x
	}
	c.joined[q] = half
	m.each *= 2
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
