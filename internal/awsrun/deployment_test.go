package awsrun_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/cloudtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Names that the stacks of the golden assembly give, and the account's.
const (
	region   = cloudtest.Region
	account  = "000000000000"
	cluster  = "hoplab"
	meshName = "load-mesh"
	appAgent = "sample-ecs-app-agent"
)

// installed is an account with hoplab's stacks, both arms and twenty generators,
// which all tests of this package share.
type installed struct {
	*cloudtest.Account
	programs *programs
	outputs  map[string]string // of the stacks
	dir      string
}

// install starts it for the first test that needs it; uninstall ends what there is.
var (
	install   = sync.OnceValues(startInstalled)
	uninstall = func() error { return nil }
)

func startInstalled() (*installed, error) {
	dir, err := os.MkdirTemp("", "hoplab-awsrun")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	i := &installed{programs: newPrograms(), outputs: map[string]string{}, dir: dir}
	program := &container.Program{Command: []string{self, programCommand, i.programs.server.URL}, Log: os.Stderr,
		K6: func(context.Context) (string, error) { return "none", nil }}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	i.Account, err = cloudtest.Start(ctx, cloudtest.Options{Assembly: "load", Stacks: []string{"Network", "App", "Client", "Load"},
		Load: program, Period: time.Second, Dir: dir})
	if err != nil {
		return nil, err
	}
	uninstall = func() error { return errors.Join(i.Close(), os.RemoveAll(dir)) }
	out, err := cloudformation.NewFromConfig(i.Config).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{})
	if err != nil {
		return nil, err
	}
	for _, s := range out.Stacks {
		for _, o := range s.Outputs {
			i.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
	}
	return i, nil
}

// deployment is the account as one test has it: behind a front, and with load
// programs that do what the test says.
type deployment struct {
	*installed
	*front
}

// newDeployment points the SDK at the account, through a front, for the rest of the
// test, and puts the account right after it.
func newDeployment(t *testing.T) *deployment {
	t.Helper()
	layer.Full(t, "starts a local account with a lab")
	i, err := install()
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{i, newFront(t, i.Endpoint())}
	d.programs.clear()
	cloudtest.Environment(t, d.url)
	t.Cleanup(d.clear)
	return d
}

// does has load tasks do some work from now on.
func (d *deployment) does(work func(*loadTask) int) { d.programs.do(work) }

func (d *deployment) ecs() *ecs.Client { return ecs.NewFromConfig(d.Config) }

// family is a task definition's without its revision.
func (d *deployment) family(output string) string {
	arn := d.outputs[output]
	name, _, _ := strings.Cut(arn[strings.LastIndexByte(arn, '/')+1:], ":")
	return name
}

// running lists the load tasks that run, of services too, and executions.
func (d *deployment) running() (out []string) {
	for _, output := range []string{"TaskDefinitionArn", "MeshTaskDefinitionArn"} {
		tasks, err := d.ecs().ListTasks(context.Background(), &ecs.ListTasksInput{Cluster: aws.String(cluster),
			Family: aws.String(d.family(output)), DesiredStatus: types.DesiredStatusRunning})
		if err != nil {
			return []string{err.Error()}
		}
		out = append(out, tasks.TaskArns...)
	}
	for _, arn := range d.started() {
		if !strings.Contains(arn, ":execution:") {
			continue
		}
		x, err := sfn.NewFromConfig(d.Config).DescribeExecution(context.Background(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
		if err != nil {
			return []string{err.Error()}
		}
		if x.Status == "RUNNING" {
			out = append(out, arn)
		}
	}
	return out
}

// service is a service as ECS describes it.
func (d *deployment) service(t *testing.T, name string) types.Service {
	t.Helper()
	out, err := d.ecs().DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{name}})
	if err != nil || len(out.Services) != 1 {
		t.Fatalf("service %s: %v, %v", name, out, err)
	}
	return out.Services[0]
}

// patience is how long what was told to stop may take.
const patience = 10 * time.Second

// nothingLeft fails when a load task or an execution still runs, or the client
// service is not back at no tasks.
func (d *deployment) nothingLeft(t *testing.T) {
	t.Helper()
	left := d.running()
	for end := time.Now().Add(patience); len(left) > 0 && time.Now().Before(end); left = d.running() {
		time.Sleep(20 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("load tasks are left: %v", left)
	}
	if n := d.service(t, meshName).DesiredCount; n != 0 {
		t.Errorf("the client service is left at %d tasks", n)
	}
}

// clear ends what a test has left.
func (d *deployment) clear() {
	ctx := context.Background()
	for _, arn := range d.running() {
		if strings.Contains(arn, ":execution:") {
			_, _ = sfn.NewFromConfig(d.Config).StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: aws.String(arn)}) // it may have ended
			continue
		}
		_, _ = d.ecs().StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String(cluster), Task: aws.String(arn)})
	}
	_, _ = d.ecs().UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(meshName),
		DesiredCount: aws.Int32(0), TaskDefinition: aws.String(d.outputs["MeshTaskDefinitionArn"])})
	for end := time.Now().Add(patience); time.Now().Before(end) && len(d.running()) > 0; {
		time.Sleep(20 * time.Millisecond)
	}
}

// call sends requests that are no load task's: from a task of a service, to a URL.
func (d *deployment) call(t *testing.T, service, to string, n int) {
	t.Helper()
	var caller lab.Caller
	for _, r := range d.Resources("AWS::ECS::Service") {
		if strings.HasSuffix(r.PhysicalID, "/"+service) {
			caller.Service = r.ID
		}
	}
	at, err := d.Lab().DialInfo(caller, to)
	if err != nil {
		t.Error(err)
		return
	}
	k := &loadTask{Load: samplefile.Load{Arms: []samplefile.LoadArm{{URL: at.URL, Dial: at.Dial}}}}
	client := k.client()
	defer client.CloseIdleConnections()
	for range n {
		if out, err := exchange(client, at.URL); err != nil || out.Status != 200 {
			t.Errorf("%s from %s: status %d, %v", to, service, out.Status, err)
			return
		}
	}
}
