package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// loadProgram is this test binary in the place of hoplab.
func loadProgram(t *testing.T) *container.Program {
	t.Helper()
	layer.Full(t, "builds k6, which takes a minute at first")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &container.Program{Command: []string{self, "loadtask"}, Log: os.Stderr, K6: func(ctx context.Context) (string, error) {
		r, err := repo.Find()
		if err != nil {
			return "", err
		}
		b, err := k6.Build(ctx, r, io.Discard)
		return b.Path, err
	}}
}

// hoplab calls the command in this process.
func hoplab(args ...string) (fail.Code, string) {
	var out bytes.Buffer
	return fail.Code(cli.Main(args, strings.NewReader(""), &out, &out)), out.String()
}

// TestRun measures the deployment with the command that measures one in AWS: by
// a standalone task, by the task of a Service Connect client, and by four tasks
// that a state machine starts.
func TestRun(t *testing.T) {
	d := deploy(t, "load", loadProgram(t), "Network", "App", "Client", "Load")
	d.environment(t)
	for _, x := range []struct {
		name string
		args []string
		hops map[string]string // by arm
	}{
		{"both arms", []string{"--replicates", "2"}, map[string]string{"agent": "1", "bypass": "0", "bypass-twin": "0"}},
		{"mesh", []string{"--replicates", "1", "--arms", "agent,mesh", "--no-aa"}, map[string]string{"agent": "1", "mesh": "2"}},
		{"four generators", []string{"--replicates", "1", "--no-aa", "--generators", "4"}, map[string]string{"agent": "1", "bypass": "0"}},
	} {
		t.Run(x.name, func(t *testing.T) { d.measure(t, x.args, x.hops) })
	}
	out, err := ecs.NewFromConfig(d.config).ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("hoplab"),
		Family: aws.String("LoadTaskDefinitionD79E16D5")})
	if err != nil || len(out.TaskArns) != 0 {
		t.Errorf("load tasks that still run: %v, %v", out, err)
	}
	t.Run("repeated", d.repeatsRunTask)
}

// repeatsRunTask: a client token names one request, and a place that is not there is
// refused.
func (d *deployed) repeatsRunTask(t *testing.T) {
	client := ecs.NewFromConfig(d.config)
	run := func(count int32, token, group string) (string, error) {
		in := &ecs.RunTaskInput{Cluster: aws.String("hoplab"), TaskDefinition: aws.String("LoadTaskDefinitionD79E16D5"), Count: aws.Int32(count),
			ClientToken: aws.String(token)}
		if group != "" {
			in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
				Subnets: []string{}, SecurityGroups: []string{group}}}
		}
		out, err := client.RunTask(t.Context(), in)
		if err != nil {
			return "", err
		}
		return aws.ToString(out.Tasks[0].TaskArn), nil
	}
	first, err := run(1, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := run(1, "one", ""); err != nil || again != first {
		t.Errorf("the same request gave %s, %v; want %s", again, err, first)
	}
	if other, err := run(1, "two", ""); err != nil || other == first {
		t.Errorf("another token gave %s, %v; want a task of its own", other, err)
	}
	if _, err := run(2, "one", ""); err == nil || !strings.Contains(err.Error(), "ConflictException") {
		t.Errorf("another request with a token in use: %v", err)
	}
	if _, err := run(1, "three", "sg-nobody"); err == nil || !strings.Contains(err.Error(), "the account has no security group sg-nobody") {
		t.Errorf("a security group that is not there: %v", err)
	}
}

func (d *deployed) measure(t *testing.T, args []string, hops map[string]string) {
	dir := filepath.Join(t.TempDir(), "run")
	// A busy machine may rightly say that it cannot tell; it may not refuse.
	code, said := hoplab(append([]string{"run", "--target", "aws", "--out", dir, "--seed", "7", "--rate", "100", "--duration", "2s",
		"--warmup", "500ms", "--window", "500ms"}, args...)...)
	if code != fail.OK && code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s", code, said)
	}
	for _, want := range []string{"Measured in the lab on this machine, through hoplab cloud, not in AWS.", "account 000000000000",
		"costs nothing and is not AWS"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "$") || strings.Contains(said, "one AWS deployment") {
		t.Errorf("it says what holds in AWS only:\n%s", said)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !bytes.Contains(page, []byte("through hoplab cloud")) || bytes.Contains(page, []byte("AWS account")) {
		t.Errorf("the page does not say where it was measured, or speaks of an AWS account: %v", err)
	}
	var s summary.Summary
	data, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if s.Target != "aws" || s.Fabric != "hoplab cloud" || s.Partial != nil || len(s.Contradictions) > 0 || len(s.Arms) != len(hops) {
		t.Errorf("target %q, fabric %q, partial %v, contradictions %v, %d arms", s.Target, s.Fabric, s.Partial, s.Contradictions, len(s.Arms))
	}
	for _, arm := range s.Arms {
		if arm.Requests == 0 || arm.Evidence.AgentHops[hops[arm.Name]] != arm.Requests-arm.Failed || arm.Evidence.Missing > 0 ||
			!strings.Contains(strings.Join(arm.Evidence.By, ","), "CloudWatch") {
			t.Errorf("arm %s: %d requests, %d failed, proof %+v", arm.Name, arm.Requests, arm.Failed, arm.Evidence)
		}
	}
}
