package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
)

// truthWorlds is how many starts the truth is averaged over; its error is then
// a few per cent of one run's interval.
const truthWorlds = 600

// truth is the difference of quantiles that a delay really makes under the
// noise, in µs: the mean over starts and drifts of the difference between the
// distributions themselves, without any sampling. A delay on all requests
// moves every quantile by itself; one on some requests moves each by its own
// amount, which this computes from the distribution functions.
func truth(n *Noise, d Delay, qs []float64, seconds float64) []float64 {
	out := make([]float64, len(qs))
	if d.Us == 0 || d.Share >= 1 {
		for i := range out {
			out[i] = d.Us
		}
		return out
	}
	key := fmt.Sprint(*n, d, qs, seconds)
	if known, ok := truths.Load(key); ok {
		return slices.Clone(known.([]float64))
	}
	each := make([][]float64, truthWorlds)
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for w := range each {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			each[w] = world(n, d, qs, seconds, rand.New(rand.NewPCG(0x77, uint64(w))))
			<-slots
		}()
	}
	wg.Wait()
	for _, v := range each { // in order, so that the sum has one rounding
		for i := range qs {
			out[i] += v[i] / truthWorlds
		}
	}
	truths.Store(key, slices.Clone(out))
	return out
}

// truths remembers what was computed: it takes seconds and never changes.
var truths sync.Map

// world is the difference in one start of both arms.
func world(n *Noise, d Delay, qs []float64, seconds float64, rng *rand.Rand) []float64 {
	const every = 2 // steps of the drift; it moves little in between
	drift := newDrift(n, rng)
	var machine []float64
	for t := 0.0; t < seconds; t += every * stepS {
		machine = append(machine, drift.factor())
		drift.advance(every * stepS)
	}
	with, without := n.offset(rng), n.offset(rng)
	out := make([]float64, len(qs))
	for i, q := range qs {
		out[i] = n.quantile(q, machine, with, d) - n.quantile(q, machine, without, Delay{})
	}
	return out
}

// quantile is the q-quantile of the latencies of one arm in one start.
func (n *Noise) quantile(q float64, machine []float64, offset float64, d Delay) float64 {
	cdf := func(us float64) float64 {
		var sum float64
		for _, m := range machine {
			k := m * offset
			if d.Share > 0 {
				sum += (1-d.Share)*n.CDF(us/k) + d.Share*n.CDF((us-d.Us)/k)
			} else {
				sum += n.CDF(us / k)
			}
		}
		return sum / float64(len(machine))
	}
	lo, hi := 0.0, n.BaseUs
	for cdf(hi) < q {
		hi *= 2
	}
	// Illinois' false position: bracketing, and fast on a smooth curve.
	flo, fhi := cdf(lo)-q, cdf(hi)-q
	side := 0
	for range 60 {
		mid := (lo*fhi - hi*flo) / (fhi - flo)
		f := cdf(mid) - q
		if hi-lo < 0.05 || f == 0 {
			return mid
		}
		if f*fhi > 0 {
			if hi-mid < 0.05 && -f < 1e-9 && f < 1e-9 {
				return mid
			}
			hi, fhi = mid, f
			if side == -1 {
				flo /= 2
			}
			side = -1
		} else {
			lo, flo = mid, f
			if side == 1 {
				fhi /= 2
			}
			side = 1
		}
	}
	return (lo + hi) / 2
}
