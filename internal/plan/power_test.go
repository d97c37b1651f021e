package plan_test

import (
	"math"
	"testing"

	"github.com/hoplab/hoplab/internal/plan"
)

var machine = plan.Machine{OffsetShare: 0.01,
	Points: []plan.MachinePoint{{Q: 0.5, Us: 400, SpreadUs: 100}, {Q: 0.99, Us: 900, SpreadUs: 20_000}}}

// six is a plan whose numbers are round: 6 replicates of 10 s, 500 requests/s.
func six(t *testing.T) plan.Plan {
	p := mustNew(t, plan.ProfileStandard)
	p.RatePerS, p.Replicates, p.ReplicateS = 500, 6, 10
	return p
}

func TestSees(t *testing.T) {
	p := six(t)
	got := p.Sees(machine)
	if len(got) != 2 {
		t.Fatalf("got %d sights; want p50 and p99, which the machine describes", len(got))
	}
	// By hand: offset 4 us on agent, half each on bypass and its twin: 16 + 8;
	// 1667 requests of each arm: 10000 (1 + 1/2) / 1667 = 9. sd 5.74; t at 5 is 2.571.
	half := 2.5706 * math.Sqrt(24+9) / math.Sqrt(6)
	if s := got[0]; math.Abs(s.HalfWidthUs-half) > 0.01 || !s.ByStarts || !s.MayClaim {
		t.Errorf("p50: got %+v; want half-width %.2f, by starts", s, half)
	}
	// It must exceed the A/A half-width, 16 + 16 and 10000 × 2 / 1667, in four of five runs.
	floor := 2.5706 * math.Sqrt(32+12) / math.Sqrt(6)
	smallest := floor + 0.9195*math.Sqrt(24+9)/math.Sqrt(6)
	if s := got[0].SmallestUs; math.Abs(s-smallest) > 0.01 {
		t.Errorf("p50: smallest visible %v; want %v", s, smallest)
	}
	alone := six(t)
	if err := alone.SetArms([]string{"agent", "bypass"}, false); err != nil {
		t.Fatal(err)
	}
	if s := alone.Sees(machine)[0]; math.Abs(s.SmallestUs/s.HalfWidthUs-(2.5706+0.9195)/2.5706) > 0.001 {
		t.Errorf("without a twin: got %+v", s)
	}
	if s := got[1]; s.ByStarts || !s.MayClaim {
		t.Errorf("p99: got %+v; want it limited by requests, with 17 of them in the tail", s)
	}
}

func TestSeesSaysWhatAClaimTakes(t *testing.T) {
	p := mustNew(t, plan.ProfileQuick)
	p.RatePerS = 500 // 500 requests of each arm in 3 s: 5 beyond p99
	s := p.Sees(machine)[1]
	if s.MayClaim || math.Abs(s.ReplicateS-6) > 1e-9 {
		t.Errorf("got %+v; want no claim before 6 s per replicate", s)
	}
	p.Replicates = 1
	if s := p.Sees(machine)[0]; !math.IsInf(s.SmallestUs, 1) {
		t.Errorf("one replicate sees %v; want nothing", s.SmallestUs)
	}
	article := mustNew(t, plan.ProfileArticle)
	if s := article.Sees(machine)[0]; !math.IsInf(s.SmallestUs, 1) {
		t.Errorf("the article's design sees %v; want nothing", s.SmallestUs)
	}
}

func TestMoreOfWhatLimitsHelps(t *testing.T) {
	p := six(t)
	before := p.Sees(machine)
	p.Replicates = 12
	starts := p.Sees(machine)
	p.Replicates, p.ReplicateS = 6, 40
	requests := p.Sees(machine)
	if r := starts[0].HalfWidthUs / before[0].HalfWidthUs; r > 0.65 {
		t.Errorf("twice the replicates narrow p50 to %v; want t and root together, 0.61", r)
	}
	if r := requests[0].HalfWidthUs / before[0].HalfWidthUs; r < 0.85 {
		t.Errorf("four times the requests narrow p50 to %v; want little, the starts limit it", r)
	}
	if r := requests[1].HalfWidthUs / before[1].HalfWidthUs; math.Abs(r-0.5) > 0.01 {
		t.Errorf("four times the requests narrow p99 to %v; want half", r)
	}
	p.StopAt = &plan.Stop{Quantile: 0.5, HalfWidthUs: 1, MinimumReps: 3}
	if p.Sees(machine)[0].HalfWidthUs <= requests[0].HalfWidthUs {
		t.Error("the looks of a stopping rule cost nothing")
	}
}
