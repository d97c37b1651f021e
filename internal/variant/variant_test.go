package variant_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
	"github.com/hoplab/hoplab/internal/variant"
)

func read(t *testing.T, text string) (*topology.Topology, map[string]topology.Origin) {
	t.Helper()
	top := cfntest.Parse(t, "t.yaml", []byte(text))
	of := map[string]topology.Origin{}
	for _, g := range top.SecurityGroups {
		of[string(g.ID)[2:]] = g.Origin
	}
	return top, of
}

func has(list, name string) bool {
	for _, w := range strings.Fields(list) {
		if w == name {
			return true
		}
	}
	return false
}

const conditions = `
Parameters:
  Stage: {Type: String}
  Size: {Type: String}
  Kind: {Type: String, AllowedValues: [a, b]}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Test: !Equals [!Ref Stage, test]
  NotProd: !Not [!Condition Prod]
  Big: !Equals [!Ref Size, big]
  BigProd: !And [!Condition Prod, !Condition Big]
  Either: !Or [!Condition Prod, !Condition Big]
  IsA: !Equals [!Ref Kind, a]
  IsB: !Equals [b, !Ref Kind]
  NotA: !Not [!Condition IsA]
  Circle: !Not [!Condition Circle]
Resources:
  Prod: {Type: AWS::EC2::SecurityGroup, Condition: Prod}
  Test: {Type: AWS::EC2::SecurityGroup, Condition: Test}
  NotProd: {Type: AWS::EC2::SecurityGroup, Condition: NotProd}
  Big: {Type: AWS::EC2::SecurityGroup, Condition: Big}
  BigProd: {Type: AWS::EC2::SecurityGroup, Condition: BigProd}
  Either: {Type: AWS::EC2::SecurityGroup, Condition: Either}
  IsA: {Type: AWS::EC2::SecurityGroup, Condition: IsA}
  IsB: {Type: AWS::EC2::SecurityGroup, Condition: IsB}
  NotA: {Type: AWS::EC2::SecurityGroup, Condition: NotA}
  Always: {Type: AWS::EC2::SecurityGroup}
`

// TestConditionsThatExclude takes pairs of conditions over parameters without a value.
func TestConditionsThatExclude(t *testing.T) {
	top, of := read(t, conditions)
	space := variant.New(top)
	excludes := map[string]string{"Prod": "Test NotProd", "Test": "Prod BigProd", "NotProd": "Prod BigProd", "BigProd": "Test NotProd",
		"IsA": "IsB NotA", "IsB": "IsA", "NotA": "IsA"}
	implies := map[string]string{"Prod": "Either", "Test": "NotProd", "Big": "Either", "BigProd": "Prod Big Either",
		"IsB": "NotA", "NotA": "IsB"}
	for n, o := range of {
		for m, p := range of {
			if got, want := space.Excludes(o, p), has(excludes[n], m); got != want {
				t.Errorf("%s excludes %s: %v", n, m, got)
			}
			if got, want := space.Implies(o, p), n == m || m == "Always" || has(implies[n], m); got != want {
				t.Errorf("%s implies %s: %v", n, m, got)
			}
		}
	}
}

// TestVariantsAreThePossibleOnes counts by hand: stage prod, test or another,
// size big or another, kind a or b.
func TestVariantsAreThePossibleOnes(t *testing.T) {
	top, _ := read(t, conditions)
	all, complete := variant.New(top).All()
	if len(all) != 12 || !complete {
		t.Fatalf("%d variants, complete is %v; want 12", len(all), complete)
	}
	seen := map[string]bool{}
	for _, v := range all {
		var names []string
		for _, g := range v.Topology(top).SecurityGroups {
			if g.Maybe != "" || g.When != nil {
				t.Errorf("%s is conditional in a variant", g.ID)
			}
			names = append(names, string(g.ID)[2:])
		}
		key := strings.Join(names, " ")
		if seen[key] {
			t.Errorf("%s twice", key)
		}
		seen[key] = true
		if has(key, "Prod") && has(key, "Test") || has(key, "IsA") == has(key, "NotA") || !has(key, "Always") {
			t.Errorf("impossible: %s", key)
		}
	}
	for _, g := range top.SecurityGroups {
		if string(g.ID) != "t/Always" && g.When == nil {
			t.Errorf("%s of the whole has lost its condition", g.ID)
		}
	}
}

// TestAFormulaAndItsNegation are two variants, each once.
func TestAFormulaAndItsNegation(t *testing.T) {
	top, _ := read(t, `
Parameters: {Stage: {Type: String}}
Conditions: {Prod: !Equals [!Ref Stage, prod], NotProd: !Not [!Condition Prod]}
Resources:
  A: {Type: AWS::EC2::SecurityGroup, Condition: Prod}
  B: {Type: AWS::EC2::SecurityGroup, Condition: NotProd}
`)
	all, complete := variant.New(top).All()
	if len(all) != 2 || !complete {
		t.Fatalf("%d variants, complete is %v", len(all), complete)
	}
	for _, v := range all {
		if n := len(v.Topology(top).SecurityGroups); n != 1 {
			t.Errorf("%d groups in a variant, want 1", n)
		}
	}
}

// TestNothingConditional has no variants to look at, and says so.
func TestNothingConditional(t *testing.T) {
	top, of := read(t, "Resources: {A: {Type: AWS::EC2::SecurityGroup}}")
	space := variant.New(top)
	if all, complete := space.All(); space != nil || len(all) != 0 || !complete {
		t.Errorf("%v, %d variants, complete is %v", space, len(all), complete)
	}
	if space.Excludes(of["A"], of["A"]) || !space.Implies(of["A"], of["A"]) {
		t.Error("a resource that always exists excludes itself, or does not imply itself")
	}
}

// TestTooMany leaves alone what it cannot work out in bounded time.
func TestTooMany(t *testing.T) {
	for _, n := range []int{10, 200} { // more variants, and more comparisons, than are looked at
		var b strings.Builder
		b.WriteString("Parameters:\n")
		for i := range n {
			fmt.Fprintf(&b, "  P%d: {Type: String}\n", i)
		}
		b.WriteString("Conditions:\n")
		for i := range n {
			fmt.Fprintf(&b, "  C%d: !Equals [!Ref P%d, x]\n  N%d: !Not [!Condition C%d]\n", i, i, i, i)
		}
		b.WriteString("Resources:\n")
		for i := range n {
			fmt.Fprintf(&b, "  C%d: {Type: AWS::EC2::SecurityGroup, Condition: C%d}\n  N%d: {Type: AWS::EC2::SecurityGroup, Condition: N%d}\n", i, i, i, i)
		}
		top, of := read(t, b.String())
		space := variant.New(top)
		if all, complete := space.All(); complete || len(all) != 0 {
			t.Errorf("%d conditions: %d variants, complete is %v", n, len(all), complete)
		}
		if got, want := space.Excludes(of["C0"], of["N0"]), n == 10; got != want {
			t.Errorf("%d conditions: C0 excludes N0: %v, want %v", n, got, want)
		}
	}
}
