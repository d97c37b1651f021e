package hist_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/hist"
)

var quantiles = []float64{0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.57, 0.9, 0.99, 0.999, 1}

// draw makes latencies over seven orders of magnitude, heavy in the tail.
func draw(rng *rand.Rand, n int) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		us := 300 * math.Exp(0.4*rng.NormFloat64())
		switch rng.IntN(100) {
		case 0:
			us *= 1 / math.Pow(rng.Float64(), 1.2)
		case 1:
			us = 0
		}
		out[i] = min(time.Duration(us*1e3).Truncate(hist.Unit), hist.Max)
	}
	return out
}

func record(t *testing.T, ds []time.Duration) *hist.Hist {
	t.Helper()
	h := hist.New()
	for _, d := range ds {
		if err := h.Record(d); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func merged(hs ...*hist.Hist) *hist.Hist {
	m := hist.New()
	for _, h := range hs {
		m.Merge(h)
	}
	return m
}

func same(a, b *hist.Hist) bool {
	return slices.Equal(a.Bars(), b.Bars()) && a.Count() == b.Count() && a.MinUs() == b.MinUs() &&
		a.MaxUs() == b.MaxUs() && a.MeanUs() == b.MeanUs() && slices.Equal(a.QuantilesUs(quantiles), b.QuantilesUs(quantiles))
}

func TestMergeIsAssociativeAndCommutative(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, b, c := record(t, draw(rng, rng.IntN(500))), record(t, draw(rng, rng.IntN(500))), record(t, draw(rng, rng.IntN(500)))
		if !same(merged(a, b), merged(b, a)) {
			t.Fatalf("seed %d: a+b differs from b+a", seed)
		}
		if !same(merged(merged(a, b), c), merged(a, merged(b, c))) {
			t.Fatalf("seed %d: (a+b)+c differs from a+(b+c)", seed)
		}
		if !same(merged(a, hist.New()), a) {
			t.Fatalf("seed %d: the empty histogram is not neutral", seed)
		}
	}
}

// The quantile of the merged histogram must be the order statistic of the
// union, within the resolution that the package promises.
func TestQuantilesAfterMergingAreThoseOfTheUnion(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var union []time.Duration
		m := hist.New()
		for range 1 + rng.IntN(5) {
			part := draw(rng, 1+rng.IntN(3000))
			union = append(union, part...)
			m.Merge(record(t, part))
		}
		slices.Sort(union)
		for _, q := range quantiles {
			want := quantile(union, q)
			above := union[min(len(union)-1, int(float64(len(union)-1)*q)+1)]
			tolerance := 0.0
			if above >= hist.ExactBelow {
				tolerance = hist.Resolution * us(above)
			}
			if got := m.QuantileUs(q); math.Abs(got-want) > tolerance+1e-9 {
				t.Errorf("seed %d: q %v of %d: got %v us; want %v", seed, q, len(union), got, want)
			}
		}
		if got, want := m.MaxUs(), float64(union[len(union)-1])/1e3; got != want {
			t.Errorf("seed %d: max %v us; want %v exactly", seed, got, want)
		}
		if got, want := m.MinUs(), float64(union[0])/1e3; got != want {
			t.Errorf("seed %d: min %v us; want %v exactly", seed, got, want)
		}
	}
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// quantile is the definition, on the sorted latencies themselves.
func quantile(sorted []time.Duration, q float64) float64 {
	at := float64(len(sorted)-1) * q
	low := int(at)
	if low+1 >= len(sorted) {
		return us(sorted[len(sorted)-1])
	}
	return us(sorted[low]) + (at-float64(low))*us(sorted[low+1]-sorted[low])
}

func TestRanksAreClampedAndKeepTheirOrder(t *testing.T) {
	h := record(t, []time.Duration{30 * time.Microsecond, 10 * time.Microsecond, 20 * time.Microsecond})
	got := h.AtRanksUs([]float64{9, 2.5, -1, 1, 2})
	if want := []float64{30, 25, 10, 10, 20}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestBarsHoldEveryRequest(t *testing.T) {
	ds := draw(rand.New(rand.NewPCG(3, 3)), 10_000)
	h := record(t, ds)
	var n int64
	var sum, last float64
	last = -1
	for _, b := range h.Bars() {
		if b.Us <= last {
			t.Fatalf("bars are not ascending at %v us", b.Us)
		}
		last = b.Us
		n += b.Count
		sum += b.Us * float64(b.Count)
	}
	if n != int64(len(ds)) {
		t.Errorf("bars hold %d; want %d", n, len(ds))
	}
	if mean := sum / float64(n); math.Abs(mean/h.MeanUs()-1) > hist.Resolution {
		t.Errorf("mean from bars %v us, exact %v", mean, h.MeanUs())
	}
}

// A latency must lie in the bar that counts it, on both sides of every place
// where bars get wider.
func TestTheBarHoldsTheLatency(t *testing.T) {
	for bits := range 37 {
		for off := int64(-2); off <= 2; off++ {
			d := time.Duration(int64(1)<<bits+off) * hist.Unit
			if d < 0 || d > hist.Max {
				continue
			}
			bars := record(t, []time.Duration{d}).Bars()
			if len(bars) != 1 || bars[0].Count != 1 {
				t.Fatalf("%v: bars %v", d, bars)
			}
			tolerance := 1e-9
			if d >= hist.ExactBelow {
				tolerance += us(d) * hist.Resolution / 2
			}
			if away := math.Abs(bars[0].Us - us(d)); away > tolerance {
				t.Errorf("%v counts as %v us, which is %v away", d, bars[0].Us, away)
			}
		}
	}
}

func TestRecordRefusesWhatItCannotHold(t *testing.T) {
	h := hist.New()
	for _, d := range []time.Duration{-1, hist.Max + hist.Unit} {
		if err := h.Record(d); err == nil {
			t.Errorf("%v: accepted", d)
		}
	}
	if err := h.RecordN(time.Second, -1); err == nil {
		t.Error("a negative count was accepted")
	}
	if h.Count() != 0 || h.MaxUs() != 0 || h.MinUs() != 0 || h.MeanUs() != 0 || h.QuantileUs(0.5) != 0 {
		t.Errorf("refused values left traces: %d, %v", h.Count(), h.MaxUs())
	}
	if err := h.Record(hist.Max); err != nil {
		t.Errorf("Max: %v", err)
	}
}

func TestResetMakesItEmpty(t *testing.T) {
	h := record(t, draw(rand.New(rand.NewPCG(4, 4)), 100))
	h.Reset()
	if !same(h, hist.New()) {
		t.Error("something is left after Reset")
	}
}
