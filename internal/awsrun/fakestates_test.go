package awsrun_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// machineText reads the definition that the stacks synthesize, with words in
// the place of its references.
func (f *fakeAWS) definition() map[string]any {
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties map[string]any
		}
	}
	data, err := os.ReadFile("../../stacks/testdata/golden/load/Load.template.json")
	if err == nil {
		err = json.Unmarshal(data, &template)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range template.Resources {
		if r.Type != "AWS::StepFunctions::StateMachine" {
			continue
		}
		var b strings.Builder
		for _, p := range list(at(r.Properties, "DefinitionString", "Fn::Join", 1)) {
			if s, ok := p.(string); ok {
				b.WriteString(s)
				continue
			}
			switch ref := text(at(p, "Ref")); { // a bucket, a partition, a subnet
			case strings.HasPrefix(ref, "Results"):
				b.WriteString(bucket)
			case ref == "AWS::Partition":
				b.WriteString("aws")
			default:
				b.WriteString("x")
			}
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(b.String()), &m); err != nil {
			f.t.Fatalf("definition: %v\n%s", err, b.String())
		}
		return m
	}
	f.t.Fatal("the golden Load template has no state machine")
	return nil
}

// fakeExecution is one execution of the state machine or of one of its items.
type fakeExecution struct {
	arn, status, output, errorName, cause string
	history                               []map[string]any
	succeeded, failed, total              int
	stop, seen                            chan struct{} // closed when it is stopped, and when its map run was described
	once                                  *sync.Once    // of stop, which an execution shares with its items'
	look                                  sync.Once     // of seen
}

// mapPatience bounds how long a map run waits for the command to look at it.
const mapPatience = 20 * time.Second

func (f *fakeAWS) states(op string, in map[string]any) (any, error) {
	switch op {
	case "states:StartExecution":
		e := &fakeExecution{arn: strings.Replace(text(in["stateMachineArn"]), ":stateMachine:", ":execution:", 1) + ":" + text(in["name"]),
			status: "RUNNING", stop: make(chan struct{}), once: new(sync.Once), seen: make(chan struct{})}
		if first := f.known(e.arn); first != nil {
			return map[string]any{"executionArn": first.arn, "startDate": 0}, nil // repeated by the SDK
		}
		var input map[string]any
		if err := json.Unmarshal([]byte(text(in["input"])), &input); err != nil {
			return nil, &apiFault{"InvalidExecutionInput", err.Error()}
		}
		if len(text(in["input"])) > 256<<10 {
			return nil, &apiFault{"ValidationException", "input too long"}
		}
		f.mu.Lock()
		f.execs = append(f.execs, e)
		f.mu.Unlock()
		f.tasky.Add(1)
		go func() { defer f.tasky.Done(); f.interpret(e, input) }()
		return map[string]any{"executionArn": e.arn, "startDate": 0}, nil
	case "states:StopExecution":
		e := f.known(text(in["executionArn"]))
		if e == nil {
			return nil, &apiFault{"ExecutionDoesNotExist", text(in["executionArn"])}
		}
		e.once.Do(func() { close(e.stop) })
		return map[string]any{"stopDate": 0}, nil
	case "states:DescribeExecution":
		e := f.execution(text(in["executionArn"]))
		f.mu.Lock()
		defer f.mu.Unlock()
		return map[string]any{"executionArn": e.arn, "stateMachineArn": machine, "status": e.status, "output": e.output,
			"error": e.errorName, "cause": e.cause, "startDate": 0}, nil
	case "states:ListMapRuns":
		return map[string]any{"mapRuns": []any{map[string]any{"executionArn": in["executionArn"],
			"mapRunArn": text(in["executionArn"]) + "/map", "stateMachineArn": machine, "startDate": 0}}}, nil
	case "states:DescribeMapRun":
		e := f.execution(strings.TrimSuffix(text(in["mapRunArn"]), "/map"))
		e.look.Do(func() { close(e.seen) })
		f.mu.Lock()
		defer f.mu.Unlock()
		return map[string]any{"mapRunArn": in["mapRunArn"],
			"itemCounts": map[string]any{"total": e.total, "succeeded": e.succeeded, "failed": e.failed,
				"running": e.total - e.succeeded - e.failed}}, nil
	case "states:GetExecutionHistory":
		e := f.execution(text(in["executionArn"]))
		return map[string]any{"events": e.history}, nil
	}
	f.t.Errorf("the fake does not know %s", op)
	return nil, &apiFault{"UnknownOperationException", op}
}

// execution returns one that must be there.
func (f *fakeAWS) execution(arn string) *fakeExecution {
	if e := f.known(arn); e != nil {
		return e
	}
	f.t.Errorf("no execution %s", arn)
	return &fakeExecution{stop: make(chan struct{}), seen: make(chan struct{})}
}

// known returns an execution, or nil.
func (f *fakeAWS) known(arn string) *fakeExecution {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.execs {
		if e.arn == arn {
			return e
		}
	}
	return nil
}

// interpret carries out the synthesized definition: one Distributed Map whose
// items are one ecs:runTask.sync each, with Retry, and a ResultWriter. Any
// other state or field that would change what happens fails the test.
func (f *fakeAWS) interpret(e *fakeExecution, input map[string]any) {
	def := f.definition()
	m := at(def, "States", text(def["StartAt"])).(map[string]any)
	f.only(m, "Type", "Comment", "End", "ItemsPath", "ItemProcessor", "MaxConcurrency", "ToleratedFailurePercentage", "ResultWriter")
	if text(m["Type"]) != "Map" || m["End"] != true || text(at(m, "ItemProcessor", "ProcessorConfig", "Mode")) != "DISTRIBUTED" || m["ToleratedFailurePercentage"] != 100.0 {
		f.t.Errorf("the machine is not the Distributed Map that this interpreter knows: %v", m)
	}
	task := at(m, "ItemProcessor", "States", text(at(m, "ItemProcessor", "StartAt"))).(map[string]any)
	f.only(task, "Type", "Comment", "End", "Retry", "TimeoutSeconds", "Resource", "Parameters")
	items := list(path(input, text(m["ItemsPath"])))
	f.set(func() { e.total = len(items) })
	results := map[string][]any{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, int(m["MaxConcurrency"].(float64)))
	for i, item := range items {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			child := &fakeExecution{arn: fmt.Sprintf("%s/map:%d", e.arn, i), stop: e.stop, once: e.once}
			f.set(func() { f.execs = append(f.execs, child) })
			ok, cause := f.item(child, task, item)
			text, _ := json.Marshal(item)
			status := "SUCCEEDED"
			if !ok {
				status = "FAILED"
			}
			f.set(func() {
				if ok {
					e.succeeded++
				} else {
					e.failed++
				}
			})
			mu.Lock()
			defer mu.Unlock()
			results[status] = append(results[status], map[string]any{"ExecutionArn": child.arn, "Input": string(text),
				"Status": status, "Error": "States.TaskFailed", "Cause": cause})
		}()
	}
	wg.Wait()
	select { // a real one takes so long that it is looked at
	case <-e.seen:
	case <-e.stop:
	case <-time.After(mapPatience):
		f.t.Errorf("the items of %s ended, and within %s nobody asked for the progress of its map run; a run that follows an execution calls ListMapRuns and DescribeMapRun", e.arn, mapPatience)
	}
	select {
	case <-e.stop:
		f.set(func() { e.status = "ABORTED" })
		return
	default:
	}
	f.writeResults(e, m, results)
}

// writeResults writes the map's files as its ResultWriter asks.
func (f *fakeAWS) writeResults(e *fakeExecution, m map[string]any, results map[string][]any) {
	where := text(at(m, "ResultWriter", "Parameters", "Prefix")) + "/" + fmt.Sprint(time.Now().UnixNano())
	files := map[string][]any{"FAILED": {}, "PENDING": {}, "SUCCEEDED": {}}
	for status, rs := range results {
		data, _ := json.Marshal(rs)
		f.put(where+"/"+status+"_0.json", data)
		files[status] = []any{map[string]any{"Key": where + "/" + status + "_0.json", "Size": len(data)}}
	}
	manifest, _ := json.Marshal(map[string]any{"DestinationBucket": bucket, "MapRunArn": e.arn + "/map", "ResultFiles": files})
	f.put(where+"/manifest.json", manifest)
	out, _ := json.Marshal(map[string]any{"MapRunArn": e.arn + "/map",
		"ResultWriterDetails": map[string]any{"Bucket": text(at(m, "ResultWriter", "Parameters", "Bucket")), "Key": where + "/manifest.json"}})
	f.set(func() { e.status, e.output = "SUCCEEDED", string(out) })
}

// item runs one task to its end, and again as its Retry says.
func (f *fakeAWS) item(child *fakeExecution, task map[string]any, item any) (ok bool, cause string) {
	if !strings.HasSuffix(text(task["Resource"]), ":states:::ecs:runTask.sync") {
		f.t.Errorf("resource %v", task["Resource"])
	}
	retry := at(task, "Retry", 0).(map[string]any)
	tries := 1
	for _, name := range list(retry["ErrorEquals"]) {
		if name == "States.TaskFailed" {
			tries += int(retry["MaxAttempts"].(float64))
		}
	}
	override := at(task, "Parameters", "Overrides", "ContainerOverrides", 0).(map[string]any)
	var command []string
	for _, c := range list(path(item, text(override["Command.$"]))) {
		command = append(command, text(c))
	}
	for attempt := 1; attempt <= tries; attempt++ {
		select {
		case <-child.stop:
			return false, "aborted"
		default:
		}
		f.mu.Lock()
		t := f.start(arnPrefix+"task-definition/Load:7", "/hoplab/load", "AWS Step Functions", command, attempt)
		f.mu.Unlock()
		select {
		case <-t.done:
		case <-child.stop:
			f.set(t.end)
			<-t.done
		}
		f.mu.Lock()
		code := t.exit
		f.mu.Unlock()
		if code != nil && *code == 0 {
			return true, ""
		}
		n := -1
		if code != nil {
			n = *code
		}
		text, _ := json.Marshal(map[string]any{"StopCode": "EssentialContainerExited",
			"StoppedReason": "Essential container in task exited", "Containers": []any{map[string]any{"ExitCode": n}}})
		cause = string(text)
		child.history = append(child.history, map[string]any{"id": attempt, "timestamp": 0, "type": "TaskFailed",
			"taskFailedEventDetails": map[string]any{"resource": "runTask.sync", "resourceType": "ecs",
				"error": "States.TaskFailed", "cause": cause}})
	}
	return false, cause
}

// path follows a reference path such as $.items.
func path(v any, p string) any {
	for _, k := range strings.Split(strings.TrimPrefix(p, "$."), ".") {
		v = at(v, k)
	}
	return v
}

func (f *fakeAWS) only(m map[string]any, known ...string) {
	for k := range m {
		found := false
		for _, n := range known {
			found = found || n == k
		}
		if !found {
			f.t.Errorf("the definition has %q, which this interpreter does not know", k)
		}
	}
}
