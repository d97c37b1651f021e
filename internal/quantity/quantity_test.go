package quantity

import (
	"math"
	"strings"
	"testing"
)

func TestStepFollowsTheInterval(t *testing.T) {
	for _, c := range []struct {
		low, high, want float64
	}{
		{165.0, 177.9, 1},
		{171, 204, 1},
		{-40, 310, 10},
		{168.9, 173.4, 0.1},
		{167.6, 176.4, 1},
		{167.6, 174.6, 0.1},
		{-2300, 4100, 100},
		{5, 5, Finest},
		{3, 1203, 1}, // 3 must not become 0
		{0, 1203, 100},
		{0.01, 0.02, Finest},
		{math.Inf(-1), 310, Finest},
	} {
		if got := Step(c.low, c.high); math.Abs(got-c.want) > c.want*1e-9 {
			t.Errorf("Step(%v, %v) = %v, want %v", c.low, c.high, got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name, got, want string
	}{
		{"microseconds", Microseconds.Number(171.2, 1), "171"},
		{"a step above one", Microseconds.Number(174, 10), "170"},
		{"tenths", Microseconds.Number(171.25, 0.1), "171.3"},
		{"milliseconds by tens of µs", Milliseconds.Number(1903, 10), "1.90"},
		{"milliseconds by hundreds of µs", Milliseconds.Number(1903, 100), "1.9"},
		{"milliseconds by whole ms", Milliseconds.Number(12_345_678, 1000), "12,346"},
		{"seconds", Seconds.Number(15_000_000, 100_000), "15.0"},
		{"thousands", Microseconds.Number(1234567.8, 1), "1,234,568"},
		{"negative", Microseconds.Number(-40.4, 1), "−40"},
		{"no negative zero", Microseconds.Number(-0.04, 0.1), "0.0"},
		{"plus", Microseconds.Signed(171, 1), "+171"},
		{"signed minus", Microseconds.Signed(-171, 1), "−171"},
		{"zero has no sign", Microseconds.Signed(0.2, 1), "0"},
		{"no step", Microseconds.Number(1.25, 0), "1.3"},
		{"not a number", Microseconds.Number(math.NaN(), 1), "–"},
		{"largest", strings.TrimLeft(Microseconds.Number(-math.MaxFloat64, 0.1), "−0123456789,"), ".0"},
		{"interval", Microseconds.Interval(165, 177.9, 1), "[165, 178]"},
		{"interval around zero", Microseconds.Interval(-40, 310, 10), "[−40, +310]"},
		{"interval below zero", Microseconds.Interval(-310, -40, 10), "[−310, −40]"},
		{"open interval", Microseconds.Interval(math.Inf(-1), math.Inf(1), 1), "[−∞, +∞]"},
		{"with unit", Milliseconds.With("1.9"), "1.9 ms"},
		{"count", Count(12000), "12,000"},
		{"small count", Count(999), "999"},
		{"large count", Count(100_000_000), "100,000,000"},
		{"negative count", Count(-12000), "−12,000"},
		{"median", Quantile(0.5), "p50"},
		{"tail", Quantile(0.999), "p99.9"},
		{"odd binary", Quantile(0.29), "p29"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestUnitFor(t *testing.T) {
	for _, c := range []struct {
		us   []float64
		want Unit
	}{
		{nil, Microseconds},
		{[]float64{612, 441}, Microseconds},
		{[]float64{612, 1600}, Milliseconds},
		{[]float64{-1600}, Milliseconds},
		{[]float64{2, 3e6}, Seconds},
		{[]float64{math.Inf(1), math.NaN(), 5}, Microseconds},
	} {
		if got := UnitFor(c.us...); got != c.want {
			t.Errorf("UnitFor(%v) = %v, want %v", c.us, got, c.want)
		}
	}
}
