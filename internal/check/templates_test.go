package check_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

const (
	stacks  = "../../stacks/testdata/golden"
	article = "../source/cfn/deployment/testdata/article"
	shapes  = "../source/cfn/deployment/testdata/shapes"
)

func checkAll(t testing.TB, top *topology.Topology) []check.Finding {
	t.Helper()
	fs, err := check.Run(top, check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// TestOurStacks holds the synthesized variants of our own stacks to the
// rules: nothing of severity warning or above, except what a variant is for.
func TestOurStacks(t *testing.T) {
	planted := map[string][]string{
		"no-egress": {"alb-egress-closed"}, // -c albEgress=none is there to show it
	}
	dirs, err := os.ReadDir(stacks)
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden assemblies under %s: %v", stacks, err)
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue // what the templates were made from
		}
		t.Run(d.Name(), func(t *testing.T) {
			var open, hops []string
			for _, f := range checkAll(t, cfntest.Read(t, filepath.Join(stacks, d.Name()))) {
				switch {
				case f.Rule == "needless-agent-hop":
					hops = append(hops, f.Label)
					if f.Suppressed == nil || f.Suppressed.By != "template" {
						t.Errorf("the agent arm's hop is not suppressed in the template: %s", f.Message)
					}
				case f.Suppressed != nil:
					t.Errorf("%s is suppressed: %s", f.Rule, f.Message)
				case f.Severity >= check.Warning:
					open = append(open, f.Rule)
					if !slices.Contains(planted[d.Name()], f.Rule) {
						t.Errorf("%s %s %s: %s", f.Severity, f.Rule, f.Label, f.Message)
					}
				}
			}
			if len(open) != len(planted[d.Name()]) {
				t.Errorf("open findings %v, want %v", open, planted[d.Name()])
			}
			if d.Name() == "agent" && len(hops) != 1 {
				t.Errorf("the agent arm has %d needless hops, want 1", len(hops))
			}
			if d.Name() == "bypass" && len(hops) != 0 {
				t.Errorf("the bypass arm has a needless hop")
			}
		})
	}
}

// TestArticle holds the rules to the template of the article that the project
// grew from, in its three forms.
func TestArticle(t *testing.T) {
	for _, tc := range []struct {
		file string
		want map[string]check.Severity // by rule; others must not be errors
		not  []string
	}{
		{"default", map[string]check.Severity{"needless-agent-hop": check.Warning, "over-wide-task-role": check.Note},
			[]string{"ingress-port-closed"}},
		{"override-closed", map[string]check.Severity{"ingress-port-closed": check.Error, "over-wide-task-role": check.Note},
			[]string{"needless-agent-hop"}},
		{"override-open", map[string]check.Severity{"over-wide-task-role": check.Note}, []string{"needless-agent-hop", "ingress-port-closed"}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			got := map[string]check.Finding{}
			for _, f := range checkAll(t, cfntest.Read(t, filepath.Join(article, tc.file+".template.json"))) {
				got[f.Rule] = f
				if _, ok := tc.want[f.Rule]; !ok && f.Severity == check.Error {
					t.Errorf("error %s: %s", f.Rule, f.Message)
				}
			}
			for id, s := range tc.want {
				if f, ok := got[id]; !ok || f.Severity != s {
					t.Errorf("%s: found %v with severity %v, want %v", id, ok, f.Severity, s)
				}
			}
			for _, id := range tc.not {
				if f, ok := got[id]; ok {
					t.Errorf("%s: %s", id, f.Message)
				}
			}
			if tc.file == "override-closed" {
				f := got["ingress-port-closed"]
				if f.Add == nil || f.Add.String() != "AppSg: ingress tcp 8080 from ClientSg" {
					t.Errorf("the rule to add is %v", f.Add)
				}
				if !strings.Contains(f.Effect, `504 "upstream request timeout" after 15s`) {
					t.Errorf("the effect is %q", f.Effect)
				}
			}
		})
	}
}

// TestHealthCheckSeed reads the Terraform of the health-check article as it
// stands there: without the egress rule the target never gets healthy.
func TestHealthCheckSeed(t *testing.T) {
	for _, egress := range []string{"false", "true"} {
		top, err := terraform.Load("../source/terraform/testdata/seed-health-check", terraform.Options{Vars: map[string]string{"enable_alb_egress": egress}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := reach.Predict(top, reach.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, r)
		var target *reach.TargetState
		for _, p := range r.Predictions {
			if p.Kind == reach.KindHealth {
				target = p.Target
			}
		}
		fs := checkAll(t, top)
		if egress == "true" {
			if target == nil || target.State != reach.StateHealthy || len(fs) != 0 {
				t.Errorf("with egress: target %+v, findings %+v", target, fs)
			}
			continue
		}
		if target == nil || target.State != reach.StateUnhealthy || target.Reason != reach.ReasonTimeout {
			t.Errorf("without egress: target %+v, want unhealthy with %s", target, reach.ReasonTimeout)
		}
		if len(fs) != 1 || fs[0].Rule != "alb-egress-closed" || fs[0].Add.String() != "alb-hc-test-alb-sg: egress tcp 80 to alb-hc-test-ec2-sg" {
			t.Errorf("without egress: findings %+v", fs)
		}
	}
}

// TestShapes checks and predicts templates of many shapes: no panic, and
// whatever is not settled is called unknown with a reason.
func TestShapes(t *testing.T) {
	entries, err := os.ReadDir(shapes)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".golden" {
			continue
		}
		n++
		t.Run(e.Name(), func(t *testing.T) {
			top := cfntest.Read(t, templates(t, filepath.Join(shapes, e.Name()))...)
			r, err := reach.Predict(top, reach.Options{})
			if err != nil {
				t.Fatal(err)
			}
			sound(t, r)
			for _, f := range checkAll(t, top) {
				if f.Message == "" || f.Fix == "" {
					t.Errorf("finding without message or fix: %+v", f)
				}
				t.Logf("%s %s %s: %s", f.Severity, f.Rule, f.Label, f.Message)
			}
		})
	}
	if n == 0 {
		t.Error("no shapes")
	}
}

// templates returns the path itself, or the templates of a directory that is no cloud assembly.
func templates(t testing.TB, path string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(path, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil || len(all) == 0 {
		return []string{path}
	}
	return all
}

// sound checks what must hold of every report.
func sound(t *testing.T, r *reach.Report) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range r.Predictions {
		if seen[p.ID] {
			t.Errorf("two predictions are called %s", p.ID)
		}
		seen[p.ID] = true
		o := p.Outcome
		if o.Why == "" || o.Class == "" || p.Path == "" {
			t.Errorf("%s: class %q, path %q, why %q", p.ID, o.Class, p.Path, o.Why)
		}
		if o.Status != 0 && p.Target == nil && o.Class != reach.ClassOf(o.Status) {
			t.Errorf("%s: class %s with status %d", p.ID, o.Class, o.Status)
		}
		for _, b := range p.Blocks {
			if b.Open == nil || b.Open.Port == 0 || b.Hop >= len(p.Hops) || p.Hops[b.Hop].State != reach.HopClosed {
				t.Errorf("%s: block without a rule that opens it, or of an open hop: %+v", p.ID, b)
			}
		}
		for _, h := range p.Hops {
			if h.State == reach.HopClosed && o.Class == reach.OK {
				t.Errorf("%s: ok over a closed hop", p.ID)
			}
		}
	}
}

// TestNothingToGive says of what no value can settle that there is none to give.
func TestNothingToGive(t *testing.T) {
	for _, input := range []string{"cfn/function-as-target/template.yaml", "tf/codedeploy-pair"} {
		t.Run(input, func(t *testing.T) {
			top, err := source.Load(t.Context(), []string{"../test/cases/testdata/" + input}, source.Options{NoSynth: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(top.Unknowns) > 0 {
				t.Errorf("not settled: %v", top.Unknowns)
			}
			found := false
			for _, f := range checkAll(t, top) {
				if f.Rule != "path-unknown" {
					continue
				}
				found = true
				if !strings.HasPrefix(f.Fix, "Nothing to give") {
					t.Errorf("%s\nFix: %s", f.Message, f.Fix)
				}
			}
			if !found {
				t.Error("no path is unknown")
			}
		})
	}
}
