package stacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// TestLoadOutputs: what a run against AWS reads from the stack.
func TestLoadOutputs(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	tpl := built(t, keys{"load": "true", "arms": "both", "generators": "2"}, "Load")
	want := []string{
		"ClusterName", "ContainerName", "Generators", "LogGroup", "MeshLogGroup", "MeshServiceName", "MeshTaskDefinitionArn",
		"ResultsBucket", "ResultsPrefix", "SecurityGroup", "StateMachineArn", "Subnets", "TaskDefinitionArn",
	}
	if got := slices.Sorted(maps.Keys(tpl.Outputs)); !slices.Equal(got, want) {
		t.Errorf("outputs %v, expected %v", got, want)
	}
	one := built(t, keys{"load": "true"}, "Load")
	if n := len(one.of("AWS::StepFunctions::StateMachine")); n != 0 {
		t.Errorf("%d state machines for one generator", n)
	}
}

func TestLoadStack(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	tpl := built(t, keys{"load": "true", "arms": "both"}, "Load")

	_, bucket := only(t, tpl, "AWS::S3::Bucket")
	for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		expect(t, "bucket", bucket.Properties, true, "PublicAccessBlockConfiguration", name)
	}
	expect(t, "bucket", bucket.Properties, "AES256", "BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "SSEAlgorithm")
	expect(t, "bucket", bucket.Properties, float64(resultsDays), "LifecycleConfiguration", "Rules", 0, "ExpirationInDays")
	if n := len(tpl.of("Custom::S3AutoDeleteObjects")); n != 1 {
		t.Error("the bucket is not emptied on destroy")
	}

	// The service has no tasks of its own and is a client only.
	_, mesh := only(t, tpl, "AWS::ECS::Service")
	expect(t, "mesh service", mesh.Properties, 0.0, "DesiredCount")
	expect(t, "mesh service", mesh.Properties, nil, "ServiceConnectConfiguration", "Services")

	// A load task reaches the load balancer's listeners and HTTPS, no more.
	outbound := map[string]bool{}
	for id, r := range tpl.of("AWS::EC2::SecurityGroupEgress") {
		group := fmt.Sprint(at(r.Properties, "GroupId", "Fn::GetAtt", 0))
		outbound[tpl.Resources[group].Properties["GroupDescription"].(string)+" "+id+" "+text(r.Properties["FromPort"])] = true
	}
	for _, want := range []string{"hoplab load tasks LoadToAgentAlb 80", "hoplab load tasks LoadToBypassAlb 81"} {
		if !outbound[want] {
			t.Errorf("no rule %q in %v", want, outbound)
		}
		delete(outbound, want)
	}
	if len(outbound) != 0 {
		t.Errorf("more ways out than needed: %v", outbound)
	}
}

// TestLoadWritesOnePrefix: the task roles' only right.
func TestLoadWritesOnePrefix(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	tpl := built(t, keys{"load": "true"}, "Load")
	found := 0
	for id, p := range tpl.of("AWS::IAM::Policy") {
		if !strings.Contains(id, "TaskRole") {
			continue
		}
		found++
		statements := at(p.Properties, "PolicyDocument", "Statement").([]any)
		if len(statements) != 1 {
			t.Errorf("%s has %d statements, expected one", id, len(statements))
		}
		expect(t, id, statements[0], "s3:PutObject", "Action")
		expect(t, id, statements[0], "/"+resultsPrefix+"*", "Resource", "Fn::Join", 1, 1)
	}
	if found != 2 {
		t.Errorf("%d policies of task roles, expected two", found)
	}
}

// TestStateMachine checks the definition with asl-validator, and what CDK is
// known to drop in silence.
func TestStateMachine(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	node := needNode(t)
	definition := definitionOf(t, built(t, keys{"load": "true", "generators": "20"}, "Load"))
	path := filepath.Join(t.TempDir(), "definition.json")
	if err := os.WriteFile(path, []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(node, "../node_modules/asl-validator/dist/bin/asl-validator.js", "--json-path", path).CombinedOutput()
	if err != nil {
		t.Errorf("asl-validator: %v\n%s", err, out)
	}

	var machine any
	if err := json.Unmarshal([]byte(definition), &machine); err != nil {
		t.Fatal(err)
	}
	each := at(machine, "States", "EachGenerator")
	expect(t, "map", each, "$.items", "ItemsPath")
	expect(t, "map", each, 20.0, "MaxConcurrency")
	expect(t, "map", each, 100.0, "ToleratedFailurePercentage")
	expect(t, "map", each, map[string]any{"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "ItemProcessor", "ProcessorConfig")
	expect(t, "map", each, "maps", "ResultWriter", "Parameters", "Prefix")
	run := at(each, "ItemProcessor", "States", "RunLoad")
	if resource, _ := at(run, "Resource").(string); !strings.HasSuffix(resource, ":states:::ecs:runTask.sync") {
		t.Errorf("the map runs %q", resource)
	}
	expect(t, "run", run, "$.command", "Parameters", "Overrides", "ContainerOverrides", 0, "Command.$")
	expect(t, "run", run, loadContainer, "Parameters", "Overrides", "ContainerOverrides", 0, "Name")
	expect(t, "run", run, 2.0, "Retry", 0, "MaxAttempts")
}

// definitionOf returns the state machine's definition with words in the place
// of the references.
func definitionOf(t *testing.T, tpl *template) string {
	t.Helper()
	_, machine := only(t, tpl, "AWS::StepFunctions::StateMachine")
	parts := at(machine.Properties, "DefinitionString", "Fn::Join", 1).([]any)
	var b strings.Builder
	for _, p := range parts {
		if s, ok := p.(string); ok {
			b.WriteString(s)
		} else {
			b.WriteString("aws") // a partition, an ARN, a name: any word will do
		}
	}
	return b.String()
}
