package cloud_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/cloudtest"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

func TestMain(m *testing.M) {
	labtest.Node()
	os.Exit(m.Run())
}

// nothingRuns are the options of an account in which no task is ever started.
func nothingRuns(t *testing.T) cloud.Options {
	return cloud.Options{Listen: "127.0.0.1:0", Journal: filepath.Join(t.TempDir(), "cloud.json"),
		Lab: lab.Options{App: lab.App{Command: []string{"none"}}, Node: []string{"none"}, Dir: t.TempDir()}}
}

const template = `{"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
	"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"Family": "app", "ContainerDefinitions": [{"Name": "app", "Image": "app:1"}]}}}}`

// TestTheAccountSaysWhatItHolds: what bootstrap makes is there, then what was
// deployed, and the journal has the same for who finds it after a kill.
func TestTheAccountSaysWhatItHolds(t *testing.T) {
	o := nothingRuns(t)
	c, err := cloud.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	client := cloudformation.NewFromConfig(cloudtest.Config(c.Endpoint()))
	input := &cloudformation.CreateStackInput{StackName: aws.String("app"), TemplateBody: aws.String(template)}
	if _, err := client.CreateStack(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	want := []cloud.Stack{{Name: "CDKToolkit", Status: "CREATE_COMPLETE", Resources: 3},
		{Name: "app", Status: "CREATE_COMPLETE", Resources: 2}}
	var sum, kept cloud.Summary
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		sum, kept = c.Summary(), cloud.Summary{}
		if data, err := os.ReadFile(o.Journal); err == nil && json.Unmarshal(data, &kept) == nil &&
			reflect.DeepEqual(sum.Stacks, want) && reflect.DeepEqual(kept.Stacks, want) {
			break
		}
	}
	if !reflect.DeepEqual(sum.Stacks, want) || sum.StateOnly["AWS::IAM::Role"] != 1 || sum.StateOnly["AWS::ECS::TaskDefinition"] != 0 ||
		!reflect.DeepEqual(sum.Images, []string{"app:1"}) || sum.Endpoint != c.Endpoint() || sum.Region != "us-east-1" || sum.PID != os.Getpid() {
		t.Errorf("the summary is %+v", sum)
	}
	if !reflect.DeepEqual(kept.Stacks, sum.Stacks) || kept.Endpoint != sum.Endpoint {
		t.Errorf("the journal has %+v", kept)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	if _, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{}); err == nil {
		t.Error("the endpoint answers after its end")
	}
}

func TestTheEndpointIsOnLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", "192.0.2.1:0", "nowhere"} {
		o := nothingRuns(t)
		o.Listen = listen
		c, err := cloud.Start(t.Context(), o)
		if err == nil {
			c.Close()
		}
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(fail.HintOf(err), "127.0.0.1:0") {
			t.Errorf("%s: %v → %s; want a refusal", listen, err, fail.HintOf(err))
		}
	}
}

// TestACommandStandsForAnImage: a command that knows nothing of the lab answers
// behind the deployed load balancer, and the account says so.
func TestACommandStandsForAnImage(t *testing.T) {
	layer.Full(t, "starts a lab")
	labtest.Need(t, "python3")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := "python3 -m http.server --bind $LISTEN_ADDRESS --directory " + dir + " $PORT"
	a, err := cloudtest.Start(t.Context(), cloudtest.Options{Assembly: "bypass", Stacks: []string{"Network", "App"}, Dir: t.TempDir(),
		Programs: []lab.Program{{Service: "sample-ecs-app", Command: strings.Fields(command)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, r := range a.Resources("AWS::ElasticLoadBalancingV2::LoadBalancer") {
		url, err := a.Lab().LoadBalancerURL(r.ID, 80)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := a.Lab().Curl(t.Context(), lab.Caller{}, url); err != nil || o.Status != 200 || o.Body != "from a file" {
			t.Errorf("%s: %+v, %v", url, o, err)
		}
	}
	if got := a.Summary().Apps; !reflect.DeepEqual(got, []string{"sample-ecs-app=" + command}) {
		t.Errorf("the summary names the commands %q", got)
	}
	client := ecs.NewFromConfig(a.Config)
	tasks, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("hoplab")})
	if err != nil || len(tasks.TaskArns) != 1 {
		t.Fatalf("%+v, %v", tasks, err)
	}
	out, err := client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("hoplab"), Tasks: tasks.TaskArns})
	if err != nil || !strings.Contains(aws.ToString(out.Tasks[0].Containers[0].Reason), "python3 -m http.server") {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestACommandThatDoesNotListen fails the deployment as an image would that does
// not start, and the stopped tasks say which port nobody listens on.
func TestACommandThatDoesNotListen(t *testing.T) {
	layer.Full(t, "starts a lab")
	a, err := cloudtest.Start(t.Context(), cloudtest.Options{Assembly: "bypass", Stacks: []string{"Network"}, Dir: t.TempDir(),
		Programs: []lab.Program{{Service: "sample-ecs-app", Command: []string{"false"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.Path("stacks", "testdata", "golden", "bypass", "App.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	stacks, name := cloudformation.NewFromConfig(a.Config), aws.String("hoplab-app")
	if _, err := stacks.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: name, TemplateBody: aws.String(string(text)),
		DisableRollback: aws.Bool(true)}); err != nil { // so that the service stays to be looked at
		t.Fatal(err)
	}
	waiter := cloudformation.NewStackCreateCompleteWaiter(stacks, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, 200*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: name}, time.Minute); err == nil {
		t.Fatal("the stack is created")
	}
	client := ecs.NewFromConfig(a.Config)
	tasks, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("hoplab"), DesiredStatus: types.DesiredStatusStopped})
	if err != nil || len(tasks.TaskArns) == 0 {
		t.Fatalf("no stopped task: %v, %v", tasks, err)
	}
	out, err := client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("hoplab"), Tasks: tasks.TaskArns[:1]})
	if err != nil {
		t.Fatal(err)
	}
	task := out.Tasks[0]
	reason := string(task.StopCode) + ", " + aws.ToString(task.StoppedReason)
	for _, want := range []string{"TaskFailedToStart, Task failed to start: container App of task ",
		"ended before it listened on 127.0.0.1:", "exit status 1"} {
		if !strings.Contains(reason, want) {
			t.Errorf("%q lacks %q", reason, want)
		}
	}
	if task.Containers[0].ExitCode != nil {
		t.Errorf("a container that did not run has the exit code %d", *task.Containers[0].ExitCode)
	}
}
