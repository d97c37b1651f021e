package wire_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// TestInto: properties go to the members of their names, whatever form their values
// have, and what CloudFormation alone knows is passed over.
func TestInto(t *testing.T) {
	var d types.TaskDefinition
	err := wire.Into(&d, map[string]any{"Family": "app", "Cpu": "512", "TaskRoleArn": nil, "Tags": []any{map[string]any{"Key": "k"}},
		"EnableFaultInjection": "true", "ContainerDefinitions": []any{map[string]any{"Name": "app", "Essential": true, "StopTimeout": 30.0,
			"PortMappings": []any{map[string]any{"ContainerPort": "80", "AppProtocol": "http"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.ContainerDefinitions) != 1 || len(d.ContainerDefinitions[0].PortMappings) != 1 {
		t.Fatalf("got %+v", d)
	}
	c := d.ContainerDefinitions[0]
	if aws.ToString(d.Family) != "app" || aws.ToString(d.Cpu) != "512" || d.TaskRoleArn != nil || !aws.ToBool(d.EnableFaultInjection) ||
		!aws.ToBool(c.Essential) || aws.ToInt32(c.StopTimeout) != 30 || aws.ToInt32(c.PortMappings[0].ContainerPort) != 80 ||
		c.PortMappings[0].AppProtocol != types.ApplicationProtocolHttp {
		t.Errorf("got %+v", d)
	}
	for name, x := range map[string]struct {
		properties map[string]any
		want       string
	}{
		"a port that is none": {map[string]any{"ContainerDefinitions": []any{map[string]any{"StopTimeout": "soon"}}},
			"ContainerDefinitions: element 1: StopTimeout: "},
		"a list that is a text":   {map[string]any{"ContainerDefinitions": "app"}, "a list was expected"},
		"a text that has members": {map[string]any{"Family": map[string]any{"Ref": "x"}}, "Family: members were given"},
		"a number that has parts": {map[string]any{"Revision": "1.5"}, "a whole number of 32 bits"},
	} {
		if err := wire.Into(&types.TaskDefinition{}, x.properties); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; want an error with %q", name, err, x.want)
		}
	}
}
