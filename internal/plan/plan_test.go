package plan_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

func mustNew(t *testing.T, profile string) plan.Plan {
	t.Helper()
	p, err := plan.New(profile)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProfilesAreValidAndDiffer(t *testing.T) {
	hashes := map[string]string{}
	for _, name := range plan.Profiles() {
		p := mustNew(t, name)
		if p.Profile != name {
			t.Errorf("%s: got profile %q", name, p.Profile)
		}
		if other, ok := hashes[p.Hash()]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		hashes[p.Hash()] = name
	}
	std := mustNew(t, plan.ProfileStandard)
	if std.TwinIndex() < 0 || std.Arms[std.TwinIndex()].TwinOf != plan.ArmBypass {
		t.Errorf("standard: no A/A twin of bypass in %+v", std.Arms)
	}
	if got, want := std.Seconds(), 70.0; got != want {
		t.Errorf("standard lasts %v s; want %v", got, want)
	}
	if got, want := std.Requests(), 37860.0; got != want {
		t.Errorf("standard sends %v requests; want %v", got, want)
	}
	std.ForAWS()
	if err := std.Validate(); err != nil || std.Seconds() != 189 || std.OneCore || std.KeepAwake {
		t.Errorf("standard for AWS: %v, %v s, one core %v, awake %v; want a valid plan of 189 s without the lab's options", err, std.Seconds(), std.OneCore, std.KeepAwake)
	}
	article := mustNew(t, plan.ProfileArticle)
	if got, want := article.Seconds(), 100.0; got != want {
		t.Errorf("article lasts %v s; want %v (50 s for each arm)", got, want)
	}
	if _, err := plan.New("fast"); fail.CodeOf(err) != fail.Usage {
		t.Errorf("unknown profile: got %v; want a usage error", err)
	}
}

func TestHashFollowsEveryField(t *testing.T) {
	p := mustNew(t, plan.ProfileStandard)
	same := mustNew(t, plan.ProfileStandard)
	if p.Hash() != same.Hash() {
		t.Fatal("equal plans have different hashes")
	}
	if len(p.Hash()) != 16 {
		t.Errorf("hash %q: want 16 digits", p.Hash())
	}
	for name, change := range map[string]func(*plan.Plan){
		"seed":      func(p *plan.Plan) { p.Seed++ },
		"one core":  func(p *plan.Plan) { p.OneCore = false },
		"rate":      func(p *plan.Plan) { p.RatePerS++ },
		"topology":  func(p *plan.Plan) { p.Topology = "sha256:x" },
		"request":   func(p *plan.Plan) { p.RequestBytes = 1 },
		"response":  func(p *plan.Plan) { p.ResponseBytes = 1 },
		"protocol":  func(p *plan.Plan) { p.AppProtocol = "http2" },
		"log":       func(p *plan.Plan) { p.AccessLog = "JSON" },
		"workers":   func(p *plan.Plan) { p.EnvoyWorkers = 1 },
		"arm":       func(p *plan.Plan) { p.Arms[0].Weight = 2 },
		"expect":    func(p *plan.Plan) { p.Arms[0].Expect.AgentHops = 2 },
		"quantiles": func(p *plan.Plan) { p.Quantiles = []float64{0.5} },
		"stop":      func(p *plan.Plan) { p.StopAt = &plan.Stop{Quantile: 0.5, HalfWidthUs: 5, MinimumReps: 4} },
	} {
		q := mustNew(t, plan.ProfileStandard)
		change(&q)
		if q.Hash() == p.Hash() {
			t.Errorf("changing %s does not change the hash", name)
		}
	}
}

func TestCanonicalRoundTrips(t *testing.T) {
	p := mustNew(t, plan.ProfileStandard)
	if err := p.AddBudget("p99.9 <= +2ms"); err != nil {
		t.Fatal(err)
	}
	c, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(string(c), "\n") || strings.Contains(string(c), `\u003c`) {
		t.Errorf("not canonical: %s", c)
	}
	var q plan.Plan
	if err := json.Unmarshal(c, &q); err != nil {
		t.Fatal(err)
	}
	if q.Hash() != p.Hash() {
		t.Error("the hash changes in a round trip through JSON")
	}
}

func TestParseBudget(t *testing.T) {
	for _, c := range []struct {
		text string
		q    float64
		us   float64
	}{
		{"p99 <= +2ms", 0.99, 2000},
		{"p50<=150us", 0.5, 150},
		{" p99.9  <= 1.5 ms ", 0.999, 1500},
		{"p90 <= -20µs", 0.9, -20},
		{"p90 <= 20μs", 0.9, 20},
		{"p57 <= 500ns", 0.57, 0.5},
		{"p95 <= 1s", 0.95, 1e6},
	} {
		b, err := plan.ParseBudget(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if b.Quantile != c.q || math.Abs(b.LimitUs-c.us) > 1e-9 || b.Text != strings.TrimSpace(c.text) {
			t.Errorf("%q: got %+v; want quantile %v, %v us", c.text, b, c.q, c.us)
		}
	}
	for _, text := range []string{"", "p99", "p99 < 2ms", "p99 <= 2", "p99 <= ms", "p100 <= 1ms", "p0 <= 1ms",
		"99 <= 1ms", "p99 >= 1ms", "p99 <= 1e3ms", "p99 <= 1 min", "p99 <= 2ms x"} {
		b, err := plan.ParseBudget(text)
		if err == nil {
			t.Errorf("%q: accepted as %+v", text, b)
			continue
		}
		if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
			t.Errorf("%q: error %v has code %d, hint %q; want usage with a hint", text, err, fail.CodeOf(err), fail.HintOf(err))
		}
	}
}

func TestAddBudgetReportsItsQuantile(t *testing.T) {
	p := mustNew(t, plan.ProfileStandard)
	for _, text := range []string{"p95 <= 1ms", "p99 <= 2ms"} {
		if err := p.AddBudget(text); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.Quantiles; len(got) != 4 || got[2] != 0.95 {
		t.Errorf("got quantiles %v; want 0.5 0.9 0.95 0.99", got)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheFieldAndTheExpectation(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*plan.Plan)
		want   string
	}{
		{"schema", func(p *plan.Plan) { p.Schema = "x" }, "schema"},
		{"target", func(p *plan.Plan) { p.Target = "gcp" }, `target "gcp"`},
		{"fabric", func(p *plan.Plan) { p.Fabric = "" }, "fabric"},
		{"fabric on aws", func(p *plan.Plan) { p.Target = "aws" }, "AWS"},
		{"agent", func(p *plan.Plan) { p.Agent = "nginx" }, `agent "nginx": expected envoy or lab`},
		{"agent on aws", func(p *plan.Plan) { p.ForAWS(); p.Agent = plan.AgentLab }, "AWS brings its own"},
		{"design", func(p *plan.Plan) { p.Design = "parity" }, `design "parity"`},
		{"client", func(p *plan.Plan) { p.Client = "curl" }, `client "curl"`},
		{"rate", func(p *plan.Plan) { p.RatePerS = math.NaN() }, "rate_per_s"},
		{"replicates", func(p *plan.Plan) { p.Replicates = 0 }, "replicates 0"},
		{"window", func(p *plan.Plan) { p.WindowS = 11 }, "longer than the replicate"},
		{"too long", func(p *plan.Plan) { p.ReplicateS, p.Replicates = 86400, 100 }, "limit"},
		{"no arms", func(p *plan.Plan) { p.Arms = nil }, "0 arm(s)"},
		{"twice", func(p *plan.Plan) { p.Arms[1].Name = "agent" }, "occurs twice"},
		{"weight", func(p *plan.Plan) { p.Arms[0].Weight = 0 }, "weight 0"},
		{"evidence", func(p *plan.Plan) { p.Arms[0].Expect.AgentHeaders = 0 }, "contradict"},
		{"twin of nothing", func(p *plan.Plan) { p.Arms[2].TwinOf = "direct" }, "no arm of the plan"},
		{"twin of the wrong arm", func(p *plan.Plan) { p.Arms[2].TwinOf = "agent" }, "expected the baseline"},
		{"no quantiles", func(p *plan.Plan) { p.Quantiles = nil }, "no quantiles"},
		{"quantile", func(p *plan.Plan) { p.Quantiles = []float64{50} }, "quantile 50"},
		{"quantile order", func(p *plan.Plan) { p.Quantiles = []float64{0.9, 0.5} }, "ascending"},
		{"budget quantile", func(p *plan.Plan) { p.Budgets = []plan.Budget{{Quantile: 0.95}} }, "p95"},
		{"blocks", func(p *plan.Plan) { p.Design = "blocks" }, "two blocks"},
		{"stop", func(p *plan.Plan) { p.StopAt = &plan.Stop{Quantile: 0.5, HalfWidthUs: 1, MinimumReps: 2} }, "minimum_replicates"},
		{"stop width", func(p *plan.Plan) { p.StopAt = &plan.Stop{Quantile: 0.5, MinimumReps: 3} }, "half_width_us"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustNew(t, plan.ProfileStandard)
			c.change(&p)
			err := p.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v; want an error with %q", err, c.want)
			}
			if fail.CodeOf(err) != fail.Usage {
				t.Errorf("got exit code %d; want %d", fail.CodeOf(err), fail.Usage)
			}
		})
	}
}

func TestBaselineAndTwin(t *testing.T) {
	for _, c := range []struct {
		arms     []string
		baseline string
	}{
		{[]string{"agent", "bypass"}, "bypass"},
		{[]string{"bypass"}, "bypass"},
		{[]string{"direct", "agent", "mesh"}, "direct"},
		{[]string{"agent", "mesh"}, "mesh"},
		{[]string{"agent", "bypass", "mesh", "direct"}, "bypass"},
	} {
		p := mustNew(t, plan.ProfileStandard)
		if err := p.SetArms(c.arms, true); err != nil {
			t.Fatal(err)
		}
		if got := p.Arms[p.Baseline()].Name; got != c.baseline {
			t.Errorf("%v: got baseline %q; want %q", c.arms, got, c.baseline)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%v: %v", c.arms, err)
		}
		if got, want := p.Share(0), 1/float64(len(c.arms)+1); math.Abs(got-want) > 1e-12 {
			t.Errorf("%v: share %v; want %v", c.arms, got, want)
		}
	}
}

func TestQuantileName(t *testing.T) {
	for q, want := range map[float64]string{0.5: "p50", 0.9: "p90", 0.999: "p99.9", 0.57: "p57", 0.9999: "p99.99"} {
		if got := plan.QuantileName(q); got != want {
			t.Errorf("%v: got %q; want %q", q, got, want)
		}
	}
}

func TestBlockArmsHoldsEachArmOncePerRun(t *testing.T) {
	p := mustNew(t, plan.ProfileStandard)
	if got := p.BlockArms(1); got != nil {
		t.Errorf("design random: got blocks %v; want none", got)
	}
	p.Design, p.ReplicateS, p.WindowS = plan.DesignBlocks, 120, 2
	first := p.BlockArms(1)
	if len(first) != 60 {
		t.Fatalf("got %d blocks; want 60", len(first))
	}
	orders := map[[3]int]bool{}
	for i := 0; i < len(first); i += 3 {
		run := [3]int{first[i], first[i+1], first[i+2]}
		if run[0]+run[1]+run[2] != 3 || run[0] == run[1] || run[1] == run[2] {
			t.Errorf("blocks %d to %d: got arms %v; want each once", i, i+2, run)
		}
		orders[run] = true
	}
	if len(orders) < 4 {
		t.Errorf("only %d orders in 20 runs; want them drawn", len(orders))
	}
	if slices.Equal(first, p.BlockArms(2)) {
		t.Error("two replicates have the same order")
	}
	if !slices.Equal(first, p.BlockArms(1)) {
		t.Error("the same replicate has two orders")
	}
}
