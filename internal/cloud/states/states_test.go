package states_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/hoplab/hoplab/internal/cloud/states"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

const arn = "arn:aws:states:eu-central-1:000000000000:stateMachine:M"

// definition has the form of the load stack's, with a short interval.
const definition = `{"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemsPath": "$.items", "MaxConcurrency": 2,
  "ToleratedFailurePercentage": 100,
  "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "maps"}},
  "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Run", "States": {"Run": {
    "Type": "Task", "End": true, "Resource": "arn:aws:states:::ecs:runTask.sync", "TimeoutSeconds": 60,
    "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 0.01, "MaxAttempts": 2, "BackoffRate": 2, "JitterStrategy": "FULL"}],
    "Parameters": {"Cluster": "c", "Overrides": {"ContainerOverrides": [{"Name": "load", "Command.$": "$.command"}]}}}}}}}}`

// engine is one behind a server, whose tasks are a function of their command.
type engine struct {
	client *sfn.Client
	mu     sync.Mutex
	runs   map[string]int
	at     int // that run now, and at most did
	most   int
	files  map[string][]byte
}

func start(t *testing.T, text string, run func(ctx context.Context, command string, attempt int) states.Result) *engine {
	t.Helper()
	e := &engine{runs: map[string]int{}, files: map[string][]byte{}}
	s := &states.Engine{Definition: func(a string) (string, bool) { return text, a == arn },
		Run: func(ctx context.Context, p map[string]any) states.Result {
			o := p["Overrides"].(map[string]any)["ContainerOverrides"].([]any)[0].(map[string]any)
			command := o["Command"].([]any)[0].(string)
			e.mu.Lock()
			e.runs[command]++
			e.at++
			e.most = max(e.most, e.at)
			n := e.runs[command]
			e.mu.Unlock()
			r := run(ctx, command, n)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.at--
			return r
		},
		Put: func(bucket, key string, data []byte) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.files[bucket+"/"+key] = data
			return nil
		}}
	var server wire.Server
	s.Register(&server)
	h := httptest.NewServer(&server)
	t.Cleanup(h.Close)
	t.Cleanup(s.Close)
	e.client = sfn.New(sfn.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.URL), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "K", SecretAccessKey: "S"}, nil
		})})
	return e
}

func (e *engine) execute(t *testing.T, name, input string) string {
	t.Helper()
	out, err := e.client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(arn),
		Name: aws.String(name), Input: aws.String(input)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ExecutionArn
}

func (e *engine) ended(t *testing.T, execution string) *sfn.DescribeExecutionOutput {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		out, err := e.client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
		if err != nil {
			t.Fatal(err)
		}
		if out.Status != types.ExecutionStatusRunning {
			return out
		}
		if time.Now().After(end) {
			t.Fatalf("%s still runs", execution)
		}
	}
}

// TestEachItemRunsUntilItIsWell: two at a time, again as the retriers say, and
// the files say what became of each.
func TestEachItemRunsUntilItIsWell(t *testing.T) {
	e := start(t, definition, func(_ context.Context, command string, attempt int) states.Result {
		time.Sleep(5 * time.Millisecond)
		ok := command != "never" && (command != "second" || attempt > 1)
		return states.Result{OK: ok, Error: "States.TaskFailed", Cause: `{"StoppedReason":"of ` + command + `"}`}
	})
	x := e.execute(t, "one", `{"items": [{"command": ["first"]}, {"command": ["second"]}, {"command": ["never"]}, {"command": ["last"]}]}`)
	out := e.ended(t, x)
	if out.Status != types.ExecutionStatusSucceeded {
		t.Fatalf("%s: %s %s", out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	if fmt.Sprint(e.runs) != "map[first:1 last:1 never:3 second:2]" || e.most > 2 {
		t.Errorf("runs %v, %d at a time; want never three times, second twice, two at a time", e.runs, e.most)
	}
	var where struct{ ResultWriterDetails struct{ Bucket, Key string } }
	var manifest struct {
		ResultFiles map[string][]struct{ Key string }
	}
	if err := json.Unmarshal([]byte(*out.Output), &where); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(e.files["b/"+where.ResultWriterDetails.Key], &manifest); err != nil {
		t.Fatalf("%s: %v", where.ResultWriterDetails.Key, err)
	}
	count := map[string]int{}
	var again []string
	for status, files := range manifest.ResultFiles {
		for _, f := range files {
			var results []struct{ ExecutionArn, Input, Status, Cause string }
			if err := json.Unmarshal(e.files["b/"+f.Key], &results); err != nil {
				t.Fatal(err)
			}
			count[status] += len(results)
			for _, r := range results {
				h, err := e.client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(r.ExecutionArn)})
				if err != nil {
					t.Fatal(err)
				}
				if slices.ContainsFunc(h.Events, func(v types.HistoryEvent) bool { return v.TaskFailedEventDetails != nil }) {
					again = append(again, r.Input)
				}
			}
		}
	}
	if fmt.Sprint(count) != "map[FAILED:1 SUCCEEDED:3]" || len(again) != 2 {
		t.Errorf("results %v, with failures in the histories of %v", count, again)
	}
	runs, err := e.client.ListMapRuns(t.Context(), &sfn.ListMapRunsInput{ExecutionArn: aws.String(x)})
	if err != nil || len(runs.MapRuns) != 1 {
		t.Fatalf("map runs %v, %v", runs, err)
	}
	m, err := e.client.DescribeMapRun(t.Context(), &sfn.DescribeMapRunInput{MapRunArn: runs.MapRuns[0].MapRunArn})
	if err != nil || m.ItemCounts.Total != 4 || m.ItemCounts.Succeeded != 3 || m.ItemCounts.Failed != 1 || m.ItemCounts.Running != 0 {
		t.Errorf("items %+v, %v", m.ItemCounts, err)
	}
}

func TestStopEndsTheTasks(t *testing.T) {
	began := make(chan struct{}, 4)
	e := start(t, definition, func(ctx context.Context, _ string, _ int) states.Result {
		began <- struct{}{}
		<-ctx.Done()
		return states.Result{Error: "States.TaskFailed"}
	})
	input := `{"items": [{"command": ["a"]}, {"command": ["b"]}, {"command": ["c"]}]}`
	x := e.execute(t, "one", input)
	<-began
	if again := e.execute(t, "one", input); again != x {
		t.Errorf("the same start again is %s; want %s", again, x)
	}
	if _, err := e.client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(x)}); err != nil {
		t.Fatal(err)
	}
	if out := e.ended(t, x); out.Status != types.ExecutionStatusAborted {
		t.Errorf("a stopped execution is %s", out.Status)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at != 0 || e.runs["c"] != 0 {
		t.Errorf("%d tasks are left, and c ran %d times", e.at, e.runs["c"])
	}
}

// TestWhatIsNotInterpretedIsRefused: another machine would run otherwise.
func TestWhatIsNotInterpretedIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, replacement, want string }{
		"a field":        {`"MaxConcurrency": 2`, `"ToleratedFailureCount": 2`, "ToleratedFailureCount"},
		"a state":        {`"Type": "Map"`, `"Type": "Parallel"`, "no Distributed Map"},
		"a service":      {"ecs:runTask.sync", "lambda:invoke", "lambda:invoke"},
		"inline":         {"DISTRIBUTED", "INLINE", "no Distributed Map"},
		"further states": {`"StartAt": "Each", "States": {`, `"StartAt": "Each", "States": {"Next": {"Type": "Pass"}, `, "the states Each, Next"},
	} {
		text := strings.Replace(definition, c.old, c.replacement, 1)
		if text == definition {
			t.Fatalf("%s: %q is not in the definition", name, c.old)
		}
		e := start(t, text, func(context.Context, string, int) states.Result { t.Error("a task ran"); return states.Result{} })
		_, err := e.client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(arn),
			Input: aws.String(`{"items": []}`)})
		if err == nil || !strings.Contains(err.Error(), "InvalidDefinition") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want InvalidDefinition with %q", name, err, c.want)
		}
	}
}

// TestRunningIsBounded: so many executions run at a time, and one that is tried
// again without end and without a pause ends with its history.
func TestRunningIsBounded(t *testing.T) {
	e := start(t, definition, func(ctx context.Context, _ string, _ int) states.Result {
		<-ctx.Done()
		return states.Result{}
	})
	n := 0
	var err error
	for ; err == nil && n < 1000; n++ {
		_, err = e.client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(arn),
			Name: aws.String(fmt.Sprint("x", n)), Input: aws.String(`{"items": [{"command": ["a"]}]}`)})
	}
	if _, ok := errors.AsType[*types.ExecutionLimitExceeded](err); !ok || n != 51 {
		t.Errorf("%d executions, then %v", n, err)
	}
	endless := func(retrier string) string {
		return strings.Replace(definition, `"IntervalSeconds": 0.01, "MaxAttempts": 2, "BackoffRate": 2, "JitterStrategy": "FULL"`, retrier, 1)
	}
	failing := func(context.Context, string, int) states.Result { return states.Result{Error: "States.TaskFailed"} }
	e = start(t, endless(`"IntervalSeconds": 1e-9, "MaxAttempts": 1000000000`), failing)
	out := e.ended(t, e.execute(t, "x", `{"items": [{"command": ["a"]}]}`))
	why := string(e.files[failed(e)])
	if runs := e.runs["a"]; out.Status != types.ExecutionStatusSucceeded || runs != 25_000 || !strings.Contains(why, "States.Runtime") {
		t.Errorf("%d runs, %s, %q", runs, out.Status, why)
	}
	e = start(t, endless(`"IntervalSeconds": -1, "MaxAttempts": 1000000000`), failing)
	none := &sfn.StartExecutionInput{StateMachineArn: aws.String(arn), Input: aws.String(`{"items": []}`)}
	_, err = e.client.StartExecution(t.Context(), none)
	if err == nil {
		t.Error("a pause below 0 is taken")
	}
}

// failed is the name of the file with what failed.
func failed(e *engine) string {
	for name := range e.files {
		if strings.HasSuffix(name, "/FAILED_0.json") {
			return name
		}
	}
	return ""
}
