package analysis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// A budget that lies between an interval's end and what the end is rounded to
// must be judged by the end itself.
func TestAVerdictComesFromUnroundedNumbers(t *testing.T) {
	judge := func(seed uint64, limits ...float64) *summary.Summary {
		var budgets []plan.Budget
		for _, l := range limits {
			budgets = append(budgets, plan.Budget{Text: fmt.Sprint("p50 <= ", l, "us"), Quantile: 0.5, LimitUs: l})
		}
		f, err := analysis.NewForeign(analysis.ForeignOptions{Arms: []string{"a", "b"}, Quantiles: []float64{0.5},
			Level: 0.95, WindowS: 1, Budgets: budgets})
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 7))
		for i := range 6000 {
			arm := i % 2
			latency := time.Duration(300e3*math.Exp(0.3*rng.NormFloat64())) + time.Duration(1-arm)*20*time.Microsecond
			f.Add(arm, time.Duration(i)*2*time.Millisecond, latency, "")
		}
		r, err := f.Result("test")
		if err != nil {
			t.Fatal(err)
		}
		return &r.Summary
	}
	apart := 0
	for seed := range uint64(10) {
		shown := judge(seed).Differences[0].HighUs
		var limits []float64
		for step := -5; step <= 5; step++ {
			limits = append(limits, shown+float64(step)/100)
		}
		for i, b := range judge(seed, limits...).Budgets {
			if rounded := limits[i] >= shown; (b.Verdict == summary.Within) != rounded {
				apart++
			}
		}
	}
	if apart == 0 {
		t.Error("no verdict differs from that of the rounded interval")
	}
}
