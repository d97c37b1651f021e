package analysis

import (
	"math"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// Code is the exit code that a result's verdict gives.
func Code(s *summary.Summary) fail.Code {
	switch s.Verdict {
	case summary.Within, summary.Different:
		return fail.OK
	case summary.Over:
		return fail.Finding
	case summary.Refused:
		return fail.Refused
	}
	return fail.CannotTell
}

// mayClaim says whether a line may carry a verdict at all.
func (s *study) mayClaim(l *line) bool {
	return s.forced == "" && l.Level > 0 && l.tail >= plan.MinTail && len(s.used) >= 2
}

// judge fills in each line's verdict. A line is different when its interval
// excludes zero and its estimate is larger than what the A/A comparison shows
// of noise. The primary quantile was named in advance and stands alone; the
// others must hold after Holm's adjustment too.
func (s *study) judge(lines []*line) {
	floor := s.floors(lines)
	for _, l := range lines {
		l.Verdict = summary.CannotTell
		alone := l.Quantile == s.primary || (l.PHolm != nil && *l.PHolm <= 1-s.level)
		if s.mayClaim(l) && l.interval.Excludes(0) && alone && (l.contrast.Twin || math.Abs(l.EstimateUs) > floor[l.Quantile]) {
			l.Verdict = summary.Different
		}
	}
}

// floors is the largest difference that the A/A interval holds possible, by
// quantile: its half-width when it is centred, more when it is not.
func (s *study) floors(lines []*line) map[float64]float64 {
	out := map[float64]float64{}
	for _, l := range lines {
		if l.contrast.Twin && l.Level > 0 {
			out[l.Quantile] = max(math.Abs(l.LowUs), math.Abs(l.HighUs))
		}
	}
	return out
}

// noiseFloor is the A/A half-width by quantile name.
func noiseFloor(lines []*line) map[string]float64 {
	out := map[string]float64{}
	for _, l := range lines {
		if l.contrast.Twin && l.Level > 0 {
			out[plan.QuantileName(l.Quantile)] = (l.HighUs - l.LowUs) / 2
		}
	}
	return out
}

// budgets judges every budget by the primary difference at its quantile.
func (s *study) budgets(lines []*line) []summary.BudgetResult {
	var out []summary.BudgetResult
	for _, b := range s.plan.Budgets {
		r := summary.BudgetResult{Budget: b.Text, Quantile: b.Quantile, LimitUs: b.LimitUs, Verdict: summary.CannotTell}
		if l := s.primaryLine(lines, b.Quantile); l != nil {
			r.EstimateUs, r.LowUs, r.HighUs = l.EstimateUs, l.LowUs, l.HighUs
			switch {
			case !s.mayClaim(l):
			case l.HighUs <= b.LimitUs:
				r.Verdict = summary.Within
			case l.LowUs > b.LimitUs:
				r.Verdict = summary.Over
			}
		}
		out = append(out, r)
	}
	return out
}

// primaryLine is the primary difference at a quantile, or nil.
func (s *study) primaryLine(lines []*line, q float64) *line {
	for _, l := range lines {
		if l.contrast == &s.contrasts[0] && l.Quantile == q {
			return l
		}
	}
	return nil
}

// verdict is the run's: of its budgets when there are any, else of the primary
// difference at the primary quantile. One budget exceeded is enough; all must
// hold to be within.
func (s *study) verdict(lines []*line, budgets []summary.BudgetResult) string {
	if len(budgets) == 0 {
		if l := s.primaryLine(lines, s.primary); l != nil {
			return l.Verdict
		}
		return summary.CannotTell
	}
	v := summary.Within
	for _, b := range budgets {
		switch {
		case b.Verdict == summary.Over:
			return summary.Over
		case b.Verdict == summary.CannotTell:
			v = summary.CannotTell
		}
	}
	return v
}

// primaryQuantile is named in advance: the median when it is reported, else the first.
func primaryQuantile(p *plan.Plan) float64 {
	for _, q := range p.Quantiles {
		if q == 0.5 {
			return q
		}
	}
	return p.Quantiles[0]
}
