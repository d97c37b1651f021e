package states

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// Register registers the operations of Step Functions.
func (e *Engine) Register(s *wire.Server) {
	wire.Handle(s, "states", "StartExecution", e.startExecution)
	wire.Handle(s, "states", "DescribeExecution", e.describeExecution)
	wire.Handle(s, "states", "StopExecution", e.stopExecution)
	wire.Handle(s, "states", "ListMapRuns", e.listMapRuns)
	wire.Handle(s, "states", "DescribeMapRun", e.describeMapRun)
	wire.Handle(s, "states", "GetExecutionHistory", e.getExecutionHistory)
}

// maxInput is Step Functions' limit of an execution's input, in bytes.
const maxInput = 256 << 10

func (e *Engine) startExecution(_ context.Context, in *sfn.StartExecutionInput) (*sfn.StartExecutionOutput, error) {
	e.begin()
	arn, name, input := aws.ToString(in.StateMachineArn), aws.ToString(in.Name), aws.ToString(in.Input)
	text, ok := e.Definition(arn)
	if !ok {
		return nil, &types.StateMachineDoesNotExist{Message: aws.String("State Machine Does Not Exist: '" + arn + "'")}
	}
	m, err := parse(text)
	if err != nil {
		return nil, &types.InvalidDefinition{Message: aws.String(fmt.Sprintf("%s: %v", arn, err))}
	}
	if name == "" {
		name = fmt.Sprintf("00000000-%d", time.Now().UnixNano())
	}
	if len(input) > maxInput {
		return nil, &types.InvalidExecutionInput{Message: aws.String(fmt.Sprintf("the input has %d bytes; Step Functions takes %d", len(input), maxInput))}
	}
	items, err := itemsOf(m, input)
	if err != nil {
		return nil, &types.InvalidExecutionInput{Message: aws.String(err.Error())}
	}
	x := &execution{arn: strings.Replace(arn, ":stateMachine:", ":execution:", 1) + ":" + name, machine: arn, name: name, input: input,
		mapRun: strings.Replace(arn, ":stateMachine:", ":mapRun:", 1) + "/" + m.mapName + ":" + name,
		begun:  time.Now(), status: types.ExecutionStatusRunning, slots: m.slots,
		items: types.MapRunItemCounts{Total: int64(len(items)), Pending: int64(len(items))}}
	e.mu.Lock()
	defer e.mu.Unlock()
	if first := e.find(x.arn); first != nil {
		if first.input == input && first.status == types.ExecutionStatusRunning { // the answer was lost, and it is asked again
			return &sfn.StartExecutionOutput{ExecutionArn: aws.String(first.arn), StartDate: aws.Time(first.begun)}, nil
		}
		return nil, &types.ExecutionAlreadyExists{Message: aws.String("Execution Already Exists: '" + x.arn + "'")}
	}
	if e.running() >= maxRunning {
		return nil, &types.ExecutionLimitExceeded{Message: aws.String(fmt.Sprintf("hoplab cloud runs %d executions at a time, no more", maxRunning))}
	}
	if e.ctx.Err() != nil {
		return nil, e.ctx.Err()
	}
	ctx, cancel := context.WithCancel(e.ctx)
	x.cancel = cancel
	x.event(types.HistoryEventTypeExecutionStarted, nil)
	x.event(types.HistoryEventTypeMapRunStarted, func(ev *types.HistoryEvent) {
		ev.MapRunStartedEventDetails = &types.MapRunStartedEventDetails{MapRunArn: aws.String(x.mapRun)}
	})
	e.remember(x)
	e.wg.Go(func() {
		defer cancel()
		e.run(ctx, x, m, items)
	})
	return &sfn.StartExecutionOutput{ExecutionArn: aws.String(x.arn), StartDate: aws.Time(x.begun)}, nil
}

func itemsOf(m *machine, input string) ([]any, error) {
	var v any
	if err := json.Unmarshal([]byte(input), &v); err != nil {
		return nil, fmt.Errorf("the input is no JSON: %w", err)
	}
	v, err := lookup(v, m.itemsPath)
	if err != nil {
		return nil, err
	}
	items, ok := v.([]any)
	if !ok || len(items) > maxItems {
		return nil, fmt.Errorf("%s of the input is no list of at most %d items", m.itemsPath, maxItems)
	}
	return items, nil
}

func (e *Engine) known(arn *string) (*execution, error) {
	if x := e.find(aws.ToString(arn)); x != nil {
		return x, nil
	}
	return nil, &types.ExecutionDoesNotExist{Message: aws.String("Execution Does Not Exist: '" + aws.ToString(arn) + "'")}
}

func (e *Engine) describeExecution(_ context.Context, in *sfn.DescribeExecutionInput) (*sfn.DescribeExecutionOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, err := e.known(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	out := &sfn.DescribeExecutionOutput{ExecutionArn: aws.String(x.arn), StateMachineArn: aws.String(x.machine), Name: aws.String(x.name),
		Status: x.status, StartDate: aws.Time(x.begun), Input: aws.String(x.input),
		InputDetails: &types.CloudWatchEventsExecutionDataDetails{Included: true}}
	if x.parent != nil {
		out.MapRunArn = aws.String(x.parent.mapRun)
	}
	if !x.ended.IsZero() {
		out.StopDate = aws.Time(x.ended)
	}
	if x.output != "" {
		out.Output = aws.String(x.output)
	}
	if x.err != "" {
		out.Error, out.Cause = aws.String(x.err), aws.String(x.cause)
	}
	return out, nil
}

func (e *Engine) stopExecution(_ context.Context, in *sfn.StopExecutionInput) (*sfn.StopExecutionOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, err := e.known(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	x.cancel()
	return &sfn.StopExecutionOutput{StopDate: aws.Time(time.Now())}, nil
}

func (e *Engine) listMapRuns(_ context.Context, in *sfn.ListMapRunsInput) (*sfn.ListMapRunsOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, err := e.known(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	return &sfn.ListMapRunsOutput{MapRuns: []types.MapRunListItem{{ExecutionArn: aws.String(x.arn), MapRunArn: aws.String(x.mapRun),
		StateMachineArn: aws.String(x.machine), StartDate: aws.Time(x.begun)}}}, nil
}

func (e *Engine) describeMapRun(_ context.Context, in *sfn.DescribeMapRunInput) (*sfn.DescribeMapRunOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.executions, func(x *execution) bool { return x.mapRun != "" && x.mapRun == aws.ToString(in.MapRunArn) })
	if i < 0 {
		return nil, &types.ResourceNotFound{Message: aws.String("Map Run Does Not Exist: '" + aws.ToString(in.MapRunArn) + "'")}
	}
	x := e.executions[i]
	counts := x.items
	runs := types.MapRunExecutionCounts{Aborted: counts.Aborted, Failed: counts.Failed, Pending: counts.Pending, Running: counts.Running,
		Succeeded: counts.Succeeded, Total: counts.Total}
	return &sfn.DescribeMapRunOutput{ExecutionArn: aws.String(x.arn), MapRunArn: aws.String(x.mapRun), ItemCounts: &counts,
		ExecutionCounts: &runs,
		MaxConcurrency:  int32(x.slots), StartDate: aws.Time(x.begun), Status: types.MapRunStatus(x.status)}, nil
}

func (e *Engine) getExecutionHistory(_ context.Context, in *sfn.GetExecutionHistoryInput) (*sfn.GetExecutionHistoryOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, err := e.known(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	events := slices.Clone(x.history)
	if in.ReverseOrder {
		slices.Reverse(events)
	}
	return &sfn.GetExecutionHistoryOutput{Events: events}, nil
}
