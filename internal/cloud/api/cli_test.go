package api_test

import (
	"encoding/json"
	"os/exec"
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
	d.environment(t)
	t.Setenv("AWS_DISABLE_HOST_PREFIX_INJECTION", "true") // DiscoverInstances goes to data-HOST otherwise
	d.call(t, 80)
	run := func(args ...string) (any, string) {
		t.Helper()
		cmd := exec.Command(program, args...)
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
		{"servicediscovery discover-instances --namespace-name sample-namespace --service-name app-bypass",
			[]string{`"AWS_INSTANCE_PORT":"8080"`}},
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

func groupARN(d *deployed) string {
	return d.cloud.Resources("AWS::ElasticLoadBalancingV2::TargetGroup")[0].PhysicalID
}
