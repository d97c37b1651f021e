package check_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// FuzzSuppressions: whatever stands in a suppression file, either it is refused
// with the file's name, or each entry has a rule and a reason, and a check with
// the entries comes to an end, suppresses nothing without a reason, and says
// which entries suppress nothing.
func FuzzSuppressions(f *testing.F) {
	for _, s := range []string{
		"",
		"suppress:\n  - rule: ingress-port-closed\n    resource: '*App*'\n    reason: tested by hand\n",
		"suppress:\n- {rule: two-open-doors, reason: an older name}\n",
		"suppress:\n- {rule: no-such-rule, reason: x}\n",
		"suppress:\n- {rule: ingress-port-closed}\n",
		"suppress:\n- {rule: ingress-port-closed, resource: '[', reason: x}\n",
		"suppress: &a [*a]\n",
		"suppress:\n- &x {rule: ingress-port-closed, reason: y}\n- *x\n- <<: *x\n",
		"suppress: 1\nother: 2\n",
		"- a\n--- \n- b\n",
		"suppress:\n- rule: !!binary aW5ncmVzcw==\n  reason: \"\\e[2J\"\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := check.ParseSuppressions("s.yaml", bytes.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "s.yaml") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for _, e := range entries {
			if _, ok := check.RuleByID(e.Rule); !ok || strings.TrimSpace(e.Reason) == "" || e.Line < 1 {
				t.Fatalf("accepted %+v", e)
			}
		}
		findings, err := check.Run(topologytest.Healthy().Topology, check.Options{Suppress: entries})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range findings {
			if x.Suppressed != nil && strings.TrimSpace(x.Suppressed.Reason) == "" {
				t.Errorf("%s is suppressed without a reason", x.Rule)
			}
		}
		var b bytes.Buffer
		if err := check.JSON(&b, "t", findings); err != nil || printable.Line(b.String()) == "" {
			t.Errorf("the findings cannot be written: %v", err)
		}
	})
}
