package pooled_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/pooled"
	"github.com/hoplab/hoplab/internal/stats"
)

// play fills two arms with requests of the same minute.
func play(seed uint64, n int, time func(i int, rng *rand.Rand) int64) (arms [2]pooled.Arm, values [2][]float64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for i := range n {
		k := rng.IntN(2)
		v := math.Floor(30000 * math.Exp(0.3*rng.NormFloat64()))
		arms[k].Add(time(i, rng), int64(v))
		values[k] = append(values[k], v)
	}
	for k := range values {
		slices.Sort(values[k])
	}
	return arms, values
}

// Every request must be in a window, whatever the clock does.
func TestEveryRequestIsInABlock(t *testing.T) {
	for name, time := range map[string]func(int, *rand.Rand) int64{
		"in order":     func(i int, _ *rand.Rand) int64 { return 1_772_442_000_000 + int64(i)*7 },
		"out of order": func(i int, rng *rand.Rand) int64 { return 1_772_442_000_000 + int64(i)*7 - int64(rng.IntN(5000)) },
		"before 1970":  func(i int, rng *rand.Rand) int64 { return -int64(i) * 13 },
		"jumping":      func(i int, rng *rand.Rand) int64 { return int64(rng.IntN(3))*1e14 + int64(i) },
		"all at once":  func(int, *rand.Rand) int64 { return 1 },
	} {
		arms, values := play(1, 20_000, time)
		s := pooled.Join(&arms[0], &arms[1])
		c := pooled.Compare(s.Of(0), s.Of(1), []float64{0.5}, 0.95)
		a, b, _ := c.Means()
		for k, have := range []float64{a, b} {
			var want float64
			for _, v := range values[k] {
				want += v / float64(len(values[k]))
			}
			if math.Abs(have-want) > 1e-6*want {
				t.Errorf("%s: mean of arm %d is %v; want %v", name, k, have, want)
			}
		}
		for _, q := range []float64{0.1, 0.5, 0.9, 0.98} {
			want := stats.Quantile(values[0], q) - stats.Quantile(values[1], q)
			if have := c.Pooled(q); math.Abs(have-want) > 4e-3*stats.Quantile(values[0], q) {
				t.Errorf("%s: pooled difference at %v is %v; want %v", name, q, have, want)
			}
		}
		limit := stats.Quantile(values[0], 0.7)
		above := 0.0
		for _, v := range values[0] {
			if v > limit {
				above++
			}
		}
		if have, _, _ := c.Above(limit); math.Abs(have-above/float64(len(values[0]))) > 2e-3 {
			t.Errorf("%s: %v above %v; want %v", name, have, limit, above/float64(len(values[0])))
		}
	}
}

func TestMergingIsAddingTogether(t *testing.T) {
	var all, odd, even pooled.Arm
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 30_000 {
		ms, v := int64(i)*11, int64(rng.IntN(1_000_000))
		all.Add(ms, v)
		if i%2 == 0 {
			even.Add(ms, v)
		} else {
			odd.Add(ms, v)
		}
	}
	odd.Merge(&even)
	x, y := pooled.Join(&all), pooled.Join(&odd)
	if x.Window != y.Window {
		t.Fatalf("windows of %v and %v", x.Window, y.Window)
	}
	c := pooled.Compare(x.Of(0), y.Of(0), []float64{0.5}, 0.95)
	for _, q := range []float64{0.1, 0.5, 0.99} {
		if d := c.Pooled(q); d != 0 {
			t.Errorf("at %v they differ by %v", q, d)
		}
	}
}

func TestArmsThatTookTurnsShareTheirTime(t *testing.T) {
	turns := func(of func(i int) int) float64 {
		var arms [2]pooled.Arm
		for i := range 24_000 {
			arms[of(i)].Add(int64(i)*5, 100)
		}
		return pooled.Shared(&arms[0], &arms[1])
	}
	if s := turns(func(i int) int { return i % 2 }); s < 0.99 {
		t.Errorf("request by request: %v", s)
	}
	if s := turns(func(i int) int { return i / 400 % 2 }); s < 0.95 {
		t.Errorf("blocks of 2 s in two minutes: %v", s)
	}
	if s := turns(func(i int) int { return i / 12_000 }); s > 0.1 {
		t.Errorf("one after the other: %v", s)
	}
}

// A mix weighs every kind of requests to its share.
func TestAMixIsWeighed(t *testing.T) {
	var fast, slow pooled.Arm
	for i := range 30_000 {
		fast.Add(int64(i)*3, 1000)
		if i%3 == 0 {
			slow.Add(int64(i)*3, 9000)
		}
	}
	s := pooled.Join(&fast, &slow)
	side := pooled.Side{Sample: s, Parts: []pooled.Part{{Arm: 0, Weight: 1.0 / 3}, {Arm: 1, Weight: 1}}}
	c := pooled.Compare(side, s.Of(0), []float64{0.5}, 0.95)
	if a, b, _ := c.Means(); math.Abs(a-5000) > 1 || b != 1000 {
		t.Errorf("means %v and %v; want half of 1000 and half of 9000, and 1000", a, b)
	}
	if a, _, _ := c.Above(5000); math.Abs(a-0.5) > 1e-6 {
		t.Errorf("%v above 5000; want a half", a)
	}
	if d := c.Pooled(0.75); math.Abs(d-8000) > 20 {
		t.Errorf("p75 differs by %v; want 8000", d)
	}
}

// Who swaps the sides must read the same interval with the other sign.
func TestSwappedSidesAreTheMirrorImage(t *testing.T) {
	for seed := range uint64(8) {
		runs := make([]*pooled.Sample, 2)
		for k := range runs {
			rng := rand.New(rand.NewPCG(seed, uint64(k)))
			var arm pooled.Arm
			for i := range 900 + 300*k {
				slow := 0.0
				if rng.IntN(60) == 0 {
					slow = 200_000 * rng.ExpFloat64()
				}
				arm.Add(1_772_442_000_000+int64(i)*50, int64(30_000*math.Exp(0.3*rng.NormFloat64())+slow))
			}
			runs[k] = pooled.Join(&arm)
		}
		one := pooled.Compare(runs[0].Of(0), runs[1].Of(0), []float64{0.5}, 0.95)
		other := pooled.Compare(runs[1].Of(0), runs[0].Of(0), []float64{0.5}, 0.95)
		for _, q := range []float64{0.5, 0.9, 0.99} {
			i, j := one.Quantile(q, one.Pooled(q)), other.Quantile(q, other.Pooled(q))
			off := max(math.Abs(i.Estimate+j.Estimate), math.Abs(i.Low+j.High), math.Abs(i.High+j.Low))
			if i.High <= i.Low || off > 1e-9*(i.High-i.Low) {
				t.Errorf("seed %d, q %v: %v [%v, %v] and swapped %v [%v, %v]", seed, q, i.Estimate, i.Low, i.High, j.Estimate, j.Low, j.High)
			}
		}
	}
}
