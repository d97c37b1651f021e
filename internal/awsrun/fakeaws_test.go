package awsrun_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Names in the fake account.
const (
	region    = "eu-central-1"
	account   = "123456789012"
	cluster   = "hoplab-cluster"
	bucket    = "hoplab-results"
	meshName  = "load-mesh"
	machine   = "arn:aws:states:" + region + ":" + account + ":stateMachine:FanOut"
	imageURI  = account + ".dkr.ecr." + region + ".amazonaws.com/assets:e9d085c7"
	digest    = "sha256:0123"
	balancer  = "app/Alb/50dc6c495c0c9188"
	arnPrefix = "arn:aws:ecs:" + region + ":" + account + ":"
)

// fakeAWS behaves like the parts of AWS that a run uses, over HTTP: ECS, Step
// Functions and Logs in JSON, CloudFormation, STS and ELB in query and XML,
// CloudWatch in CBOR, and gofakes3 for the rest.
type fakeAWS struct {
	t   *testing.T
	url string
	s3  *s3mem.Backend

	mu       sync.Mutex
	stacks   map[string]map[string]string // outputs by stack
	services map[string]*fakeService
	tasks    []*fakeTask
	taskDefs map[string]map[string]any // by ARN
	series   map[string][]point        // CloudWatch, by what is counted
	alias    map[string]string         // metrics that are counted under another's name
	extra    map[string]float64        // counted in addition with every load task's own requests
	execs    []*fakeExecution
	ops      map[string]int
	// intercept answers a call in the fake's place when it returns true.
	intercept func(op string, nth int, w http.ResponseWriter) bool
	// lose names an operation that is carried out and whose answer is cut off.
	lose       string
	neverStart bool // tasks stay PROVISIONING
	// work is what a load task does; it returns the exit code. Change it with does.
	work  func(t *fakeTask) int
	tasky sync.WaitGroup
}

type fakeService struct {
	name, arm, discovery, group string
	override                    int
	tasks                       int
	desired                     int
	definition                  string
	restarts                    int
	image, digest               string
}

type point struct {
	at time.Time
	n  float64
}

func newFakeAWS(t *testing.T) *fakeAWS {
	f := &fakeAWS{t: t, s3: s3mem.New(), services: map[string]*fakeService{}, series: map[string][]point{},
		ops: map[string]int{}, taskDefs: map[string]map[string]any{}}
	if err := f.s3.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	objects := gofakes3.New(f.s3, gofakes3.WithoutVersioning()).Server()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, objects) }))
	f.url = srv.URL
	t.Cleanup(func() {
		f.stopAll()
		f.tasky.Wait()
		srv.Close()
	})
	for i, arm := range []string{"agent", "bypass"} {
		f.services["app-"+arm] = &fakeService{name: "app-" + arm, arm: arm, discovery: "app-" + arm, group: "targetgroup/" + arm + "/1",
			override: 8080 * i, tasks: 1, desired: 1, definition: arnPrefix + "task-definition/App" + arm + ":1", image: imageURI, digest: digest}
	}
	f.services[meshName] = &fakeService{name: meshName, definition: arnPrefix + "task-definition/LoadMesh:3"}
	f.taskDefs[arnPrefix+"task-definition/Load:7"] = map[string]any{"family": "Load", "cpu": "1024", "memory": "2048",
		"taskDefinitionArn":    arnPrefix + "task-definition/Load:7",
		"containerDefinitions": []any{map[string]any{"name": "load", "image": "load", "environment": []any{}}}}
	f.taskDefs[arnPrefix+"task-definition/LoadMesh:3"] = map[string]any{"family": "LoadMesh", "cpu": "2048",
		"memory": "4096", "taskDefinitionArn": arnPrefix + "task-definition/LoadMesh:3",
		"containerDefinitions": []any{map[string]any{"name": "load", "image": "load", "environment": []any{}}}}
	f.stacks = map[string]map[string]string{
		"hoplab-app": {"AlbDnsName": "alb.internal", "AlbFullName": balancer},
		"hoplab-load": {"ClusterName": cluster, "TaskDefinitionArn": arnPrefix + "task-definition/Load:7",
			"ContainerName": "load", "Subnets": "subnet-1,subnet-2",
			"SecurityGroup": "sg-1", "ResultsBucket": bucket, "ResultsPrefix": "runs/", "LogGroup": "/hoplab/load", "Generators": "20",
			"MeshServiceName": meshName, "MeshTaskDefinitionArn": arnPrefix + "task-definition/LoadMesh:3",
			"MeshLogGroup": "/hoplab/load-mesh", "StateMachineArn": machine},
	}
	for i, arm := range []string{"Agent", "Bypass"} {
		app, low := f.stacks["hoplab-app"], strings.ToLower(arm)
		app[arm+"AlbUrl"] = fmt.Sprintf("http://alb.internal:%d", 80+i)
		app[arm+"ServiceName"], app[arm+"DiscoveryName"] = "app-"+low, "app-"+low
		app[arm+"Endpoint"], app[arm+"ImageUri"] = "http://app-"+low+".sample-namespace:80", imageURI
		app[arm+"TargetGroupFullName"] = "targetgroup/" + low + "/1"
	}
	f.work = f.synthesize
	f.environment(t)
	f.ready()
	return f
}

// ready orders what this goroutine wrote before what the server's read. A
// caller in another process gives the race detector no such order.
func (f *fakeAWS) ready() {
	f.mu.Lock()
	defer f.mu.Unlock()
}

// does replaces what load tasks do from now on.
func (f *fakeAWS) does(work func(*fakeTask) int) { f.set(func() { f.work = work }) }

// environment points the SDK at the fake and at nothing else.
func (f *fakeAWS) environment(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "none")
	for k, v := range map[string]string{"AWS_ENDPOINT_URL": f.url, "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": ""} {
		t.Setenv(k, v)
		if v == "" {
			os.Unsetenv(k)
		}
	}
}

func (f *fakeAWS) serve(w http.ResponseWriter, r *http.Request, objects http.Handler) {
	f.ready()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller was killed in mid-request, which is then no request
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	target := r.Header.Get("X-Amz-Target")
	query := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	var op string
	switch {
	case strings.HasPrefix(r.URL.Path, "/service/GraniteServiceVersion20100801/operation/"):
		op = "cloudwatch:" + r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	case target != "":
		service, name, _ := strings.Cut(target, ".")
		op = map[string]string{"AmazonEC2ContainerServiceV20141113": "ecs", "Logs_20140328": "logs",
			"AWSStepFunctions": "states"}[service] + ":" + name
	case query:
		if err := r.ParseForm(); err != nil {
			f.t.Error(err)
		}
		op = "query:" + r.Form.Get("Action")
	default:
		op = "s3:" + r.Method
		if r.Method == http.MethodGet && r.URL.Query().Get("list-type") != "" {
			op = "s3:LIST"
		}
	}
	f.mu.Lock()
	f.ops[op]++
	nth, intercept, lose := f.ops[op], f.intercept, f.lose
	f.mu.Unlock()
	if intercept != nil && intercept(op, nth, w) {
		return
	}
	if op == lose {
		defer func() { panic(http.ErrAbortHandler) }() // closes the connection
		w = httptest.NewRecorder()
	}
	switch {
	case strings.HasPrefix(op, "cloudwatch:"):
		f.cloudwatch(w, r)
	case query:
		f.query(w, r.Form.Get("Action"), r)
	case target != "":
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			f.t.Errorf("%s: %v", op, err)
		}
		f.json(w, op, in)
	default:
		objects.ServeHTTP(w, r)
	}
}

// fault answers with an error in the protocol of the operation.
func fault(w http.ResponseWriter, op string, status int, code, message string) {
	switch {
	case strings.HasPrefix(op, "s3:"):
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	case strings.HasPrefix(op, "query:"):
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>", code, message)
	default:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-ErrorType", code)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
	}
}

func (f *fakeAWS) query(w http.ResponseWriter, action string, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	say := func(body string) {
		fmt.Fprintf(w, "<%sResponse><%sResult>%s</%sResult></%sResponse>", action, action, body, action, action)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch action {
	case "GetCallerIdentity":
		say("<Arn>arn:aws:iam::" + account + ":user/tester</Arn><UserId>AIDA</UserId><Account>" + account + "</Account>")
	case "DescribeStacks":
		name := r.Form.Get("StackName")
		outputs, ok := f.stacks[name]
		if !ok {
			fault(w, "query:", 400, "ValidationError", "Stack with id "+name+" does not exist")
			return
		}
		var b strings.Builder
		for k, v := range outputs {
			fmt.Fprintf(&b, "<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>", k, v)
		}
		say("<Stacks><member><StackName>" + name + "</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>" + b.String() + "</Outputs></member></Stacks>")
	case "DescribeTargetGroups":
		say("<TargetGroups><member><TargetGroupArn>" + r.Form.Get("TargetGroupArns.member.1") + "</TargetGroupArn><HealthCheckIntervalSeconds>30</HealthCheckIntervalSeconds>" +
			"<LoadBalancerArns><member>arn:lb</member></LoadBalancerArns></member></TargetGroups>")
	case "DescribeTargetHealth":
		say("<TargetHealthDescriptions><member><Target><Id>10.0.0.9</Id><Port>80</Port></Target><TargetHealth><State>healthy</State></TargetHealth></member></TargetHealthDescriptions>")
	case "DescribeLoadBalancers":
		say("<LoadBalancers><member><LoadBalancerArn>arn:lb</LoadBalancerArn><AvailabilityZones><member><ZoneName>" + region + "a</ZoneName></member><member><ZoneName>" + region + "b</ZoneName></member></AvailabilityZones></member></LoadBalancers>")
	default:
		f.t.Errorf("the fake does not know %s", action)
		fault(w, "query:", 400, "InvalidAction", action)
	}
}

func (f *fakeAWS) put(key string, data []byte) {
	if _, err := f.s3.PutObject(bucket, key, map[string]string{}, strings.NewReader(string(data)), int64(len(data)), nil); err != nil {
		f.t.Errorf("putting %s: %v", key, err)
	}
}
