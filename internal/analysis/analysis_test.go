package analysis_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// calm is a quiet machine: the hop's 170 µs stand out at every quantile.
func calm() sim.Noise {
	return sim.Noise{BaseUs: 400, Sigma: 0.1, Tail: 0.02, TailUs: 600, Alpha: 4, Slow: 0.01, SlowS: 30, Fast: 0.01, FastS: 0.5, Offset: 0.01}
}

// recording is a run of 6 replicates on a calm machine with an agent hop of 170 µs.
func recording(t *testing.T) *sim.Recording {
	t.Helper()
	p, err := plan.New(plan.ProfileStandard)
	if err != nil {
		t.Fatal(err)
	}
	p.Topology, p.Seed, p.Agent = "sha256:simulated", 2, plan.AgentEnvoy
	p.RatePerS, p.Replicates, p.ReplicateS, p.WarmupS = 500, 6, 10, 1.5
	return &sim.Recording{Plan: p, Noise: calm(), Delays: map[string]call.Delay{plan.ArmAgent: {Spin: 170 * time.Microsecond, Share: 1}}}
}

func write(t *testing.T, rec *sim.Recording) *run.Dir {
	t.Helper()
	if err := rec.Plan.Validate(); err != nil {
		t.Fatal(err)
	}
	d, err := rec.Write(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func analyze(t *testing.T, d *run.Dir) *summary.Result {
	t.Helper()
	// As a reader would find it.
	d, err := run.Open(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := analysis.Analyze(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func difference(t *testing.T, s *summary.Summary, of string, q float64) summary.Difference {
	t.Helper()
	for _, d := range s.Differences {
		if d.Of == of && d.Quantile == q {
			return d
		}
	}
	t.Fatalf("no difference %q at %v", of, q)
	return summary.Difference{}
}

func TestAKnownDelayComesBackWithItsInterval(t *testing.T) {
	r := analyze(t, write(t, recording(t)))
	s := &r.Summary
	for _, q := range []float64{0.5, 0.9, 0.99} {
		d := difference(t, s, "agent - bypass", q)
		if d.LowUs > 170 || d.HighUs < 170 || math.Abs(d.EstimateUs-170) > 40 {
			t.Errorf("at %v: got %.1f [%.1f, %.1f]; want an interval around 170", q, d.EstimateUs, d.LowUs, d.HighUs)
		}
		if d.Replicates != 6 || d.Windows != 30 || d.Level != 0.95 {
			t.Errorf("at %v: got %d replicates, %d windows, level %v; want 6, 30, 0.95", q, d.Replicates, d.Windows, d.Level)
		}
		if w := d.WithinHighUs - d.WithinLowUs; !(w > 0) {
			t.Errorf("at %v: within-run interval of width %v", q, w)
		}
		aa := difference(t, s, "bypass - bypass-twin", q)
		if aa.Verdict != summary.CannotTell {
			t.Errorf("A/A at %v: verdict %q with [%.1f, %.1f]", q, aa.Verdict, aa.LowUs, aa.HighUs)
		}
		if f := s.NoiseFloorUs[plan.QuantileName(q)]; math.Abs(f-(aa.HighUs-aa.LowUs)/2) > 0.1+1e-9 { // each rounded to 0.1
			t.Errorf("noise floor at %v: got %v; want the A/A half-width", q, f)
		}
	}
	if s.Verdict != summary.Different || analysis.Code(s) != fail.OK {
		t.Errorf("verdict %q, code %d; want different, 0", s.Verdict, analysis.Code(s))
	}
	if len(s.Sentences) != 3 || !strings.HasPrefix(s.Sentences[0], "The Service Connect agent adds 1") || !strings.Contains(s.Sentences[0], " µs at p50 (95 % interval ") {
		t.Errorf("sentences %q", s.Sentences)
	}
	if len(s.Warnings) != 0 {
		t.Errorf("warnings on a sound run: %+v", s.Warnings)
	}
	for _, a := range s.Arms {
		want := map[string]string{"agent": "1", "bypass": "0", "bypass-twin": "0"}[a.Name]
		if a.Evidence.AgentHops[want] != a.Requests || a.Evidence.Contradictions != 0 || a.Evidence.Missing != 0 {
			t.Errorf("%s: evidence %+v of %d requests", a.Name, a.Evidence, a.Requests)
		}
	}
	if diff := s.Arms[0].Evidence.ResponseBytes - s.Arms[1].Evidence.ResponseBytes; diff != 49 {
		t.Errorf("agent responses are %d bytes longer; want 49", diff)
	}
	if got := s.Arms[0].Requests + s.Arms[1].Requests + s.Arms[2].Requests; got != 30000 {
		t.Errorf("%d requests measured; want 30000, the warm-up left out", got)
	}
}

func TestTheLedgerAddsUp(t *testing.T) {
	rec := recording(t)
	if err := rec.Plan.SetArms([]string{"agent", "bypass", "direct"}, true); err != nil {
		t.Fatal(err)
	}
	rec.Delays = map[string]call.Delay{"agent": {Spin: 250 * time.Microsecond, Share: 1},
		"bypass": {Spin: 80 * time.Microsecond, Share: 1}, "bypass-twin": {Spin: 80 * time.Microsecond, Share: 1}}
	rec.Evidence = func(e *run.Evidence) { e.Agents[0].BusyUs = 60 * float64(e.Agents[0].Requests) }
	s := analyze(t, write(t, rec)).Summary
	l := s.Ledger
	if l == nil {
		t.Fatal("no ledger")
	}
	sum := l.RemainderUs
	parts := map[string]float64{}
	for _, e := range l.Entries {
		sum += e.Us
		parts[e.Part] = e.Us
	}
	if math.Abs(sum-l.TotalUs) > 1e-6 {
		t.Errorf("entries and remainder sum to %v; the total is %v", sum, l.TotalUs)
	}
	for part, want := range map[string]float64{"agent, its own work": 60, "agent, one more connection to wait on": 110,
		"load balancer": 80, "client, network and app": 400} {
		if got := parts[part]; math.Abs(got-want) > 15 {
			t.Errorf("%s: got %.1f us; want about %v", part, got, want)
		}
	}
	if d := difference(t, &s, "bypass - direct", 0.5); math.Abs(d.EstimateUs-80) > 15 {
		t.Errorf("bypass - direct: got %.1f; want about 80", d.EstimateUs)
	}
}

func TestAWindowVoidedByItsScheduleLeavesTheEstimate(t *testing.T) {
	rec := recording(t)
	// The second window of replicate 1 is late, and slow on one arm only.
	rec.Each = func(rep int, r *samplefile.Record) {
		if rep == 1 && r.Iteration >= 1750 && r.Iteration < 2750 {
			r.Late = 6 * time.Millisecond
			if r.Arm == 0 {
				r.Latency += 50 * time.Millisecond
			}
		}
	}
	r := analyze(t, write(t, rec))
	d := difference(t, &r.Summary, "agent - bypass", 0.99)
	if d.Voided != 1 || d.Windows != 29 {
		t.Errorf("%d voided, %d windows; want 1 and 29", d.Voided, d.Windows)
	}
	if d.EstimateUs > 300 {
		t.Errorf("p99 difference %v us: the voided window still counts", d.EstimateUs)
	}
	void := 0
	for _, w := range r.Detail.Windows {
		if w.Void != "" {
			void++
		}
	}
	if void != 1 || len(r.Detail.Windows) != 30 {
		t.Errorf("%d of %d windows shown void; want 1 of 30", void, len(r.Detail.Windows))
	}
}

func TestReplicatesThatDoNotCount(t *testing.T) {
	rec := recording(t)
	rec.Each = func(rep int, r *samplefile.Record) {
		if rep == 2 { // all windows late
			r.Late = 20 * time.Millisecond
			r.Latency += time.Second
		}
		if rep == 3 && r.Arm == 1 {
			r.Outcome = samplefile.Outcome{Error: "refused", ServiceMs: -1}
		}
	}
	d := write(t, rec)
	if err := d.Replicate(5).Finish(run.Evidence{Replicate: 5, Failure: "k6 was killed"}); err != nil {
		t.Fatal(err)
	}
	if err := d.SetState(run.State{Status: run.Interrupted, Why: "interrupted by SIGINT"}); err != nil {
		t.Fatal(err)
	}
	r := analyze(t, d)
	if got := difference(t, &r.Summary, "agent - bypass", 0.5).Replicates; got != 3 {
		t.Errorf("%d replicates count; want 3", got)
	}
	if got := r.Summary.Arms[0].Latency.Max; got > 1e6 {
		t.Errorf("slowest request %v us: a replicate that does not count is in the latencies", got)
	}
	for i, want := range map[int]string{1: "", 2: "windows count",
		3: "no request of `bypass` was answered as planned (refused", 5: "k6 was killed"} {
		if got := r.Detail.Replicates[i-1]; got.Index != i || !strings.Contains(got.Missing, want) || (want == "") != (got.Missing == "") {
			t.Errorf("replicate %d: got %+v; want missing %q", i, got, want)
		}
	}
	p := r.Summary.Partial
	if p == nil || p.Replicates != 5 || p.Planned != 6 || !strings.Contains(p.Why, "SIGINT") || p.Resume == "" {
		t.Errorf("partial: %+v; want 5 of 6 complete", p)
	}
}

func TestNothingFitToCountClaimsNothing(t *testing.T) {
	rec := recording(t)
	rec.Each = func(_ int, r *samplefile.Record) { r.Late = 20 * time.Millisecond }
	s := analyze(t, write(t, rec)).Summary
	if s.Verdict != summary.CannotTell || !has(s.Warnings, "voided", "run") {
		t.Errorf("verdict %q, warnings %+v; want cannot_tell and voided", s.Verdict, s.Warnings)
	}
	if len(s.Differences) == 0 || s.Arms[0].Latency.P50 == 0 {
		t.Error("the numbers are hidden instead of doubted")
	}
}

func TestAnEmptyRunCannotTell(t *testing.T) {
	rec := recording(t)
	d, err := run.Create(filepath.Join(t.TempDir(), "run"), rec.Plan, run.Environment{Run: "empty"})
	if err != nil {
		t.Fatal(err)
	}
	s := analyze(t, d).Summary
	if s.Verdict != summary.CannotTell || len(s.Sentences) != 1 || len(s.Arms) != 3 {
		t.Errorf("got verdict %q, sentences %q, %d arms", s.Verdict, s.Sentences, len(s.Arms))
	}
}

// What a run says of its machine must be what the simulator put in, and the
// plan's promise must then be what such runs get.
func TestMachineDescribesTheRun(t *testing.T) {
	rec := recording(t)
	rec.Plan.Replicates = 40
	rec.Noise = calm()
	d := write(t, rec)
	m, err := analysis.Machine(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Points) != 3 || math.Abs(m.Points[0].Us-400) > 10 {
		t.Fatalf("got %+v; want three points, the median near 400", m)
	}
	if m.OffsetShare < 0.006 || m.OffsetShare > 0.014 {
		t.Errorf("offset %v; want about 0.01", m.OffsetShare)
	}
	// The median of a lognormal with sigma 0.1 at 400: 400 × 0.1 × sqrt(2π)/2 = 50.
	if s := m.Points[0].SpreadUs; s < 40 || s > 60 {
		t.Errorf("spread at the median %v; want about 50", s)
	}
	l := difference(t, &analyze(t, d).Summary, "agent - bypass", 0.5)
	promised := rec.Plan.Sees(m)[0].HalfWidthUs
	if got := (l.HighUs - l.LowUs) / 2; got < 0.6*promised || got > 1.6*promised {
		t.Errorf("half-width %v; the plan promised %v", got, promised)
	}
}

func TestARunIsPartialOnlyWhenReplicatesAreMissing(t *testing.T) {
	for _, c := range []struct {
		name   string
		state  run.State
		broken int
		why    string // "" for not partial
	}{
		{"complete", run.State{Status: run.Complete}, 0, ""},
		{"interrupted after the last replicate", run.State{Status: run.Interrupted, Why: "SIGINT"}, 0, ""},
		{"interrupted", run.State{Status: run.Interrupted, Why: "SIGINT"}, 6, "SIGINT"},
		{"a replicate failed", run.State{Status: run.Complete}, 4, "replicate 4: k6 was killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := write(t, recording(t))
			if c.broken > 0 {
				if err := d.Replicate(c.broken).Finish(run.Evidence{Replicate: c.broken, Failure: "k6 was killed"}); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.SetState(c.state); err != nil {
				t.Fatal(err)
			}
			got := ""
			if p := analyze(t, d).Summary.Partial; p != nil {
				got = p.Why
			}
			if got != c.why {
				t.Errorf("partial because of %q; want %q", got, c.why)
			}
		})
	}
}
