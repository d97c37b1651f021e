package pooled

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/stats"
)

// Side is one side of a comparison: arms of a sample, each with a weight for
// every one of its requests. A plain arm has one part of weight 1; a mix of
// request kinds weighs each kind to its share.
type Side struct {
	Sample *Sample
	Parts  []Part
}

// Part is an arm of the sample by its place, and its requests' weight.
type Part struct {
	Arm    int
	Weight float64
}

// Of is the side that is one arm.
func (s *Sample) Of(arm int) Side { return Side{s, []Part{{arm, 1}}} }

// Comparison is how two sides differ, a - b. Sides of one sample are paired:
// the same blocks of time are drawn for both.
type Comparison struct {
	a, b   side
	paired bool
	level  float64
}

// side is a Side laid out for drawing.
type side struct {
	table
	blocks stats.Blocks
	window time.Duration
	draws  *stats.Draws
}

// Compare prepares a comparison at a confidence level. The block length is
// chosen for the quantiles qs: of the difference when the sides are paired, else
// of each side.
func Compare(a, b Side, qs []float64, level float64) *Comparison {
	c := &Comparison{a: a.lay(), b: b.lay(), paired: a.Sample == b.Sample, level: level}
	var of, ofA, ofB [][]float64
	for _, q := range qs {
		x, y := c.a.pool.Influence(q), c.b.pool.Influence(q)
		ofA, ofB = append(ofA, x), append(ofB, y)
		if c.paired {
			of = append(of, less(x, y))
		}
	}
	if c.paired {
		c.a.blocks = stats.ChooseBlocks(of...)
		c.b.blocks = c.a.blocks
		return c
	}
	c.a.blocks, c.b.blocks = stats.ChooseBlocks(ofA...), stats.ChooseBlocks(ofB...)
	return c
}

// Blocks is how each side was cut, and how long a block is.
func (c *Comparison) Blocks() (a, b stats.Blocks, lengthA, lengthB time.Duration) {
	return c.a.blocks, c.b.blocks, c.a.window * time.Duration(c.a.blocks.Length), c.b.window * time.Duration(c.b.blocks.Length)
}

// Fewest is the number of blocks of the side that has fewer.
func (c *Comparison) Fewest() int { return min(c.a.blocks.Count, c.b.blocks.Count) }

// Apart reports whether the blocks of both sides are uncorrelated as far as one
// can see; where not, the interval is a lower bound.
func (c *Comparison) Apart() bool { return c.a.blocks.Apart && c.b.blocks.Apart }

// Quantile is the interval of the difference of q-quantiles. The estimate is
// given by who counted the values more finely than the bins.
func (c *Comparison) Quantile(q, estimate float64) stats.Interval {
	if c.a.draws == nil && c.Fewest() >= stats.FewestBlocks {
		c.draw()
	}
	if c.a.draws == nil {
		return stats.BlockInterval(estimate, 0, nil, 0, 0, c.level)
	}
	drawn := less(c.a.draws.Quantiles(c.a.pool, q), c.b.draws.Quantiles(c.b.pool, q))
	return stats.BlockInterval(estimate, c.Pooled(q), drawn, c.Fewest(), c.acceleration(q), c.level)
}

// draw draws blocks for both sides. Those of a side depend on what it holds and
// not on which side it is: b - a is the mirror image of a - b.
func (c *Comparison) draw() {
	if c.paired {
		c.a.draws = stats.NewDraws(c.a.pool.Windows, c.a.blocks, 1)
		c.b.draws = c.a.draws
		return
	}
	first, second := &c.a, &c.b
	if c.b.before(&c.a.table) {
		first, second = second, first
	}
	first.draws = stats.NewDraws(first.pool.Windows, first.blocks, 1)
	second.draws = stats.NewDraws(second.pool.Windows, second.blocks, 2)
}

// before is an order of tables by what they hold.
func (t *table) before(u *table) bool {
	return cmp.Or(cmp.Compare(t.total, u.total), cmp.Compare(t.totalSum, u.totalSum), slices.Compare(t.sum, u.sum)) < 0
}

// acceleration is that of the difference of q-quantiles.
func (c *Comparison) acceleration(q float64) float64 {
	x, y := c.a.pool.Influence(q), c.b.pool.Influence(q)
	if c.paired {
		return stats.Acceleration(stats.BlockSums(less(x, y), c.a.blocks.Length)...)
	}
	of := stats.BlockSums(x, c.a.blocks.Length)
	for _, v := range stats.BlockSums(y, c.b.blocks.Length) {
		of = append(of, -v)
	}
	return stats.Acceleration(of...)
}

// Pooled is the difference of the pooled q-quantiles, to the width of a bin.
func (c *Comparison) Pooled(q float64) float64 {
	return c.a.pool.Quantile(q, every(c.a.pool.Windows)) - c.b.pool.Quantile(q, every(c.b.pool.Windows))
}

// Means are both sides' means, with the interval of their difference.
func (c *Comparison) Means() (a, b float64, i stats.Interval) {
	return c.ratios(func(s *side) (parts, of []float64) { return s.sum, s.n })
}

// Above are the shares of values above a limit, with the interval of their difference.
func (c *Comparison) Above(limit float64) (a, b float64, i stats.Interval) {
	return c.ratios(func(s *side) (parts, of []float64) { return s.above(limit), s.n })
}

// Failed are the shares of requests without a value, with the interval of their difference.
func (c *Comparison) Failed() (a, b float64, i stats.Interval) {
	return c.ratios(func(s *side) (parts, of []float64) { return less(s.requests, s.n), s.requests })
}

// ratios compares parts/of, both by window. Its blocks are as long as those of
// the quantiles, or longer when its own series asks for that.
func (c *Comparison) ratios(figures func(*side) (parts, of []float64)) (a, b float64, i stats.Interval) {
	ratio := func(s *side) (float64, []float64) {
		parts, of := figures(s)
		var sum, all float64
		for w := range parts {
			sum += parts[w]
			all += of[w]
		}
		r := sum / all
		influence := make([]float64, len(parts))
		for w := range parts {
			influence[w] = (parts[w] - r*of[w]) / all
		}
		return r, influence
	}
	a, infA := ratio(&c.a)
	b, infB := ratio(&c.b)
	if c.paired {
		d := less(infA, infB)
		return a, b, stats.BlockMean(a-b, d, longer(c.a.blocks, stats.ChooseBlocks(d)), c.level)
	}
	x := stats.BlockMean(a, infA, longer(c.a.blocks, stats.ChooseBlocks(infA)), c.level)
	y := stats.BlockMean(b, infB, longer(c.b.blocks, stats.ChooseBlocks(infB)), c.level)
	h := math.Hypot(x.HalfWidth(), y.HalfWidth())
	return a, b, stats.Interval{Estimate: a - b, Low: a - b - h, High: a - b + h, Level: c.level, Achieved: c.level, N: min(x.N, y.N)}
}

func longer(a, b stats.Blocks) stats.Blocks {
	if b.Length > a.Length {
		return b
	}
	return a
}

// above is the number of values above a limit in each window.
func (s *side) above(limit float64) []float64 {
	p := s.pool
	out := make([]float64, p.Windows)
	bins := len(p.Edges) - 1
	last := -1 // the last bin whose values are at most the limit
	for last+1 < bins && p.Edges[last+1] <= limit {
		last++
	}
	for w := range out {
		out[w] = s.n[w]
		if last >= 0 {
			out[w] -= float64(p.Below[last*p.Windows+w])
		}
	}
	return out
}

// lay adds up a side's parts.
func (sd Side) lay() side {
	out := side{window: sd.Sample.Window}
	if len(sd.Parts) == 1 && sd.Parts[0].Weight == 1 {
		out.table = sd.Sample.arms[sd.Parts[0].Arm]
		return out
	}
	n := sd.Sample.n
	out.n, out.sum, out.requests = make([]float64, n), make([]float64, n), make([]float64, n)
	var pools []*stats.Pool
	var weights []float64
	for _, p := range sd.Parts {
		t := sd.Sample.arms[p.Arm]
		for w := range n {
			out.n[w] += p.Weight * t.n[w]
			out.sum[w] += p.Weight * t.sum[w]
			out.requests[w] += p.Weight * t.requests[w]
		}
		pools, weights = append(pools, t.pool), append(weights, p.Weight)
	}
	out.pool = stats.MixPools(pools, weights)
	for w := range n {
		out.total += out.n[w]
		out.totalSum += out.sum[w]
		out.totalRequests += out.requests[w]
	}
	return out
}

func less(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func every(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// Clock says how two arms lie in time.
type Clock uint8

// How arms lie in time.
const (
	// TookTurns is arms of one run whose requests lie among each other: what
	// drifted moved both.
	TookTurns Clock = iota
	// Separate is everything else: two runs, two files whose clocks happen to
	// agree, or arms of one run one after the other.
	Separate
)

// MayClaim reports whether a difference of so many files a side may be called
// one. One run a side, one after the other, cannot tell a change from drift;
// replicates can, and so can arms that took turns; vouched is somebody's word
// that nothing drifted.
func MayClaim(c Clock, filesA, filesB int, vouched bool) bool {
	if filesA > 1 || filesB > 1 {
		return filesA > 1 && filesB > 1
	}
	return c == TookTurns || vouched
}
