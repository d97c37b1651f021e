package compare

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// budget limits a quantile, the mean, or the share of requests above a limit.
type budget struct {
	plan.Budget
	quantile float64 // 0 for the others
	mean     bool
	aboveUs  float64 // with limit a share of the requests
	limit    float64 // µs, or a share
}

var aboveForm = regexp.MustCompile(`^\s*above\s+([0-9.]+)\s*(us|µs|μs|ms|s)\s*<=\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*%\s*$`)

// parseBudgets reads "p99 <= +2ms", "mean <= +200us" and "above 5ms <= +0.5%".
func parseBudgets(texts []string) ([]budget, error) {
	var out []budget
	for _, text := range texts {
		trimmed := strings.TrimSpace(text)
		if m := aboveForm.FindStringSubmatch(text); m != nil {
			at, errAt := strconv.ParseFloat(m[1], 64)
			limit, errLimit := strconv.ParseFloat(m[3], 64)
			if errAt != nil || errLimit != nil {
				return nil, fail.Newf(fail.Usage, "write it like 'above 5ms <= +0.5%'", "budget %q: not understood", text)
			}
			us := map[string]float64{"us": 1, "µs": 1, "μs": 1, "ms": 1e3, "s": 1e6}[m[2]]
			out = append(out, budget{Budget: plan.Budget{Text: trimmed, LimitUs: limit * 1e4}, aboveUs: at * us, limit: limit / 100})
			continue
		}
		rest, mean := strings.CutPrefix(trimmed, "mean")
		form := text
		if mean {
			form = "p50" + rest
		}
		b, err := plan.ParseBudget(form)
		if err != nil {
			return nil, fail.Newf(fail.Usage, `write it like 'p99 <= +2ms', 'mean <= +200us' or 'above 5ms <= +0.5%'`,
				"budget %q: not understood", text)
		}
		b.Text = trimmed
		q := b.Quantile
		if mean {
			q, b.Quantile = 0, 0
		}
		out = append(out, budget{Budget: b, quantile: q, mean: mean, limit: b.LimitUs})
	}
	return out, nil
}

// planBudgets are the same for a comparison of runs, which knows quantiles alone.
func planBudgets(budgets []budget) ([]plan.Budget, error) {
	var out []plan.Budget
	for _, b := range budgets {
		if b.quantile == 0 {
			return nil, fail.Newf(fail.Usage, "limit a quantile: 'p99 <= +2ms'",
				"budget %q: runs are compared by their quantiles", b.Text)
		}
		out = append(out, b.Budget)
	}
	return out, nil
}

// belowGrid refuses budgets that the data's grid cannot answer.
func belowGrid(budgets []budget, gridUs float64, name string) error {
	for _, b := range budgets {
		if limit := b.LimitUs; b.quantile > 0 && gridUs > 0 && limit < gridUs && limit > -gridUs {
			return fail.Newf(fail.Usage,
				"limit the mean instead: 'mean <= "+strings.TrimSpace(b.Text[strings.Index(b.Text,
					"<=")+2:])+"', or a share: 'above 5ms <= +1%'",
				"budget %q lies below the grid of the data: the times in %s are multiples of %s, and so are their quantiles", b.Text, name, timeOf(gridUs))
		}
	}
	return nil
}
