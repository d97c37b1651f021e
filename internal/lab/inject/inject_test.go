package inject

import (
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
)

func TestSpin(t *testing.T) {
	const spin = 2 * time.Millisecond
	s := New(&Spec{Delay: call.Delay{Spin: spin, Share: 1}})
	start := time.Now()
	for range 5 {
		s.Wait()
	}
	took, c := time.Since(start), s.Count()
	if c.Requests != 5 || c.Delayed != 5 || c.Realised < 5*spin || c.Realised > took {
		t.Errorf("counted %+v in %s", c, took)
	}
}

func TestShare(t *testing.T) {
	count := func(seed uint64) int64 {
		s := New(&Spec{Delay: call.Delay{Share: 0.25}, Seed: seed})
		for range 4000 {
			s.Wait()
		}
		return s.Count().Delayed
	}
	n := count(7)
	if n < 850 || n > 1150 { // 1000 expected, standard deviation 27
		t.Errorf("%d of 4000 requests were delayed, want about 1000", n)
	}
	if count(7) != n {
		t.Error("the same seed delays other requests")
	}
}

func TestNil(t *testing.T) {
	s := New(nil)
	s.Wait()
	if s.Count() != (Count{}) {
		t.Error("no delay, yet something was counted")
	}
}
