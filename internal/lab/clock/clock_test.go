package clock

import (
	"math"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	for _, c := range []struct {
		factor         float64
		modelled, real time.Duration
	}{
		{0, 15 * time.Second, 15 * time.Second}, {1, time.Second, time.Second}, {0.5, time.Second, time.Second},
		{math.NaN(), time.Second, time.Second}, {100, 15 * time.Second, 150 * time.Millisecond}, {100, 0, 0},
	} {
		k := New(c.factor)
		if got := k.Real(c.modelled); got != c.real {
			t.Errorf("factor %v: %s are %s, want %s", c.factor, c.modelled, got, c.real)
		}
		if got := k.Modelled(c.real); got != c.modelled {
			t.Errorf("factor %v: %s real are %s, want %s", c.factor, c.real, got, c.modelled)
		}
	}
	if got := New(1e6).Real(time.Second); got != time.Millisecond {
		t.Errorf("a second a million times as fast is %s, want the least of 1 ms", got)
	}
	if New(0).Factor() != 1 || New(20).Factor() != 20 {
		t.Error("Factor")
	}
}
