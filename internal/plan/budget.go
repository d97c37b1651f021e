package plan

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

var budgetForm = regexp.MustCompile(`^\s*p([0-9]+(?:\.[0-9]+)?)\s*<=\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*(ns|us|µs|μs|ms|s)\s*$`)

// unitUs gives the microseconds of a unit; both spellings of micro occur on keyboards.
var unitUs = map[string]float64{"ns": 1e-3, "us": 1, "µs": 1, "μs": 1, "ms": 1e3, "s": 1e6}

// ParseBudget reads a budget such as "p99 <= +2ms", "p50<=150us" or
// "p99.9 <= -0.5 ms": a quantile in per cent, "<=", a signed number and a unit
// (ns, us, µs, ms, s). The number limits the difference arm - baseline.
func ParseBudget(text string) (Budget, error) {
	const hint = `write it like 'p99 <= +2ms': a quantile, <=, a number and a unit (us, ms, s)`
	m := budgetForm.FindStringSubmatch(text)
	if m == nil {
		return Budget{}, fail.Newf(fail.Usage, hint, "budget %q: not understood", text)
	}
	per, err1 := strconv.ParseFloat(m[1], 64)
	limit, err2 := strconv.ParseFloat(m[2], 64)
	if err1 != nil || err2 != nil || math.IsInf(limit, 0) {
		return Budget{}, fail.Newf(fail.Usage, hint, "budget %q: not understood", text)
	}
	if !(per > 0 && per < 100) {
		return Budget{}, fail.Newf(fail.Usage, hint, "budget %q: p%s is no quantile; expected more than p0 and less than p100", text, m[1])
	}
	return Budget{Text: strings.TrimSpace(text), Quantile: percent(per), LimitUs: limit * unitUs[m[3]]}, nil
}

// percent turns 99.9 into the float64 nearest to 0.999, which per/100 is not always.
func percent(per float64) float64 {
	q, _ := strconv.ParseFloat(strconv.FormatFloat(per/100, 'g', 12, 64), 64)
	return q
}

// AddBudget adds a budget, and its quantile to the reported ones when it is not there.
func (p *Plan) AddBudget(text string) error {
	b, err := ParseBudget(text)
	if err != nil {
		return err
	}
	p.Budgets = append(p.Budgets, b)
	p.AddQuantile(b.Quantile)
	return nil
}

// AddQuantile adds q to the reported quantiles when it is not there.
func (p *Plan) AddQuantile(q float64) {
	if slices.Contains(p.Quantiles, q) {
		return
	}
	qs := append(slices.Clone(p.Quantiles), q)
	slices.Sort(qs)
	p.Quantiles = qs
}

// QuantileName is the name of a quantile in reports: 0.5 is "p50", 0.999 is "p99.9".
func QuantileName(q float64) string {
	return "p" + strconv.FormatFloat(math.Round(q*1e8)/1e6, 'f', -1, 64)
}
