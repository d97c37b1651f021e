package check

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

//go:generate go test . -count=1 -update

func check(t *testing.T, f *topologytest.Fixture, o Options) []Finding {
	t.Helper()
	fs, err := Run(f.Topology, o)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func ofRule(fs []Finding, id string) []Finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f Finding) bool { return f.Rule != id })
}

func TestEveryRuleHasExamples(t *testing.T) {
	for _, r := range Rules() {
		if _, ok := examples[r.ID]; !ok {
			t.Errorf("rule %s has no example", r.ID)
		}
		if r.Title == "" || r.Explain == "" || r.Fix == "" || r.Source == "" {
			t.Errorf("rule %s lacks title, explanation, fix or source", r.ID)
		}
	}
	for id := range examples {
		if _, ok := RuleByID(id); !ok {
			t.Errorf("example for %s, which is no rule", id)
		}
	}
}

func TestRulesFireAndKeepQuiet(t *testing.T) {
	for _, r := range Rules() {
		t.Run(r.ID, func(t *testing.T) {
			ex := examples[r.ID]
			f := topologytest.Healthy()
			ex.fires(f)
			got := ofRule(check(t, f, options(r.ID)), r.ID)
			if len(got) == 0 {
				t.Errorf("does not fire on %s", ex.story)
			}
			for _, g := range got {
				if g.Message == "" || g.Fix == "" || g.Origin.ID == "" || g.Label == "" {
					t.Errorf("finding lacks message, fix, place or label: %+v", g)
				}
			}
			f = topologytest.Healthy()
			ex.quiet(f)
			for _, g := range ofRule(check(t, f, options(r.ID)), r.ID) {
				t.Errorf("fires on the near miss: %s", g.Message)
			}
		})
	}
}

func TestHealthyHasNoFindings(t *testing.T) {
	for _, g := range check(t, topologytest.Healthy(), Options{}) {
		t.Errorf("%s %s: %s", g.Severity, g.Rule, g.Message)
	}
}

// TestRulesDoc keeps docs/rules.md equal to the registry; the findings in it
// are those of the examples.
func TestRulesDoc(t *testing.T) {
	var b bytes.Buffer
	fmt.Fprint(&b, "# Rules of hoplab check\n\nGenerated from the registry by `go test ./internal/check -run TestRulesDoc -update`; the findings are what the\nexamples really produce. \"semantics\" is the fact sheet of Service Connect behaviour that hoplab works from.\n\n")
	fmt.Fprint(&b, "Suppress a finding in the template (`Metadata: {hoplab: {suppress: [{rule, reason}]}}` on the resource) or in\n`"+SuppressFile+"` (a list `suppress` of `rule`, `resource` pattern and `reason`). A reason is required; a\nsuppression that matches nothing is itself reported.\n\n")
	fmt.Fprint(&b, "| rule | severity | what |\n| --- | --- | --- |\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", r.ID, r.ID, r.Severity, r.Title)
	}
	for _, r := range Rules() {
		ex := examples[r.ID]
		f := topologytest.Healthy()
		ex.fires(f)
		got := ofRule(check(t, f, options(r.ID)), r.ID)
		if len(got) == 0 {
			t.Fatalf("%s does not fire", r.ID)
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s (%s).\n\n%s\n\n", r.ID, r.Title, r.Severity, r.Explain)
		fmt.Fprintf(&b, "- Fix: %s\n- Source: %s\n- Example: %s gives\n  > %s\n", r.Fix, r.Source, ex.story, got[0].Message)
		if got[0].Effect != "" {
			fmt.Fprintf(&b, "  >\n  > Effect: %s\n", got[0].Effect)
		}
		fmt.Fprintf(&b, "  >\n  > Fix: %s\n", got[0].Fix)
	}
	golden.Check(t, "../../docs/rules.md", b.Bytes())
}

func TestSuppression(t *testing.T) {
	entries, err := ParseSuppressions("hoplab.suppress.yaml", strings.NewReader(`
suppress:
  - rule: needless-agent-hop
    resource: "Main/Ser*"
    reason: it is what we measure
  - rule: alb-egress-closed
    reason: never needed
`))
	if err != nil {
		t.Fatal(err)
	}
	f := topologytest.Healthy().DefaultMode()
	fs := check(t, f, Options{Suppress: entries})
	hop := ofRule(fs, "needless-agent-hop")
	if len(hop) != 1 || hop[0].Suppressed == nil || hop[0].Suppressed.Reason != "it is what we measure" {
		t.Fatalf("needless-agent-hop is not suppressed: %+v", hop)
	}
	unused := ofRule(fs, ruleUnusedSuppression)
	if len(unused) != 1 || unused[0].Origin.Line != 6 || unused[0].Origin.File != "hoplab.suppress.yaml" {
		t.Errorf("the unused entry is not reported at its line: %+v", unused)
	}
	if worst, any := Worst(fs); !any || worst != Note {
		t.Errorf("worst is %v %v, want note (of the unused suppression)", worst, any)
	}
}

// An ID of an earlier version suppresses what it did, in the template and in a file.
func TestRenamedRulesStaySuppressed(t *testing.T) {
	for old, id := range renamed {
		if r, ok := RuleByID(old); !ok || r.ID != id {
			t.Fatalf("%s leads to rule %q, want %s", old, r.ID, id)
		}
		for _, place := range []string{"file", "resource", "template"} {
			f, o := topologytest.Healthy(), Options{}
			examples[id].fires(f)
			switch place {
			case "file":
				entries, err := ParseSuppressions("s.yaml", strings.NewReader("suppress: [{rule: "+old+", reason: known}]"))
				if err != nil {
					t.Fatal(err)
				}
				o.Suppress = entries
			case "resource":
				for _, g := range f.SecurityGroups {
					g.Suppress = []topology.Suppression{{Rule: old, Reason: "known"}}
				}
			default:
				f.Suppressions = []topology.Suppression{{Rule: old, Reason: "known"}}
			}
			got := ofRule(check(t, f, o), id)
			if len(got) == 0 || got[0].Suppressed == nil {
				t.Errorf("%s in a %s does not suppress %s: %+v", old, place, id, got)
			}
		}
	}
}

func TestBadSuppressionFiles(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no reason", "suppress:\n  - rule: needless-agent-hop\n", "gives no reason"},
		{"blank reason", "suppress:\n  - rule: needless-agent-hop\n    reason: \"  \"\n", "gives no reason"},
		{"no such rule", "suppress:\n  - rule: nope\n    reason: x\n", `no rule is called "nope"`},
		{"unknown field", "suppress:\n  - rule: needless-agent-hop\n    because: x\n", "because"},
		{"bad pattern", "suppress:\n  - rule: needless-agent-hop\n    resource: \"[\"\n    reason: x\n", "is no pattern"},
	} {
		_, err := ParseSuppressions("f.yaml", strings.NewReader(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
	if got, err := ParseSuppressions("f.yaml", strings.NewReader("")); err != nil || len(got) != 0 {
		t.Errorf("an empty file: %v, %v", got, err)
	}
}
