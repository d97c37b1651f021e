package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/pooled"
	"github.com/hoplab/hoplab/internal/stats"
)

// Names of the rows about files that hoplab did not plan, read as `hoplab
// compare` reads them.
const (
	oneFile        = "one file, arms at random"
	coldFile       = "one file, one arm starts cold"
	twoRuns        = "two runs, the interval of their requests"
	twoRunsVerdict = "two runs, what compare claims"
	replicateFiles = "six files a side"
)

// The shape of a file: five minutes at 100 requests a second over all arms; of a
// replicate one minute.
const (
	fileS      = 300.0
	shortFileS = 60.0
	fileRate   = 100.0
	sideFiles  = 6
)

// comes is when a delay comes, beside the share of the requests that have it.
type comes struct {
	// ClusterS makes the share one of time: the delay comes in stretches of this
	// mean length in seconds, exponentially distributed, as a collector's pauses and
	// stalls do. 0 draws the requests that are delayed.
	ClusterS float64 `json:"cluster_s,omitempty"`
	// Cold puts the whole share at the beginning of the run, as a cold start does.
	Cold bool `json:"cold,omitempty"`
}

// load is one run of requests as time goes on.
type load struct {
	n      *Noise
	rng    *rand.Rand
	drift  *drift
	offset []float64
	on     bool    // the delay, when it comes in stretches
	left   float64 // of the stretch
	d      call.Delay
	comes  comes
	length float64
}

func newLoad(n *Noise, d call.Delay, c comes, rng *rand.Rand, length float64, arms int) *load {
	l := &load{n: n, rng: rng, drift: newDrift(n, rng), d: d, comes: c, length: length}
	for range arms {
		l.offset = append(l.offset, n.offset(rng))
	}
	if c.ClusterS > 0 {
		l.on = rng.Float64() < d.Share
		l.left = l.stretch()
	}
	return l
}

// stretch is how long the delay stays on, or off.
func (l *load) stretch() float64 {
	mean := l.comes.ClusterS
	if !l.on {
		mean *= (1 - l.d.Share) / l.d.Share
	}
	return l.rng.ExpFloat64() * mean
}

// delayed reports whether a request at t is delayed, after dt seconds went by.
func (l *load) delayed(t, dt float64) bool {
	switch {
	case l.d.Spin == 0:
		return false
	case l.comes.Cold:
		return t < l.d.Share*l.length
	case l.comes.ClusterS == 0:
		return l.d.Share >= 1 || l.rng.Float64() < l.d.Share
	}
	for l.left -= dt; l.left < 0; {
		l.on = !l.on
		l.left += l.stretch()
	}
	return l.on
}

// requests plays the load and hands out each request's time, arm and latency in
// µs; the last arm is delayed.
func (l *load) requests(each func(s float64, arm int, us float64)) {
	for t := 0.0; ; {
		dt := l.rng.ExpFloat64() / fileRate
		if t += dt; t >= l.length {
			return
		}
		l.drift.advance(dt)
		on := l.delayed(t, dt)
		arm := l.rng.IntN(len(l.offset))
		us := l.n.draw(l.rng) * l.drift.factor() * l.offset[arm] * (1 + l.n.Trend*t/l.length)
		if on && arm == len(l.offset)-1 {
			us += l.d.Us()
		}
		each(t, arm, us)
	}
}

// file is what one arm of a file holds.
type file struct {
	values []float64
	arm    pooled.Arm
}

func (f *file) add(s, us float64) {
	f.values = append(f.values, us)
	f.arm.Add(int64(s*1e3), int64(us*1e3/float64(hist.Unit)))
}

const unitsPerUs = 1e3 / float64(hist.Unit)

// intervals are those of b - a at each of Quantiles, in µs.
func intervals(a, b *file, together bool) []stats.Interval {
	x, y := pooled.Join(&b.arm), pooled.Join(&a.arm)
	one, other := x.Of(0), y.Of(0)
	if together {
		s := pooled.Join(&b.arm, &a.arm)
		one, other = s.Of(0), s.Of(1)
	}
	c := pooled.Compare(one, other, Quantiles, level)
	qb, qa := quantiles(b.values, Quantiles), quantiles(a.values, Quantiles)
	var out []stats.Interval
	for i, q := range Quantiles {
		iv := c.Quantile(q, (qb[i]-qa[i])*unitsPerUs)
		iv.Estimate, iv.Low, iv.High = iv.Estimate/unitsPerUs, iv.Low/unitsPerUs, iv.High/unitsPerUs
		out = append(out, iv)
	}
	return out
}

// longRun is by how much a delay moves each quantile of an arm in the long run:
// the file's own stalls are a sample of it. It is the same for a share of the
// requests and the same share of time.
func longRun(n *Noise, d call.Delay) []float64 {
	const points = 400
	var machine []float64
	for i := range points {
		z := distuv.UnitNormal.Quantile((float64(i) + 0.5) / points)
		machine = append(machine, math.Exp(n.Slow*z-n.Slow*n.Slow/2))
	}
	if d.Share == 0 {
		d.Share = 1
	}
	return n.realised(d, machine, 1)
}

// together is one file whose requests' arms were drawn.
func together(n *Noise, d call.Delay, c comes, rng *rand.Rand) outcome {
	var f [2]file
	newLoad(n, d, c, rng, fileS, 2).requests(func(s float64, arm int, us float64) { f[arm].add(s, us) })
	return outcome{[][]stats.Interval{intervals(&f[0], &f[1], true)}, longRun(n, d)}
}

// apart is two runs, one after the other. The first outcome is the interval that
// their requests give, the second what compare claims of it.
func apart(n *Noise, d call.Delay, c comes, rng *rand.Rand) outcome {
	var f [2]file
	for i, own := range []call.Delay{{}, d} {
		newLoad(n, own, c, rng, fileS, 1).requests(func(s float64, _ int, us float64) { f[i].add(s, us) })
	}
	of := intervals(&f[0], &f[1], false)
	claimed := make([]stats.Interval, len(of))
	for i, iv := range of {
		if !pooled.MayClaim(pooled.Separate, 1, 1, false) {
			iv.Low, iv.High = math.Inf(-1), math.Inf(1)
		}
		claimed[i] = iv
	}
	return outcome{[][]stats.Interval{of, claimed}, longRun(n, d)}
}

// sidesOfFiles is several runs a side, each with an offset of its own.
func sidesOfFiles(n *Noise, d call.Delay, c comes, rng *rand.Rand) outcome {
	var q [2][][]float64
	for i, own := range []call.Delay{{}, d} {
		for range sideFiles {
			var values []float64
			newLoad(n, own, c, rng, shortFileS, 1).requests(func(_ float64, _ int, us float64) { values = append(values, us) })
			q[i] = append(q[i], quantiles(values, Quantiles))
		}
	}
	var out []stats.Interval
	for k := range Quantiles {
		column := func(side [][]float64) (v []float64) {
			for _, f := range side {
				v = append(v, f[k])
			}
			return v
		}
		iv, _ := stats.Welch(column(q[1]), column(q[0]), level)
		out = append(out, iv)
	}
	return outcome{[][]stats.Interval{out}, longRun(n, d)}
}

// fileScenarios are those of files that hoplab did not plan.
func fileScenarios() []scenario {
	short, long := Correlated(0.5), Correlated(5)
	const half, five = "correlation 0.5 s", "correlation 5 s"
	offset, trend := short, short
	offset.Offset = 0.03
	trend.Trend = 0.08
	const ms = time.Millisecond
	none, every := call.Delay{}, call.Delay{Spin: ms / 2, Share: 1}
	of := func(name string, n Noise, d call.Delay, c comes, f func(*Noise, call.Delay, comes, *rand.Rand) outcome,
		names ...string) scenario {
		return scenario{name, n, d, c, []design{{names, func(n *Noise, d call.Delay, rng *rand.Rand) outcome { return f(n, d, c, rng) }}}}
	}
	var out []scenario
	for _, n := range []struct {
		name  string
		noise Noise
	}{{half, short}, {five, long}} {
		for _, e := range []struct {
			d call.Delay
			c comes
		}{{none, comes{}}, {every, comes{}}, {call.Delay{Spin: 5 * ms, Share: 0.05}, comes{}},
			{call.Delay{Spin: 5 * ms, Share: 0.05}, comes{ClusterS: 0.1}}, {call.Delay{Spin: 5 * ms, Share: 0.2}, comes{ClusterS: 1}}} {
			out = append(out, of(n.name, n.noise, e.d, e.c, together, oneFile))
		}
	}
	return append(out,
		of(half, short, call.Delay{Spin: 20 * ms, Share: 0.02}, comes{Cold: true}, together, coldFile),
		of(half, short, none, comes{}, apart, twoRuns, twoRunsVerdict),
		of(five, long, none, comes{}, apart, twoRuns, twoRunsVerdict),
		of(half+", 3 % offset of each run", offset, none, comes{}, apart, twoRuns, twoRunsVerdict),
		of(half+", 8 % drift within each run", trend, none, comes{}, apart, twoRuns, twoRunsVerdict),
		of(half+", 3 % offset of each run", offset, none, comes{}, sidesOfFiles, replicateFiles),
		of(half+", 3 % offset of each run", offset, every, comes{}, sidesOfFiles, replicateFiles),
	)
}
