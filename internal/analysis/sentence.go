package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// sentences answers in plain words, one sentence for each reported quantile of
// the primary difference. A quantile with a budget gets the budget's answer.
func (s *study) sentences(lines []*line, budgets []summary.BudgetResult) []string {
	var out []string
	for _, q := range s.plan.Quantiles {
		l := s.primaryLine(lines, q)
		if l == nil {
			continue
		}
		asked := false
		for _, b := range budgets {
			if b.Quantile == q {
				out = append(out, s.budgetSentence(l, b))
				asked = true
			}
		}
		if !asked {
			out = append(out, s.sentence(l))
		}
	}
	return out
}

func (s *study) sentence(l *line) string {
	if l.Verdict != summary.Different {
		return s.cannotTell(l, "")
	}
	u, step := units(l)
	low, high, est := l.LowUs, l.HighUs, l.EstimateUs
	if est < 0 {
		low, high, est = -high, -low, -est
	}
	return fmt.Sprintf("%s %s at %s (%s %% interval %s to %s).", s.subject(l, l.EstimateUs), u.With(u.Number(est, step)),
		plan.QuantileName(l.Quantile), trim(100*l.Level), u.Number(low, step), u.With(u.Number(high, step)))
}

// subject is who does what: "The Service Connect agent adds". Arms that hoplab
// does not know are called by name.
func (s *study) subject(l *line, estimate float64) string {
	more := estimate >= 0
	if l.words[0] != "" {
		if more {
			return l.words[0]
		}
		return l.words[1]
	}
	pick := func(yes, no string) string {
		if more {
			return yes
		}
		return no
	}
	of := l.Of
	if s.plan.Target == plan.TargetEndpoints {
		of = "" // names are free there, and say nothing
	}
	switch of {
	case plan.ArmAgent + " - " + plan.ArmBypass:
		if s.plan.LabAgent() {
			return "The lab's own agent, not Envoy, " + pick("adds", "saves")
		}
		return "The Service Connect agent " + pick("adds", "saves")
	case plan.ArmBypass + " - " + plan.ArmDirect:
		return "The load balancer " + pick("adds", "saves")
	}
	a, b, _ := strings.Cut(l.Of, " - ")
	if more {
		return fmt.Sprintf("`%s` is slower than `%s` by", a, b)
	}
	return fmt.Sprintf("`%s` is faster than `%s` by", a, b)
}

// cannotTell says what is known all the same, and what it would take. about
// completes "cannot tell", e.g. with a budget.
func (s *study) cannotTell(l *line, about string) string {
	head := fmt.Sprintf("At %s this run cannot tell%s: ", plan.QuantileName(l.Quantile), about)
	u, step := units(l)
	switch {
	case s.forced != "" && s.plan.Design != plan.DesignArticle:
		return head + "too little of it counts (see the warnings)."
	case l.Level == 0:
		return head + fmt.Sprintf("it saw %s, and its windows are too few for an interval.", us(l.EstimateUs))
	case s.plan.Design == plan.DesignArticle:
		return head + fmt.Sprintf("it saw %s, and arms that ran one after the other cannot separate the hop from drift.", u.With(u.Signed(l.EstimateUs, step)))
	}
	between := fmt.Sprintf("the difference lies between %s and %s", u.Signed(l.LowUs, step), u.With(u.Signed(l.HighUs, step)))
	if l.LowUs > 0 || l.HighUs < 0 {
		between += ", which " + s.doubt(l)
	}
	return head + between + s.effort(l) + "."
}

// doubt says why an interval that excludes zero is not believed.
func (s *study) doubt(l *line) string {
	switch {
	case l.tail < plan.MinTail:
		return "rests on too few slow requests"
	case len(s.used) < 2:
		return "one start of everything cannot confirm"
	case l.PHolm != nil && *l.PHolm > 1-s.level && l.Quantile != s.primary:
		return "could be chance among the quantiles looked at"
	}
	return "is no more than the same path differs from itself here"
}

// effort says what seeing a little more than half the half-width would take:
// requests where chance among them makes the interval, replicates where the
// starts do.
func (s *study) effort(l *line) string {
	n := len(s.used)
	if n < 2 || l.sd == 0 {
		return ""
	}
	goal := round125((l.HighUs - l.LowUs) / 2 / 1.5)
	u := quantity.UnitFor(goal)
	seen := u.With(u.Number(goal, goal))
	if l.BetweenUs*l.BetweenUs > l.sd*l.sd/2 {
		need := max(n, fewReplicates) // the spread of fewer is hardly known
		for need < 1000 && stats.SmallestVisible(l.sd, need, s.level, 0.8) > goal {
			need++
		}
		return fmt.Sprintf("; seeing %s would take about %d replicates", seen, need)
	}
	var least int64 = math.MaxInt64
	for a, w := range l.contrast.Weights {
		if w == 0 {
			continue
		}
		var requests int64
		for _, r := range s.used {
			requests += r.n[a]
		}
		least = min(least, requests)
	}
	ratio := stats.SmallestVisible(l.sd, n, s.level, 0.8) / goal
	need := roundUp2(float64(least) * ratio * ratio)
	if t := plan.MinTail * float64(n) / min(l.Quantile, 1-l.Quantile); need < t {
		need = roundUp2(t)
	}
	return fmt.Sprintf("; seeing %s would take about %s requests per arm", seen, quantity.Count(int64(need)))
}

func (s *study) budgetSentence(l *line, b summary.BudgetResult) string {
	u, step := units(l)
	limit := exactly(b.LimitUs)
	name := plan.QuantileName(b.Quantile)
	switch b.Verdict {
	case summary.Within:
		return fmt.Sprintf("%s grows by at most %s, within the budget of %s.", name, u.With(u.Number(b.HighUs, step)), limit)
	case summary.Over:
		return fmt.Sprintf("%s grows by at least %s, over the budget of %s.", name, u.With(u.Number(b.LowUs, step)), limit)
	}
	return s.cannotTell(l, " whether the budget of "+limit+" holds")
}

// exactly writes a limit as it was given, in its unit, without digits it has not.
func exactly(v float64) string {
	u := quantity.UnitFor(v)
	return strings.Replace(strconv.FormatFloat(v/u.Us, 'f', -1, 64), "-", "−", 1) + " " + u.Name
}

// units is how a line's numbers are written: one unit, and the digits that its
// interval supports.
func units(l *line) (quantity.Unit, float64) {
	return quantity.UnitFor(l.EstimateUs, l.LowUs, l.HighUs), quantity.Step(l.LowUs, l.HighUs)
}

// refusal is the one sentence of a refused run.
func refusal(p *plan.Plan, cs []summary.Contradiction, total map[string]int64) string {
	c := cs[0]
	var b strings.Builder
	if c.Requests > 0 {
		fmt.Fprintf(&b, "Not reported: %s of %s `%s` requests %s (replicate %d).", quantity.Count(c.Requests), quantity.Count(total[c.Arm]), c.Arm, c.Text, c.Replicate)
	} else {
		fmt.Fprintf(&b, "Not reported: %s.", strings.TrimSuffix(c.Text, "."))
	}
	if n := len(cs) - 1; n > 0 {
		fmt.Fprintf(&b, " %d more contradictions of the plan follow.", n)
	}
	b.WriteString(" The latencies of a run that took other paths than planned mean nothing; check the deployed ports and security groups, then run again.")
	return b.String()
}

// round125 rounds down to 1, 2 or 5 times a power of ten, at least 0.1.
func round125(v float64) float64 {
	if !(v > 0.1) || math.IsInf(v, 0) {
		return 0.1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	switch m := v / p; {
	case m >= 5:
		return 5 * p
	case m >= 2:
		return 2 * p
	}
	return p
}

// roundUp2 rounds up to two significant digits.
func roundUp2(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	p := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Ceil(v/p-1e-9) * p
}
