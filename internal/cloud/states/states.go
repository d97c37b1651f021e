// Package states interprets the one kind of state machine that hoplab's stacks
// have: one that starts a load task for each item of its input, some at a time,
// starts those that fail again, and writes to a bucket what became of each.
package states

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// Result is how a task of ECS ended.
type Result struct {
	// OK is whether it did what it was to do.
	OK bool
	// Error is the name of what went wrong, such as States.TaskFailed, and Cause
	// what is known of it; for a task that ended it is the task, as JSON.
	Error, Cause string
}

// Engine runs state machines. Its fields are set before it is used.
type Engine struct {
	// Definition returns a state machine's text by its ARN.
	Definition func(arn string) (text string, ok bool)
	// Run runs a task of ECS with the parameters of its state to its end; when ctx
	// ends it stops the task first.
	Run func(ctx context.Context, parameters map[string]any) Result
	// Put writes an object.
	Put func(bucket, key string, data []byte) error
	// Scale is how many times faster than real it waits before it tries again; 0 is 1.
	Scale float64

	once   sync.Once
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	executions []*execution // the oldest first
}

// maxExecutions bounds those that are remembered, items' among them, maxRunning
// those that were started and run, maxItems the items of one, and maxHistory,
// Step Functions' own limit, what happens in one.
const (
	maxExecutions = 500
	maxRunning    = 50
	maxItems      = 10_000
	maxHistory    = 25_000
)

// execution is one of a state machine, or of one item of its map.
type execution struct {
	arn, machine, name, input string
	mapRun                    string // ARN
	begun                     time.Time
	cancel                    context.CancelFunc

	// Below: guarded by Engine.mu.
	status     types.ExecutionStatus
	ended      time.Time
	output     string
	err, cause string
	history    []types.HistoryEvent
	items      types.MapRunItemCounts
	slots      int
	parent     *execution // of an item's
}

func (e *Engine) begin() {
	e.once.Do(func() { e.ctx, e.cancel = context.WithCancel(context.Background()) })
}

// Close aborts what runs and waits for its tasks' end.
func (e *Engine) Close() {
	e.begin()
	e.cancel()
	e.wg.Wait()
}

func (e *Engine) find(arn string) *execution {
	for _, x := range e.executions {
		if x.arn == arn {
			return x
		}
	}
	return nil
}

// remember adds an execution, and forgets the oldest that has ended when there
// are too many. Engine.mu is held.
func (e *Engine) remember(x *execution) {
	if len(e.executions) >= maxExecutions {
		if i := slices.IndexFunc(e.executions, func(o *execution) bool { return o.status != types.ExecutionStatusRunning }); i >= 0 {
			e.executions = slices.Delete(e.executions, i, i+1)
		}
	}
	e.executions = append(e.executions, x)
}

// running counts the executions that were started and run. Engine.mu is held.
func (e *Engine) running() (n int) {
	for _, x := range e.executions {
		if x.parent == nil && x.status == types.ExecutionStatusRunning {
			n++
		}
	}
	return n
}

func (x *execution) event(kind types.HistoryEventType, with func(*types.HistoryEvent)) {
	ev := types.HistoryEvent{Id: int64(len(x.history) + 1), PreviousEventId: int64(len(x.history)), Timestamp: aws.Time(time.Now()),
		Type: kind}
	if with != nil {
		with(&ev)
	}
	x.history = append(x.history, ev)
}

// end notes how an execution ended.
func (e *Engine) end(x *execution, status types.ExecutionStatus, output, err, cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x.status, x.output, x.err, x.cause, x.ended = status, output, err, cause, time.Now()
	kind := map[types.ExecutionStatus]types.HistoryEventType{types.ExecutionStatusSucceeded: types.HistoryEventTypeExecutionSucceeded,
		types.ExecutionStatusFailed:  types.HistoryEventTypeExecutionFailed,
		types.ExecutionStatusAborted: types.HistoryEventTypeExecutionAborted}[status]
	x.event(kind, func(ev *types.HistoryEvent) {
		if status == types.ExecutionStatusFailed {
			ev.ExecutionFailedEventDetails = &types.ExecutionFailedEventDetails{Error: aws.String(err), Cause: aws.String(cause)}
		}
	})
}

// child is an item's execution with what its results say of it.
type child struct {
	*execution
	ok bool
}

// run carries an execution out.
func (e *Engine) run(ctx context.Context, x *execution, m *machine, items []any) {
	children := make([]child, len(items))
	var wg sync.WaitGroup
	slots := make(chan struct{}, m.slots)
	for i, item := range items {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			children[i] = e.item(ctx, x, m, i, item)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		e.end(x, types.ExecutionStatusAborted, "", "", "")
		return
	}
	failed := 0
	for _, c := range children {
		if !c.ok {
			failed++
		}
	}
	key, err := e.write(x, m, children)
	switch {
	case err != nil:
		e.end(x, types.ExecutionStatusFailed, "", "States.ResultWriterFailed", err.Error())
	case 100*float64(failed) > m.tolerated*float64(len(items)):
		e.end(x, types.ExecutionStatusFailed, "", "States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded")
	default:
		out, _ := json.Marshal(map[string]any{"MapRunArn": x.mapRun, // strings
			"ResultWriterDetails": map[string]any{"Bucket": m.bucket, "Key": key}})
		e.end(x, types.ExecutionStatusSucceeded, string(out), "", "")
	}
}

// item runs one item's task to its end, and again as its retriers say.
func (e *Engine) item(ctx context.Context, x *execution, m *machine, i int, item any) child {
	text, _ := json.Marshal(item) // it was JSON
	c := child{execution: &execution{name: fmt.Sprintf("00000000-item-%04d", i), machine: x.machine, input: string(text), begun: time.Now(),
		status: types.ExecutionStatusRunning, parent: x, cancel: func() {}}}
	c.arn = strings.TrimSuffix(x.arn, ":"+x.name) + "/" + m.mapName + ":" + x.name + "-" + c.name
	e.mu.Lock()
	e.remember(c.execution)
	x.items.Pending--
	x.items.Running++
	e.mu.Unlock()
	r := e.attempts(ctx, c.execution, m, item)
	c.ok = r.OK
	switch {
	case r.OK:
		e.end(c.execution, types.ExecutionStatusSucceeded, "{}", "", "")
	case ctx.Err() != nil:
		e.end(c.execution, types.ExecutionStatusAborted, "", "", "")
	default:
		e.end(c.execution, types.ExecutionStatusFailed, "", r.Error, r.Cause)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x.items.Running--
	switch {
	case r.OK:
		x.items.Succeeded++
	case ctx.Err() != nil:
		x.items.Aborted++
	default:
		x.items.Failed++
	}
	return c
}

// attempts runs a task until it is well, nobody tries it again, or ctx ends.
func (e *Engine) attempts(ctx context.Context, c *execution, m *machine, item any) Result {
	filled, err := fillIn(m.parameters, item)
	if err != nil {
		return Result{Error: "States.ParameterPathFailure", Cause: err.Error()}
	}
	parameters, _ := filled.(map[string]any)
	tried := make([]int, len(m.retry))
	for {
		r := e.try(ctx, m, parameters)
		if r.OK || ctx.Err() != nil {
			return r
		}
		e.mu.Lock()
		c.event(types.HistoryEventTypeTaskFailed, func(ev *types.HistoryEvent) {
			ev.TaskFailedEventDetails = &types.TaskFailedEventDetails{Resource: aws.String("runTask.sync"), ResourceType: aws.String("ecs"),
				Error: aws.String(r.Error), Cause: aws.String(r.Cause)}
		})
		e.mu.Unlock()
		if len(c.history) >= maxHistory {
			return Result{Error: "States.Runtime", Cause: fmt.Sprintf("the execution reached the maximum number of history events, %d", maxHistory)}
		}
		i := slices.IndexFunc(m.retry, func(t retrier) bool { return t.catches(r.Error) })
		if i < 0 || tried[i] >= m.retry[i].attempts() {
			return r
		}
		pause := time.Duration(float64(m.retry[i].pause(tried[i])) / max(1, e.Scale))
		tried[i]++
		select {
		case <-ctx.Done():
			return r
		case <-time.After(pause):
		}
	}
}

// try runs a task once, within its time.
func (e *Engine) try(ctx context.Context, m *machine, parameters map[string]any) Result {
	limited := ctx
	if m.timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, time.Duration(m.timeout*float64(time.Second)))
		defer cancel()
	}
	r := e.Run(limited, parameters)
	if !r.OK && limited.Err() != nil && ctx.Err() == nil {
		r.Error = "States.Timeout"
	}
	return r
}

// catches reports whether a retrier is for an error of that name.
func (r *retrier) catches(name string) bool {
	return slices.ContainsFunc(r.ErrorEquals, func(e string) bool {
		return e == name || e == "States.ALL" || e == "States.TaskFailed" && name != "States.Timeout"
	})
}

// longestPause is the language's bound of a retrier's delay, in seconds. Without
// one a pause becomes longer than a duration can be, which is none at all.
const longestPause = 31_622_400

// pause is how long to wait before a try, the first of which is 0.
func (r *retrier) pause(try int) time.Duration {
	seconds := r.IntervalSeconds
	if seconds == 0 {
		seconds = 1
	}
	for range try {
		seconds = min(seconds*max(1, r.BackoffRate), longestPause)
	}
	if r.JitterStrategy == "FULL" {
		seconds *= rand.Float64()
	}
	return time.Duration(seconds * float64(time.Second))
}

// write writes what became of each item, and returns the key of the manifest.
func (e *Engine) write(x *execution, m *machine, children []child) (key string, err error) {
	where := strings.TrimSuffix(m.prefix, "/") + "/" + x.mapRun[strings.LastIndexByte(x.mapRun, ':')+1:]
	files := map[string][]any{"FAILED": {}, "PENDING": {}, "SUCCEEDED": {}}
	results := map[string][]any{}
	for _, c := range children {
		status := "FAILED"
		entry := map[string]any{"ExecutionArn": c.arn, "Name": c.name, "Input": c.input, "InputDetails": map[string]any{"Included": true},
			"StartDate": c.begun.UTC(), "StopDate": c.ended.UTC(), "Status": c.status, "StateMachineArn": c.machine}
		if c.ok {
			status = "SUCCEEDED"
			entry["Output"] = c.output
		} else {
			entry["Error"], entry["Cause"] = c.err, c.cause
		}
		results[status] = append(results[status], entry)
	}
	for status, list := range results {
		data, err := json.Marshal(list)
		if err != nil {
			return "", err
		}
		name := where + "/" + status + "_0.json"
		if err := e.Put(m.bucket, name, data); err != nil {
			return "", err
		}
		files[status] = append(files[status], map[string]any{"Key": name, "Size": len(data)})
	}
	manifest, err := json.Marshal(map[string]any{"DestinationBucket": m.bucket, "MapRunArn": x.mapRun, "ResultFiles": files})
	if err != nil {
		return "", err
	}
	key = where + "/manifest.json"
	return key, e.Put(m.bucket, key, manifest)
}
