package hopcost_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/test/hopcost"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

//go:generate go test . -run TestPage$ -count=1 -update

// TestKeptFiles: of a run stands in the repository what its figures are computed
// from, and nothing that hoplab report makes of it again.
func TestKeptFiles(t *testing.T) {
	for _, made := range []string{"report.html", "report.md", "summary.json"} {
		found, err := filepath.Glob(filepath.Join("../../../docs/hop-cost", "*", made))
		if err != nil || len(found) > 0 {
			t.Errorf("%v %v: remove what is made of a run", found, err)
		}
	}
}

// TestPage: docs/hop-cost.md is what the kept runs say.
func TestPage(t *testing.T) {
	const docs = "../../../docs"
	got, err := hopcost.Page(filepath.Join(docs, "hop-cost"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join(docs, "hop-cost.md"), []byte(got))
}

// recorded writes a simulated run with a hop of 400 µs into dir/name.
func recorded(t *testing.T, dir, name string, change func(*sim.Recording, *run.Environment)) {
	t.Helper()
	p, err := plan.New(plan.ProfileStandard)
	if err != nil {
		t.Fatal(err)
	}
	p.Topology, p.Seed, p.Agent, p.EnvoyWorkers = "sha256:simulated", 2, plan.AgentEnvoy, 2
	p.RatePerS, p.Replicates, p.ReplicateS = 500, 6, 8
	p.AppProtocol, p.AccessLog = "http", "JSON"
	if strings.HasSuffix(name, "-tls") {
		if err := p.SetArms([]string{plan.ArmAgent, plan.ArmBypass, plan.ArmMesh, plan.ArmMeshTLS}, true); err != nil {
			t.Fatal(err)
		}
	} else if strings.HasSuffix(name, "-mesh") {
		if err := p.SetArms([]string{plan.ArmAgent, plan.ArmBypass, plan.ArmMesh}, true); err != nil {
			t.Fatal(err)
		}
	}
	rec := &sim.Recording{Plan: p, Noise: sim.Noise{BaseUs: 400, Sigma: 0.1},
		Delays: map[string]call.Delay{plan.ArmAgent: {Spin: 400 * time.Microsecond, Share: 1}}}
	env := run.Environment{Agent: &run.Agent{Name: "Envoy", Version: "1.40.0", SHA256: "8aa137a7d009aa"}, CPU: "a CPU", Cores: 2,
		StartedUTC: "2026-11-28T00:00:00Z"}
	if change != nil {
		change(rec, &env)
	}
	d, err := rec.Write(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	env.Run = name
	text, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile(run.EnvironmentFile, text); err != nil {
		t.Fatal(err)
	}
}

// TestRows: each run is a row that says what is unlike in it, in the order of
// the axes, with interval, agent and proof.
func TestRows(t *testing.T) {
	dir := t.TempDir()
	recorded(t, dir, "b-base", nil)
	recorded(t, dir, "a-lab", func(r *sim.Recording, e *run.Environment) {
		r.Plan.Agent, r.Plan.EnvoyWorkers, e.Agent = plan.AgentLab, 0, &run.Agent{Name: "lab"}
	})
	recorded(t, dir, "c-16k", func(r *sim.Recording, _ *run.Environment) { r.Plan.ResponseBytes = 16 << 10 })
	recorded(t, dir, "d-1k", func(r *sim.Recording, _ *run.Environment) { r.Plan.ResponseBytes = 1 << 10 })
	recorded(t, dir, "e-all", func(r *sim.Recording, _ *run.Environment) {
		p := &r.Plan
		p.RequestBytes, p.KeepAlive, p.AppProtocol, p.AccessLog, p.EnvoyWorkers = 1000, false, "http2", plan.AccessLogOff, 1
	})
	page, err := hopcost.Page(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		"| [b-base](hop-cost/b-base) | nothing | +",
		"| [d-1k](hop-cost/d-1k) | response body of 1 KiB | +",
		"| [c-16k](hop-cost/c-16k) | response body of 16 KiB | +",
		"| [e-all](hop-cost/e-all) | request body of 1,000 bytes, a new connection for each request, appProtocol http2, no access log, Envoy with 1 worker | +",
		"| [a-lab](hop-cost/a-lab) | the lab's own agent | +",
		"| b-base | Envoy 1.40.0 | ",
		"| a-lab | the lab's own | ",
		"SHA-256 8aa137a7d009…",
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("after %d bytes the page lacks %q:\n%s", at, want, page)
		}
		at += i
	}
	for _, want := range []string{"[399.6, 402.6] µs", "A first look"} {
		if found := strings.Contains(page, want); found != (want != "A first look") {
			t.Errorf("%q on the page: %v\n%s", want, found, page)
		}
	}
}

// TestTLS: a run with TLS between the agents stands beside those without, and
// has a table that says what TLS adds; without such a run there is none.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	recorded(t, dir, "b-mesh", nil)
	page, err := hopcost.Page(dir)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, "With TLS 1.3") || strings.Contains(page, "mesh-tls") {
		t.Errorf("the page speaks of a run that is not there:\n%s", page)
	}
	recorded(t, dir, "a-tls", func(r *sim.Recording, _ *run.Environment) {
		r.Delays[plan.ArmMeshTLS] = call.Delay{Spin: 50 * time.Microsecond, Share: 1}
	})
	if page, err = hopcost.Page(dir); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		"over the arms agent, bypass, mesh, bypass-twin, on",
		"| [b-mesh](hop-cost/b-mesh) | nothing | +",
		"| [a-tls](hop-cost/a-tls) | one arm more, mesh-tls | +",
		"| run | mesh-tls − mesh, p50 | mesh-tls − mesh, p90 | mesh-tls − mesh, p99 | mesh-tls − bypass, p50 |",
		"| a-tls | +",
		"mesh: p50, requests proved | mesh-tls: p50, requests proved | bypass-twin: p50",
		"| not in it |",
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("after %d bytes the page lacks %q:\n%s", at, want, page)
		}
		at += i
	}
}

// TestSlowerRun: a run at a lower rate says so, and stands after the one that it
// is to be read beside.
func TestSlowerRun(t *testing.T) {
	dir := t.TempDir()
	recorded(t, dir, "a-slower", func(r *sim.Recording, _ *run.Environment) { r.Plan.RatePerS = 400 })
	recorded(t, dir, "b-usual", nil)
	page, err := hopcost.Page(dir)
	if err != nil {
		t.Fatal(err)
	}
	usual, slower := strings.Index(page, "| [b-usual](hop-cost/b-usual) | nothing |"), strings.Index(page, "| [a-slower](hop-cost/a-slower) | 400 requests/s |")
	if !strings.Contains(page, "at 500 requests/s over") || usual < 0 || slower < usual {
		t.Errorf("the usual run at %d, the slower one at %d:\n%s", usual, slower, page)
	}
}

// TestRunsThatDoNotBelong: the page is not made from a run whose evidence is not
// whole, that is partial, or that was measured under other conditions.
func TestRunsThatDoNotBelong(t *testing.T) {
	for want, change := range map[string]func(*sim.Recording, *run.Environment){
		"replicates are missing":       func(r *sim.Recording, _ *run.Environment) { r.Only = 4 },
		"injected delays is agent=1ms": func(_ *sim.Recording, e *run.Environment) { e.Inject = []string{"agent=1ms"} },
		"requests of arm agent have proof of their path": func(r *sim.Recording, _ *run.Environment) {
			r.Each = func(_ int, rec *samplefile.Record) {
				if rec.Iteration == 2000 || rec.Iteration == 2001 || rec.Iteration == 2002 || rec.Iteration == 2003 || rec.Iteration == 2004 {
					rec.Outcome.AgentHeaders = 1 - rec.Outcome.AgentHeaders
				}
			}
		},
	} {
		dir := t.TempDir()
		recorded(t, dir, "a-base", nil)
		recorded(t, dir, "b-other", change)
		if _, err := hopcost.Page(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "b-other") {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
