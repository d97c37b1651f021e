package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/stats"
)

// autoregressive is a series whose neighbours are correlated by r.
func autoregressive(rng *rand.Rand, n int, r float64) []float64 {
	out := make([]float64, n)
	x := rng.NormFloat64()
	for i := range out {
		x = r*x + math.Sqrt(1-r*r)*rng.NormFloat64()
		out[i] = x
	}
	return out
}

func TestBlocksGrowWithTheCorrelation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	mean := func(r float64) (length, apart float64) {
		const runs = 200
		for range runs {
			b := stats.ChooseBlocks(autoregressive(rng, 128, r))
			length += float64(b.Length) / runs
			if b.Apart {
				apart += 1.0 / runs
			}
			if b.Count < stats.FewestBlocks || b.Count > stats.MostBlocks || b.Count*b.Length > 128 {
				t.Fatalf("%+v of 128 windows", b)
			}
		}
		return length, apart
	}
	white, whiteApart := mean(0)
	slow, _ := mean(0.9)
	trend, trendApart := mean(0.995)
	if white > 8 || whiteApart < 0.97 || slow < white+3 || trend < slow || trendApart > 0.7 {
		t.Errorf("lengths %.1f, %.1f, %.1f; apart %.2f and %.2f", white, slow, trend, whiteApart, trendApart)
	}
	if b := stats.ChooseBlocks(make([]float64, 7)); b.Count != 0 {
		t.Errorf("7 windows: %+v", b)
	}
}

func TestBlockSumsAddUp(t *testing.T) {
	for n := range 50 {
		s := make([]float64, n)
		for i := range s {
			s[i] = float64(i + 1)
		}
		for length := 1; length < 9; length++ {
			var sum float64
			for _, v := range stats.BlockSums(s, length) {
				sum += v
			}
			if sum != float64(n*(n+1)/2) {
				t.Errorf("%d values in blocks of %d add up to %v", n, length, sum)
			}
		}
	}
}

// The mean of correlated values: its interval must hold the truth as often as promised.
func TestBlockMeanCovers(t *testing.T) {
	for _, r := range []float64{0, 0.6} {
		rng := rand.New(rand.NewPCG(2, 2))
		const runs, n = 1000, 128
		covers := 0
		for range runs {
			s := autoregressive(rng, n, r)
			var mean float64
			for _, v := range s {
				mean += v / n
			}
			influence := make([]float64, n)
			for i, v := range s {
				influence[i] = (v - mean) / n
			}
			if i := stats.BlockMean(mean, influence, stats.ChooseBlocks(influence), 0.95); !i.Excludes(0) {
				covers++
			}
		}
		if share := float64(covers) / runs; share < 0.89 || share > 0.98 {
			t.Errorf("correlation %v: covers in %.3f of the runs", r, share)
		}
	}
}

// pool is one value of every window and bin.
func pool(windows [][]float64) *stats.Pool {
	var edges []float64
	for v := 0.0; v <= 100; v++ {
		edges = append(edges, v)
	}
	p := &stats.Pool{Edges: edges, Windows: len(windows), Below: make([]float32, 100*len(windows))}
	for w, values := range windows {
		for k := range 100 {
			for _, v := range values {
				if v < edges[k+1] {
					p.Below[k*len(windows)+w]++
				}
			}
		}
	}
	return p
}

func TestPooledQuantilesAreThoseOfAllValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	windows := make([][]float64, 16)
	weight := make([]float32, 16)
	var all []float64
	for w := range windows {
		weight[w] = float32(rng.IntN(3))
		for range 200 {
			v := min(99, max(0, 40+12*rng.NormFloat64()))
			windows[w] = append(windows[w], v)
			for range int(weight[w]) {
				all = append(all, v)
			}
		}
	}
	slices.Sort(all)
	p := pool(windows)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
		if have, want := p.Quantile(q, weight), stats.Quantile(all, q); math.Abs(have-want) > 1.1 {
			t.Errorf("at %v: %v; want %v", q, have, want)
		}
	}
	if v := p.Quantile(0.5, make([]float32, 16)); !math.IsNaN(v) {
		t.Errorf("nothing counted: %v", v)
	}
	both := stats.MixPools([]*stats.Pool{p, p}, []float64{1, 3})
	if have, want := both.Quantile(0.7, weight), p.Quantile(0.7, weight); math.Abs(have-want) > 0.1 {
		t.Errorf("a mix of one pool with itself: %v; want %v", have, want)
	}
	d := stats.NewDraws(16, stats.Blocks{Length: 2, Count: 8}, 1)
	drawn := d.Quantiles(p, 0.5)
	ones := make([]float32, 16)
	for i := range ones {
		ones[i] = 1
	}
	centre := p.Quantile(0.5, ones)
	for _, shift := range []float64{0, 5, -5} {
		if i := stats.BlockInterval(centre, centre+shift, drawn, 8, 0,
			0.95); i.Low > i.Estimate || i.High < i.Estimate || i.High <= i.Low {
			t.Errorf("shifted by %v: %+v excludes its estimate", shift, i)
		}
	}
	if i := stats.BlockInterval(centre, centre, drawn, 7, 0, 0.95); !math.IsInf(i.Low, -1) {
		t.Errorf("7 blocks: %+v; want none", i)
	}
}

// The influence of windows predicts what happens when one of them is counted twice.
func TestInfluenceIsWhatAWindowAdds(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	windows := make([][]float64, 40)
	for w := range windows {
		for range 500 {
			windows[w] = append(windows[w], min(99, max(0, 40+10*rng.NormFloat64()+float64(w%5))))
		}
	}
	p := pool(windows)
	ones := make([]float32, 40)
	for i := range ones {
		ones[i] = 1
	}
	for _, q := range []float64{0.5, 0.9} {
		influence := p.Influence(q)
		var sum, square, cross float64
		before := p.Quantile(q, ones)
		for w := range windows {
			ones[w] = 2
			moved := p.Quantile(q, ones) - before
			ones[w] = 1
			sum += influence[w]
			square += influence[w] * influence[w]
			cross += influence[w] * moved
		}
		if slope := cross / square; slope < 0.8 || slope > 1.1 || math.Abs(sum) > 0.05 {
			t.Errorf("at %v: moved by %.2f of the influence, which adds up to %v", q, slope, sum)
		}
	}
}

func TestAccelerationLeansToTheRareSide(t *testing.T) {
	if a := stats.Acceleration(-1, -1, -1, -1, 4); a <= 0 {
		t.Errorf("a few large ones: %v", a)
	}
	if a := stats.Acceleration(1, 1, -2, 0); a >= 0 {
		t.Errorf("a few small ones: %v", a)
	}
	if a := stats.Acceleration(0, 0); a != 0 {
		t.Errorf("none: %v", a)
	}
}
