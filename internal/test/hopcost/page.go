// Package hopcost makes docs/hop-cost.md from the runs that are kept beside it:
// no figure of the lab on that page stands anywhere but in a run directory.
package hopcost

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
)

// row is one kept run.
type row struct {
	name  string
	plan  *plan.Plan
	env   *run.Environment
	agent string // "Envoy 1.40.0", or "the lab's own"
	sum   summary.Summary
	words []string // what is unlike the usual conditions
}

// The conditions that a row's words say nothing about. Two workers are what AWS
// starts its agent's Envoy with; an access log in JSON is what the templates of
// this repository have.
const (
	usualWorkers  = 2
	usualLog      = "JSON"
	usualProtocol = "http"
)

// Page renders the page from the run directories in dir, whose names are the
// runs'. It fails when a run cannot be read or is partial, when its evidence is
// against the plan or missing for a request, and when it was made under other
// conditions than the rest, as far as they are no axis of the page.
func Page(dir string) (string, error) {
	rows, err := read(dir)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	if len(rows) == 0 {
		b.WriteString("No runs are kept: `scripts/hop-cost.sh` records them.\n")
	} else {
		conditions(&b, rows)
		costs(&b, rows)
		encryption(&b, rows)
		evidence(&b, rows)
		machines(&b, rows)
	}
	b.WriteString(published)
	return b.String(), nil
}

func read(dir string) ([]row, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", run.PlanFile))
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, file := range found {
		r, err := readRun(filepath.Dir(file))
		if err == nil && len(rows) > 0 {
			err = alike(&rows[0], &r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(file), err)
		}
		rows = append(rows, r)
	}
	usual := 0.0
	for _, r := range rows {
		usual = max(usual, r.plan.RatePerS)
	}
	for i := range rows {
		if p := rows[i].plan; p.RatePerS != usual {
			rows[i].words = append(rows[i].words, number(p.RatePerS)+" requests/s")
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(slices.Compare(rank(a.plan), rank(b.plan)), cmp.Compare(a.name, b.name))
	})
	return rows, nil
}

func readRun(path string) (row, error) {
	d, err := run.Open(path)
	if err != nil {
		return row{}, err
	}
	if n := d.Left(); n > 0 {
		return row{}, fmt.Errorf("%d replicates are missing", n)
	}
	result, err := analysis.Analyze(d)
	if err != nil {
		return row{}, err
	}
	r := row{name: filepath.Base(path), plan: &d.Plan, env: &d.Env, sum: result.Summary, words: words(&d.Plan), agent: "the lab's own"}
	if !d.Plan.LabAgent() {
		r.agent = strings.TrimSpace(r.sum.Agent.Name + " " + r.sum.Agent.Version)
	}
	for i := range r.sum.Arms {
		if proved, answered := proof(&d.Plan, &r.sum.Arms[i]); proved != answered || answered == 0 {
			return row{}, fmt.Errorf("%d of %d requests of arm %s have proof of their path", proved, answered, r.sum.Arms[i].Name)
		}
	}
	if r.sum.Verdict == summary.Refused {
		return row{}, fmt.Errorf("its evidence contradicts the plan: %+v", r.sum.Contradictions)
	}
	return r, nil
}

// proof counts an arm's answered requests, and those among them whose path is proved.
func proof(p *plan.Plan, a *summary.Arm) (proved, answered int64) {
	hops := 0
	if i := p.ArmIndex(a.Name); i >= 0 {
		hops = p.Arms[i].Expect.AgentHops
	}
	return a.Evidence.AgentHops[strconv.Itoa(hops)], a.Requests - a.Failed
}

// alike fails when two runs differ in what is no axis of the page.
func alike(a, b *row) error {
	p, q := a.plan, b.plan
	for _, f := range []struct {
		field string
		a, b  any
	}{
		{"target", p.Target, q.Target}, {"fabric", p.Fabric, q.Fabric}, {"design", p.Design, q.Design}, {"topology", p.Topology, q.Topology},
		{"arms", armNames(p, plan.ArmMeshTLS), armNames(q, plan.ArmMeshTLS)},
		{"client", p.Client, q.Client},
		{"replicates", p.Replicates, q.Replicates}, {"replicate_s", p.ReplicateS, q.ReplicateS}, {"level", p.Level, q.Level},
		{"injected delays", strings.Join(a.env.Inject, " "), strings.Join(b.env.Inject, " ")},
	} {
		if f.a != f.b {
			return fmt.Errorf("%s is %v, and %v in %s: record both anew", f.field, f.b, f.a, a.name)
		}
	}
	return nil
}

// armNames lists the arms of a plan but those that are left out.
func armNames(p *plan.Plan, without ...string) string {
	var names []string
	for _, a := range p.Arms {
		if !slices.Contains(without, a.Name) {
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, ", ")
}

// words says what in a run is unlike the usual conditions.
func words(p *plan.Plan) []string {
	var out []string
	say := func(unlike bool, format string, args ...any) {
		if unlike {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(p.LabAgent(), "the lab's own agent")
	say(p.ResponseBytes > 0, "response body of %s", quantity.Bytes(p.ResponseBytes))
	say(p.RequestBytes > 0, "request body of %s", quantity.Bytes(p.RequestBytes))
	say(!p.KeepAlive, "a new connection for each request")
	say(secured(p), "one arm more, %s", plan.ArmMeshTLS)
	say(p.AppProtocol != usualProtocol, "appProtocol %s", cmp.Or(p.AppProtocol, "as in the templates"))
	say(p.AccessLog == plan.AccessLogOff, "no access log")
	say(p.AccessLog != usualLog && p.AccessLog != plan.AccessLogOff, "access log %s", cmp.Or(p.AccessLog, "as in the templates"))
	say(!p.LabAgent() && p.EnvoyWorkers == 1, "Envoy with 1 worker")
	say(!p.LabAgent() && p.EnvoyWorkers != 1 && p.EnvoyWorkers != usualWorkers, "Envoy with %d workers", p.EnvoyWorkers)
	say(!p.OneCore || !p.KeepAwake, "cores as they are")
	return out
}

// secured reports whether a run has an arm with TLS between the agents.
func secured(p *plan.Plan) bool { return p.ArmIndex(plan.ArmMeshTLS) >= 0 }

// rank orders runs: the usual one first, then by axis and along it, the lab's
// own agent last.
func rank(p *plan.Plan) []int {
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return []int{flag(p.LabAgent()), flag(!p.OneCore || !p.KeepAwake), flag(p.AccessLog != usualLog), flag(secured(p)),
		flag(p.AppProtocol != usualProtocol), flag(!p.KeepAlive), p.RequestBytes, p.ResponseBytes, flag(p.EnvoyWorkers != usualWorkers),
		-int(p.RatePerS)}
}
