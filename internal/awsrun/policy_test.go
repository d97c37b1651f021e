package awsrun_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/test/layer"
)

//go:generate go test . -run TestPolicyIsWhatTheCodeCalls -count=1 -update

// Resources that the policy names. Names that CloudFormation makes up begin
// with the stack or with the construct.
const (
	services   = "arn:aws:ecs:*:*:service/hoplab-network-Cluster*/*"
	loadTasks  = "arn:aws:ecs:*:*:task/hoplab-network-Cluster*/*"
	executions = "arn:aws:states:*:*:execution:FanOut*:*"
)

// grant is what an operation needs.
type grant struct {
	sid       string // operations with one sid share a statement
	resources []string
}

// grants maps the SDK's operations to rights. IAM knows no narrower resource
// for those with "*".
var grants = map[string]grant{
	"STS:GetCallerIdentity":                           {"Who", []string{"*"}},
	"CloudFormation:DescribeStacks":                   {"Stacks", []string{"arn:aws:cloudformation:*:*:stack/hoplab-*/*"}},
	"ECS:DescribeServices":                            {"Services", []string{services}},
	"ECS:UpdateService":                               {"Services", []string{services}},
	"ECS:DescribeTasks":                               {"Tasks", []string{loadTasks}},
	"ECS:StopTask":                                    {"Tasks", []string{loadTasks}},
	"ECS:RunTask":                                     {"Load", []string{"arn:aws:ecs:*:*:task-definition/LoadTaskDefinition*:*"}},
	"ECS:ListTasks":                                   {"Lists", []string{"*"}},
	"ECS:DescribeTaskDefinition":                      {"Lists", []string{"*"}},
	"ECS:RegisterTaskDefinition":                      {"Lists", []string{"*"}},
	"ECS:DeregisterTaskDefinition":                    {"Lists", []string{"*"}},
	"Elastic Load Balancing v2:DescribeTargetGroups":  {"Lists", []string{"*"}},
	"Elastic Load Balancing v2:DescribeTargetHealth":  {"Lists", []string{"*"}},
	"Elastic Load Balancing v2:DescribeLoadBalancers": {"Lists", []string{"*"}},
	"CloudWatch:GetMetricData":                        {"Lists", []string{"*"}},
	"CloudWatch Logs:GetLogEvents": {"Logs",
		[]string{"arn:aws:logs:*:*:log-group:/hoplab/load:*", "arn:aws:logs:*:*:log-group:/hoplab/load-mesh:*"}},
	"S3:ListObjectsV2": {"Bucket", []string{"arn:aws:s3:::hoplab-load-results*"}},
	"S3:GetObject": {"Results",
		[]string{"arn:aws:s3:::hoplab-load-results*/runs/*", "arn:aws:s3:::hoplab-load-results*/maps/*"}},
	"SFN:StartExecution":      {"FanOut", []string{"arn:aws:states:*:*:stateMachine:FanOut*"}},
	"SFN:DescribeExecution":   {"Executions", []string{executions}},
	"SFN:StopExecution":       {"Executions", []string{executions}},
	"SFN:GetExecutionHistory": {"Executions", []string{executions}},
	"SFN:ListMapRuns":         {"Executions", []string{executions}},
	"SFN:DescribeMapRun":      {"MapRuns", []string{"arn:aws:states:*:*:mapRun:FanOut*/*:*"}},
}

// prefixes are IAM's names of the services.
var prefixes = map[string]string{"STS": "sts", "CloudFormation": "cloudformation", "ECS": "ecs",
	"Elastic Load Balancing v2": "elasticloadbalancing",
	"CloudWatch":                "cloudwatch", "CloudWatch Logs": "logs", "S3": "s3", "SFN": "states"}

func action(operation string) string {
	service, name, _ := strings.Cut(operation, ":")
	if operation == "S3:ListObjectsV2" {
		name = "ListBucket"
	}
	return prefixes[service] + ":" + name
}

type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]string `json:",omitempty"`
}

func policy(operations []string) []byte {
	bySid := map[string]*statement{}
	for _, op := range operations {
		g := grants[op]
		s := bySid[g.sid]
		if s == nil {
			s = &statement{Sid: g.sid, Effect: "Allow", Resource: g.resources}
			bySid[g.sid] = s
		}
		s.Action = append(s.Action, action(op))
	}
	// RunTask and RegisterTaskDefinition hand the stack's roles to ECS.
	bySid["Roles"] = &statement{Sid: "Roles", Effect: "Allow", Action: []string{"iam:PassRole"},
		Resource:  []string{"arn:aws:iam::*:role/hoplab-load-*"},
		Condition: map[string]map[string]string{"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}
	if s := bySid["Load"]; s != nil { // a task definition runs in any cluster
		s.Condition = map[string]map[string]string{"ArnLike": {"ecs:cluster": "arn:aws:ecs:*:*:cluster/hoplab-network-Cluster*"}}
	}
	doc := struct {
		Version   string
		Statement []*statement
	}{Version: "2012-10-17"}
	for _, sid := range slices.Sorted(maps.Keys(bySid)) {
		slices.Sort(bySid[sid].Action)
		doc.Statement = append(doc.Statement, bySid[sid])
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	_ = e.Encode(doc) // strings
	return b.Bytes()
}

// TestPolicyIsWhatTheCodeCalls makes every kind of run, notes the operations
// at the SDK, and holds the published policy against them.
func TestPolicyIsWhatTheCodeCalls(t *testing.T) {
	d := newDeployment(t)
	var mu sync.Mutex
	called := map[string]bool{}
	awsrun.OnCall(func(op string) {
		mu.Lock()
		defer mu.Unlock()
		called[op] = true
	})
	defer awsrun.OnCall(nil)
	for _, kind := range []struct {
		name string
		run  func(*testing.T, *deployment)
	}{
		{"after a restart of the app", restartRun},
		{"from a Service Connect client", meshRun},
		{"many generators", manyGenerators},
		{"interrupted", func(t *testing.T, d *deployment) { interrupted(t, d, "1") }},
		{"many generators, interrupted", func(t *testing.T, d *deployment) { interrupted(t, d, "4") }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			d.does((*loadTask).send)
			kind.run(t, d)
		})
	}
	t.Run("policy", func(t *testing.T) {
		mu.Lock()
		defer mu.Unlock()
		holdPolicy(t, called)
	})
}

// restartRun replaces the app's tasks before the replicate.
func restartRun(t *testing.T, d *deployment) {
	names := []string{appAgent, "sample-ecs-app-bypass"}
	before := map[string]string{}
	for _, name := range names {
		before[name] = aws.ToString(d.service(t, name).Deployments[0].Id)
	}
	dir := filepath.Join(t.TempDir(), "fresh")
	a := hoplab(t, dir, runArgs(dir, "--restart-app", "--replicates", "1")...)
	a.done()
	for _, name := range names {
		if now := aws.ToString(d.service(t, name).Deployments[0].Id); now == before[name] {
			t.Errorf("%s has the deployment of before, %s", name, now)
		}
	}
	if !strings.Contains(a.err, "restarting "+appAgent) {
		t.Errorf("no progress:\n%s", a.err)
	}
}

// holdPolicy holds the published policy against the operations that were called.
func holdPolicy(t *testing.T, called map[string]bool) {
	for op := range called {
		if _, ok := grants[op]; !ok {
			t.Errorf("the code calls %s, for which no right is known", op)
		}
	}
	for op := range grants {
		if !called[op] {
			t.Errorf("the policy would grant %s, which no run calls", op)
		}
	}
	golden.Check(t, "../../docs/aws-policy.json", policy(slices.Sorted(maps.Keys(called))))
}

// TestOnlyUsedClientsAreImported: each client of the SDK makes the command
// larger, so there are no others than those of the policy and the SDK's own
// for credentials.
func TestOnlyUsedClientsAreImported(t *testing.T) {
	layer.Full(t, "starts processes")
	out, err := exec.Command("go", "list", "-deps", "github.com/hoplab/hoplab/cmd/hoplab").Output()
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "github.com/aws/aws-sdk-go-v2/service/"
	var got []string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok && !strings.Contains(name, "/") {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	want := []string{"cloudformation", "cloudwatch", "cloudwatchlogs", "ecs", "elasticloadbalancingv2", "s3", "sfn",
		"signin", "sso", "ssooidc", "sts"}
	if !slices.Equal(got, want) {
		t.Errorf("the command imports the clients %v; want %v (signin, sso, ssooidc: the SDK's own, for logins)", got, want)
	}
}
