package awsrun_test

import (
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/hoplab/hoplab/internal/fail"
)

// meshArgs is a short run with a Service Connect client.
func meshArgs(dir string) []string {
	return runArgs(dir, "--arms", "agent,mesh", "--no-aa", "--replicates", "1")
}

// meshRun sends the load from a task of the service, which is back at no tasks and
// its own definition after the replicate.
func meshRun(t *testing.T, d *deployment) {
	tasks := d.count("ecs:RunTask")
	dir := filepath.Join(t.TempDir(), "mesh")
	a := hoplab(t, dir, meshArgs(dir)...)
	a.done()
	for _, arm := range a.summary().Arms {
		want := map[string]string{"agent": "1", "mesh": "2"}[arm.Name]
		if arm.Evidence.AgentHops[want] != arm.Requests || arm.Requests == 0 {
			t.Errorf("arm %s: %d requests, proof %+v; want %s agent hops", arm.Name, arm.Requests, arm.Evidence, want)
		}
	}
	d.nothingLeft(t)
	if got := aws.ToString(d.service(t, meshName).TaskDefinition); got != d.outputs["MeshTaskDefinitionArn"] {
		t.Errorf("the service is left with %s", got)
	}
	left, err := d.ecs().ListTaskDefinitions(t.Context(), &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String(d.family("MeshTaskDefinitionArn"))})
	if err != nil || len(left.TaskDefinitionArns) != 1 {
		t.Errorf("task definitions %v, %v; want the stack's alone", left, err)
	}
	if n := d.count("ecs:RunTask") - tasks; n != 0 {
		t.Errorf("%d standalone tasks were started", n)
	}
}

func TestAServiceInUseIsRefused(t *testing.T) {
	d := newDeployment(t)
	if _, err := d.ecs().UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(meshName),
		DesiredCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "second")
	hoplab(t, dir, meshArgs(dir)...).want(fail.Usage, "service "+meshName+" has a desired count of 1, which this run did not set",
		"aws ecs update-service --region "+region+" --cluster "+cluster+" --service "+meshName+" --desired-count 0")
	if n := d.programs.of("second"); n != 0 {
		t.Errorf("%d tasks were started", n)
	}
}

func TestMeshThatFailsIsScaledBack(t *testing.T) {
	d := newDeployment(t)
	d.does(func(k *loadTask) int {
		k.say(`{"level":"ERROR","msg":"failed","error":"k6 died"}`)
		k.hold()
		return 5
	})
	dir := filepath.Join(t.TempDir(), "mesh")
	hoplab(t, dir, meshArgs(dir)...).want(fail.Environment, "the load task failed: k6 died", "is partial: replicate 1: ", "--resume "+dir)
	d.nothingLeft(t)
}
