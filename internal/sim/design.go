package sim

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/stats"
)

// Quantiles are the reported ones.
var Quantiles = []float64{0.5, 0.9, 0.99}

// The shape of a simulated run: that of the standard profile, whose rate is
// rounded to whole requests in a step.
const (
	ratePerS   = 640.0
	replicates = 10
	replicateS = 6.0
	windowS    = 2.0
	level      = 0.95
)

// A design is a way to measure and to compute intervals of B - A, where B is
// delayed. simulate runs it once; outcome k is an interval for each of
// Quantiles, named names[k].
type design struct {
	names    []string
	simulate func(n *Noise, d call.Delay, rng *rand.Rand) outcome
}

// outcome is what a run says, and what was so: by how much the delay moved
// each of Quantiles in that run.
type outcome struct {
	intervals [][]stats.Interval
	realised  []float64
}

// Names of the intervals, as the table prints them.
const (
	ours        = "random per request, 10 starts"
	oursAA      = "the same, A/A twin"
	oursHL      = "the same, Hodges-Lehmann of windows"
	oursWithin  = "the same, within-run interval"
	shorter     = "the same, 20 starts of half the length"
	stops       = "stops at p50 ±0.11 ms, 3 to 12 starts"
	stopsNaive  = "the same, each look at 95 %"
	randomOnce  = "random per request, 1 start"
	parallel    = "two parallel scenarios, 1 start"
	plainBlocks = "plain blocks A B A B, 1 start"
	articleRuns = "the article: 50 s of A, then B"
)

func designs() []design {
	// The other designs are asked for false alarms only: nothing is delayed.
	one := func(name string, f func(*Noise, call.Delay, *rand.Rand) []stats.Interval) design {
		return design{[]string{name}, func(n *Noise, d call.Delay, rng *rand.Rand) outcome {
			return outcome{[][]stats.Interval{f(n, d, rng)}, n.realised(d, []float64{1}, 1)}
		}}
	}
	return []design{
		{[]string{ours, oursAA, oursHL, oursWithin}, standard},
		one(shorter, func(n *Noise, d call.Delay, rng *rand.Rand) []stats.Interval {
			return student(startsOf(n, d, rng, 2*replicates, replicateS/2), level, func(s *start) []float64 { return s.diff })
		}),
		one(stops, stopping(stats.SequentialLevel(stopFirst, stopLast, level))),
		one(stopsNaive, stopping(level)),
		one(randomOnce, once),
		one(parallel, sideBySide),
		one(plainBlocks, alternate),
		one(articleRuns, article),
	}
}

// bench makes the requests of one start: every arm has a factor of its own.
type bench struct {
	n      *Noise
	rng    *rand.Rand
	drift  *drift
	offset []float64
	// machine has the factors of every other step of window: the drift moves
	// little in between.
	machine []float64
}

func newBench(n *Noise, rng *rand.Rand, d *drift, arms int) *bench {
	b := &bench{n: n, rng: rng, drift: d}
	for range arms {
		b.offset = append(b.offset, n.offset(rng))
	}
	return b
}

// request is one latency of an arm while the machine's factor is f; wait is
// what the request before it costs it.
func (b *bench) request(arm int, f, wait float64, d call.Delay) float64 {
	us := b.n.draw(b.rng)*f*b.offset[arm] + wait
	if d.Us() != 0 && (d.Share >= 1 || b.rng.Float64() < d.Share) {
		us += d.Us()
	}
	return us
}

// start is what one start of everything gives at each of Quantiles.
type start struct {
	diff    []float64   // B less the mean of A and its twin, of pooled requests
	twins   []float64   // A less its twin
	shift   []float64   // Hodges-Lehmann estimate of B - A over windows
	moved   []float64   // by how much the delay moved B
	windows [][]float64 // diff of each window, by quantile
}

// startsOf is a run of so many replicates of so many seconds.
func startsOf(n *Noise, d call.Delay, rng *rand.Rand, count int, seconds float64) []start {
	drift := newDrift(n, rng)
	var out []start
	for range count {
		out = append(out, newStart(n, d, rng, drift, seconds))
	}
	return out
}

// newStart draws the arm of each request for one replicate: A, its twin and B.
func newStart(n *Noise, d call.Delay, rng *rand.Rand, drift *drift, seconds float64) start {
	b := newBench(n, rng, drift, 3)
	all := make([][]float64, 3)
	s := start{windows: make([][]float64, len(Quantiles))}
	single := make([][]float64, len(Quantiles))
	for left := seconds; left > stepS/2; left -= windowS {
		w := b.window(3, min(windowS, left), d)
		for a := range w {
			all[a] = append(all[a], w[a]...)
		}
		v := each(w)
		for i := range Quantiles {
			s.windows[i] = append(s.windows[i], stats.Contrast(v[2][i], v[0][i], v[1][i]))
			single[i] = append(single[i], v[2][i]-v[0][i])
		}
	}
	v := each(all)
	for i := range Quantiles {
		s.diff = append(s.diff, stats.Contrast(v[2][i], v[0][i], v[1][i]))
		s.twins = append(s.twins, stats.Contrast(v[0][i], v[1][i]))
		s.shift = append(s.shift, stats.HodgesLehmann(single[i]))
	}
	s.moved = n.realised(d, b.machine, b.offset[2])
	drift.advance(restartS)
	return s
}

// student is the t interval over starts of one of their figures.
func student(starts []start, level float64, figure func(*start) []float64) []stats.Interval {
	var out []stats.Interval
	for i := range Quantiles {
		var d []float64
		for k := range starts {
			d = append(d, figure(&starts[k])[i])
		}
		out = append(out, stats.Student(d, level))
	}
	return out
}

// standard is hoplab's default: each request's arm is drawn, everything is
// restarted ten times. It returns the headline, the A/A interval, the interval
// over starts of each one's Hodges-Lehmann estimate over windows with one
// baseline, and the within-run interval.
func standard(n *Noise, d call.Delay, rng *rand.Rand) outcome {
	starts := startsOf(n, d, rng, replicates, replicateS)
	var within []stats.Interval
	for i := range Quantiles {
		var ws []float64
		for k := range starts {
			ws = append(ws, starts[k].windows[i]...)
		}
		within = append(within, stats.SignedRank(ws, level))
	}
	realised := make([]float64, len(Quantiles))
	for k := range starts {
		for i, us := range starts[k].moved {
			realised[i] += us / float64(len(starts))
		}
	}
	return outcome{[][]stats.Interval{
		student(starts, level, func(s *start) []float64 { return s.diff }),
		student(starts, level, func(s *start) []float64 { return s.twins }),
		student(starts, level, func(s *start) []float64 { return s.shift }),
		within,
	}, realised}
}

// The stopping rule of the table: after each start from the third on, until the
// p50 interval is as narrow as six starts make it in the middle.
const (
	stopFirst  = 3
	stopLast   = 12
	stopHalfUs = 110.0
)

// stopping looks after every start and stops when it has seen enough. keep is
// the level of each look.
func stopping(keep float64) func(*Noise, call.Delay, *rand.Rand) []stats.Interval {
	return func(n *Noise, d call.Delay, rng *rand.Rand) []stats.Interval {
		drift := newDrift(n, rng)
		var starts []start
		for {
			starts = append(starts, newStart(n, d, rng, drift, replicateS))
			if len(starts) < stopFirst {
				continue
			}
			iv := student(starts, keep, func(s *start) []float64 { return s.diff })
			if iv[0].HalfWidth() <= stopHalfUs || len(starts) == stopLast {
				return iv
			}
		}
	}
}

// each is the quantiles of each arm.
func each(arms [][]float64) [][]float64 {
	out := make([][]float64, len(arms))
	for a, x := range arms {
		out[a] = quantiles(x, Quantiles)
	}
	return out
}

// window draws the arm of each request of one window; the last arm is delayed.
func (b *bench) window(arms int, seconds float64, d call.Delay) [][]float64 {
	const perStep = int(ratePerS * stepS)
	steps := int(seconds/stepS + 0.5)
	wait := b.n.wait(1 / ratePerS)
	out := make([][]float64, arms)
	for a := range out {
		out[a] = make([]float64, 0, perStep*steps/arms*5/4)
	}
	for step := range steps {
		f := b.drift.factor()
		if step%2 == 0 {
			b.machine = append(b.machine, f)
		}
		for range perStep {
			arm := b.rng.IntN(arms)
			var own call.Delay
			if arm == arms-1 {
				own = d
			}
			out[arm] = append(out[arm], b.request(arm, f, wait, own))
		}
		b.drift.advance(stepS)
	}
	return out
}

// once is the same drawing in one start as long as ten, with the windows as the sample.
func once(n *Noise, d call.Delay, rng *rand.Rand) []stats.Interval {
	b := newBench(n, rng, newDrift(n, rng), 2)
	return paired(int(replicates*replicateS/windowS), func() [][]float64 { return b.window(2, windowS, d) })
}

// paired takes the differences between the two arms of each window as the sample.
func paired(windows int, window func() [][]float64) []stats.Interval {
	diffs := make([][]float64, len(Quantiles))
	for range windows {
		v := each(window())
		for i := range Quantiles {
			diffs[i] = append(diffs[i], v[1][i]-v[0][i])
		}
	}
	var out []stats.Interval
	for i := range Quantiles {
		out = append(out, stats.SignedRank(diffs[i], level))
	}
	return out
}

// sideBySide is two schedules of half the rate each, whose phase is fixed by
// chance when they start: every request of one follows the other's at the same
// distance for the whole run.
func sideBySide(n *Noise, d call.Delay, rng *rand.Rand) []stats.Interval {
	b := newBench(n, rng, newDrift(n, rng), 2)
	const period = 2 / ratePerS
	phase := rng.Float64() * period
	wait := [2]float64{n.wait(period - phase), n.wait(phase)}
	const half = ratePerS * stepS / 2 // requests of each in a step
	return paired(int(replicates*replicateS/windowS), func() [][]float64 {
		out := make([][]float64, 2)
		for s := range int(windowS / stepS) {
			f := b.drift.factor()
			for range int(float64(s+1)*half) - int(float64(s)*half) {
				out[0] = append(out[0], b.request(0, f, wait[0], call.Delay{}))
				out[1] = append(out[1], b.request(1, f, wait[1], d))
			}
			b.drift.advance(stepS)
		}
		return out
	})
}

// alternate gives each arm blocks of a window in turn, always A first.
func alternate(n *Noise, d call.Delay, rng *rand.Rand) []stats.Interval {
	b := newBench(n, rng, newDrift(n, rng), 2)
	return paired(int(replicates*replicateS/windowS/2), func() [][]float64 {
		return [][]float64{b.stretch(0, windowS, ratePerS, call.Delay{}), b.stretch(1, windowS, ratePerS, d)}
	})
}

// stretch is some seconds of requests to one arm alone.
func (b *bench) stretch(arm int, seconds, rate float64, d call.Delay) []float64 {
	var out []float64
	wait := b.n.wait(1 / rate)
	for range int(seconds/stepS + 0.5) {
		f := b.drift.factor()
		for range int(rate*stepS + 0.5) {
			out = append(out, b.request(arm, f, wait, d))
		}
		b.drift.advance(stepS)
	}
	return out
}

// article is 20 users that sleep 1 s between requests: 1000 requests of one
// arm, then 1000 of the other, taken for independent.
func article(n *Noise, d call.Delay, rng *rand.Rand) []stats.Interval {
	b := newBench(n, rng, newDrift(n, rng), 2)
	x := b.stretch(0, 50, 20, call.Delay{})
	b.drift.advance(10)
	y := b.stretch(1, 50, 20, d)
	slices.Sort(x)
	slices.Sort(y)
	var out []stats.Interval
	for _, q := range Quantiles {
		out = append(out, independent(x, y, q))
	}
	return out
}

// independent is the interval of the difference of two quantiles when requests
// are taken for independent, as a reader of two summaries would.
func independent(x, y []float64, q float64) stats.Interval {
	se := func(v []float64) float64 {
		lo, hi := stats.ErrorRanks(int64(len(v)), q)
		p := func(rank float64) float64 { return stats.Quantile(v, min(1, max(0, (rank-1)/float64(len(v)-1)))) }
		return (p(hi) - p(lo)) / 2
	}
	est := stats.Quantile(y, q) - stats.Quantile(x, q)
	h := 1.959964 * math.Hypot(se(x), se(y))
	return stats.Interval{Estimate: est, Low: est - h, High: est + h, Level: level, Achieved: level, N: len(x) + len(y)}
}
