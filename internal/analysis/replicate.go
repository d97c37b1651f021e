package analysis

import (
	"container/heap"
	"time"

	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// replicate is one start of everything, reduced to what the analysis needs.
type replicate struct {
	index    int
	header   samplefile.Header
	evidence run.Evidence
	windows  []windowResult
	joined   [][]joinedWindow // by reported quantile
	arms     []*armCount
	trailer  samplefile.Trailer // summed over generators
	strays   int64
	planned  int64 // measured requests that the plan wanted
	busy     []float64
	steal    []float64 // by window; -1 when not known

	n      []int64        // by arm: requests behind value
	value  [][]float64    // by arm and point of grid, µs
	square [][]float64    // by arm and reported quantile: squared standard error, µs²
	hists  []*hist.Hist   // by arm; given up once they are merged into the totals
	void   map[string]int // windows that do not count, by reason
}

// readReplicate streams the sample files of one replicate.
func readReplicate(p *plan.Plan, hash string, rep run.Replicate, ev run.Evidence, grid []float64) (*replicate, error) {
	readers, err := openReaders(p, hash, rep)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, r := range readers {
			r.file.Close()
		}
	}()
	head := readers[0].r.Header()
	out := &replicate{index: rep.Index, header: head, evidence: ev, void: map[string]int{}}
	for range p.Arms {
		out.arms = append(out.arms, newArmCount())
	}
	load := &head.Load
	windows := windowCount(load)
	out.cpuByWindow(windows)
	perWindow := load.RatePerS * load.WindowS * smallestShare(p)
	if load.Design == plan.DesignBlocks {
		perWindow *= float64(len(p.Arms)) // a block has the rate to itself
	}
	c := newCollector(len(p.Arms), p.Quantiles, groupsFor(p.Quantiles, perWindow), samplefile.Seconds(load.WindowS),
		samplefile.Seconds(load.TimeoutS), out.voidReason)
	c.planned = windows
	if load.Period() > 0 {
		c.wants = func(i int) int64 { return plannedIn(load, i) }
	}
	if load.Design == plan.DesignBlocks {
		c.joinBlocks(len(p.Arms))
	}
	if err := out.stream(p, readers, c); err != nil {
		return nil, err
	}
	c.close()
	out.windows, out.joined, out.strays = c.windows, c.joined, c.strays
	for _, w := range c.windows {
		if w.void != "" {
			out.void[w.void]++
		}
	}
	out.hists = c.counted
	if 2*len(out.counted()) < len(out.windows) {
		// Too little is left to leave the rest out; the replicate does not
		// count, but its latencies are still worth showing.
		for a, v := range c.voided {
			if v != nil {
				out.hists[a].Merge(v)
			}
		}
	}
	out.reduce(p, grid)
	out.planned = plannedRequests(load)
	return out, nil
}

// ahead is how far a generator's file is read before the next one's, by planned
// start: far enough that most records need no look at the other files, and
// little beside openFor.
const ahead = 100 * time.Millisecond

// stream deals all records out, the generators' in turns of about the same
// planned starts, so that windows fill together.
func (out *replicate) stream(p *plan.Plan, readers []*reader, c *collector) error {
	load := &out.header.Load
	warmup := samplefile.Seconds(load.WarmupS)
	var live byStart
	for i, r := range readers {
		r.order = i
		ok, err := r.next(p, load)
		if err != nil {
			return err
		}
		if ok {
			live = append(live, r)
		} else {
			out.finish(r)
		}
	}
	heap.Init(&live)
	for len(live) > 0 {
		r := live[0]
		ok, err := true, error(nil)
		for until := r.start + ahead; ok && r.start < until; {
			out.take(r, load, warmup, c)
			if ok, err = r.next(p, load); err != nil {
				return err
			}
		}
		if ok {
			heap.Fix(&live, 0)
			continue
		}
		heap.Pop(&live)
		out.finish(r)
	}
	return nil
}

// lateAfter is when a send counts as late: the delay beyond which latencies no
// longer describe the planned load. A healthy generator stays below 1 to 3.5 ms
// at p99 (500 to 2000 requests/s on two cores).
const lateAfter = 5 * time.Millisecond

// blockCut is the beginning of a block that does not count: connections and
// caches of the arm before it are still in the way.
const blockCut = 200 * time.Millisecond

func (out *replicate) take(r *reader, load *samplefile.Load, warmup time.Duration, c *collector) {
	rec := &r.rec
	pr := &r.proof[rec.Class]
	w := load.Window(r.start)
	since := r.start - warmup
	if w >= 0 && load.Design == plan.DesignBlocks && since-time.Duration(w)*c.window < blockCut {
		w = -1
	}
	if w >= 0 {
		r.count[rec.Class][1]++
	} else {
		r.count[rec.Class][0]++
	}
	late := rec.Late
	if load.Design == plan.DesignArticle {
		late = 0 // a closed loop has no schedule to be late against
	}
	if w >= 0 {
		c.add(w, rec.Arm, late > lateAfter, pr.ok, rec.Latency)
	}
	c.finished(since + late + rec.Blocked + rec.Latency)
}

// finish adds up what a file that was read to its end counted.
func (out *replicate) finish(r *reader) {
	for class, n := range r.count {
		arm, o := r.r.Class(class)
		out.arms[arm].take(r.proof[class], o, n[0], false)
		out.arms[arm].take(r.proof[class], o, n[1], true)
	}
	t := r.r.Trailer()
	s := &out.trailer
	s.Records += t.Records
	s.Dropped += t.Dropped
	s.CPUSeconds += t.CPUSeconds
	s.MaxRSSBytes = max(s.MaxRSSBytes, t.MaxRSSBytes)
	s.Connections += t.Connections
	s.EndUnixNs = max(s.EndUnixNs, t.EndUnixNs)
	s.Interrupted = s.Interrupted || t.Interrupted
}

// reduce turns the histograms into the quantiles that the analysis asks for.
func (out *replicate) reduce(p *plan.Plan, grid []float64) {
	for _, h := range out.hists {
		n := h.Count()
		ranks := make([]float64, 0, len(grid)+2*len(p.Quantiles))
		for _, q := range grid {
			ranks = append(ranks, stats.Rank(n, q))
		}
		for _, q := range p.Quantiles {
			lo, hi := stats.ErrorRanks(n, q)
			ranks = append(ranks, lo, hi)
		}
		v := h.AtRanksUs(ranks)
		out.n = append(out.n, n)
		out.value = append(out.value, v[:len(grid)])
		var sq []float64
		for i := range p.Quantiles {
			se := (v[len(grid)+2*i+1] - v[len(grid)+2*i]) / 2
			sq = append(sq, se*se)
		}
		out.square = append(out.square, sq)
	}
}

// counted lists the windows that count.
func (out *replicate) counted() []windowResult {
	var ws []windowResult
	for _, w := range out.windows {
		if w.void == "" {
			ws = append(ws, w)
		}
	}
	return ws
}

// cpuByWindow spreads the CPU slices over the windows.
func (out *replicate) cpuByWindow(windows int) {
	load := &out.header.Load
	from := out.header.StartUnixNs + int64(samplefile.Seconds(load.WarmupS))
	width := int64(samplefile.Seconds(load.WindowS))
	for i := range windows {
		busy, steal := cpuBetween(out.evidence.CPU, from+int64(i)*width, from+int64(i+1)*width)
		out.busy, out.steal = append(out.busy, busy), append(out.steal, steal)
	}
}

// cpuBetween averages the slices over [from, to) by their overlap; -1 when there is none.
func cpuBetween(slices []run.CPUSlice, from, to int64) (busy, steal float64) {
	var sum float64
	for _, s := range slices {
		overlap := float64(min(to, s.EndUnixNs) - max(from, s.StartUnixNs))
		if overlap <= 0 {
			continue
		}
		sum += overlap
		busy += overlap * s.Busy
		steal += overlap * s.Steal
	}
	if sum == 0 {
		return -1, -1
	}
	return busy / sum, steal / sum
}

// Limits of a window that counts.
const (
	voidLateShare = 0.01 // of its requests later than lateAfter: p99 of the lateness is above it
	voidSteal     = 0.10 // of the machine's time taken by its host
)

// voidReason says why window i does not count. The rule looks at the schedule
// and the machine, never at a latency.
func (out *replicate) voidReason(i int, late float64) string {
	if late > voidLateShare {
		return "late sends"
	}
	if i < len(out.steal) && out.steal[i] > voidSteal {
		return "steal"
	}
	return ""
}

// windowCount is the number of windows of a load, the last one perhaps shorter.
func windowCount(l *samplefile.Load) int {
	d, w := samplefile.Seconds(l.DurationS), samplefile.Seconds(l.WindowS)
	if w <= 0 {
		return 0
	}
	return int((d + w - 1) / w)
}

// plannedRequests counts the iterations that the plan starts in the measured time; 0 for a closed loop.
func plannedRequests(l *samplefile.Load) int64 {
	period := l.Period()
	if period == 0 {
		return 0
	}
	warm := samplefile.Seconds(l.WarmupS)
	first := int64((warm + period - 1) / period)
	return max(0, l.Iterations()-first)
}

// plannedIn counts the iterations of window i that take lets count.
func plannedIn(l *samplefile.Load, i int) int64 {
	warm, width, period := samplefile.Seconds(l.WarmupS), samplefile.Seconds(l.WindowS), l.Period()
	from := time.Duration(i) * width
	to := min(from+width, samplefile.Seconds(l.DurationS))
	if l.Design == plan.DesignBlocks {
		from = min(from+blockCut, to)
	}
	startsBefore := func(t time.Duration) int64 { return int64((warm + t + period - 1) / period) }
	return startsBefore(to) - startsBefore(from)
}

func smallestShare(p *plan.Plan) float64 {
	s := 1.0
	for i := range p.Arms {
		s = min(s, p.Share(i))
	}
	return s
}
