package deployment

import (
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestConditionsThatExclude takes pairs of conditions over parameters without a value.
func TestConditionsThatExclude(t *testing.T) {
	const text = `
Parameters: {Stage: {Type: String}, Size: {Type: String}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Test: !Equals [!Ref Stage, test]
  NotProd: !Not [!Condition Prod]
  Big: !Equals [!Ref Size, big]
  BigProd: !And [!Condition Prod, !Condition Big]
  Either: !Or [!Condition Prod, !Condition Big]
Resources:
  Prod: {Type: AWS::EC2::SecurityGroup, Condition: Prod}
  Test: {Type: AWS::EC2::SecurityGroup, Condition: Test}
  NotProd: {Type: AWS::EC2::SecurityGroup, Condition: NotProd}
  Big: {Type: AWS::EC2::SecurityGroup, Condition: Big}
  BigProd: {Type: AWS::EC2::SecurityGroup, Condition: BigProd}
  Either: {Type: AWS::EC2::SecurityGroup, Condition: Either}
  Always: {Type: AWS::EC2::SecurityGroup}
`
	a, err := cfn.Parse("t.yaml", []byte(text), cfn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	top, err := FromTemplates(a)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]topology.Origin{}
	for _, g := range top.SecurityGroups {
		of[string(g.ID)[2:]] = g.Origin
	}
	excludes := map[string]string{"Prod": "Test NotProd", "Test": "Prod BigProd", "NotProd": "Prod BigProd", "BigProd": "Test NotProd"}
	implies := map[string]string{"Prod": "Either", "Test": "NotProd", "Big": "Either", "BigProd": "Prod Big Either"}
	for n, o := range of {
		for m, p := range of {
			if got, want := o.Excludes(p), has(excludes[n], m); got != want {
				t.Errorf("%s excludes %s: %v", n, m, got)
			}
			if got, want := o.Implies(p), n == m || m == "Always" || has(implies[n], m); got != want {
				t.Errorf("%s implies %s: %v", n, m, got)
			}
		}
	}
}

func has(list, name string) bool {
	for _, w := range strings.Fields(list) {
		if w == name {
			return true
		}
	}
	return false
}
