package compare

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/pooled"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// line is one contrast: how it was computed and why it may carry no claim.
type line struct {
	of     string
	a, b   *part
	why    reason
	lines  []summary.Difference
	tail   []float64 // requests beyond each quantile, of the thinner arm
	gridUs float64
	// whys is why a quantile's line carries no claim.
	whys []reason
	cmp  *pooled.Comparison // nil over replicates
}

// reason is why a number carries no claim.
type reason string

const (
	noReason     reason = ""
	separateRuns reason = "one run a side cannot tell a change from drift between the runs"
	oneAfter     reason = "arms that ran one after the other cannot tell a change from drift"
	fewBlocks    reason = "too few independent stretches of time for an interval"
	drifting     reason = "what moved lasted too long for the length of the run"
	fewTail      reason = "too few slow requests"
	unlikeTimes  reason = "the times of the two sides are not of the same stretch of a request"
	unlikeMix    reason = "the arms were asked for different mixes of requests"
	oneFile      reason = "one replicate on a side has no spread"
	noAnswer     reason = "no answered request"
	sameInput    reason = "both sides hold the same requests"
)

// contrast compares two arms: all their requests, and where they were asked for
// different mixes also each kind by itself and both weighed to one mix.
func (c *comparison) contrast(a, b *part, u *unlikeness) []*line {
	l := &line{of: a.name + " - " + b.name, a: a, b: b, gridUs: max(gridOf(a), gridOf(b))}
	mix := u.mixed(a.name, b.name)
	unlike := noReason
	switch {
	case u.times:
		unlike = unlikeTimes
	case mix != nil:
		unlike = unlikeMix
	}
	if len(a.files) > 1 || len(b.files) > 1 {
		l.why = unlike
		c.overFiles(l)
		return []*line{l}
	}
	x, y := a.files[0], b.files[0]
	together := c.together
	if c.o.By != "" {
		together = sideBySide(x, y)
	}
	clock := pooled.Separate
	if together && c.o.By != "" {
		clock = pooled.TookTurns
	}
	switch {
	case c.same:
		l.why = sameInput
	case pooled.MayClaim(clock, 1, 1, c.o.AssumeSteady):
	case c.o.By != "":
		l.why = oneAfter
	default:
		l.why = separateRuns
	}
	sampleA, sampleB, sidesA, sidesB := join(x, y, together)
	estimate := func(q float64) float64 { return x.hist.QuantileUs(q) - y.hist.QuantileUs(q) }
	if l.why == noReason {
		l.why = unlike
	}
	l.cmp = pooled.Compare(whole(sampleA, sidesA), whole(sampleB, sidesB), c.quantiles, c.o.Level)
	c.fill(l, estimate, x.hist.Count(), y.hist.Count())
	out := []*line{l}
	if mix == nil {
		return out
	}
	for _, k := range mix.kinds {
		i, j := slices.IndexFunc(x.strata, k.is), slices.IndexFunc(y.strata, k.is)
		if i < 0 || j < 0 {
			continue
		}
		w := &line{of: l.of + ", " + k.label, a: a, b: b, why: l.why, gridUs: l.gridUs}
		if w.why == unlikeMix {
			w.why = noReason
		}
		w.cmp = pooled.Compare(sampleA.Of(sidesA[i]), sampleB.Of(sidesB[j]), c.quantiles, c.o.Level)
		c.fill(w, inBins(w.cmp), k.a, k.b)
		out = append(out, w)
	}
	if partsA, partsB := mix.weights(x, y, sidesA, sidesB); partsA != nil {
		w := &line{of: l.of + ", same mix", a: a, b: b, why: l.why, gridUs: l.gridUs}
		if w.why == unlikeMix {
			w.why = noReason
		}
		w.cmp = pooled.Compare(pooled.Side{Sample: sampleA, Parts: partsA}, pooled.Side{Sample: sampleB, Parts: partsB},
			c.quantiles, c.o.Level)
		c.fill(w, inBins(w.cmp), x.hist.Count(), y.hist.Count())
		out = append(out, w)
	}
	return out
}

func inBins(cmp *pooled.Comparison) func(float64) float64 {
	return func(q float64) float64 { return toUs(cmp.Pooled(q)) }
}

// join lays two arms' kinds of requests out over windows: one sample when they
// share a clock, else two. sidesA and sidesB are the places of their strata.
func join(x, y *armData, together bool) (a, b *pooled.Sample, sidesA, sidesB []int) {
	var of []*pooled.Arm
	for i, s := range x.strata {
		of, sidesA = append(of, &s.arm), append(sidesA, i)
	}
	if !together {
		a, of = pooled.Join(of...), nil
	}
	for _, s := range y.strata {
		sidesB = append(sidesB, len(of))
		of = append(of, &s.arm)
	}
	b = pooled.Join(of...)
	if together {
		a = b
	}
	return a, b, sidesA, sidesB
}

func whole(s *pooled.Sample, places []int) pooled.Side {
	side := pooled.Side{Sample: s}
	for _, p := range places {
		side.Parts = append(side.Parts, pooled.Part{Arm: p, Weight: 1})
	}
	return side
}

func gridOf(p *part) float64 {
	g := 0.0
	for _, f := range p.files {
		g = max(g, f.gridUs())
	}
	return g
}

// toUs turns hist.Unit into µs.
func toUs(units float64) float64 { return units * float64(hist.Unit) / float64(time.Microsecond) }

// fill computes a line's quantiles over blocks of time.
func (c *comparison) fill(l *line, estimate func(float64) float64, nA, nB int64) {
	blocks, other, length, otherLength := l.cmp.Blocks()
	if other.Count < blocks.Count {
		blocks, length = other, otherLength
	}
	for _, q := range c.quantiles {
		est := estimate(q)
		i := l.cmp.Quantile(q, est/toUs(1))
		low, high := l.onGrid(est, toUs(i.Low), toUs(i.High))
		d := summary.Difference{Of: l.of, Quantile: q, EstimateUs: est, LowUs: low, HighUs: high, Level: c.o.Level,
			Replicates: 1, Windows: blocks.Count, Blocks: blocks.Count, BlockS: length.Seconds(),
			Verdict: summary.CannotTell, Method: c.methodLine(l)}
		tail := float64(min(nA, nB)) * min(q, 1-q)
		why := l.why
		switch {
		case math.IsInf(i.Low, -1):
			d.Level, d.LowUs, d.HighUs = 0, est, est
			if why == noReason || why == separateRuns || why == oneAfter {
				why = fewBlocks
			}
		case why != noReason:
		case tail < plan.MinTail:
			why = fewTail
		case !l.cmp.Apart():
			why = drifting
		}
		d.WithinLowUs, d.WithinHighUs = d.LowUs, d.HighUs
		if why == noReason && (d.LowUs > 0 || d.HighUs < 0) {
			d.Verdict = summary.Different
		}
		about := l.of + " " + plan.QuantileName(q)
		if tail < plan.MinTail {
			d.Warnings = append(d.Warnings, summary.Warning{Code: "few-tail-samples", About: about, Text: fmt.Sprintf(
				"Only %s of an arm beyond this quantile; a claim needs %d, which is %s of each arm.", countOf(int64(tail), "request"), plan.MinTail, countOf(int64(math.Ceil(plan.MinTail/min(q, 1-q)-1e-6)), "request"))})
		}
		if d.Level > 0 && !l.cmp.Apart() {
			d.Warnings = append(d.Warnings, summary.Warning{Code: "long-correlation", About: about,
				Text: "What moved these requests lasted longer than an eighth of the run: the interval is a lower bound, and a longer run would tell."})
		}
		l.lines, l.whys, l.tail = append(l.lines, d), append(l.whys, why), append(l.tail, tail)
	}
}

// onGrid widens an interval to what the data resolve. Values are multiples of the
// grid, and so are their quantiles; each is off by up to half a step on either
// side, and a difference of two by a whole one.
func (l *line) onGrid(estimate, low, high float64) (float64, float64) {
	if l.gridUs == 0 || math.IsInf(low, -1) {
		return low, high
	}
	step := func(v float64) float64 { return math.Round(v/l.gridUs) * l.gridUs }
	return min(estimate, step(low)-l.gridUs), max(estimate, step(high)+l.gridUs)
}

// overFiles compares files as replicates: paired where each file has its
// counterpart in the same stretch of time, else unpaired (Welch).
func (c *comparison) overFiles(l *line) {
	a, b := l.a.files, l.b.files
	why := l.why
	paired := c.together && len(a) == len(b)
	if c.o.By != "" {
		for i := range a {
			if paired = paired && sideBySide(a[i], b[i]); !paired {
				why = oneAfter
			}
		}
	}
	if !pooled.MayClaim(pooled.Separate, len(a), len(b), false) {
		why = oneFile
	}
	var ps []float64
	var tested []*summary.Difference
	l.lines = make([]summary.Difference, len(c.quantiles))
	for k, q := range c.quantiles {
		x, y := quantilesOf(a, q), quantilesOf(b, q)
		i, p, flip := overReplicates(x, y, paired, c.o.Level)
		d := &l.lines[k]
		*d = summary.Difference{Of: l.of, Quantile: q, EstimateUs: i.Estimate, LowUs: i.Low - l.gridUs,
			HighUs: i.High + l.gridUs, Level: c.o.Level,
			Replicates: i.N, Verdict: summary.CannotTell, Method: c.methodLine(l)}
		if math.IsInf(i.Low, -1) {
			d.Level, d.LowUs, d.HighUs = 0, i.Estimate, i.Estimate
		} else {
			d.P = flip
			ps, tested = append(ps, p), append(tested, d)
		}
		d.WithinLowUs, d.WithinHighUs = d.LowUs, d.HighUs
		tail := math.Inf(1)
		for _, f := range slices.Concat(a, b) {
			tail = min(tail, float64(f.hist.Count())*min(q, 1-q))
		}
		lineWhy := why
		if lineWhy == noReason && tail < plan.MinTail {
			lineWhy = fewTail
		}
		l.whys, l.tail = append(l.whys, lineWhy), append(l.tail, tail)
	}
	for k, adjusted := range stats.Holm(ps) {
		tested[k].PHolm = &adjusted
	}
	for k := range l.lines {
		d := &l.lines[k]
		alone := d.Quantile == c.primary() || (d.PHolm != nil && *d.PHolm <= 1-c.o.Level)
		if l.whys[k] == noReason && alone && d.Level > 0 && (d.LowUs > 0 || d.HighUs < 0) {
			d.Verdict = summary.Different
		}
	}
}

// overReplicates compares figures of several files a side. flip is the sign-flip
// p-value of paired ones.
func overReplicates(x, y []float64, paired bool, level float64) (i stats.Interval, p float64, flip *float64) {
	if !paired {
		i, p = stats.Welch(x, y, level)
		return i, p, nil
	}
	d := make([]float64, len(x))
	for k := range x {
		d[k] = x[k] - y[k]
	}
	f := stats.SignFlip(d)
	return stats.Student(d, level), stats.StudentP(d), &f
}

func quantilesOf(files []*armData, q float64) []float64 {
	out := make([]float64, len(files))
	for i, f := range files {
		out[i] = f.hist.QuantileUs(q)
	}
	return out
}
