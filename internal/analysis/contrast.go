package analysis

import (
	"fmt"
	"math"
	"strings"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// contrast is a difference of arms that is being computed.
type contrast struct{ plan.Contrast }

func contrasts(p *plan.Plan) []contrast {
	var out []contrast
	for _, c := range p.Contrasts() {
		out = append(out, contrast{c})
	}
	return out
}

// at is the contrast of one value per arm; NaN when a needed one is missing.
func (c *contrast) at(value func(arm int) float64) float64 {
	var sum float64
	for a, w := range c.Weights {
		if w != 0 {
			sum += w * value(a)
		}
	}
	return sum
}

// replicates is the contrast at a point of the grid in each replicate.
func (c *contrast) replicates(reps []*replicate, point int) []float64 {
	out := make([]float64, len(reps))
	for i, r := range reps {
		out[i] = c.at(func(a int) float64 { return r.value[a][point] })
	}
	return out
}

// squares is the squared standard error of the contrast at a reported quantile in each replicate.
func (c *contrast) squares(reps []*replicate, q int) []float64 {
	out := make([]float64, len(reps))
	for i, r := range reps {
		for a, w := range c.Weights {
			out[i] += w * w * r.square[a][q]
		}
	}
	return out
}

// within is the interval that the windows of all replicates give. Windows in
// which an arm has too few requests are left out. With one arm after the other
// no window holds both, and the windows of the two arms are compared unpaired.
func (c *contrast) within(reps []*replicate, q int, level float64) (i stats.Interval, unpaired bool) {
	var paired, plus, minus []float64
	for _, r := range reps {
		for _, w := range r.joined[q] {
			if d := c.at(func(a int) float64 { return w.value[a] }); !math.IsNaN(d) {
				paired = append(paired, d)
				continue
			}
			for a, weight := range c.Weights {
				switch v := w.value[a]; {
				case math.IsNaN(v):
				case weight > 0:
					plus = append(plus, v)
				case weight < 0:
					minus = append(minus, v)
				}
			}
		}
	}
	if len(paired) == 0 {
		return stats.Shift(plus, minus, level), true
	}
	return stats.SignedRank(paired, level), false
}

// requests is the smallest number of answered requests behind any arm of the
// contrast in any replicate.
func (c *contrast) requests(reps []*replicate) int64 {
	least := int64(math.MaxInt64)
	for _, r := range reps {
		for a, w := range c.Weights {
			if w != 0 {
				least = min(least, r.n[a])
			}
		}
	}
	return least
}

// line is a difference with what is needed to judge it.
type line struct {
	summary.Difference
	contrast *contrast
	interval stats.Interval // the headline
	sd       float64        // of the replicates' estimates
	tail     float64        // requests in the thinner tail, of the thinnest arm and replicate
	within   stats.Interval
	words    [2]string // how a sentence begins when there is more, and less; empty for the usual words
	unpaired bool      // the windows of within are of single arms
	pStudent *float64  // belongs to the interval; nil when it is of one replicate
}

// lines computes every difference at every reported quantile.
func (s *study) lines() []*line {
	var out []*line
	for i := range s.contrasts {
		c := &s.contrasts[i]
		var of []*line
		for q := range s.plan.Quantiles {
			of = append(of, s.line(c, q))
		}
		holm(of)
		out = append(out, of...)
	}
	return out
}

// holm adjusts the p-values of one difference's quantiles for having looked at
// all of them. A line whose interval is of one replicate has none.
func holm(of []*line) {
	var tested []*line
	var p []float64
	for _, l := range of {
		if l.pStudent != nil {
			tested, p = append(tested, l), append(p, *l.pStudent)
		}
	}
	for k, adjusted := range stats.Holm(p) {
		tested[k].PHolm = &adjusted
	}
}

func (s *study) line(c *contrast, q int) *line {
	p := s.plan
	quantile := p.Quantiles[q]
	d := c.replicates(s.used, s.at(q))
	l := &line{contrast: c, interval: stats.Student(d, s.level)}
	l.within, l.unpaired = c.within(s.used, q, p.Level)
	l.sd = sampleSD(d)
	l.tail = float64(c.requests(s.used)) * min(quantile, 1-quantile)
	l.Difference = summary.Difference{
		Of: c.Of, Quantile: quantile, EstimateUs: l.interval.Estimate, LowUs: l.interval.Low, HighUs: l.interval.High,
		Level: p.Level, Replicates: len(d), Windows: l.within.N,
		BetweenUs: stats.Between(d, c.squares(s.used, q)),
		Method:    s.method(c, l),
	}
	if len(d) > 1 {
		flip, student := stats.SignFlip(d), stats.StudentP(d)
		l.P, l.pStudent = &flip, &student
	}
	for _, r := range s.used {
		for _, n := range r.void {
			l.Voided += n
		}
	}
	l.WithinLowUs, l.WithinHighUs = finite(l.within)
	if math.IsInf(l.interval.Low, -1) {
		// One replicate: what its windows say stands in, and is called so.
		l.interval = l.within
		l.interval.Estimate = l.EstimateUs
		l.LowUs, l.HighUs = l.WithinLowUs, l.WithinHighUs
		if math.IsInf(l.within.Low, -1) {
			l.Level = 0
			l.LowUs, l.HighUs = l.EstimateUs, l.EstimateUs
		}
	}
	return l
}

// finite is the interval's ends, or twice its estimate when it has none: JSON knows no infinity.
func finite(i stats.Interval) (low, high float64) {
	switch {
	case math.IsNaN(i.Estimate):
		return 0, 0
	case math.IsInf(i.Low, -1):
		return i.Estimate, i.Estimate
	}
	return i.Low, i.High
}

func sampleSD(d []float64) float64 { return stats.Between(d, nil) }

// method says in one line how a difference was computed.
func (s *study) method(c *contrast, l *line) string {
	var b strings.Builder
	b.WriteString("quantiles of each replicate's pooled requests")
	if t := s.plan.TwinIndex(); t >= 0 && !c.Twin && c.Weights[t] != 0 {
		fmt.Fprintf(&b, ", %s and its twin averaged", s.plan.Arms[s.plan.Baseline()].Name)
	}
	switch {
	case len(s.used) > 1:
		fmt.Fprintf(&b, "; mean and Student t interval over %d replicates", len(s.used))
		if s.plan.StopAt != nil {
			fmt.Fprintf(&b, ", at %.4g so that stopping early keeps %.4g", s.level, s.plan.Level)
		}
	case math.IsInf(l.within.Low, -1):
		b.WriteString("; one replicate, and too few windows for an interval")
	case l.unpaired:
		b.WriteString("; Mann-Whitney interval of one replicate's windows, unpaired: blind to drift and to each start's own offset")
	default:
		b.WriteString("; signed-rank interval of one replicate's windows: blind to each start's own offset")
	}
	return b.String()
}
