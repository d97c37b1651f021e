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
	// adapt joins windows until every arm has enough requests, for data without
	// a plan. It looks at counts, never at a latency.
	adapt   bool
	planned int           // windows of the plan; 0 without one
	plain   bool          // keep no histograms and no list of windows
	means   []runningMean // by quantile, when there are too many windows to keep
	strays  int64         // requests that came after their window had closed
}

// openWindow is a window's successful latencies by arm, in hist.Unit.
type openWindow struct {
	latencies [][]int64
	sent      int64
	late      int64
}

// openGroup is a group of neighbouring windows being joined.
type openGroup struct {
	openWindow
	group, parts int
}

// windowResult is a closed window.
type windowResult struct {
	index int
	void  string
	// median is each arm's p50 in µs; NaN for an arm without requests.
	median []float64
	n      []int
}

// joinedWindow is one or several neighbouring windows with enough requests for a quantile.
type joinedWindow struct {
	value []float64 // by arm, µs; NaN where there are too few
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
		c.open[window] = w
	}
	w.sent++
	if late {
		w.late++
	}
	if ok {
		w.latencies[arm] = append(w.latencies[arm], int64(latency/hist.Unit))
	}
}

// joinBlocks makes a group of every quantile a whole number of rounds, each of
// which holds one block of every arm.
func (c *collector) joinBlocks(arms int) {
	c.blocks = true
	for i, k := range c.groups {
		c.groups[i] = (k + arms - 1) / arms * arms
	}
}

// finished tells the collector that a request ended at t after the start of
// the measured time; windows to which no request can be added any more close.
func (c *collector) finished(t time.Duration) {
	if t <= c.latest {
		return
	}
	c.latest = t
	done := int((t - c.timeout - openFor) / c.window)
	if !c.adapt {
		done = min(done, c.planned)
	}
	if done > c.closed {
		c.closeUpTo(done)
	}
}

// close closes what is open, and under a plan also what was never opened: a
// window without any request is a result too.
func (c *collector) close() {
	if !c.adapt {
		c.closeUpTo(c.planned)
	}
	c.closeUpTo(math.MaxInt)
	if !c.adapt {
		for q := range c.qs {
			c.flush(q)
		}
	}
}

// closeUpTo closes the windows below done, in order: all of them under a plan,
// those with requests otherwise, because a foreign clock may jump by years.
func (c *collector) closeUpTo(done int) {
	if c.adapt || done == math.MaxInt {
		var open []int
		for i := range c.open {
			if i < done {
				open = append(open, i)
			}
		}
		slices.Sort(open)
		for _, i := range open {
			c.closeOne(i)
		}
		c.closed = max(c.closed, done)
		return
	}
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
			if c.plain {
				break
			}
			if into[a] == nil {
				into[a] = hist.New()
			}
			c.record(into[a], time.Duration(v)*hist.Unit)
		}
	}
	if !c.adapt || (c.arms > 1 && len(c.windows) < maxKept) {
		c.windows = append(c.windows, res)
	}
	switch {
	case c.adapt:
		c.grow(w)
	case res.void == "":
		c.join(i, w)
	}
	c.recycle(w)
}

func (c *collector) record(h *hist.Hist, d time.Duration) {
	// A latency above hist.Max cannot come from a plan, whose timeout is shorter.
	_ = h.Record(min(d, hist.Max))
}

// join adds window i, which counts, to its group of every quantile. Window i
// belongs to group i/k whatever happened to its neighbours.
func (c *collector) join(i int, w *openWindow) {
	for q, k := range c.groups {
		if k <= 1 {
			c.joined[q] = append(c.joined[q], c.joinedOf(w, q))
			continue
		}
		p := &c.pending[q]
		if p.group != i/k {
			c.flush(q)
			p.group = i / k
		}
		for a := range p.latencies {
			p.latencies[a] = append(p.latencies[a], w.latencies[a]...)
		}
		p.parts++
	}
}

// grow adds a window to the open group of every quantile, and ends those in
// which every arm has enough. A group that gets long because an arm is away is
// given up: the arms took turns too slowly to be paired.
func (c *collector) grow(w *openWindow) {
	for q := range c.qs {
		p := &c.pending[q]
		least, all := math.MaxInt, 0
		for a := range p.latencies {
			p.latencies[a] = append(p.latencies[a], w.latencies[a]...)
			least = min(least, len(p.latencies[a]))
			all += len(p.latencies[a])
		}
		switch need := atLeast(c.qs[q]); {
		case least >= need:
			for _, ls := range p.latencies {
				slices.Sort(ls)
			}
			c.keep(q, c.joinedOf(&p.openWindow, q))
		case all < 50*need*len(p.latencies):
			continue
		}
		for a := range p.latencies {
			p.latencies[a] = p.latencies[a][:0]
		}
	}
}

// maxKept is how many windows without a plan are kept one by one.
const maxKept = 8192

// runningMean averages neighbouring windows, so that memory does not grow with
// the length of a file.
type runningMean struct {
	each int // windows in one kept value; 0 counts as 1
	n    int
	sum  []float64
}

// keep adds a window's values. When too many are kept, neighbours are averaged
// in twos, and from then on twice as many windows make one value.
func (c *collector) keep(q int, w joinedWindow) {
	if c.means == nil {
		c.means = make([]runningMean, len(c.qs))
	}
	m := &c.means[q]
	if m.sum == nil {
		m.each, m.sum = 1, make([]float64, c.arms)
	}
	for a, v := range w.value {
		m.sum[a] += v
	}
	if m.n++; m.n < m.each {
		return
	}
	for a := range m.sum {
		w.value[a] = m.sum[a] / float64(m.n)
		m.sum[a] = 0
	}
	m.n = 0
	c.joined[q] = append(c.joined[q], w)
	if len(c.joined[q]) < maxKept {
		return
	}
	half := c.joined[q][:maxKept/2]
	for i := range half {
		x, y := c.joined[q][2*i], c.joined[q][2*i+1]
		for a := range x.value {
			x.value[a] = (x.value[a] + y.value[a]) / 2
		}
		half[i] = x
	}
	c.joined[q] = half
	m.each *= 2
}

// flush ends the open group of a quantile. It counts when at least half of its
// windows do, or all of them under design blocks, where a missing one would
// leave an arm without its share. What is left out here still counts in the
// replicate's own quantile.
func (c *collector) flush(q int) {
	p, k := &c.pending[q], c.groups[q]
	if p.parts == k || (!c.blocks && p.parts > 0 && 2*p.parts >= k) {
		for _, ls := range p.latencies {
			slices.Sort(ls)
		}
		c.joined[q] = append(c.joined[q], c.joinedOf(&p.openWindow, q))
	}
	for a := range p.latencies {
		p.latencies[a] = p.latencies[a][:0]
	}
	p.parts = 0
}

// joinedOf takes quantile i of each arm; the latencies are sorted.
func (c *collector) joinedOf(w *openWindow, i int) joinedWindow {
	out := joinedWindow{value: make([]float64, c.arms)}
	for a, ls := range w.latencies {
		out.value[a] = math.NaN()
		if len(ls) >= atLeast(c.qs[i])/2 {
			out.value[a] = quantileOf(ls, c.qs[i])
		}
	}
	return out
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
	w.sent, w.late = 0, 0
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

// atLeast is the number of requests of one arm that a window needs for the
// q-quantile: 100 at p50 and 300 at p99, as trials suggested; in between and
// beyond, three in the thinner tail.
func atLeast(q float64) int {
	return max(100, int(math.Ceil(3/min(q, 1-q)-1e-9)))
}

// groupsFor is how many windows to join for each quantile, so that the arm
// with the smallest share can expect enough requests. It follows from the plan
// alone, never from the data.
func groupsFor(qs []float64, perWindow float64) []int {
	out := make([]int, len(qs))
	for i, q := range qs {
		out[i] = 1
		if perWindow > 0 {
			// 5 % off: the counts are random, and a window at 95 % of its due is no different.
			out[i] = max(1, int(math.Ceil(0.95*float64(atLeast(q))/perWindow)))
		}
	}
	return out
}
