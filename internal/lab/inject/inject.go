// Package inject delays requests by a known amount, so that an experiment can
// be asked to find it. It spins instead of sleeping: a sleep of 200 µs takes
// over 1 ms on an idle machine, a spin takes 200 µs.
package inject

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/call"
)

// Spec is a delay for a share of the requests of one hop.
type Spec struct {
	call.Delay
	Seed uint64 `json:"seed"`
}

// Count says what was done.
type Count struct {
	Requests int64         `json:"requests"` // asked for a delay
	Delayed  int64         `json:"delayed"`  // got one
	Realised time.Duration `json:"realised"` // in total, by the monotonic clock
}

// Spinner applies a Spec by busy waiting. The nil Spinner does nothing. It is
// safe for concurrent use.
type Spinner struct {
	spec Spec
	mu   sync.Mutex
	rng  *rand.Rand

	requests, delayed, realised atomic.Int64
}

// New returns a Spinner, nil for a nil Spec.
func New(s *Spec) *Spinner {
	if s == nil {
		return nil
	}
	return &Spinner{spec: *s, rng: rand.New(rand.NewPCG(s.Seed, 0x9e3779b97f4a7c15))}
}

// Wait spins for Spec.Spin with probability Spec.Share.
func (s *Spinner) Wait() {
	if s == nil {
		return
	}
	s.requests.Add(1)
	if s.spec.Share < 1 {
		s.mu.Lock()
		draw := s.rng.Float64()
		s.mu.Unlock()
		if draw >= s.spec.Share {
			return
		}
	}
	start := time.Now()
	for time.Since(start) < s.spec.Spin {
	}
	s.delayed.Add(1)
	s.realised.Add(int64(time.Since(start)))
}

// Count returns what was done so far; zero for nil.
func (s *Spinner) Count() Count {
	if s == nil {
		return Count{}
	}
	return Count{Requests: s.requests.Load(), Delayed: s.delayed.Load(), Realised: time.Duration(s.realised.Load())}
}
