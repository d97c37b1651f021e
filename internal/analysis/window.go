package analysis

import (
	"math"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/stats"
)

// openFor is how long after its end a window stays open beyond the request
// timeout: load generators write records in batches of about a second.
const openFor = 3 * time.Second

// A collector deals the latencies of one replicate out to windows and arms. It
// holds raw latencies only of windows that may still grow, so its memory does
// not depend on the length of the replicate.
type collector struct {
	arms    int
	qs      []float64 // quantiles that windows are asked for
	groups  []int     // windows joined for qs[i]; at least 1
	window  time.Duration
	timeout time.Duration
	// void says why window i does not count, or "". It is asked once, when the
	// window closes, with the share of its requests that were sent late.
	void func(i int, late float64) string

	open   map[int]*openWindow
	closed int // windows below this index are closed
	latest time.Duration
	free   []*openWindow

	counted []*hist.Hist // by arm: requests of windows that count
	voided  []*hist.Hist // by arm: requests of the others; nil until needed
	windows []windowResult
	joined  [][]joinedWindow // by quantile
	pending []openGroup      // by quantile: windows being joined
	blocks  bool
	planned int // windows of the plan; 0 without one
	// wants is how many requests are planned for a window; nil when that is not
	// planned. A window that has them all closes at once.
	wants  func(i int) int64
	strays int64 // requests that came after their window had closed
}

// openWindow is a window's successful latencies by arm, in hist.Unit.
type openWindow struct {
	latencies [][]int64
	sent      int64
	late      int64
	wants     int64 // requests planned for it; 0 when that is not known
}

// windowResult is a closed window.
type windowResult struct {
	index int
	void  string
	// median is each arm's p50 in µs; NaN for an arm without requests.
	median []float64
	n      []int
}

func newCollector(arms int, qs []float64, groups []int, window, timeout time.Duration, void func(int, float64) string) *collector {
	c := &collector{arms: arms, qs: qs, groups: groups, window: window, timeout: timeout, void: void,
		open: map[int]*openWindow{}, counted: make([]*hist.Hist, arms), voided: make([]*hist.Hist, arms),
		joined: make([][]joinedWindow, len(qs)), pending: make([]openGroup, len(qs))}
	for i := range c.counted {
		c.counted[i] = hist.New()
	}
	for i := range c.pending {
		c.pending[i].latencies = make([][]int64, arms)
	}
	return c
}

// add counts one request: its window, the arm, whether it went out late, and
// its latency when it succeeded.
func (c *collector) add(window, arm int, late, ok bool, latency time.Duration) {
	if window < c.closed {
		c.strays++
		if ok {
			c.record(c.counted[arm], latency)
		}
		return
	}
	w := c.open[window]
	if w == nil {
		w = c.fresh()
		if c.wants != nil {
			w.wants = c.wants(window)
		}
		c.open[window] = w
	}
	w.sent++
	if late {
		w.late++
	}
	if ok {
		w.latencies[arm] = append(w.latencies[arm], int64(latency/hist.Unit))
	}
	if w.sent == w.wants {
		c.closeFull()
	}
}

// closeFull closes, in order, the windows that have every request planned for
// them. Usually that is all of them, and two or three are open at a time
// however long the timeout is.
func (c *collector) closeFull() {
	for ; c.closed < c.planned; c.closed++ {
		if w := c.open[c.closed]; w == nil || w.sent != w.wants {
			return
		}
		c.closeOne(c.closed)
	}
}

// finished tells the collector that a request ended at t after the start of
// the measured time; windows to which no request can be added any more close.
func (c *collector) finished(t time.Duration) {
	if t <= c.latest {
		return
	}
	c.latest = t
	done := min(int((t-c.timeout-openFor)/c.window), c.planned)
	if done > c.closed {
		c.closeUpTo(done)
	}
}

// close closes what is open, and under a plan also what was never opened: a
// window without any request is a result too.
func (c *collector) close() {
	c.closeUpTo(c.planned)
	for q := range c.qs {
		c.flush(q)
	}
}

// closeUpTo closes the windows below done, in order.
func (c *collector) closeUpTo(done int) {
	for ; c.closed < done; c.closed++ {
		c.closeOne(c.closed)
	}
}

func (c *collector) closeOne(i int) {
	w := c.open[i]
	if w == nil {
		w = c.fresh()
	}
	delete(c.open, i)
	late := 0.0
	if w.sent > 0 {
		late = float64(w.late) / float64(w.sent)
	}
	res := windowResult{index: i, void: c.void(i, late), median: make([]float64, c.arms), n: make([]int, c.arms)}
	into := c.counted
	if res.void != "" {
		into = c.voided
	}
	for a, ls := range w.latencies {
		slices.Sort(ls)
		res.n[a] = len(ls)
		res.median[a] = quantileOf(ls, 0.5)
		for _, v := range ls {
			if into[a] == nil {
				into[a] = hist.New()
			}
			c.record(into[a], time.Duration(v)*hist.Unit)
		}
	}
	c.windows = append(c.windows, res)
	if res.void == "" {
		c.join(i, w)
	}
	c.recycle(w)
}

func (c *collector) record(h *hist.Hist, d time.Duration) {
	// A latency above hist.Max cannot come from a plan, whose timeout is shorter.
	_ = h.Record(min(d, hist.Max))
}

func (c *collector) fresh() *openWindow {
	if n := len(c.free); n > 0 {
		w := c.free[n-1]
		c.free = c.free[:n-1]
		return w
	}
	return &openWindow{latencies: make([][]int64, c.arms)}
}

func (c *collector) recycle(w *openWindow) {
	for a := range w.latencies {
		w.latencies[a] = w.latencies[a][:0]
	}
	w.sent, w.late, w.wants = 0, 0, 0
	c.free = append(c.free, w)
}

// quantileOf is stats.Quantile of ascending latencies in hist.Unit, in µs.
func quantileOf(ls []int64, q float64) float64 {
	if len(ls) == 0 {
		return math.NaN()
	}
	at := stats.Rank(int64(len(ls)), q) - 1
	low := int(at)
	v := float64(ls[low])
	if low+1 < len(ls) {
		v += (at - float64(low)) * float64(ls[low+1]-ls[low])
	}
	return v * float64(hist.Unit) / float64(time.Microsecond)
}
