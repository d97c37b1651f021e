package stack_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/test/layer"
)

var update = flag.Bool("update", false, "write replacement.json anew")

//go:generate go test . -run TestTableIsThePackages -count=1 -update

// typesOfOurStacks returns the types of AWS in the templates of stacks/.
func typesOfOurStacks(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../../../stacks/testdata/golden/*/*.template.json")
	if more, _ := filepath.Glob("../../../stacks/testdata/golden/*.template.json"); err == nil {
		paths = append(paths, more...)
	}
	types := map[string]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var template struct {
			Resources map[string]struct{ Type string }
		}
		if err := json.Unmarshal(data, &template); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, r := range template.Resources {
			if strings.HasPrefix(r.Type, "AWS::") {
				types[r.Type] = true
			}
		}
	}
	if len(types) < 30 {
		t.Fatalf("found %d types in %d templates; there must be more", len(types), len(paths))
	}
	return slices.Sorted(maps.Keys(types))
}

func known(t *testing.T) []string {
	t.Helper()
	types := append(typesOfOurStacks(t), further...)
	slices.Sort(types)
	return types
}

func TestEveryTypeOfOurStacksIsKnown(t *testing.T) {
	for _, name := range typesOfOurStacks(t) {
		if _, err := stack.Changed(name, "Tags"); err != nil {
			t.Error(err)
		}
	}
}

// further are types that others' templates and cdk bootstrap have.
var further = []string{
	"AWS::EC2::SecurityGroupIngress", "AWS::ECR::Repository", "AWS::ElasticLoadBalancingV2::ListenerRule",
	"AWS::IAM::ManagedPolicy", "AWS::KMS::Alias", "AWS::KMS::Key", "AWS::SSM::Parameter",
	"AWS::ServiceDiscovery::PrivateDnsNamespace", "AWS::ServiceDiscovery::Service",
}

// TestTableIsThePackages holds the table against the pinned @aws-cdk/aws-service-spec.
func TestTableIsThePackages(t *testing.T) {
	layer.Full(t, "starts Node")
	node, err := exec.LookPath("node")
	if err != nil {
		layer.Lacking(t, "no node in PATH")
	}
	if _, err := os.Stat("../../../node_modules/@aws-cdk/aws-service-spec/package.json"); err != nil {
		layer.Lacking(t, "no @aws-cdk/aws-service-spec; run npm ci")
	}
	var stderr bytes.Buffer
	cmd := exec.Command(node, append([]string{"testdata/replacement.cjs"}, known(t)...)...)
	cmd.Stderr = &stderr
	want, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if *update {
		if err := os.WriteFile("replacement.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("replacement.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("replacement.json is not what the package has; go generate ./internal/cloud/stack writes it anew")
	}
}

// TestChanged: what deploys of the stacks are seen to do.
func TestChanged(t *testing.T) {
	for _, c := range []struct {
		resource, property string
		want               stack.Replacement
	}{
		{"AWS::ECS::Service", "ServiceConnectConfiguration", stack.InPlace},
		{"AWS::ECS::Service", "ServiceName", stack.Replaces},
		{"AWS::ECS::TaskDefinition", "ContainerDefinitions", stack.Replaces},
		{"AWS::EC2::SecurityGroup", "SecurityGroupIngress", stack.InPlace},
		{"AWS::EC2::SecurityGroupEgress", "FromPort", stack.Replaces},
		{"AWS::EC2::Instance", "UserData", stack.Maybe},
	} {
		if got, err := stack.Changed(c.resource, c.property); err != nil || got != c.want {
			t.Errorf("%s.%s: %q, %v; want %q", c.resource, c.property, got, err, c.want)
		}
	}
	if _, err := stack.Changed("AWS::Glacier::Nothing", "Name"); err == nil || !strings.Contains(err.Error(), "AWS::Glacier::Nothing") {
		t.Errorf("%v does not name the type", err)
	}
}
