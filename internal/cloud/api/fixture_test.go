package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/api"
	"github.com/hoplab/hoplab/internal/cloud/wire"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestMain lets the test binary stand in for hoplab node, which the lab starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const region = "eu-central-1"

// fixed is an account whose stacks are templates of ours, resolved without
// CloudFormation, and do not change.
type fixed struct {
	resources []account.Resource
	lab       *lab.Lab
}

func (f *fixed) Region() string { return region }
func (f *fixed) Lab() *lab.Lab  { return f.lab }
func (f *fixed) Resources(types ...string) []account.Resource {
	if len(types) > 0 {
		panic("the handlers ask for everything")
	}
	return f.resources
}

type template struct {
	Resources map[string]struct {
		Type       string
		Properties map[string]any
	}
	Outputs map[string]struct {
		Value  any
		Export struct{ Name string }
	}
}

// resolver resolves the references of the golden templates.
type resolver struct {
	stack     string
	templates map[string]*template // by stack
	exports   map[string]func() any
}

func (r *resolver) in(stack string) *resolver { return &resolver{stack, r.templates, r.exports} }

func (r *resolver) value(v any) any {
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, r.value(e))
		}
		return out
	case map[string]any:
		for fn, arg := range v {
			if len(v) == 1 && (fn == "Ref" || strings.HasPrefix(fn, "Fn::")) {
				return r.call(fn, arg)
			}
		}
		out := map[string]any{}
		for k, e := range v {
			out[k] = r.value(e)
		}
		return out
	case string:
		return v
	}
	return fmt.Sprint(v) // numbers and truth values
}

func (r *resolver) call(fn string, arg any) any {
	switch fn {
	case "Ref":
		return r.ref(arg.(string))
	case "Fn::GetAtt":
		p := arg.([]any)
		return r.attribute(p[0].(string), p[1].(string))
	case "Fn::Join":
		p := arg.([]any)
		var parts []string
		for _, e := range r.value(p[1]).([]any) {
			parts = append(parts, e.(string))
		}
		return strings.Join(parts, p[0].(string))
	case "Fn::Sub":
		s := arg.(string)
		for _, name := range []string{"AWS::AccountId", "AWS::Region", "AWS::URLSuffix", "AWS::Partition"} {
			s = strings.ReplaceAll(s, "${"+name+"}", r.ref(name))
		}
		return s
	case "Fn::Select":
		p := arg.([]any)
		return r.value(p[1]).([]any)[int(p[0].(float64))]
	case "Fn::GetAZs":
		return []any{region + "a", region + "b", region + "c"}
	case "Fn::ImportValue":
		return r.exports[arg.(string)]()
	}
	panic("the fixture does not know " + fn)
}

func (r *resolver) ref(name string) string {
	switch name {
	case "AWS::Region":
		return region
	case "AWS::AccountId":
		return account.ID
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::Partition":
		return "aws"
	case "AWS::StackName":
		return r.stack
	}
	res := r.templates[r.stack].Resources[name]
	text := func(property, otherwise string) string {
		if p, ok := res.Properties[property]; ok {
			return fmt.Sprint(r.value(p))
		}
		return otherwise
	}
	arn := func(service, rest string) string {
		return "arn:aws:" + service + ":" + region + ":" + account.ID + ":" + rest
	}
	switch res.Type {
	case "AWS::ECS::Cluster":
		return text("ClusterName", r.stack+"-"+name)
	case "AWS::ECS::Service":
		return arn("ecs", "service/"+text("Cluster", "default")+"/"+text("ServiceName", name))
	case "AWS::ECS::TaskDefinition":
		return arn("ecs", "task-definition/"+text("Family", name)+":1")
	case "AWS::ElasticLoadBalancingV2::LoadBalancer":
		return arn("elasticloadbalancing", "loadbalancer/app/"+name+"/00000000000000a1")
	case "AWS::ElasticLoadBalancingV2::TargetGroup":
		return arn("elasticloadbalancing", "targetgroup/"+name+"/00000000000000b1")
	case "AWS::ElasticLoadBalancingV2::Listener":
		return strings.Replace(text("LoadBalancerArn", ""), ":loadbalancer/", ":listener/", 1) + "/" + name
	case "AWS::Logs::LogGroup":
		return text("LogGroupName", name)
	case "AWS::StepFunctions::StateMachine":
		return arn("states", "stateMachine:"+name)
	}
	return r.stack + "-" + strings.ToLower(name)
}

func (r *resolver) attribute(name, attribute string) string {
	id := r.ref(name)
	switch r.templates[r.stack].Resources[name].Type + "." + attribute {
	case "AWS::ElasticLoadBalancingV2::LoadBalancer.LoadBalancerFullName":
		return id[strings.Index(id, "app/"):]
	case "AWS::ElasticLoadBalancingV2::TargetGroup.TargetGroupFullName":
		return id[strings.Index(id, "targetgroup/"):]
	case "AWS::ECS::Service.Name":
		return id[strings.LastIndexByte(id, '/')+1:]
	}
	if attribute == "Arn" {
		return "arn:aws:any:" + region + ":" + account.ID + ":" + id
	}
	return id
}

// read makes an account of a golden assembly.
func read(t *testing.T, assembly string) (*fixed, *topology.Topology) {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	dir := r.Path("stacks", "testdata", "golden", assembly)
	top, err := source.Load(t.Context(), []string{dir}, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	res := &resolver{templates: map[string]*template{}, exports: map[string]func() any{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no templates: %v", dir, err)
	}
	artifact := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var tmpl template
		if err := json.Unmarshal(data, &tmpl); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".template.json")
		stack := "hoplab-" + strings.ToLower(name)
		res.templates[stack], artifact[stack] = &tmpl, name
		for _, o := range tmpl.Outputs {
			res.exports[o.Export.Name] = func() any { return res.in(stack).value(o.Value) }
		}
	}
	f := &fixed{}
	for stack, tmpl := range res.templates {
		here := res.in(stack)
		for id, x := range tmpl.Resources {
			if strings.HasPrefix(x.Type, "Custom::") || x.Type == "AWS::IAM::Policy" || x.Type == "AWS::Lambda::Function" || x.Type == "AWS::IAM::Role" {
				continue
			}
			p, _ := here.value(x.Properties).(map[string]any)
			f.resources = append(f.resources, account.Resource{Stack: stack, LogicalID: id, Type: x.Type, PhysicalID: here.ref(id),
				Properties: p, Attributes: map[string]any{}, ID: topology.ID(artifact[stack] + "/" + id), Created: time.Now(), Status: "CREATE_COMPLETE"})
		}
	}
	return f, top
}

// deployed is an account whose deployment runs in a lab on loopback, behind a server.
type deployed struct {
	*fixed
	config aws.Config
	url    string
	api    *api.API
	calls  map[int]int // that call has sent, by the load balancer's port
}

func deploy(t *testing.T, assembly string, o api.Options) *deployed {
	t.Helper()
	layer.Full(t, "starts a lab and the measured app")
	f, top := read(t, assembly)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	app, err := r.BuildService(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	f.lab, err = lab.Start(t.Context(), lab.Options{Topology: top, App: lab.App{Command: []string{app}}, Dir: t.TempDir(), Scale: 20,
		Node: []string{self, "node"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.lab.Close(); err != nil {
			t.Error(err)
		}
	})
	healthy, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.lab.WaitHealthy(healthy); err != nil {
		t.Fatal(err)
	}
	d := &deployed{fixed: f, api: api.New(f, o), calls: map[int]int{}}
	var s wire.Server
	d.api.Register(&s)
	server := httptest.NewServer(&s)
	t.Cleanup(server.Close)
	done := make(chan struct{})
	go func() { defer close(done); d.api.Follow() }()
	t.Cleanup(func() { d.api.Close(); <-done })
	d.url = server.URL
	d.config = aws.Config{Region: region, BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "HOPLABTEST", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	return d
}
