package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cloud/resource"
	"github.com/hoplab/hoplab/internal/cloud/stack"
)

// behind notes what the lab and the buckets are asked for.
type behind struct {
	log    []string
	broken bool
}

func (b *behind) note(what string) error {
	b.log = append(b.log, what)
	return nil
}

func (b *behind) Show(context.Context) error { return b.note("show") }
func (b *behind) Deployed(_ context.Context, stack, key string) error {
	if b.broken {
		return resource.ErrBreaker
	}
	return b.note("deployed " + stack + "/" + key)
}
func (b *behind) Gone(_ context.Context, stack, key string) error {
	return b.note("gone " + stack + "/" + key)
}
func (b *behind) Make(name string) error   { return b.note("make " + name) }
func (b *behind) Remove(name string) error { return b.note("remove " + name) }
func (b *behind) Empty(name string) error  { return b.note("empty " + name) }

func of(typ string, properties map[string]any) stack.Resource {
	return stack.Resource{Stack: "app", StackID: "arn:stack", LogicalID: "Thing", Key: "Thing", Type: typ, Properties: properties}
}

// TestEveryTypeOfOurStacks: each has an id, and it is the same when the resource
// is updated, another when it is replaced.
func TestEveryTypeOfOurStacks(t *testing.T) {
	paths, err := filepath.Glob("../../../stacks/testdata/golden/*/*.template.json")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d templates, %v", len(paths), err)
	}
	types := []string{"AWS::ECR::Repository", "AWS::SSM::Parameter",
		"AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::EC2::SecurityGroupIngress"}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var template struct {
			Resources map[string]struct{ Type string }
		}
		if err := json.Unmarshal(data, &template); err != nil {
			t.Fatal(err)
		}
		for _, r := range template.Resources {
			if !slices.Contains(types, r.Type) {
				types = append(types, r.Type)
			}
		}
	}
	p := &resource.Provider{Region: "eu-central-1"}
	for _, typ := range types {
		r := of(typ, map[string]any{"Name": "n", "Bucket": "b"})
		first, err := p.Identify(r)
		if err != nil || first.PhysicalID == "" {
			t.Errorf("%s: %+v, %v", typ, first, err)
			continue
		}
		if first.ARN != "" && !strings.Contains(first.ARN, ":000000000000:") && typ != "AWS::S3::Bucket" {
			t.Errorf("%s: the ARN %s does not say whose account it is", typ, first.ARN)
		}
		r.Identity = first
		if again, err := p.Identify(r); err != nil || again.PhysicalID != first.PhysicalID || again.ARN != first.ARN {
			t.Errorf("%s: updated from %+v to %+v, %v", typ, first, again, err)
		}
	}
	if _, err := p.Identify(of("AWS::Glacier::Vault", nil)); err == nil || !strings.Contains(err.Error(), "AWS::Glacier::Vault") {
		t.Errorf("%v does not name the type", err)
	}
}

func TestIDs(t *testing.T) {
	p := &resource.Provider{Region: "eu-central-1"}
	for _, c := range []struct {
		typ        string
		properties map[string]any
		id         string // what it begins with
		attributes map[string]string
	}{
		{"AWS::ECS::Service", map[string]any{"ServiceName": "svc", "Cluster": "hoplab"},
			"arn:aws:ecs:eu-central-1:000000000000:service/hoplab/svc", map[string]string{"Name": "svc"}},
		{"AWS::ECS::TaskDefinition", map[string]any{"Family": "fam"}, "arn:aws:ecs:eu-central-1:000000000000:task-definition/fam:1", nil},
		{"AWS::ECS::TaskDefinition", map[string]any{"Family": "fam"}, "arn:aws:ecs:eu-central-1:000000000000:task-definition/fam:2", nil},
		{"AWS::EC2::VPC", map[string]any{"CidrBlock": "10.0.0.0/16"}, "vpc-0", map[string]string{"CidrBlock": "10.0.0.0/16"}},
		{"AWS::ElasticLoadBalancingV2::LoadBalancer", nil,
			"arn:aws:elasticloadbalancing:eu-central-1:000000000000:loadbalancer/app/app-Thing-", nil},
		{"AWS::ElasticLoadBalancingV2::Listener", map[string]any{"LoadBalancerArn": "arn:aws:elasticloadbalancing:r:0:loadbalancer/app/x/1"},
			"arn:aws:elasticloadbalancing:eu-central-1:000000000000:listener/app/x/1/", nil},
		{"AWS::S3::Bucket", nil, "app-thing-", nil},
		{"AWS::Logs::LogGroup", map[string]any{"LogGroupName": "/a"}, "/a",
			map[string]string{"Arn": "arn:aws:logs:eu-central-1:000000000000:log-group:/a:*"}},
	} {
		got, err := p.Identify(of(c.typ, c.properties))
		if err != nil || !strings.HasPrefix(got.PhysicalID, c.id) {
			t.Errorf("%s: %s, %v; want %s", c.typ, got.PhysicalID, err, c.id)
		}
		for name, want := range c.attributes {
			if got.Attributes[name] != want {
				t.Errorf("%s.%s: %v; want %s", c.typ, name, got.Attributes[name], want)
			}
		}
	}
}

func TestOverrideIsRefusedInAWSsWords(t *testing.T) {
	p := &resource.Provider{}
	service := func(port string) stack.Resource {
		return of("AWS::ECS::Service", map[string]any{"ServiceConnectConfiguration": map[string]any{
			"Services": []any{map[string]any{"IngressPortOverride": port}}}})
	}
	for port, refused := range map[string]bool{"80": true, "1024": true, "1025": false} {
		if _, err := p.Identify(service(port)); (err != nil) != refused || refused &&
			!strings.Contains(err.Error(), "CreateService error: IngressPortOverride cannot use ports <= 1024. "+
				"(Service: AmazonECS; Status Code: 400; Error Code: InvalidParameterException") {
			t.Errorf("%s: %v", port, err)
		}
	}
	running := service("80")
	running.PhysicalID = "arn"
	if _, err := p.Identify(running); err == nil || !strings.Contains(err.Error(), "UpdateService error") {
		t.Errorf("of a running service: %v", err)
	}
}

func TestCarry(t *testing.T) {
	b := &behind{}
	p := &resource.Provider{Lab: b, Objects: b}
	step := func(what stack.Operation, typ, id string, properties map[string]any) error {
		r := of(typ, properties)
		r.PhysicalID = id
		return p.Carry(t.Context(), stack.Step{What: what, Resource: r})
	}
	for _, c := range []struct {
		what       stack.Operation
		typ, id    string
		properties map[string]any
		want       []string
	}{
		{stack.Create, "AWS::ECS::Service", "svc", nil, []string{"show", "deployed app/Thing"}},
		{stack.Delete, "AWS::ECS::Service", "svc", nil, []string{"show", "gone app/Thing"}},
		{stack.Update, "AWS::EC2::SecurityGroup", "sg", nil, []string{"show"}},
		{stack.Create, "AWS::IAM::Role", "role", nil, nil},
		{stack.Create, "AWS::S3::Bucket", "b", nil, []string{"make b"}},
		{stack.Update, "AWS::S3::Bucket", "b", nil, nil},
		{stack.Delete, "Custom::S3AutoDeleteObjects", "x", map[string]any{"BucketName": "b"}, []string{"empty b"}},
		{stack.Delete, "AWS::S3::Bucket", "b", nil, []string{"remove b"}},
		{stack.Create, "AWS::SSM::Parameter", "/p", map[string]any{"Value": "7"}, nil},
	} {
		b.log = nil
		if err := step(c.what, c.typ, c.id, c.properties); err != nil || !slices.Equal(b.log, c.want) {
			t.Errorf("%s %s: %q, %v; want %q", c.what, c.typ, b.log, err, c.want)
		}
	}
	if v, ok := p.Parameter("/p"); !ok || v != "7" {
		t.Errorf("the parameter is %q, %v", v, ok)
	}
	if err := step(stack.Delete, "AWS::SSM::Parameter", "/p", nil); err != nil {
		t.Fatal(err)
	}
	if v, ok := p.Parameter("/p"); ok {
		t.Errorf("a parameter that was deleted is %q", v)
	}
	b.broken = true
	if err := step(stack.Update, "AWS::ECS::Service", "svc", nil); !errors.Is(err, resource.ErrBreaker) {
		t.Errorf("a deployment that failed: %v", err)
	}
}
