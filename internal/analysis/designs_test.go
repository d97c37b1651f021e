package analysis_test

import (
	"math"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

func TestBlocksArePairedByRounds(t *testing.T) {
	rec := recording(t)
	rec.Plan.Design, rec.Plan.ReplicateS = plan.DesignBlocks, 60
	// The beginning of a block still shows the arm before it.
	rec.Each = func(_ int, r *samplefile.Record) {
		since := time.Duration(r.Iteration)*2*time.Millisecond - 1500*time.Millisecond
		if since >= 0 && since%(2*time.Second) < 100*time.Millisecond {
			r.Latency += 300 * time.Millisecond
		}
	}
	s := analyze(t, write(t, rec)).Summary
	d := difference(t, &s, "agent - bypass", 0.5)
	if d.LowUs > 170 || d.HighUs < 170 || d.Windows != 60 {
		t.Errorf("got [%.1f, %.1f] from %d rounds; want 170 inside, from 10 rounds of each replicate", d.LowUs, d.HighUs, d.Windows)
	}
	if p99 := difference(t, &s, "agent - bypass", 0.99); p99.EstimateUs > 1000 {
		t.Errorf("p99 %.0f us: the cut beginnings of blocks count", p99.EstimateUs)
	}
	if !has(s.Warnings, "blocks", "run") {
		t.Errorf("no warning on blocks: %+v", s.Warnings)
	}
}

func TestTheSecondAgentIsProvedByItsCounter(t *testing.T) {
	rec := recording(t)
	if err := rec.Plan.SetArms([]string{"mesh", "bypass"}, true); err != nil {
		t.Fatal(err)
	}
	rec.Delays = map[string]call.Delay{"mesh": {Spin: 100 * time.Microsecond, Share: 1}}
	s := analyze(t, write(t, rec)).Summary
	if a := s.Arms[0]; a.Evidence.AgentHops["2"] != a.Requests || a.Path != "client → client agent → agent → app" {
		t.Errorf("got %+v; want two hops proved for each of %d requests", a.Evidence, a.Requests)
	}
	rec.Evidence = func(e *run.Evidence) { e.Agents = e.Agents[:1] } // the server's agent alone
	s = analyze(t, write(t, rec)).Summary
	if a := s.Arms[0]; a.Evidence.AgentHops["1"] != a.Requests || s.Verdict == summary.Refused {
		t.Errorf("got %+v, %q; want one hop proved, and no refusal", a.Evidence, s.Verdict)
	}
	rec.Evidence = func(e *run.Evidence) { e.Agents[1].Requests -= 5 } // the client's agent was passed by
	if s := analyze(t, write(t, rec)).Summary; s.Verdict != summary.Refused {
		t.Errorf("5 requests without the client's agent: verdict %q; want refused", s.Verdict)
	}
}

func TestARunStopsWhenItsIntervalIsNarrowEnough(t *testing.T) {
	for _, c := range []struct {
		halfUs   float64
		complete int
		want     bool
	}{
		{1000, 2, false}, // below the minimum
		{1000, 3, true},
		{0.01, 6, false},
	} {
		rec := recording(t)
		rec.Plan.Replicates = 12
		rec.Plan.StopAt = &plan.Stop{Quantile: 0.5, HalfWidthUs: c.halfUs, MinimumReps: 3}
		short := *rec
		d := stopped(t, &short, c.complete)
		got, err := analysis.Enough(d)
		if err != nil || got != c.want {
			t.Errorf("half-width %v after %d: got %v, %v; want %v", c.halfUs, c.complete, got, err, c.want)
		}
	}
	plain := write(t, recording(t))
	if got, err := analysis.Enough(plain); got || err != nil {
		t.Errorf("a plan without a rule: got %v, %v; want false", got, err)
	}
}

// stopped is a run whose plan has more replicates than it made before it said complete.
func stopped(t *testing.T, rec *sim.Recording, complete int) *run.Dir {
	t.Helper()
	rec.Only = complete
	return write(t, rec)
}

func TestStoppingEarlyWidensTheIntervalAndIsNotPartial(t *testing.T) {
	rec := recording(t)
	plainPlan := *rec
	plainPlan.Plan.Replicates = 4
	plain := difference(t, &analyze(t, write(t, &plainPlan)).Summary, "agent - bypass", 0.5)
	rec.Plan.Replicates = 12
	rec.Plan.StopAt = &plan.Stop{Quantile: 0.5, HalfWidthUs: 1000, MinimumReps: 3}
	s := analyze(t, stopped(t, rec, 4)).Summary
	early := difference(t, &s, "agent - bypass", 0.5)
	if s.Partial != nil {
		t.Errorf("partial: %+v; the rule ended the run", s.Partial)
	}
	if early.Replicates != 4 || early.Level != 0.95 {
		t.Errorf("%d replicates at level %v; want 4 at 0.95", early.Replicates, early.Level)
	}
	// The same data at a stricter level of each look.
	if r := (early.HighUs - early.LowUs) / (plain.HighUs - plain.LowUs); math.Abs(early.EstimateUs-plain.EstimateUs) > 1e-9 || r < 1.1 {
		t.Errorf("width %.2f times that of a fixed plan; want more, as the looks cost level", r)
	}
}
