package analysis_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
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

// recording is a standard run on a calm machine with an agent hop of 170 µs.
func recording(t *testing.T) *sim.Recording {
	t.Helper()
	p, err := plan.New(plan.ProfileStandard)
	if err != nil {
		t.Fatal(err)
	}
	p.Topology, p.Seed = "sha256:simulated", 2
	return &sim.Recording{Plan: p, Noise: calm(), Delays: map[string]sim.Delay{plan.ArmAgent: {Us: 170, Share: 1}}}
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
		if f := s.NoiseFloorUs[plan.QuantileName(q)]; math.Abs(f-(aa.HighUs-aa.LowUs)/2) > 1e-9 {
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
	rec.Delays = map[string]sim.Delay{"agent": {Us: 250, Share: 1}, "bypass": {Us: 80, Share: 1}, "bypass-twin": {Us: 80, Share: 1}}
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
	for part, want := range map[string]float64{"agent, its own work": 60, "agent, one more connection to wait on": 110, "load balancer": 80, "client, network and app": 400} {
		if got := parts[part]; math.Abs(got-want) > 15 {
			t.Errorf("%s: got %.1f us; want about %v", part, got, want)
		}
	}
	if d := difference(t, &s, "bypass - direct", 0.5); math.Abs(d.EstimateUs-80) > 15 {
		t.Errorf("bypass - direct: got %.1f; want about 80", d.EstimateUs)
	}
}

// Each verdict, its exit code and its sentence must be reachable: a gate that
// cannot fail is worse than none.
func TestEveryVerdictHappens(t *testing.T) {
	forge := func(arm int, o func(*samplefile.Outcome)) func(int, *samplefile.Record) {
		n := 0
		return func(rep int, r *samplefile.Record) {
			if r.Arm == arm && rep == 2 && r.Iteration > 1000 && n < 3 {
				n++
				o(&r.Outcome)
			}
		}
	}
	for _, c := range []struct {
		name     string
		change   func(*sim.Recording)
		verdict  string
		code     fail.Code
		sentence string
	}{
		{"different", func(*sim.Recording) {}, summary.Different, fail.OK, "The Service Connect agent adds"},
		{"no effect", func(r *sim.Recording) { r.Delays = nil }, summary.CannotTell, fail.CannotTell, "At p50 this run cannot tell: the difference lies between"},
		{"within", func(r *sim.Recording) { budget(t, r, "p50 <= +300us") }, summary.Within, fail.OK, "within the budget of 300 µs."},
		{"over", func(r *sim.Recording) { budget(t, r, "p90 <= +50us") }, summary.Over, fail.Finding, "p90 grows by at least"},
		{"one of two over", func(r *sim.Recording) { budget(t, r, "p50 <= 1ms"); budget(t, r, "p90 <= 50us") }, summary.Over, fail.Finding, "over the budget of 50 µs."},
		{"budget inside the interval", func(r *sim.Recording) { budget(t, r, "p50 <= 170us") }, summary.CannotTell, fail.CannotTell, "whether the budget of 170 µs holds"},
		{"too few slow requests for p99.9", func(r *sim.Recording) { budget(t, r, "p99.9 <= 50ms") }, summary.CannotTell, fail.CannotTell, "whether the budget of 50 ms holds"},
		{"one replicate", func(r *sim.Recording) { r.Plan.Replicates, r.Plan.ReplicateS = 1, 30 }, summary.CannotTell, fail.CannotTell, "one start of everything cannot confirm"},
		{"article", func(r *sim.Recording) { article(t, r) }, summary.CannotTell, fail.CannotTell, "cannot separate the hop from drift"},
		{"bypass through the agent", func(r *sim.Recording) {
			r.Each = forge(1, func(o *samplefile.Outcome) { o.AgentHeaders, o.Peer = 1, "127.0.0.1" })
		}, summary.Refused, fail.Refused, "`bypass` requests passed the agent (replicate 2)."},
		{"agent without the agent", func(r *sim.Recording) {
			r.Each = forge(0, func(o *samplefile.Outcome) { o.AgentHeaders, o.Peer = 0, "127.18.0.2" })
		}, summary.Refused, fail.Refused, "Not reported: 3 of"},
		{"headers forged", func(r *sim.Recording) {
			r.Each = forge(0, func(o *samplefile.Outcome) { o.Peer = "127.18.0.2" })
		}, summary.Refused, fail.Refused, "but the app was not called from its own task"},
		{"headers stripped", func(r *sim.Recording) {
			r.Each = forge(0, func(o *samplefile.Outcome) { o.AgentHeaders = 0 })
		}, summary.Refused, fail.Refused, "without Envoy's headers"},
		{"one header", func(r *sim.Recording) {
			r.Each = forge(0, func(o *samplefile.Outcome) { o.AgentHeaders = -1 })
		}, summary.Refused, fail.Refused, "only one of Envoy's two headers"},
		{"agent counted too few", func(r *sim.Recording) {
			r.Evidence = func(e *run.Evidence) { e.Agents[0].Requests -= 7 }
		}, summary.Refused, fail.Refused, "were not counted by the ingress agent (replicate 1)"},
		{"bypass in CloudWatch", func(r *sim.Recording) { r.Evidence = requestCount("bypass", 1600, true) }, summary.Refused, fail.Refused, "passed the agent, by its RequestCount in CloudWatch"},
		{"agent not in CloudWatch", func(r *sim.Recording) { r.Evidence = requestCount("agent", 3, true) }, summary.Refused, fail.Refused, "are missing in the agent's RequestCount in CloudWatch"},
		{"CloudWatch agrees", func(r *sim.Recording) { r.Evidence = requestCount("agent", 1950, true) }, summary.Different, fail.OK, "adds"},
		{"CloudWatch not settled", func(r *sim.Recording) { r.Evidence = requestCount("agent", 3, false) }, summary.Different, fail.OK, "adds"},
		{"bypass in an agent's counter", func(r *sim.Recording) {
			r.Evidence = func(e *run.Evidence) {
				e.Agents = append(e.Agents, run.AgentCount{Arm: "bypass", Role: "ingress", Requests: 2})
			}
		}, summary.Refused, fail.Refused, "passed the agent, by its own counter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := recording(t)
			c.change(rec)
			r := analyze(t, write(t, rec))
			s := &r.Summary
			if s.Verdict != c.verdict || analysis.Code(s) != c.code {
				t.Errorf("verdict %q, code %d; want %q, %d", s.Verdict, analysis.Code(s), c.verdict, c.code)
			}
			if all := strings.Join(s.Sentences, "\n"); !strings.Contains(all, c.sentence) {
				t.Errorf("sentences:\n%s\nwant %q", all, c.sentence)
			}
			if c.verdict == summary.Refused {
				if len(s.Differences) != 0 || s.Arms[0].Latency.P50 != 0 || s.Ledger != nil || len(r.Detail.Curves) != 0 {
					t.Error("a refused run reports latencies")
				}
				if len(s.Contradictions) == 0 {
					t.Error("a refused run does not say why")
				}
			}
		})
	}
}

func requestCount(arm string, sum float64, settled bool) func(*run.Evidence) {
	return func(e *run.Evidence) {
		e.CloudWatch = []run.MetricCount{{Arm: arm, Namespace: "AWS/ECS", Metric: "RequestCount", Dimensions: map[string]string{"DiscoveryName": "app"}, Sum: sum, Settled: settled}}
	}
}

func budget(t *testing.T, r *sim.Recording, text string) {
	t.Helper()
	if err := r.Plan.AddBudget(text); err != nil {
		t.Fatal(err)
	}
}

func article(t *testing.T, r *sim.Recording) {
	t.Helper()
	p, err := plan.New(plan.ProfileArticle)
	if err != nil {
		t.Fatal(err)
	}
	r.Plan = p
}

func TestFailedRequestsAreNeverFastOnes(t *testing.T) {
	rec := recording(t)
	rec.Each = func(_ int, r *samplefile.Record) {
		if r.Arm == 0 && r.Iteration%10 == 0 {
			r.Outcome = samplefile.Outcome{Status: 503, AgentHeaders: 1, Peer: "", ServiceMs: -1}
			r.Latency = time.Microsecond
		}
	}
	rec.Evidence = func(e *run.Evidence) { e.Agents[0].Requests = 1 << 40 }
	s := analyze(t, write(t, rec)).Summary
	a := s.Arms[0]
	if a.Failed == 0 || a.Latency.Min < 200 {
		t.Errorf("%d failed, fastest %v us; want failures counted apart", a.Failed, a.Latency.Min)
	}
	if got := a.Failed + a.Evidence.AgentHops["1"]; got != a.Requests {
		t.Errorf("failed and proved are %d; want all %d", got, a.Requests)
	}
	if !has(s.Warnings, "failures", "agent") {
		t.Errorf("no warning on failures: %+v", s.Warnings)
	}
}

func has(ws []summary.Warning, code, about string) bool {
	for _, w := range ws {
		if w.Code == code && w.About == about {
			return true
		}
	}
	return false
}

// Each audit must fire, and say so where the number is.
func TestTheAuditFires(t *testing.T) {
	sound := analyze(t, write(t, recording(t))).Summary
	for _, c := range []struct {
		name, code, about string
		change            func(*sim.Recording)
	}{
		{"late sends void windows", "late-sends", "run", func(r *sim.Recording) {
			r.Each = func(rep int, rec *samplefile.Record) {
				if rep == 3 && rec.Iteration > 1000 && rec.Iteration < 1200 {
					rec.Late = 8 * time.Millisecond
				}
			}
		}},
		{"steal", "steal", "run", func(r *sim.Recording) { r.Evidence = cpu(0.3, 0.05) }},
		{"busy machine", "busy-machine", "run", func(r *sim.Recording) { r.Evidence = cpu(0.95, 0) }},
		{"not awake", "not-awake", "run", func(r *sim.Recording) { r.Evidence = func(e *run.Evidence) { e.KeepAwake = "not on this system" } }},
		{"new connections", "churn", "bypass", func(r *sim.Recording) {
			r.Each = func(_ int, rec *samplefile.Record) { rec.Outcome.Reused = rec.Arm != 1 }
		}},
		{"the app does not say who called", "one-leg", "agent", func(r *sim.Recording) {
			r.Each = func(_ int, rec *samplefile.Record) {
				if rec.Arm == 0 {
					rec.Outcome.Peer = ""
				}
			}
		}},
		{"few replicates", "few-replicates", "run", func(r *sim.Recording) { r.Plan.Replicates = 3 }},
		{"no twin", "no-twin", "run", func(r *sim.Recording) {
			if err := r.Plan.SetArms([]string{"agent", "bypass"}, false); err != nil {
				t.Fatal(err)
			}
		}},
		{"one after the other", "one-after-another", "run", func(r *sim.Recording) { article(t, r) }},
		{"on purpose", "injected", "run", func(r *sim.Recording) {
			r.Evidence = func(e *run.Evidence) {
				e.Injected = []run.Injected{{Hop: "agent", Arm: "agent", AskedUs: 200, Share: 1, Count: 100, RealisedUs: 203}}
			}
		}},
		{"metrics late", "metrics-late", "agent", func(r *sim.Recording) { r.Evidence = requestCount("agent", 3, false) }},
		{"too few slow requests", "few-tail-samples", "agent - bypass p99", func(r *sim.Recording) { r.Plan.ReplicateS = 4 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := recording(t)
			c.change(rec)
			s := analyze(t, write(t, rec)).Summary
			all := s.Warnings
			for _, d := range s.Differences {
				all = append(all, d.Warnings...)
			}
			if !has(all, c.code, c.about) {
				t.Errorf("no warning %q about %q in %+v", c.code, c.about, all)
			}
			if has(sound.Warnings, c.code, c.about) {
				t.Error("the warning is there on a sound run too")
			}
		})
	}
}

func cpu(busy, steal float64) func(*run.Evidence) {
	return func(e *run.Evidence) {
		e.CPU = []run.CPUSlice{{StartUnixNs: e.StartedUnixNs, EndUnixNs: e.EndedUnixNs, Busy: busy, Steal: steal}}
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
	for i, want := range map[int]string{1: "", 2: "windows count", 3: "no request of `bypass` was answered as planned (refused", 5: "k6 was killed"} {
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

func TestTheResultIsAFunctionOfTheDirectory(t *testing.T) {
	d := write(t, recording(t))
	var first []byte
	for range 3 {
		b, err := json.Marshal(analyze(t, d))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(first, b) {
			t.Fatal("two analyses of one directory differ")
		}
	}
	// Also at another place.
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(moved, os.DirFS(d.Path)); err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(moved)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(analyze(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, b) {
		t.Error("the result depends on where the directory lies")
	}
}

// Several generators' files must give exactly what one file with all records gives.
func TestGeneratorsMergeExactly(t *testing.T) {
	one := recording(t)
	several := recording(t)
	several.Plan.Generators = 3
	a, b := analyze(t, write(t, one)).Summary, analyze(t, write(t, several)).Summary
	x, _ := json.Marshal([]any{a.Arms, a.Differences, a.NoiseFloorUs, a.Ledger})
	y, _ := json.Marshal([]any{b.Arms, b.Differences, b.NoiseFloorUs, b.Ledger})
	if !bytes.Equal(x, y) {
		t.Errorf("three generators give\n%s\none gives\n%s", y, x)
	}
}

func TestFilesThatDoNotBelongTogetherAreRefusedByName(t *testing.T) {
	other := func(change func(*sim.Recording)) *run.Dir {
		rec := recording(t)
		rec.Plan.Generators = 2
		rec.Plan.Replicates = 2
		change(rec)
		return write(t, rec)
	}
	d := other(func(*sim.Recording) {})
	for _, c := range []struct {
		name, want string
		from       *run.Dir
		src, dst   string
	}{
		{"another plan", "plan_hash", other(func(r *sim.Recording) { r.Plan.Seed = 9 }), "01/samples-001.hop", "01/samples-001.hop"},
		{"another build in one replicate", "build", other(func(r *sim.Recording) { r.Build = "k6 v9" }), "01/samples-001.hop", "01/samples-001.hop"},
		{"another target", "target", other(func(r *sim.Recording) { r.Plan.Target, r.Plan.Fabric = "aws", "" }), "01/samples-001.hop", "01/samples-001.hop"},
		{"another replicate", "replicate", d, "02/samples-000.hop", "01/samples-000.hop"},
		{"the same share twice", "generator", d, "01/samples-000.hop", "01/samples-001.hop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mixed(t, d, c.from, c.src, c.dst)
			_, err := analysis.Analyze(m)
			if err == nil || !strings.Contains(err.Error(), c.want) || fail.CodeOf(err) != fail.Usage {
				t.Fatalf("got %v; want a usage error that names %q", err, c.want)
			}
		})
	}
	t.Run("another build in another replicate", func(t *testing.T) {
		from := other(func(r *sim.Recording) { r.Build = "k6 v9" })
		m := mixed(t, d, from, "02/samples-000.hop", "02/samples-000.hop")
		m = mixed(t, m, from, "02/samples-001.hop", "02/samples-001.hop")
		if _, err := analysis.Analyze(m); err == nil || !strings.Contains(err.Error(), "build") {
			t.Fatalf("got %v; want an error that names the build", err)
		}
	})
	t.Run("a missing share", func(t *testing.T) {
		m := mixed(t, d, d, "01/samples-000.hop", "01/samples-000.hop")
		if err := os.Remove(filepath.Join(m.Path, "replicates/01/samples-001.hop")); err != nil {
			t.Fatal(err)
		}
		if _, err := analysis.Analyze(m); err == nil || !strings.Contains(err.Error(), "1 sample files; the plan has 2") {
			t.Fatalf("got %v; want an error that counts the files", err)
		}
	})
}

// mixed is a copy of d with one file from another run.
func mixed(t *testing.T, d, from *run.Dir, src, dst string) *run.Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mixed")
	if err := os.CopyFS(path, os.DirFS(d.Path)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(from.Path, "replicates", src))
	if err == nil {
		err = os.WriteFile(filepath.Join(path, "replicates", dst), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestADamagedFileIsNamedWithItsOffset(t *testing.T) {
	rec := recording(t)
	rec.Plan.Replicates = 2
	d := write(t, rec)
	path := filepath.Join(d.Path, "replicates", "02", "samples.hop")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{"cut": data[:len(data)/2], "changed": append(append([]byte{}, data[:5000]...), append([]byte{0xff ^ data[5000]}, data[5001:]...)...)} {
		if err := os.WriteFile(path, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := analysis.Analyze(d)
		if err == nil || !strings.Contains(err.Error(), "02/samples.hop") || !strings.Contains(err.Error(), "offset") || fail.CodeOf(err) != fail.Usage {
			t.Errorf("%s: got %v; want a usage error with file and offset", name, err)
		}
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
