package sim

import "github.com/hoplab/hoplab/internal/call"

// realised is by how much a delay really moved each of Quantiles of an arm in
// one start, in µs: the difference of the arm's own distributions with and
// without the delay, given the start's offset and the factors that the machine
// went through. A delay on all requests moves every quantile by itself; one on
// some requests moves each by an amount of its own, another in each run.
func (n *Noise) realised(d call.Delay, machine []float64, offset float64) []float64 {
	out := make([]float64, len(Quantiles))
	for i, q := range Quantiles {
		out[i] = d.Us()
		if d.Us() != 0 && d.Share < 1 {
			out[i] = n.quantile(q, machine, offset, d) - n.quantile(q, machine, offset, call.Delay{})
		}
	}
	return out
}

// quantile is the q-quantile of the latencies of one arm in one start.
func (n *Noise) quantile(q float64, machine []float64, offset float64, d call.Delay) float64 {
	cdf := func(us float64) float64 {
		var sum float64
		for _, m := range machine {
			k := m * offset
			if d.Share > 0 {
				sum += (1-d.Share)*n.CDF(us/k) + d.Share*n.CDF((us-d.Us())/k)
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
