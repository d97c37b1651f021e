package awsrun_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// motoServer starts moto, somebody else's idea of AWS, for as long as the test
// runs. Where it is not installed (pip install 'moto[server]'), it says so and
// ok is false: hoplab cloud is then the only server.
func motoServer(t *testing.T) (endpoint string, ok bool) {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Log("moto_server is not on PATH: tried on hoplab cloud alone")
		return "", false
	}
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", "0")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	go func() {
		defer close(ended)
		running := regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if m := running.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case endpoint = <-found:
		return endpoint, true
	case <-ended:
		t.Fatalf("%s ended before it was ready", path)
	case <-time.After(30 * time.Second):
		t.Fatalf("%s was not ready within 30 s", path)
	}
	return "", false
}

// withStrings stands before moto 5, which gives a container's CPU units and
// memory as numbers; ECS gives strings, and the SDK insists.
func withStrings(t *testing.T, endpoint string) string {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`"(cpu|memory)": ?(\d+)`)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if strings.HasSuffix(r.Request.Header.Get("X-Amz-Target"), "Task") || strings.HasSuffix(r.Request.Header.Get("X-Amz-Target"), "Tasks") {
			body = number.ReplaceAll(body, []byte(`"$1": "$2"`))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestSamplesInMoto keeps the samples in moto's S3: the load program sends them
// there, and the command lists and fetches them. Everything else is the account's.
func TestSamplesInMoto(t *testing.T) {
	d := newDeployment(t)
	endpoint, ok := motoServer(t)
	if !ok {
		return
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", endpoint)
	_, err := s3.NewFromConfig(sdk(t), func(o *s3.Options) { o.UsePathStyle = true }).CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String(d.outputs["ResultsBucket"]), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "moto")
	a := hoplab(t, dir, runArgs(dir, "--replicates", "1")...)
	a.done()
	for _, arm := range a.summary().Arms {
		if arm.Requests == 0 {
			t.Errorf("arm %s has no requests", arm.Name)
		}
	}
	for _, op := range []string{"s3:GET", "s3:PUT", "s3:LIST"} {
		if d.count(op) != 0 {
			t.Errorf("%s went to the account; AWS_ENDPOINT_URL_S3 is moto", op)
		}
	}
}

func sdk(t *testing.T) aws.Config {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestTasksAreStartedFoundAndStopped holds the calls that start and stop load
// tasks against the account, and against moto where it is installed.
func TestTasksAreStartedFoundAndStopped(t *testing.T) {
	d := newDeployment(t)
	t.Run("hoplab cloud", func(t *testing.T) {
		d.does((*loadTask).wait)
		startFindStop(t, appAgent, d.outputs["AgentAlbUrl"])
	})
	if endpoint, ok := motoServer(t); ok {
		t.Run("moto", func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL", withStrings(t, endpoint))
			deployToMoto(t)
			startFindStop(t, "app-agent", "http://alb.internal")
		})
	}
}

func startFindStop(t *testing.T, service, url string) {
	c, err := awsrun.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	probe, err := awsrun.NewProbe(ctx, c, t.TempDir(), p, url, func(e awsrun.Event) {
		said = append(said, e.Text)
		if strings.HasPrefix(e.Text, "load task ") {
			cancel() // it was started, and found
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := probe.Service(t.Context(), service); err != nil {
		t.Errorf("service %s: %v", service, err)
	}
	if err := probe.Service(t.Context(), "nobody"); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "service nobody is not there in cluster") {
		t.Errorf("a service that is not there: %v", err)
	}
	if err := probe.Send(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("sending ended with %v; want the interruption", err)
	}
	if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "load task ") }) {
		t.Errorf("the task was not followed: %q", said)
	}
	none := func(after string) {
		t.Helper()
		if left, err := probe.Running(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("after %s: tasks %v run (%v); want none", after, left, err)
		}
	}
	none("an interruption")

	in, err := probe.Task()
	if err != nil {
		t.Fatal(err)
	}
	in.ClientToken = aws.String(fmt.Sprint(time.Now().UnixNano()))
	if _, err := ecs.NewFromConfig(sdk(t)).RunTask(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if left, err := probe.Running(t.Context()); err != nil || len(left) != 1 {
		t.Fatalf("tasks %v run (%v); want the one that was started", left, err)
	}
	if err := probe.StopLeft(t.Context()); err != nil {
		t.Error(err)
	}
	none("the sweep")
}

// deployToMoto makes a Load stack with the outputs of ours, and a service.
func deployToMoto(t *testing.T) {
	t.Helper()
	get := func(resource, attribute string) any {
		return map[string]any{"Fn::GetAtt": []string{resource, attribute}}
	}
	ref := func(resource string) any { return map[string]any{"Ref": resource} }
	resources := map[string]any{}
	add := func(name, kind string, properties map[string]any) {
		resources[name] = map[string]any{"Type": kind, "Properties": properties}
	}
	add("Vpc", "AWS::EC2::VPC", map[string]any{"CidrBlock": "10.0.0.0/16"})
	add("Subnet", "AWS::EC2::Subnet", map[string]any{"VpcId": ref("Vpc"), "CidrBlock": "10.0.1.0/24"})
	add("Group", "AWS::EC2::SecurityGroup", map[string]any{"VpcId": ref("Vpc"), "GroupDescription": "load"})
	add("Cluster", "AWS::ECS::Cluster", map[string]any{"ClusterName": cluster})
	add("Task", "AWS::ECS::TaskDefinition", map[string]any{"Family": "Load", "Cpu": "1024", "Memory": "2048",
		"NetworkMode": "awsvpc", "RequiresCompatibilities": []string{"FARGATE"},
		"ContainerDefinitions": []any{map[string]any{"Name": "load", "Image": "load", "Memory": 512}}})
	add("Service", "AWS::ECS::Service", map[string]any{"ServiceName": "app-agent", "Cluster": ref("Cluster"),
		"TaskDefinition": ref("Task"), "DesiredCount": 1})
	outputs := map[string]any{}
	for name, value := range map[string]any{"ClusterName": ref("Cluster"), "TaskDefinitionArn": ref("Task"),
		"ContainerName": "load", "Subnets": ref("Subnet"),
		"SecurityGroup": get("Group", "GroupId"), "ResultsBucket": "hoplab-results", "ResultsPrefix": "runs/",
		"LogGroup": "/hoplab/load", "Generators": "1",
		"MeshServiceName": meshName, "MeshTaskDefinitionArn": ref("Task"), "MeshLogGroup": "/hoplab/load-mesh"} {
		outputs[name] = map[string]any{"Value": value}
	}
	body, err := json.Marshal(map[string]any{"Resources": resources, "Outputs": outputs})
	if err != nil {
		t.Fatal(err)
	}
	client := cloudformation.NewFromConfig(sdk(t))
	if _, err := client.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("hoplab-load"),
		TemplateBody: aws.String(string(body))}); err != nil {
		t.Fatal(err)
	}
}

// runPrinted runs a command that hoplab printed, where the aws CLI is
// installed, and reports whether it is.
func runPrinted(t *testing.T, command string) bool {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Log("aws is not on PATH: the printed command was compared and not run")
		return false
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	words := strings.Fields(command)
	if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	return true
}
