package api_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// commandLine asks with the aws CLI, which speaks other protocols than the Go
// SDK and knows services that hoplab has no module of.
func commandLine(t *testing.T, d *deployed) {
	program, err := exec.LookPath("aws")
	if err != nil {
		layer.Lacking(t, "the aws CLI")
	}
	d.call(t, 80)
	run := func(args ...string) (any, string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		none := filepath.Join(t.TempDir(), "none")
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+d.url, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_ACCESS_KEY_ID=HOPLABTEST", "AWS_SECRET_ACCESS_KEY=secret",
			"AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none, "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
			"AWS_DISABLE_HOST_PREFIX_INJECTION=true") // DiscoverInstances goes to data-HOST otherwise
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			return nil, said.String()
		}
		var v any
		if err := json.Unmarshal(out, &v); err != nil {
			t.Errorf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return v, ""
	}
	for _, x := range []struct {
		command string
		want    []string // in the answer, as JSON
	}{
		{"ecs list-clusters", []string{"arn:aws:ecs:eu-central-1:000000000000:cluster/hoplab"}},
		{"elbv2 describe-target-health --target-group-arn " + groupARN(d), []string{`"State":"healthy"`}},
		{"cloudwatch list-metrics --namespace AWS/ApplicationELB", []string{`"MetricName":"RequestCount"`}},
		{"cloudtrail lookup-events", []string{`"Events":[]`}},
		{"servicediscovery list-services", []string{`"Name":"app-agent"`}},
		{"servicediscovery discover-instances --namespace-name sample-namespace --service-name app-bypass", []string{`"AWS_INSTANCE_PORT":"8080"`}},
		{"ec2 describe-security-groups", []string{`"FromPort":8080`, `"GroupId"`}},
		{"ec2 describe-vpcs", []string{`"CidrBlock"`}},
	} {
		got, failed := run(strings.Fields(x.command)...)
		if failed != "" {
			t.Errorf("aws %s: %s", x.command, failed)
			continue
		}
		text, _ := json.Marshal(got)
		for _, want := range x.want {
			if !strings.Contains(string(text), want) {
				t.Errorf("aws %s: no %s in\n%s", x.command, want, text)
			}
		}
	}
	if _, failed := run("ec2", "describe-instances"); !strings.Contains(failed, "hoplab cloud does not know ec2:DescribeInstances") {
		t.Errorf("an operation that is not there: %q", failed)
	}
}

func groupARN(d *deployed) string { return first(d, "AWS::ElasticLoadBalancingV2::TargetGroup") }

func first(d *deployed, kind string) string {
	for _, r := range d.resources {
		if r.Type == kind {
			return r.PhysicalID
		}
	}
	return ""
}
