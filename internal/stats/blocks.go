package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Limits of blocks: as many as keep Student's quantile near the normal one
// (Schmeiser, Oper. Res. 30 (1982) 556, advises 10 to 30 batches), and as few as
// still say how blocks differ.
const (
	MostBlocks   = 24
	FewestBlocks = 8
	// blockDraws is how often blocks are drawn anew: an end at 2.5 % of 999 draws
	// moves by a twentieth of the half-width from seed to seed.
	blockDraws = 999
)

// Pool is the values of one arm, counted by window of time and by bin of value.
type Pool struct {
	// Edges are the bins' lower edges, ascending, and the last bin's upper one.
	Edges []float64
	// Below holds, bin after bin, how many values of each window lie in that bin
	// or a lower one: Below[k*windows+w].
	Below   []float32
	Windows int
}

// MixPools is the pool of several arms over the same windows, the values of each
// counted with its weight.
func MixPools(pools []*Pool, weights []float64) *Pool {
	out := &Pool{}
	for _, p := range pools {
		out.Edges = append(out.Edges, p.Edges...)
		out.Windows = p.Windows
	}
	slices.Sort(out.Edges)
	out.Edges = slices.Compact(out.Edges)
	bins, n := max(0, len(out.Edges)-1), out.Windows
	out.Below = make([]float32, bins*n)
	for i, p := range pools {
		from := 0 // the first bin of p whose upper edge lies above that of the bin at hand
		for k := range bins {
			for from < len(p.Edges)-1 && p.Edges[from+1] <= out.Edges[k+1] {
				from++
			}
			if from == 0 {
				continue
			}
			row := p.Below[(from-1)*n:][:n]
			for w, v := range row {
				out.Below[k*n+w] += float32(weights[i]) * v
			}
		}
	}
	return out
}

// below is the weighted number of values in bin k and the lower ones.
func (p *Pool) below(k int, weight []float32) float64 {
	var sum float32
	row := p.Below[k*p.Windows:][:p.Windows]
	for w, v := range row {
		sum += v * weight[w]
	}
	return float64(sum)
}

// Quantile is the q-quantile of the values pooled over all windows, window w
// counted weight[w] times: Rank's place, interpolated inside its bin. NaN when
// nothing is counted.
func (p *Pool) Quantile(q float64, weight []float32) float64 {
	bins := len(p.Edges) - 1
	if bins < 1 {
		return math.NaN()
	}
	_, v := p.quantile(q, weight, 0, bins-1)
	return v
}

// quantile is Quantile, looked for among the bins from lo to hi first; it also
// returns its bin.
func (p *Pool) quantile(q float64, weight []float32, lo, hi int) (bin int, v float64) {
	n := p.below(len(p.Edges)-2, weight)
	if n <= 0 {
		return 0, math.NaN()
	}
	rank := 1 + max(0, n-1)*q
	for step := 8; lo > 0 && p.below(lo-1, weight) >= rank; step *= 2 {
		lo, hi = max(0, lo-step), lo
	}
	for step := 8; hi < len(p.Edges)-2 && p.below(hi, weight) < rank; step *= 2 {
		lo, hi = hi, min(len(p.Edges)-2, hi+step)
	}
	for lo < hi {
		mid := (lo + hi) / 2
		if p.below(mid, weight) < rank {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	var under float64
	if lo > 0 {
		under = p.below(lo-1, weight)
	}
	inside := p.below(lo, weight) - under
	if inside <= 0 {
		return lo, p.Edges[lo]
	}
	return lo, p.Edges[lo] + (p.Edges[lo+1]-p.Edges[lo])*min(1, max(0, (rank-under-0.5)/inside))
}

// Influence is, for each window, by how much its values move the pooled
// q-quantile: the window's share of values below the quantile, less q of its
// values, over the density there (Bahadur, Ann. Math. Statist. 37 (1966) 577).
// The density is the slope between the quantiles on both sides of q. The sum
// over all windows is about zero; its spread over blocks is the quantile's.
func (p *Pool) Influence(q float64) []float64 {
	one := ones(p.Windows)
	at := p.Quantile(q, one)
	out := make([]float64, p.Windows)
	if math.IsNaN(at) {
		return out
	}
	bins := len(p.Edges) - 1
	n := p.below(bins-1, one)
	// Where few lie beyond q the step is a third of them, as a slope needs both sides.
	h := max(1/n, min(q, 1-q)/3)
	slope := (p.Quantile(min(1, q+h), one) - p.Quantile(max(0, q-h), one)) / (min(1, q+h) - max(0, q-h))
	k, _ := slices.BinarySearch(p.Edges[1:], at)
	k = min(k, bins-1)
	part := 0.0
	if width := p.Edges[k+1] - p.Edges[k]; width > 0 {
		part = (at - p.Edges[k]) / width
	}
	for w := range out {
		count := float64(p.Below[(bins-1)*p.Windows+w])
		under := part * float64(p.Below[k*p.Windows+w])
		if k > 0 {
			under += (1 - part) * float64(p.Below[(k-1)*p.Windows+w])
		}
		out[w] = -(under - q*count) * slope / n
	}
	return out
}

func ones(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// Blocks is how a run is cut: into Count blocks of Length neighbouring windows.
type Blocks struct {
	Length, Count int
	// Apart is whether neighbouring blocks are uncorrelated as far as one can
	// see. When even FewestBlocks are not, an interval is a lower bound.
	Apart bool
}

// ChooseBlocks finds the block length from the data. It begins with MostBlocks
// blocks and doubles their length until the sums of no series (Influence, one
// for each quantity) are correlated from block to block, or until fewer than
// FewestBlocks would be left: the sequential batch means of Law and Carson
// (Oper. Res. 27 (1979) 1011) with the lag-one test of Fishman (Manage. Sci. 24
// (1978) 510), one-sided at 10 %. All series have the same length. Count is 0 for
// fewer than FewestBlocks windows.
func ChooseBlocks(series ...[]float64) Blocks {
	n := len(series[0])
	if n < FewestBlocks {
		return Blocks{}
	}
	b := Blocks{Length: (n + MostBlocks - 1) / MostBlocks}
	for {
		b.Count = n / b.Length
		worst := 0.0
		for _, s := range series {
			worst = max(worst, serial(s, b.Length))
		}
		b.Apart = worst <= 1.282
		if !b.Apart && n/(2*b.Length) < FewestBlocks {
			b.Apart = worst <= 2.326 // 1 %: at the end of the road, only what is plain
			return b
		}
		if b.Apart {
			return b
		}
		b.Length *= 2
	}
}

// serial is Fishman's statistic: the lag-one correlation of block sums, as von
// Neumann's ratio gives it, in its own standard deviations.
func serial(s []float64, length int) float64 {
	sums := BlockSums(s, length)
	m := float64(len(sums))
	var mean float64
	for _, v := range sums {
		mean += v / m
	}
	var square, steps float64
	for i, v := range sums {
		square += (v - mean) * (v - mean)
		if i > 0 {
			steps += (v - sums[i-1]) * (v - sums[i-1])
		}
	}
	if square == 0 {
		return 0
	}
	return (1 - steps/(2*square)) * math.Sqrt((m*m-1)/(m-2))
}

// BlockSums adds up neighbouring values in blocks of the given length; what is
// left at the end belongs to the last block when it is shorter than half, and is
// a block of its own otherwise.
func BlockSums(s []float64, length int) []float64 {
	var out []float64
	for i := 0; i < len(s); i += length {
		part := s[i:min(len(s), i+length)]
		if len(part)*2 < length && len(out) > 0 {
			for _, v := range part {
				out[len(out)-1] += v
			}
			break
		}
		var sum float64
		for _, v := range part {
			sum += v
		}
		out = append(out, sum)
	}
	return out
}

// stretch widens what m blocks show of the spread by what they cannot: values
// are counted from their own mean instead of the truth, and Student's quantile
// belongs to their standard deviation, of which overlapping blocks say as much as
// half again as many that do not (Meketon and Schmeiser, Proc. Winter Simulation
// Conf. 1984, 226).
func stretch(m int, level float64) float64 {
	if m < 2 {
		return math.Inf(1)
	}
	z := distuv.UnitNormal.Quantile((1 + level) / 2)
	return TQuantile((1+level)/2, 1.5*float64(m-1)) / z * math.Sqrt(float64(m)/float64(m-1))
}

// Acceleration is Efron's (J. Am. Statist. Assoc. 82 (1987) 171), from what each
// block contributes to the estimate: positive where a few blocks pull it up. By
// it an interval leans to the side on which such a run errs: a run with few
// stalls shows too small an effect and too little spread at once.
func Acceleration(contributions ...float64) float64 {
	var square, cube float64
	for _, d := range contributions {
		square += d * d
		cube += d * d * d
	}
	if square == 0 {
		return 0
	}
	return cube / (6 * math.Pow(square, 1.5))
}

// Draws are the weights of each window in each resample of whole blocks.
type Draws struct {
	Blocks Blocks
	weight [][]float32
}

// NewDraws draws blocks of b.Length neighbouring windows, from any window to
// start with and around the end, until there are as many windows as before: the
// circular block bootstrap (Politis and Romano, in Exploring the Limits of
// Bootstrap, 1992, 263). The seed makes draws of different runs independent;
// the same seed, number and blocks give the same draws.
func NewDraws(windows int, b Blocks, seed uint64) *Draws {
	rng := rand.New(rand.NewPCG(0xb10c5, seed))
	d := &Draws{Blocks: b, weight: make([][]float32, blockDraws)}
	all := make([]float32, blockDraws*windows)
	for i := range d.weight {
		w := all[i*windows:][:windows]
		for left := windows; left > 0; left -= b.Length {
			at := rng.IntN(windows)
			for range min(left, b.Length) {
				w[at]++
				if at++; at == windows {
					at = 0
				}
			}
		}
		d.weight[i] = w
	}
	return d
}

// Quantiles is the pooled q-quantile in each resample.
func (d *Draws) Quantiles(p *Pool, q float64) []float64 {
	out := make([]float64, len(d.weight))
	if len(p.Edges) < 2 {
		for i := range out {
			out[i] = math.NaN()
		}
		return out
	}
	// Most resamples have it near the sample's own.
	at, _ := p.quantile(q, ones(p.Windows), 0, len(p.Edges)-2)
	for i, w := range d.weight {
		_, out[i] = p.quantile(q, w, max(0, at-4), min(len(p.Edges)-2, at+4))
	}
	return out
}

// BlockInterval is the interval of an estimate whose resamples came out as
// drawn, around centre: what the estimate's own method gives for the sample
// itself. Ends are the percentiles of Efron's accelerated interval, or plain ones
// where those lie much further out. They are moved away from the estimate by
// Student's factor for so few blocks, and never exclude it. With too few blocks, or when over one resample in fifty has
// no value, the interval is unbounded.
func BlockInterval(estimate, centre float64, drawn []float64, blocks int, acceleration, level float64) Interval {
	ok := make([]float64, 0, len(drawn))
	for _, v := range drawn {
		if !math.IsNaN(v) {
			ok = append(ok, v)
		}
	}
	if blocks < FewestBlocks || math.IsNaN(estimate) || 50*(len(drawn)-len(ok)) > len(drawn) || len(ok) == 0 {
		return unbounded(estimate, level, blocks)
	}
	slices.Sort(ok)
	from, to := accelerated(ok, centre, acceleration, level)
	k := stretch(blocks, level)
	low, high := min(0, Quantile(ok, from)-centre), max(0, Quantile(ok, to)-centre)
	plainLow, plainHigh := min(0, Quantile(ok, (1-level)/2)-centre), max(0, Quantile(ok, (1+level)/2)-centre)
	// Where the two disagree by a quarter of the interval, the correction is out of
	// its depth: a single stall makes two heaps of the resamples.
	disagree := (plainHigh - plainLow) / 4
	if low-plainLow > disagree {
		low = plainLow
	}
	if plainHigh-high > disagree {
		high = plainHigh
	}
	low, high = k*low, k*high
	return Interval{Estimate: estimate, Low: estimate + low, High: estimate + high, Level: level, Achieved: level, N: blocks}
}

// accelerated is the percentiles at which Efron's accelerated, bias-corrected
// interval ends. drawn is ascending.
func accelerated(drawn []float64, centre, acceleration, level float64) (from, to float64) {
	below, _ := slices.BinarySearch(drawn, centre)
	above := sort.Search(len(drawn), func(i int) bool { return drawn[i] > centre })
	// Draws that equal the centre lie half on either side of it.
	share := (float64(below) + float64(above)) / 2 / float64(len(drawn))
	// Corrections beyond these are those of a sample that says too little of its own skew.
	bias := distuv.UnitNormal.Quantile(min(0.69, max(0.31, share)))
	acceleration = max(-0.15, min(0.15, acceleration))
	z := distuv.UnitNormal.Quantile((1 + level) / 2)
	at := func(z float64) float64 {
		return distuv.UnitNormal.CDF(bias + (bias+z)/(1-acceleration*(bias+z)))
	}
	return at(-z), at(z)
}

// BlockMean is the interval of an estimate that is a sum of what each window
// contributes: a mean, a share or a difference of such. influence is each
// window's part of the estimate's error, about zero in sum. Student's t over
// the sums of blocks; unbounded with too few of them.
func BlockMean(estimate float64, influence []float64, b Blocks, level float64) Interval {
	sums := BlockSums(influence, max(1, b.Length))
	m := float64(len(sums))
	if b.Count < FewestBlocks || math.IsNaN(estimate) {
		return unbounded(estimate, level, b.Count)
	}
	var mean, square float64
	for _, v := range sums {
		mean += v / m
	}
	for _, v := range sums {
		square += (v - mean) * (v - mean)
	}
	h := TQuantile((1+level)/2, m-1) * math.Sqrt(square*m/(m-1))
	return Interval{Estimate: estimate, Low: estimate - h, High: estimate + h, Level: level, Achieved: level, N: b.Count}
}
