package sim

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// Noise is what makes latencies of one machine hard to compare. All shares are
// relative standard deviations of factors; times are seconds, latencies µs.
type Noise struct {
	// BaseUs and Sigma are median and log-scale of the lognormal body.
	BaseUs, Sigma float64
	// A share Tail of the requests comes from a Pareto distribution instead,
	// with scale TailUs and exponent Alpha: stalls, collections, retransmissions.
	Tail, TailUs, Alpha float64
	// Slow and Fast are drifts of the whole machine with the correlation times
	// SlowS and FastS; they multiply the requests of all arms alike.
	Slow, SlowS, Fast, FastS float64
	// Offset is each process start's own factor: memory layout, hash seeds,
	// placement of connections. It multiplies one arm for one replicate.
	Offset float64
	// ContentionUs is what a request loses when another starts right before it;
	// the loss falls with the gap between the two by a factor e per ContentionS.
	ContentionUs, ContentionS float64
	// Trend is by which share latencies grow from the beginning of a run to its end.
	Trend float64
}

// Hostile is the noise of the coverage table: a 3 ms service with 10 % slow and
// 10 % fast drift, 2 % of requests in a Pareto tail with infinite variance, and
// a 3 % offset of every start, as trials on a shared virtual machine suggested.
func Hostile() Noise {
	return Noise{BaseUs: 3000, Sigma: 0.3, Tail: 0.02, TailUs: 5000, Alpha: 2,
		Slow: 0.10, SlowS: 30, Fast: 0.10, FastS: 0.5, Offset: 0.03, ContentionUs: 60, ContentionS: 1e-3}
}

// Correlated is the noise of one long run: that of Hostile without offsets, and
// with one drift of 10 % whose correlation time is given.
func Correlated(seconds float64) Noise {
	n := Hostile()
	n.Offset, n.Fast, n.FastS, n.SlowS = 0, 0, 0, seconds
	return n
}

// draw is one request's latency before the machine's and the start's factors.
func (n *Noise) draw(rng *rand.Rand) float64 {
	if n.Tail > 0 && rng.Float64() < n.Tail {
		return n.TailUs * math.Pow(1-rng.Float64(), -1/n.Alpha)
	}
	return n.BaseUs * math.Exp(n.Sigma*rng.NormFloat64())
}

// wait is what a request loses to one that started gap seconds before it.
func (n *Noise) wait(gap float64) float64 {
	if n.ContentionUs == 0 {
		return 0
	}
	return n.ContentionUs * math.Exp(-gap/n.ContentionS)
}

// CDF is the distribution function of draw.
func (n *Noise) CDF(us float64) float64 {
	if us <= 0 {
		return 0
	}
	body := distuv.UnitNormal.CDF(math.Log(us/n.BaseUs) / n.Sigma)
	tail := 0.0
	if us > n.TailUs {
		tail = 1 - math.Pow(n.TailUs/us, n.Alpha)
	}
	return (1-n.Tail)*body + n.Tail*tail
}

// drift is a machine's factor over time: two independent Ornstein-Uhlenbeck
// processes on the log scale, in steps of stepS.
type drift struct {
	noise      *Noise
	rng        *rand.Rand
	slow, fast float64 // current state, unit variance
}

const stepS = 0.05

func newDrift(n *Noise, rng *rand.Rand) *drift {
	return &drift{noise: n, rng: rng, slow: rng.NormFloat64(), fast: rng.NormFloat64()}
}

// factor is the machine's factor now. Its mean is 1.
func (d *drift) factor() float64 {
	v := d.noise.Slow*d.slow + d.noise.Fast*d.fast
	return math.Exp(v - (d.noise.Slow*d.noise.Slow+d.noise.Fast*d.noise.Fast)/2)
}

// advance lets s seconds pass.
func (d *drift) advance(s float64) {
	step := func(x, tau float64) float64 {
		if tau <= 0 {
			return d.rng.NormFloat64()
		}
		r := math.Exp(-s / tau)
		return r*x + math.Sqrt(1-r*r)*d.rng.NormFloat64()
	}
	d.slow, d.fast = step(d.slow, d.noise.SlowS), step(d.fast, d.noise.FastS)
}

// offset is one start's factor, with mean 1.
func (n *Noise) offset(rng *rand.Rand) float64 {
	return math.Exp(n.Offset*rng.NormFloat64() - n.Offset*n.Offset/2)
}
