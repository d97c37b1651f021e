package compare

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// otherQuantities adds means, shares, failures and rates of every comparison.
func (c *comparison) otherQuantities(sum *summary.Summary, lines []*line, gridUs float64) {
	for _, l := range lines {
		add := func(q summary.Quantity) { sum.Quantities = append(sum.Quantities, q) }
		add(c.ratio(l, "mean", summary.UnitUs, meanFigure))
		for _, ms := range c.limits(l, gridUs) {
			add(c.above(l, ms*1e3))
		}
		if l.of != l.a.name+" - "+l.b.name {
			continue // of one kind of requests
		}
		_, fa, _ := l.a.requests()
		_, fb, _ := l.b.requests()
		if fa+fb > 0 {
			add(c.ratio(l, "failed", summary.UnitShare, failedFigure))
			for _, why := range whys(l.a, l.b) {
				add(c.count(l, "failed: "+why, func(f *armData) float64 { return float64(f.byWhy[why]) }))
			}
		}
		if c.recordings[0].in.form.isLog() {
			add(c.count(l, "requests per minute", func(f *armData) float64 { return 60 * f.perSecond() / float64(len(l.a.files)) }))
		}
	}
}

// quantityOf is the mean or share that a budget speaks of.
func (c *comparison) quantityOf(l *line, b *budget) summary.Quantity {
	if b.mean {
		return c.ratio(l, "mean", summary.UnitUs, meanFigure)
	}
	return c.above(l, b.aboveUs)
}

// figure is a ratio of one file's requests: from a comparison over blocks, or by
// itself for replicates.
type figure struct {
	pair func(l *line) (a, b float64, i stats.Interval)
	one  func(f *armData) float64
}

var meanFigure = figure{
	pair: func(l *line) (a, b float64, i stats.Interval) { return l.cmp.Means() },
	one:  func(f *armData) float64 { return f.hist.MeanUs() / toUs(1) },
}

var failedFigure = figure{
	pair: func(l *line) (a, b float64, i stats.Interval) { return l.cmp.Failed() },
	one:  func(f *armData) float64 { return float64(f.failed) / float64(f.requests) },
}

func (c *comparison) above(l *line, us float64) summary.Quantity {
	units := us / toUs(1)
	return c.ratio(l, "above "+timeOf(us), summary.UnitShare, figure{
		pair: func(l *line) (a, b float64, i stats.Interval) { return l.cmp.Above(units) },
		one:  func(f *armData) float64 { return shareAbove(f.hist, us) },
	})
}

// shareAbove is the share of latencies above a limit.
func shareAbove(h *hist.Hist, us float64) float64 {
	var above int64
	for _, b := range h.Bars() {
		if b.Us > us {
			above += b.Count
		}
	}
	return float64(above) / float64(h.Count())
}

// ratio fills in a quantity. Units of time come in hist.Unit.
func (c *comparison) ratio(l *line, what, unit string, f figure) summary.Quantity {
	scale := 1.0
	if unit == summary.UnitUs {
		scale = toUs(1)
	}
	q := summary.Quantity{Of: l.of, What: what, Unit: unit, Verdict: summary.CannotTell}
	var a, b float64
	var i stats.Interval
	if l.cmp != nil {
		a, b, i = f.pair(l)
	} else {
		x, y := make([]float64, 0, len(l.a.files)), make([]float64, 0, len(l.b.files))
		for _, file := range l.a.files {
			x = append(x, f.one(file))
			a += f.one(file) / float64(len(l.a.files))
		}
		for _, file := range l.b.files {
			y = append(y, f.one(file))
			b += f.one(file) / float64(len(l.b.files))
		}
		i, _, _ = overReplicates(x, y, c.together && len(x) == len(y), c.o.Level)
	}
	a, b = a*scale, b*scale
	q.A, q.B, q.Estimate = &a, &b, (a - b)
	if !math.IsInf(i.Low, -1) && !math.IsNaN(i.Low) {
		// A mean of rounded times is off by less than their grid and, as rounding
		// errors scatter, by far less; a share above a limit on the grid is exact.
		q.Low, q.High, q.Level = i.Low*scale, i.High*scale, c.o.Level
		if c.mayClaim(l) && (q.Low > 0 || q.High < 0) {
			q.Verdict = summary.Different
		}
	}
	return q
}

// count is a figure without an interval.
func (c *comparison) count(l *line, what string, of func(*armData) float64) summary.Quantity {
	var a, b float64
	for _, f := range l.a.files {
		a += of(f)
	}
	for _, f := range l.b.files {
		b += of(f)
	}
	return summary.Quantity{Of: l.of, What: what, Unit: summary.UnitCount, A: &a, B: &b, Estimate: a - b, Verdict: summary.CannotTell}
}

// whys lists why requests failed, the most frequent first.
func whys(parts ...*part) []string {
	counts := map[string]int64{}
	for _, p := range parts {
		for _, f := range p.files {
			for why, n := range f.byWhy {
				counts[why] += n
			}
		}
	}
	return most(counts, 10)
}

// limits are the milliseconds above which shares are shown, for data on a grid
// of 1 ms or coarser: those in which between 0.5 and 99.5 % of the requests lie
// above, at most eight, the fast ones close together.
func (c *comparison) limits(l *line, gridUs float64) []float64 {
	if gridUs < 1e3 {
		return nil
	}
	h := hist.New()
	for _, f := range slices.Concat(l.a.files, l.b.files) {
		h.Merge(f.hist)
	}
	step := gridUs / 1e3
	from := math.Floor(h.QuantileUs(0.005)/gridUs) * step
	to := h.QuantileUs(0.995) / 1e3
	var out []float64
	for ms := from; ms < to && len(out) < 8; {
		out = append(out, ms)
		next := ms + step
		if len(out) >= 4 {
			next = max(next, math.Ceil(ms*1.6/step)*step)
		}
		ms = next
	}
	return out
}

// timeOf writes a limit as a person would: "5 ms", "0.1 ms".
func timeOf(us float64) string {
	d := time.Duration(us * 1e3)
	switch {
	case d >= time.Second && d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case us >= 100:
		return fmt.Sprintf("%g ms", us/1e3)
	}
	return fmt.Sprintf("%g µs", us)
}
