package analysis_test

import (
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
		{"no effect", func(r *sim.Recording) { r.Delays = nil }, summary.CannotTell, fail.CannotTell,
			"At p50 this run cannot tell: the difference lies between"},
		{"within", func(r *sim.Recording) { budget(t, r, "p50 <= +300us") }, summary.Within, fail.OK, "within the budget of 300 µs."},
		{"over", func(r *sim.Recording) { budget(t, r, "p90 <= +50us") }, summary.Over, fail.Finding, "p90 grows by at least"},
		{"one of two over", func(r *sim.Recording) { budget(t, r, "p50 <= 1ms"); budget(t, r, "p90 <= 50us") }, summary.Over,
			fail.Finding, "over the budget of 50 µs."},
		{"budget inside the interval", func(r *sim.Recording) { budget(t, r, "p50 <= 170us") }, summary.CannotTell,
			fail.CannotTell, "whether the budget of 170 µs holds"},
		{"too few slow requests for p99.9", func(r *sim.Recording) { budget(t, r, "p99.9 <= 50ms") }, summary.CannotTell,
			fail.CannotTell, "whether the budget of 50 ms holds"},
		{"one replicate", func(r *sim.Recording) { r.Plan.Replicates, r.Plan.ReplicateS = 1, 30 }, summary.CannotTell,
			fail.CannotTell, "one start of everything cannot confirm"},
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
		{"direct from elsewhere", func(r *sim.Recording) {
			if err := r.Plan.SetArms([]string{"agent", "bypass", "direct"}, true); err != nil {
				t.Fatal(err)
			}
			r.Each = forge(2, func(o *samplefile.Outcome) { o.Peer = "127.18.0.9" }) // a load balancer's address, say
		}, summary.Refused, fail.Refused, "`direct` requests reached the app from another place than the plan says (replicate 2)."},
		{"one header", func(r *sim.Recording) {
			r.Each = forge(0, func(o *samplefile.Outcome) { o.AgentHeaders = -1 })
		}, summary.Refused, fail.Refused, "only one of Envoy's two headers"},
		{"agent counted too few", func(r *sim.Recording) {
			r.Evidence = func(e *run.Evidence) { e.Agents[0].Requests -= 7 }
		}, summary.Refused, fail.Refused, "were not counted by the ingress agent (replicate 1)"},
		{"bypass in CloudWatch", func(r *sim.Recording) { r.Evidence = requestCount("bypass", 1600, true) }, summary.Refused,
			fail.Refused, "passed the agent, by its RequestCount in CloudWatch"},
		{"agent not in CloudWatch", func(r *sim.Recording) { r.Evidence = requestCount("agent", 3, true) }, summary.Refused,
			fail.Refused, "are missing in the agent's RequestCount in CloudWatch"},
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
		e.CloudWatch = []run.MetricCount{{Arm: arm, Namespace: "AWS/ECS", Metric: "RequestCount",
			Dimensions: map[string]string{"DiscoveryName": "app"}, Sum: sum, Settled: settled}}
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
		{"not one core", "not-one-core", "run", func(r *sim.Recording) {
			r.Evidence = func(e *run.Evidence) { e.OneCore = "not available on this system" }
		}},
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
		{"on purpose, where nobody counts", "injected", "run", func(r *sim.Recording) {
			r.Evidence = func(e *run.Evidence) {
				e.Injected = []run.Injected{{Hop: "app", Arm: "agent", AskedUs: 200, Share: 0.1}}
			}
		}},
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
