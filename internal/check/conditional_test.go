package check

import (
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// Formulas over parameters without a value, as a template writes them.
var (
	isProd = (&topology.When{Value: "Stage", Text: "prod"}).Named("IsProd")
	isTest = (&topology.When{Value: "Stage", Text: "test"}).Named("IsTest")
	isBig  = (&topology.When{Value: "Size", Text: "big"}).Named("IsBig")
	not    = func(w *topology.When) *topology.When {
		return (&topology.When{Op: topology.WhenNot, Parts: []*topology.When{w}}).Named("Not" + w.Name)
	}
	of = func(op topology.WhenOp, name string, parts ...*topology.When) *topology.When {
		return (&topology.When{Op: op, Parts: parts}).Named(name)
	}
)

// exclusive are pairs of formulas that do not hold at once.
var exclusive = map[string][2]*topology.When{
	"not":              {isProd, not(isProd)},
	"another text":     {isProd, isTest},
	"nested and, or":   {of(topology.WhenAll, "BigProd", isProd, isBig), not(of(topology.WhenAny, "BigOrProd", isProd, isBig))},
	"and with another": {of(topology.WhenAll, "BigProd", isProd, isBig), of(topology.WhenAll, "BigTest", isTest, isBig)},
}

// TestEveryRuleNamesTheCondition puts a condition on the resource at which each
// rule fires: the finding is there, names it, and is no error.
func TestEveryRuleNamesTheCondition(t *testing.T) {
	for _, r := range Rules() {
		if r.ID == ruleUnusedSuppression || r.ID == ruleBareSuppression {
			continue // about a file and its words, whatever is deployed
		}
		t.Run(r.ID, func(t *testing.T) {
			for _, g := range fired(t, r.ID) {
				f := topologytest.Healthy()
				examples[r.ID].fires(f)
				if f.Condition(g.Origin.ID, isProd) == 0 {
					t.Fatalf("%s is not in the fixture", g.Origin.ID)
				}
				got := at(check(t, f, Options{}), r.ID, g.Origin.ID)
				if len(got) == 0 {
					t.Errorf("no finding at %s when it is conditional", g.Origin.ID)
				}
				for _, c := range got {
					if !strings.Contains(c.Message, "IsProd") || c.Severity == Error {
						t.Errorf("%s, when %q: %s", c.Severity, c.When, c.Message)
					}
				}
			}
		})
	}
}

// TestWhatExcludesDoesNotConflict puts conditions that exclude one another on
// the resource at which each rule fires and on the others that play a part.
func TestWhatExcludesDoesNotConflict(t *testing.T) {
	tried := 0
	for _, r := range Rules() {
		for name, pair := range exclusive {
			t.Run(r.ID+"/"+name, func(t *testing.T) {
				for _, g := range fired(t, r.ID) {
					for _, other := range g.Related {
						if other.ID == g.Origin.ID {
							continue
						}
						f := topologytest.Healthy()
						examples[r.ID].fires(f)
						f.Condition(g.Origin.ID, pair[0])
						f.Condition(other.ID, pair[1])
						tried++
						for _, c := range check(t, f, Options{}) {
							if c.Rule == r.ID && c.Origin.ID == g.Origin.ID && slices.ContainsFunc(c.Related, func(o topology.Origin) bool { return o.ID == other.ID }) {
								t.Errorf("%s with %s, when %q: %s", g.Origin.ID, other.ID, c.When, c.Message)
							}
						}
					}
				}
			})
		}
	}
	if tried < 100 {
		t.Errorf("only %d pairs tried", tried)
	}
}

// fired returns what a rule finds in its example.
func fired(t *testing.T, rule string) []Finding {
	t.Helper()
	f := topologytest.Healthy()
	examples[rule].fires(f)
	return ofRule(check(t, f, Options{}), rule)
}

func at(fs []Finding, rule string, id topology.ID) []Finding {
	return slices.DeleteFunc(ofRule(fs, rule), func(f Finding) bool { return f.Origin.ID != id })
}

// TestBothVariantsClosed: two rules for one port or the other, one of which
// always exists, and neither opens what is needed. That holds in every variant.
func TestBothVariantsClosed(t *testing.T) {
	build := func(a, b int) *topologytest.Fixture {
		f := topologytest.Healthy()
		rule := func(id string, port int, w *topology.When) topology.Rule {
			r := topologytest.TCP(port, port, topologytest.Group(f.ALBGroup))
			r.Origin = topologytest.Origin(id, "AWS::EC2::SecurityGroupIngress")
			r.When, r.Maybe = w, "t.yaml:1: it depends on condition "+w.Name+", which is open"
			return r
		}
		f.AppGroup.Ingress[0] = rule("IfProd", a, isProd)
		f.AppGroup.Ingress = append(f.AppGroup.Ingress, rule("Else", b, not(isProd)))
		return f
	}
	for _, c := range []struct {
		a, b     int
		want     Severity
		when     string
		findings int
	}{
		{81, 82, Error, "", 1},
		{80, 82, Warning, "condition IsProd does not hold", 1},
		{81, 80, Warning, "condition IsProd holds", 1},
		{80, 80, 0, "", 0},
	} {
		fs := check(t, build(c.a, c.b), Options{})
		got := ofRule(fs, "target-ingress-closed")
		if len(got) != c.findings {
			t.Errorf("%d and %d: %d findings, want %d", c.a, c.b, len(got), c.findings)
			continue
		}
		if len(got) > 0 && (got[0].Severity != c.want || got[0].When != c.when) {
			t.Errorf("%d and %d: %s when %q, want %s when %q: %s", c.a, c.b, got[0].Severity, got[0].When, c.want, c.when, got[0].Message)
		}
		if u := ofRule(fs, rulePathUnknown); len(u) > 0 {
			t.Errorf("%d and %d: unknown: %s", c.a, c.b, u[0].Message)
		}
	}
}

// TestAMissingRuleMayBeThere: a rule that a condition adds is no error where
// the condition does not hold, but it is said that the path is not settled.
func TestAMissingRuleMayBeThere(t *testing.T) {
	f := topologytest.Healthy()
	f.AppGroup.Ingress[0].Origin = topologytest.Origin("IfProd", "AWS::EC2::SecurityGroupIngress")
	f.Condition("Main/IfProd", isProd)
	fs := check(t, f, Options{})
	if got := ofRule(fs, "target-ingress-closed"); len(got) != 0 {
		t.Errorf("closed: %s", got[0].Message)
	}
	if len(ofRule(fs, rulePathUnknown)) == 0 {
		t.Error("nothing says that the path is not settled")
	}
}
