package foreign_test

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/awsrun/foreign"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/topology"
)

// article is a template of the first article, which is not hoplab's own.
func article(t *testing.T, name string) (path, text string) {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	path = r.Path("internal", "source", "cfn", "deployment", "testdata", "article", name+".template.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(data)
}

func load(t *testing.T, path string) *topology.Topology {
	t.Helper()
	topo, err := source.Load(t.Context(), []string{path}, source.Options{NoSynth: true})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// Of each of the article's two deployments one arm is there, and the change
// that is printed makes the other.
func TestMissingArm(t *testing.T) {
	for name, want := range map[string]struct{ have, missing, says, not string }{
		"default":       {plan.ArmAgent, plan.ArmBypass, "IngressPortOverride: 20080", ""},
		"override-open": {plan.ArmBypass, plan.ArmAgent, "discoveryName: ", "verride"},
	} {
		path, _ := article(t, name)
		topo := load(t, path)
		balancer := string(topo.LoadBalancers[0].ID)
		stack := foreign.Stack{Hosts: map[string]string{balancer[strings.LastIndexByte(balancer, '/')+1:]: "alb.internal"}}
		calls, err := stack.Calls(topo)
		if err != nil {
			t.Fatal(err)
		}
		if len(calls) != 1 || calls[0].Arm != want.have || calls[0].URL != "http://alb.internal/" {
			t.Fatalf("%s: %+v; want %s at http://alb.internal/", name, calls, want.have)
		}
		change, ok := foreign.Missing(topo, calls)
		if !ok || change.Arm != want.missing {
			t.Fatalf("%s: %+v; want a change that makes %s", name, change, want.missing)
		}
		var b bytes.Buffer
		change.Write(&b)
		got := b.String()
		if !strings.Contains(got, want.says) || want.not != "" && strings.Contains(got, want.not) || !strings.Contains(got, "-"+want.missing) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

// A stack is read over AWS's own protocol, and one that is not there is a slip.
func TestRead(t *testing.T) {
	path, template := article(t, "default")
	balancer := string(load(t, path).LoadBalancers[0].ID)
	id := balancer[strings.LastIndexByte(balancer, '/')+1:]
	answer := func(op, result string) string {
		return fmt.Sprintf("<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", op, result)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch op := r.FormValue("Action"); op {
		case "DescribeStacks":
			if r.FormValue("StackName") != "theirs" {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, "<ErrorResponse><Error><Code>ValidationError</Code><Message>does not exist</Message></Error></ErrorResponse>")
				return
			}
			fmt.Fprint(w, answer(op, "<Stacks><member><StackName>theirs</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"+
				"<StackStatus>UPDATE_COMPLETE</StackStatus><Parameters><member><ParameterKey>P</ParameterKey><ParameterValue>/ssm/name</ParameterValue>"+
				"<ResolvedValue>v</ResolvedValue></member></Parameters></member></Stacks>"))
		case "GetTemplate":
			fmt.Fprint(w, answer(op, "<TemplateBody>"+html.EscapeString(template)+"</TemplateBody>"))
		case "DescribeStackResources":
			fmt.Fprint(w, answer(op, "<StackResources><member><LogicalResourceId>"+id+"</LogicalResourceId>"+
				"<PhysicalResourceId>arn:alb</PhysicalResourceId><ResourceType>AWS::ElasticLoadBalancingV2::LoadBalancer</ResourceType>"+
				"<ResourceStatus>CREATE_COMPLETE</ResourceStatus><Timestamp>2026-01-01T00:00:00Z</Timestamp></member></StackResources>"))
		case "DescribeLoadBalancers":
			fmt.Fprint(w, answer(op, "<LoadBalancers><member><DNSName>alb.internal</DNSName></member></LoadBalancers>"))
		default:
			t.Errorf("asked for %s", op)
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	none := filepath.Join(t.TempDir(), "none")
	for name, v := range map[string]string{"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_PROFILE": ""} {
		t.Setenv(name, v)
	}
	got, err := foreign.Read(t.Context(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	if got.Template != template || got.Parameters["P"] != "v" || got.Hosts[id] != "alb.internal" || got.Region != "eu-central-1" {
		t.Errorf("parameters %v, hosts %v, region %s, template of %d bytes", got.Parameters, got.Hosts, got.Region, len(got.Template))
	}
	if _, err := foreign.Read(t.Context(), "other"); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "no stack other") {
		t.Errorf("%v; want a usage error that names the stack", err)
	}
}
