package analysis

import (
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// TestWhatDoesNotCountIsSaidOnce: a reason that several replicates share is one
// warning, and a machine that could not send the load is told what to do.
func TestWhatDoesNotCountIsSaidOnce(t *testing.T) {
	const next = ". Something else kept the machine busy, or the rate is too high for it: run again when it is quiet, or with a lower --rate."
	dropped := func(index int, share float64, why string) leftOut { return leftOut{index, why, share} }
	for name, c := range map[string]struct {
		missing []leftOut
		want    []string
	}{
		"none": {nil, nil},
		"one": {[]leftOut{dropped(3, 0.033, "the load generator left out 3.3 % of its requests")},
			[]string{"Replicate 3 does not count: the load generator left out 3.3 % of its requests" + next}},
		"several": {[]leftOut{
			dropped(1, 0.033, "the load generator left out 3.3 % of its requests"),
			{index: 2, why: "it did not finish"},
			dropped(3, 0.315, "the load generator left out 31.5 % of its requests"),
			dropped(4, 0.014, "the load generator left out 1.4 % of its requests"),
			{index: 5, why: "it did not finish"},
		}, []string{
			"Replicates 1, 3 and 4 do not count: the load generator left out 1.4 to 31.5 % of their requests" + next,
			"Replicates 2 and 5 do not count: it did not finish.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var w warnings
			(&study{plan: &plan.Plan{}, missing: c.missing}).warnLeftOut(&w)
			got := []string(nil)
			for _, x := range w {
				got = append(got, x.Text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestWhereNothingCountsTheSentenceSaysSo: also where the requests that were seen
// are too few for an interval.
func TestWhereNothingCountsTheSentenceSaysSo(t *testing.T) {
	s := &study{plan: &plan.Plan{Design: plan.DesignRandom}, forced: "Only 1 of the 10 planned replicates count."}
	l := &line{Difference: summary.Difference{Quantile: 0.5, EstimateUs: 324}}
	if got := s.cannotTell(l, ""); got != "At p50 this run cannot tell: too little of it counts (see the warnings)." {
		t.Error(got)
	}
}
