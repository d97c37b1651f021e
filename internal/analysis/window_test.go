package analysis

import (
	"testing"
	"time"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// TestPlannedInCountsWhatTakeCounts walks through every iteration of loads
// whose numbers do not divide each other.
func TestPlannedInCountsWhatTakeCounts(t *testing.T) {
	for _, l := range []samplefile.Load{
		{Design: samplefile.DesignRandom, RatePerS: 500, WarmupS: 1, DurationS: 10, WindowS: 2},
		{Design: samplefile.DesignRandom, RatePerS: 333.3, WarmupS: 0.7, DurationS: 7, WindowS: 2},
		{Design: samplefile.DesignRandom, RatePerS: 0.4, WarmupS: 0, DurationS: 9, WindowS: 1},
		{Design: samplefile.DesignBlocks, RatePerS: 470, WarmupS: 0.5, DurationS: 5.1, WindowS: 1},
	} {
		got := make([]int64, windowCount(&l))
		for i := range l.Iterations() {
			start := l.Planned(i)
			w := l.Window(start)
			if w < 0 || l.Design == samplefile.DesignBlocks && start-samplefile.Seconds(l.WarmupS)-time.Duration(w)*samplefile.Seconds(l.WindowS) < blockCut {
				continue
			}
			got[w]++
		}
		for w, n := range got {
			if want := plannedIn(&l, w); n != want {
				t.Errorf("%s at %v/s, window %d: %d iterations count; plannedIn says %d", l.Design, l.RatePerS, w, n, want)
			}
		}
	}
}

// TestWindowsCloseWhenTheyAreFull: memory does not depend on the timeout, and
// a window that lacks a request holds back the ones behind it until nothing
// can come any more.
func TestWindowsCloseWhenTheyAreFull(t *testing.T) {
	const windows, each, timeout = 30, 100, 10 * time.Second
	for _, c := range []struct {
		name         string
		without      int // window that lacks its first request; -1 for none
		mostOpen     int
		closedBefore int // the end of window 12
	}{
		{"every request was answered", -1, 1, 13},
		{"one was left out", 3, 15, 3}, // 3 to 17: timeout and openFor
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newCollector(1, []float64{0.5}, []int{1}, time.Second, timeout, func(int, float64) string { return "" })
			k.planned, k.wants = windows, func(int) int64 { return each }
			most := 0
			for w := range windows {
				for i := range each {
					at := time.Duration(w)*time.Second + time.Duration(i)*10*time.Millisecond
					if w == c.without && i == 0 {
						continue
					}
					k.add(w, 0, false, true, time.Millisecond)
					most = max(most, len(k.open))
					k.finished(at + time.Millisecond)
				}
				if w == 12 && k.closed != c.closedBefore {
					t.Errorf("%d windows are closed after window 12; want %d", k.closed, c.closedBefore)
				}
			}
			k.close()
			if most != c.mostOpen {
				t.Errorf("%d windows were open at a time; want %d", most, c.mostOpen)
			}
			if len(k.windows) != windows || k.strays != 0 {
				t.Errorf("%d windows and %d strays; want %d and none", len(k.windows), k.strays, windows)
			}
			for i, w := range k.windows {
				want := each
				if i == c.without {
					want--
				}
				if w.index != i || w.n[0] != want {
					t.Errorf("window %d is number %d with %d requests; want %d", i, w.index, w.n[0], want)
				}
			}
		})
	}
}
