package api_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
)

// TestForeignDeployment measures services as if hoplab knew nothing of them:
// found by their cluster, by their names and by their stack, called from a load
// task whose definition is registered for the run and gone after it.
func TestForeignDeployment(t *testing.T) {
	d := deploy(t, "load", loadProgram(t), "Network", "App", "Client", "Load")
	d.environment(t)
	from := []string{"--load-bucket", d.output(t, "hoplab-load", "ResultsBucket"), "--load-group", d.output(t, "hoplab-load", "SecurityGroup")}
	for name, args := range map[string][]string{
		"cluster":  {"--cluster", "hoplab"},
		"services": {"--cluster", "hoplab", "--service", bypassService, "--service", agentService, "--path", "/healthz"},
		"stack":    {"--stack", "hoplab-app"},
	} {
		t.Run(name, func(t *testing.T) { d.borrow(t, append(args, from...)) })
	}
	// The service's own group is none that the load balancer lets in.
	code, said := hoplab("run", "--target", "aws", "--cluster", "hoplab", from[0], from[1], "--out", filepath.Join(t.TempDir(), "run"))
	if code != fail.Environment || !strings.Contains(said, "does not answer") {
		t.Errorf("exit code %d; want a load task that the load balancer does not let in\n%s", code, said)
	}
	list := &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("hoplab-load-task")}
	if out, err := ecs.NewFromConfig(d.config).ListTaskDefinitions(t.Context(), list); err != nil || len(out.TaskDefinitionArns) > 0 {
		t.Errorf("definitions of load tasks that are still there: %v, %v", out, err)
	}
}

// borrow measures from a load task, whose proof is what the port modes say.
func (d *deployed) borrow(t *testing.T, args []string) {
	dir := filepath.Join(t.TempDir(), "run")
	code, said := hoplab(append([]string{"run", "--target", "aws", "--out", dir, "--seed", "7", "--rate", "100",
		"--replicates", "2", "--duration", "2s", "--warmup", "500ms", "--window", "500ms"}, args...)...)
	if code != fail.OK && code != fail.CannotTell { // a busy machine may say that it cannot tell
		t.Fatalf("exit code %d\n%s", code, said)
	}
	for _, want := range []string{"through listener 80 of", "through listener 81 of", "costs nothing and is not AWS", "2 load tasks",
		"Measured in the lab on this machine, through hoplab cloud, not in AWS."} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s summary.Summary
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if s.Target != "endpoints" || s.Fabric != "hoplab cloud" || s.Partial != nil || len(s.Contradictions) > 0 || len(s.Arms) != 3 {
		t.Errorf("target %q, fabric %q, partial %v, contradictions %v, %d arms", s.Target, s.Fabric, s.Partial, s.Contradictions, len(s.Arms))
	}
	proof := map[string]string{"agent": "x-envoy-upstream-service-time", "bypass": "no x-envoy-upstream-service-time"}
	proof["bypass-twin"] = proof["bypass"]
	for _, a := range s.Arms {
		if e := a.Evidence; e.Held == 0 || e.Held != a.Requests-a.Failed || strings.Join(e.Headers, ", ") != proof[a.Name] {
			t.Errorf("arm %s: %d requests, %d failed, proof %+v", a.Name, a.Requests, a.Failed, e)
		}
	}
}

// What is not there is said with the change that makes it, and what cannot be
// read with the next step.
func TestForeignDeploymentThatLacksAnArm(t *testing.T) {
	d := deploy(t, "load", nil, "Network", "App", "Client")
	d.environment(t)
	for _, c := range []struct {
		args []string
		code fail.Code
		says []string
	}{
		{[]string{"--cluster", "hoplab", "--service", agentService}, fail.CannotTell,
			[]string{"1 service(s) looked at", "To have bypass beside it", "IngressPortOverride: 20080", "ingressPortOverride: 20080",
				"DiscoveryName: app-agent-bypass", "has 1 of the two arms"}},
		{[]string{"--cluster", "hoplab", "--service", bypassService}, fail.CannotTell,
			[]string{"To have agent beside it", "DiscoveryName: app-bypass-agent"}},
		{[]string{"--cluster", "hoplab", "--service", "nobody"}, fail.Usage, []string{"there is no service nobody in cluster hoplab"}},
		{[]string{"--cluster", "other"}, fail.Usage, []string{"there is no cluster other in " + region}},
		{[]string{"--cluster", "hoplab", "--account", "123456789012"}, fail.Usage, []string{"the credentials are of account 000000000000"}},
		{[]string{"--cluster", "hoplab", "--load-bucket", "b", "--header", "X-Key: ${KEY}"}, fail.Usage,
			[]string{"would stand in the load task's description"}},
		{[]string{"--cluster", "hoplab", "--load-bucket", "b", "--restart", "true"}, fail.Usage, []string{"--restart is for this machine"}},
	} {
		code, said := hoplab(append([]string{"run", "--target", "aws"}, c.args...)...)
		if code != c.code {
			t.Errorf("%v: exit code %d; want %d\n%s", c.args, code, c.code, said)
		}
		for _, want := range c.says {
			if !strings.Contains(said, want) {
				t.Errorf("%v does not say %q:\n%s", c.args, want, said)
			}
		}
	}
}

// output is an output of a stack.
func (d *deployed) output(t *testing.T, stack, name string) string {
	t.Helper()
	out, err := cloudformation.NewFromConfig(d.config).DescribeStacks(t.Context(),
		&cloudformation.DescribeStacksInput{StackName: aws.String(stack)})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out.Stacks[0].Outputs {
		if aws.ToString(o.OutputKey) == name {
			return aws.ToString(o.OutputValue)
		}
	}
	t.Fatalf("stack %s has no output %s", stack, name)
	return ""
}
