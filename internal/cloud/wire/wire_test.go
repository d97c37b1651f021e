package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// serve starts a server and returns a configuration with which the SDK's
// clients reach it and nothing else.
func serve(t *testing.T, s *wire.Server) aws.Config {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "HOPLABTEST", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// echo registers a handler that keeps what it was given and answers with out.
func echo[In, Out any](s *wire.Server, service, name string, out *Out) *In {
	got := new(In)
	wire.Handle(s, service, name, func(_ context.Context, in *In) (*Out, error) {
		*got = *in
		return out, nil
	})
	return got
}

// same compares an SDK value with what came through, without the client's notes.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if v := reflect.ValueOf(got).Elem(); v.Kind() == reflect.Struct && v.FieldByName("ResultMetadata").IsValid() {
		v.FieldByName("ResultMetadata").Set(reflect.ValueOf(middleware.Metadata{}))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

var at = time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC)

func TestQuery(t *testing.T) {
	var s wire.Server
	out := &cloudformation.DescribeStacksOutput{Stacks: []cfntypes.Stack{{
		StackName: aws.String(`a<b>&"c"`), CreationTime: &at, StackStatus: cfntypes.StackStatusUpdateComplete,
		EnableTerminationProtection: aws.Bool(false), TimeoutInMinutes: aws.Int32(5), NotificationARNs: []string{"one", "two"},
		Outputs: []cfntypes.Output{{OutputKey: aws.String("k"), OutputValue: aws.String(" two\nlines\t")}},
	}}}
	created := echo[cloudformation.CreateChangeSetInput](&s, "cloudformation", "CreateChangeSet",
		&cloudformation.CreateChangeSetOutput{Id: aws.String("id")})
	described := echo[cloudformation.DescribeStacksInput](&s, "cloudformation", "DescribeStacks", out)
	client := cloudformation.NewFromConfig(serve(t, &s))

	in := &cloudformation.CreateChangeSetInput{
		StackName: aws.String("app"), ChangeSetName: aws.String("set"), TemplateBody: aws.String("{\"a\": \"ü&=+ %\"}\n"),
		ChangeSetType: cfntypes.ChangeSetTypeCreate, IncludeNestedStacks: aws.Bool(true),
		Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam, cfntypes.CapabilityCapabilityNamedIam},
		Parameters: []cfntypes.Parameter{{ParameterKey: aws.String("a"), ParameterValue: aws.String("1")},
			{ParameterKey: aws.String("b"), UsePreviousValue: aws.Bool(true)}},
		RollbackConfiguration: &cfntypes.RollbackConfiguration{MonitoringTimeInMinutes: aws.Int32(3)},
	}
	for i := range 11 { // member.10 sorts before member.2
		in.Tags = append(in.Tags, cfntypes.Tag{Key: aws.String(strings.Repeat("k", i+1)), Value: aws.String("")})
	}
	if _, err := client.CreateChangeSet(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	same(t, "CreateChangeSetInput", created, in)
	got, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("app")})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "DescribeStacksInput", described, &cloudformation.DescribeStacksInput{StackName: aws.String("app")})
	same(t, "DescribeStacksOutput", got, out)
}

func TestJSON(t *testing.T) {
	var s wire.Server
	out := &ecs.DescribeServicesOutput{Services: []ecstypes.Service{{
		ServiceName: aws.String("app"), DesiredCount: 2, CreatedAt: &at,
		Deployments: []ecstypes.Deployment{{Id: aws.String("d"), RolloutState: ecstypes.DeploymentRolloutStateCompleted,
			ServiceConnectConfiguration: &ecstypes.ServiceConnectConfiguration{Enabled: true,
				Services: []ecstypes.ServiceConnectService{{PortName: aws.String("http"), IngressPortOverride: aws.Int32(8080)}}}}},
	}}}
	got := echo[ecs.DescribeServicesInput](&s, "ecs", "DescribeServices", out)
	cfg := serve(t, &s)
	in := &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"app"},
		Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}}
	answer, err := ecs.NewFromConfig(cfg).DescribeServices(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "DescribeServicesInput", got, in)
	same(t, "Services", &answer.Services, &out.Services)

	var logs wire.Server
	filter := echo[cloudwatchlogs.FilterLogEventsInput](&logs, "logs", "FilterLogEvents", &cloudwatchlogs.FilterLogEventsOutput{})
	wanted := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), StartTime: aws.Int64(1<<53 + 1)}
	if _, err := cloudwatchlogs.NewFromConfig(serve(t, &logs)).FilterLogEvents(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	same(t, "FilterLogEventsInput", filter, wanted)
}

func TestCBOR(t *testing.T) {
	var s wire.Server
	out := &cloudwatch.GetMetricDataOutput{MetricDataResults: []cwtypes.MetricDataResult{{
		Id: aws.String("m"), StatusCode: cwtypes.StatusCodeComplete, Timestamps: []time.Time{at.Truncate(time.Second)}, Values: []float64{0.5, 3},
	}}}
	got := echo[cloudwatch.GetMetricDataInput](&s, "monitoring", "GetMetricData", out)
	end := at.Add(time.Hour)
	in := &cloudwatch.GetMetricDataInput{StartTime: &at, EndTime: &end, MetricDataQueries: []cwtypes.MetricDataQuery{{
		Id: aws.String("m"), MetricStat: &cwtypes.MetricStat{Period: aws.Int32(60), Stat: aws.String("Sum"), Metric: &cwtypes.Metric{
			Namespace: aws.String("AWS/ECS"), Dimensions: []cwtypes.Dimension{{Name: aws.String("n"), Value: aws.String("v")}}}},
	}}}
	answer, err := cloudwatch.NewFromConfig(serve(t, &s)).GetMetricData(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "GetMetricDataInput", got, in)
	if len(answer.MetricDataResults) != 1 {
		t.Fatalf("%d results; want 1", len(answer.MetricDataResults))
	}
	r, want := answer.MetricDataResults[0], out.MetricDataResults[0]
	if *r.Id != "m" || r.StatusCode != want.StatusCode || !slices.Equal(r.Values, want.Values) ||
		!slices.EqualFunc(r.Timestamps, want.Timestamps, time.Time.Equal) {
		t.Errorf("got %+v; want %+v", r, want)
	}
}

// TestFaults: in each protocol the client reads an error's code and words, and
// what nobody registered names itself.
func TestFaults(t *testing.T) {
	var s wire.Server
	words := `port <= 1024 & "more"`
	wire.Handle(&s, "cloudformation", "DescribeChangeSet",
		func(context.Context, *cloudformation.DescribeChangeSetInput) (*cloudformation.DescribeChangeSetOutput, error) {
			return nil, &cfntypes.ChangeSetNotFoundException{Message: &words}
		})
	wire.Handle(&s, "ecs", "UpdateService", func(context.Context, *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
		return nil, &ecstypes.InvalidParameterException{Message: &words}
	})
	wire.Handle(&s, "ecs", "ListTasks", func(context.Context, *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
		return nil, errors.New(words)
	})
	cfg := serve(t, &s)
	stacks, tasks, metrics := cloudformation.NewFromConfig(cfg), ecs.NewFromConfig(cfg), cloudwatch.NewFromConfig(cfg)
	for name, c := range map[string]struct {
		call          func() error
		code, message string
	}{
		"query": {func() error {
			_, err := stacks.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: aws.String("x")})
			if e := (*cfntypes.ChangeSetNotFoundException)(nil); !errors.As(err, &e) {
				t.Errorf("%v is no ChangeSetNotFoundException", err)
			}
			return err
		}, "ChangeSetNotFound", words},
		"JSON": {func() error {
			_, err := tasks.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("x")})
			return err
		}, "InvalidParameterException", words},
		"not the service's": {func() error {
			_, err := tasks.ListTasks(t.Context(), &ecs.ListTasksInput{})
			return err
		}, wire.CodeInternal, words},
		"unknown, query": {func() error {
			_, err := stacks.DetectStackDrift(t.Context(), &cloudformation.DetectStackDriftInput{StackName: aws.String("x")})
			return err
		}, wire.CodeUnknownOperation, "hoplab cloud does not know cloudformation:DetectStackDrift"},
		"unknown, JSON": {func() error {
			_, err := tasks.ListClusters(t.Context(), &ecs.ListClustersInput{})
			return err
		}, wire.CodeUnknownOperation, "hoplab cloud does not know ecs:ListClusters"},
		"unknown, CBOR": {func() error {
			_, err := metrics.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
			return err
		}, wire.CodeUnknownOperation, "hoplab cloud does not know monitoring:ListMetrics"},
	} {
		t.Run(name, func(t *testing.T) {
			var api smithy.APIError
			if err := c.call(); !errors.As(err, &api) {
				t.Fatalf("%v is no error of the service", err)
			}
			if api.ErrorCode() != c.code || api.ErrorMessage() != c.message {
				t.Errorf("%s: %s; want %s: %s", api.ErrorCode(), api.ErrorMessage(), c.code, c.message)
			}
		})
	}
}

const signature = "AWS4-HMAC-SHA256 Credential=K/20260304/eu-central-1/cloudformation/aws4_request, SignedHeaders=host, Signature=0"

// TestOnlyAWSClientsOfThisMachine: neither a page in a browser nor another name
// for loopback reaches a handler, and no body fills the memory.
func TestOnlyAWSClientsOfThisMachine(t *testing.T) {
	var s wire.Server
	called := 0
	wire.Handle(&s, "cloudformation", "DescribeStacks",
		func(context.Context, *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
			called++
			return &cloudformation.DescribeStacksOutput{}, nil
		})
	const form = "Action=DescribeStacks"
	short := strings.Replace(signature, "/eu-central-1", "", 1)
	objects := strings.Replace(signature, "cloudformation", "s3", 1)
	long := form + "&A=" + strings.Repeat("a", wire.MaxBody)
	deep := form + "&A" + strings.Repeat(".a", 30) + "=1"
	for name, c := range map[string]struct {
		method, host, authorization, body string
		status                            int
		says                              string
	}{
		"as it should be":          {"POST", "127.0.0.1:4566", signature, form, 200, "DescribeStacksResponse"},
		"by name":                  {"POST", "localhost:4566", signature, form, 200, "DescribeStacksResponse"},
		"IPv6":                     {"POST", "[::1]:4566", signature, form, 200, "DescribeStacksResponse"},
		"rebound name":             {"POST", "evil.example:4566", signature, form, 403, "evil.example"},
		"name that looks local":    {"POST", "localhost.evil.example", signature, form, 403, "AccessDenied"},
		"another machine":          {"POST", "192.0.2.1:4566", signature, form, 403, "AccessDenied"},
		"a page's form":            {"POST", "127.0.0.1:4566", "", form, 403, "hoplab cloud env"},
		"a page's question":        {"OPTIONS", "127.0.0.1:4566", "", "", 403, "MissingAuthenticationToken"},
		"another scheme":           {"POST", "127.0.0.1:4566", "Basic eDp5", form, 403, "MissingAuthenticationToken"},
		"scope too short":          {"POST", "127.0.0.1:4566", short, form, 403, "MissingAuthenticationToken"},
		"too large":                {"POST", "127.0.0.1:4566", signature, long, 413, "1048576 bytes"},
		"no action":                {"POST", "127.0.0.1:4566", signature, "", 400, "no Action"},
		"member nobody knows":      {"POST", "127.0.0.1:4566", signature, form + "&Colour=red", 400, "does not know the member Colour"},
		"member of another kind":   {"POST", "127.0.0.1:4566", signature, form + "&StackName.member.1=a", 400, "StackName: members were given"},
		"value and members":        {"POST", "127.0.0.1:4566", signature, form + "&A=1&A.b=1", 400, "is a value and has members"},
		"deep":                     {"POST", "127.0.0.1:4566", signature, deep, 400, "nests deeper than 16"},
		"objects without a keeper": {"PUT", "127.0.0.1:4566", objects, form, 400, "s3:DescribeStacks"},
	} {
		t.Run(name, func(t *testing.T) {
			called = 0
			r := httptest.NewRequest(c.method, "http://"+c.host+"/", strings.NewReader(c.body))
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d %s; want %d and %q", w.Code, w.Body, c.status, c.says)
			}
			if (called == 1) != (c.status == 200) {
				t.Errorf("the handler was called %d times", called)
			}
		})
	}
}

func TestObjectsAreBounded(t *testing.T) {
	s := wire.Server{Objects: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if tooLarge := (*http.MaxBytesError)(nil); !errors.As(err, &tooLarge) || n != wire.MaxObject {
			t.Errorf("read %d bytes: %v", n, err)
		}
	})}
	r := httptest.NewRequest("PUT", "http://localhost/bucket/key", io.LimitReader(zeros{}, wire.MaxObject+1))
	r.Header.Set("Authorization", strings.Replace(signature, "cloudformation", "s3", 1))
	s.ServeHTTP(httptest.NewRecorder(), r)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestStalledBody: who sends a head and no body is not waited for, neither by an
// operation nor by the handler of objects; what takes long after its body is.
func TestStalledBody(t *testing.T) {
	const within = 200 * time.Millisecond
	s := wire.Server{BodyWithin: within, Objects: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})}
	wire.Handle(&s, "ecs", "ListTasks", func(ctx context.Context, _ *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(3 * within):
			return &ecs.ListTasksOutput{TaskArns: []string{"late"}}, nil
		}
	})
	server := httptest.NewServer(&s)
	defer server.Close()
	for service, want := range map[string]string{"ecs": "HTTP/1.1 400", "s3": "HTTP/1.1 408"} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"+
			"Authorization: AWS4-HMAC-SHA256 Credential=K/20260101/r/%s/aws4_request\r\n\r\n{", service)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer := make([]byte, len(want))
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != want {
			t.Errorf("%s: %q, %v; want %s", service, answer, err, want)
		}
	}
	if text, _ := send(t, &s, "ecs", "AmazonEC2ContainerServiceV20141113.ListTasks", "{}"); !strings.Contains(text, "late") {
		t.Errorf("an answer that takes long: %s", text)
	}
}

func TestListenOnlyOnLoopback(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "192.0.2.1:80", "[::]:0", "localhost"} {
		if l, err := wire.Listen(address); err == nil {
			l.Close()
			t.Errorf("%s: listens", address)
		} else if !strings.Contains(err.Error(), "was expected") {
			t.Errorf("%s: %v does not say what was expected", address, err)
		}
	}
	l, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func FuzzRequest(f *testing.F) {
	f.Add("", "", "Action=CreateChangeSet&Parameters.member.1.ParameterKey=a")
	f.Add("AmazonEC2ContainerServiceV20141113.RunTask", "", `{"count": 1e1, "overrides": {"cpu": "1"}}`)
	f.Add("", "/service/x/operation/GetMetricData", "\xa1iStartTime\xc1\x18\x2a")
	var s wire.Server
	wire.Handle(&s, "cloudformation", "CreateChangeSet",
		func(context.Context, *cloudformation.CreateChangeSetInput) (*cloudformation.CreateChangeSetOutput, error) {
			return &cloudformation.CreateChangeSetOutput{}, nil
		})
	wire.Handle(&s, "cloudformation", "RunTask", func(context.Context, *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
		return &ecs.RunTaskOutput{}, nil
	})
	wire.Handle(&s, "cloudformation", "GetMetricData",
		func(context.Context, *cloudwatch.GetMetricDataInput) (*cloudwatch.GetMetricDataOutput, error) {
			return &cloudwatch.GetMetricDataOutput{}, nil
		})
	f.Fuzz(func(t *testing.T, target, path, body string) {
		r := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(body))
		r.Header.Set("Authorization", signature)
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		if path != "" {
			r.URL.Path = path
			r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}

// TestJSONByReflection: Step Functions' types cannot write themselves yet.
func TestJSONByReflection(t *testing.T) {
	var s wire.Server
	out := &sfn.DescribeMapRunOutput{MapRunArn: aws.String("m"), StartDate: aws.Time(at), Status: sfntypes.MapRunStatusRunning,
		ItemCounts: &sfntypes.MapRunItemCounts{Total: 4, Running: 1}, ToleratedFailurePercentage: 100}
	got := echo[sfn.DescribeMapRunInput](&s, "states", "DescribeMapRun", out)
	in := &sfn.DescribeMapRunInput{MapRunArn: aws.String("m")}
	answer, err := sfn.NewFromConfig(serve(t, &s)).DescribeMapRun(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "DescribeMapRunInput", got, in)
	same(t, "DescribeMapRunOutput", answer, out)
}

// send posts a request without a client of the SDK's, which would hide what an
// answer leaves out.
func send(t *testing.T, s *wire.Server, service, target, body string) (string, http.Header) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20260304/eu-central-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), resp.Header
}

// TestZeros: AWS's answers have counts of 0, and scripts read them. A package in
// front of the service's name, as botocore writes CloudTrail's, is none of it.
func TestZeros(t *testing.T) {
	s := wire.Server{Header: http.Header{"Hoplab-Cloud": {"scale=2"}}}
	echo[ecs.DescribeServicesInput](&s, "ecs", "DescribeServices", &ecs.DescribeServicesOutput{Services: []ecstypes.Service{{
		ServiceName: aws.String("a"), Deployments: []ecstypes.Deployment{{RunningCount: 1}}}}})
	got, header := send(t, &s, "ecs", "com.amazonaws.ecs.DescribeServices", "{}")
	for _, want := range []string{`"desiredCount":0`, `"enableExecuteCommand":false`, `"runningCount":1`, `"failedTasks":0`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "createdAt") || strings.Contains(got, "launchType") {
		t.Errorf("what is nil is there: %s", got)
	}
	if header.Get("Hoplab-Cloud") != "scale=2" {
		t.Errorf("headers %v; want the server's own among them", header)
	}
}

// TestEC2: lists without member, an answer without a result, and faults of its own.
func TestEC2(t *testing.T) {
	type input struct {
		GroupID []string
		Filter  []struct {
			Name  string
			Value []string
		}
	}
	type output struct {
		Names []string `xml:"groupSet>item"`
	}
	var s wire.Server
	got := echo[input](&s, "ec2", "DescribeThings", &output{Names: []string{"a&b", "c"}})
	text, _ := send(t, &s, "ec2", "", "Action=DescribeThings&Version=2016-11-15&GroupId.1=x&GroupId.2=y&Filter.1.Name=n&Filter.1.Value.1=v")
	if !slices.Equal(got.GroupID, []string{"x", "y"}) || len(got.Filter) != 1 || got.Filter[0].Name != "n" || !slices.Equal(got.Filter[0].Value, []string{"v"}) {
		t.Errorf("input %+v", got)
	}
	if !strings.HasPrefix(text, "<DescribeThingsResponse xmlns=") || !strings.Contains(text, "<groupSet><item>a&amp;b</item><item>c</item></groupSet></DescribeThingsResponse>") {
		t.Errorf("answer %s", text)
	}
	text, _ = send(t, &s, "ec2", "", "Action=Other")
	if !strings.Contains(text, "<Response><Errors><Error><Code>InvalidAction</Code><Message>hoplab cloud does not know ec2:Other</Message>") {
		t.Errorf("fault %s", text)
	}
}
