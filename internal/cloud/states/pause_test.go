package states

import (
	"testing"
	"time"
)

// TestPauseGrowsOnly: a pause that doubles does not become negative.
func TestPauseGrowsOnly(t *testing.T) {
	r := retrier{IntervalSeconds: 1, BackoffRate: 10}
	for last, try := time.Duration(0), 0; try < 400; try++ {
		p := r.pause(try)
		if p < last || try < 3 && p <= last {
			t.Fatalf("pause %d is %v after %v", try, p, last)
		}
		last = p
	}
}
