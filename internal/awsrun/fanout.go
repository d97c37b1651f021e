package awsrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// maxInput bounds the input of one execution; Step Functions takes 256 KiB.
const maxInput = 240 << 10

// item is one generator's command, as the state machine takes it.
type item struct {
	Command []string `json:"command"`
}

// fanOut starts the state machine over one item per generator and follows it.
// The engine starts failed items again; those and the ones that failed for
// good are named.
func (r *runner) fanOut(ctx context.Context, loads []samplefile.Load) (outcome, error) {
	inputs, err := batches(loads)
	if err != nil {
		return outcome{}, err
	}
	var running []string
	for i, in := range inputs {
		name := r.executionName(i)
		out, err := r.steps.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(r.load.machine),
			Input: aws.String(in), Name: aws.String(name)})
		if err != nil {
			if !answered(err) { // it may run all the same, and is known by its name
				running = append(running, executionARN(r.load.machine, name))
			}
			return outcome{}, r.stopExecutions(ctx, running, r.explain("starting the load generators", err))
		}
		running = append(running, aws.ToString(out.ExecutionArn))
	}
	var all outcome
	var failed []string
	for _, arn := range running {
		done, err := r.followExecution(ctx, arn, loads[0])
		if err != nil {
			return all, r.stopExecutions(ctx, running, err)
		}
		if err := r.items(ctx, done, &all, &failed); err != nil {
			return all, err
		}
	}
	if len(failed) > 0 {
		return all, fail.Newf(fail.Environment, "see their logs in "+r.load.logGroup, "%d of %d load generators failed for good: %s", len(failed), len(loads), strings.Join(failed, "; "))
	}
	return all, nil
}

// executionName is unique for 90 days, as Step Functions wants it: run,
// replicate and the time.
func (r *runner) executionName(batch int) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, r.dir.Name())
	return fmt.Sprintf("%s-%d-%d-%d", name[:min(len(name), 40)], r.at, batch, time.Now().UnixNano())
}

// executionARN names an execution of a state machine before AWS does:
// arn:aws:states:region:account:execution:machine:name.
func executionARN(machine, name string) string {
	return strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":" + name
}

// batches packs the items into inputs that Step Functions takes.
func batches(loads []samplefile.Load) ([]string, error) {
	var out []string
	var items []json.RawMessage
	size := 0
	flush := func() error {
		text, err := json.Marshal(map[string][]json.RawMessage{"items": items})
		out, items, size = append(out, string(text)), nil, 0
		return err
	}
	for _, l := range loads {
		text, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		if len(text) > maxOverrides-200 {
			return nil, fail.Newf(fail.Usage, "use longer windows or fewer arms", "the load is %d characters; ECS takes %d in a task's overrides", len(text), maxOverrides)
		}
		one, err := json.Marshal(item{[]string{string(text)}})
		if err != nil {
			return nil, err
		}
		if size+len(one) > maxInput {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		items = append(items, one)
		size += len(one) + 1
	}
	return out, flush()
}

// followExecution polls an execution to its end.
func (r *runner) followExecution(ctx context.Context, arn string, l samplefile.Load) (*sfn.DescribeExecutionOutput, error) {
	began, last := time.Now(), ""
	limit := r.o.Pace.Start + 3*(l.Total()+r.o.Pace.Over) // the engine tries three times
	for misses := 0; ; {
		out, err := r.steps.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && passing(err) && misses < 5:
			misses++
		case err != nil:
			return nil, r.explain("following the load generators", err)
		case out.Status == types.ExecutionStatusSucceeded:
			return out, nil
		case out.Status != types.ExecutionStatusRunning:
			return nil, fail.Newf(fail.Environment, "look at the execution in the Step Functions console: "+arn, "the load generators' state machine is %s: %s %s",
				out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
		case time.Since(began) > limit:
			return nil, fail.Newf(fail.Environment, "look at the execution in the Step Functions console: "+arn, "the load generators are not done after %s", limit)
		default:
			misses = 0
			if now := r.mapProgress(ctx, arn); now != "" && now != last {
				last = now
				r.say("%s", now)
			}
		}
		if err := sleep(ctx, r.o.Pace.Poll); err != nil {
			return nil, err
		}
	}
}

// mapProgress counts the items by what they are at; "" when that is not known.
func (r *runner) mapProgress(ctx context.Context, execution string) string {
	runs, err := r.steps.ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: aws.String(execution)})
	if err != nil || len(runs.MapRuns) == 0 {
		return ""
	}
	m, err := r.steps.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: runs.MapRuns[0].MapRunArn})
	if err != nil || m.ItemCounts == nil {
		return ""
	}
	c := m.ItemCounts
	return fmt.Sprintf("load generators: %d running, %d done, %d failed of %d", c.Running, c.Succeeded, c.Failed, c.Total)
}

// result is one item's line in the files that the map writes.
type result struct {
	ExecutionArn string
	Input        string
	Status       string
	Error, Cause string
}

func (i *result) generator() string {
	var in item
	if json.Unmarshal([]byte(i.Input), &in) == nil && len(in.Command) == 1 {
		if l, err := samplefile.ParseLoad([]byte(in.Command[0])); err == nil {
			return fmt.Sprintf("generator %d", l.Generator)
		}
	}
	return "an item"
}

// items reads the map's results: who failed for good, and who only at first.
func (r *runner) items(ctx context.Context, done *sfn.DescribeExecutionOutput, all *outcome, failed *[]string) error {
	var out struct {
		ResultWriterDetails struct{ Bucket, Key string }
	}
	if err := json.Unmarshal([]byte(aws.ToString(done.Output)), &out); err != nil || out.ResultWriterDetails.Key == "" {
		return fail.Newf(fail.Environment, "deploy the Load stack of this checkout", "the state machine did not say where its results are: %s", aws.ToString(done.Output))
	}
	var manifest struct {
		ResultFiles map[string][]struct{ Key string }
	}
	if err := r.object(ctx, out.ResultWriterDetails.Key, &manifest); err != nil {
		return err
	}
	for _, status := range []string{"FAILED", "PENDING", "SUCCEEDED"} {
		for _, f := range manifest.ResultFiles[status] {
			var results []result
			if err := r.object(ctx, f.Key, &results); err != nil {
				return err
			}
			for _, i := range results {
				if status != "SUCCEEDED" {
					*failed = append(*failed, i.generator()+": "+brief(or(i.Cause, or(i.Error, status))))
					continue
				}
				again, err := r.failures(ctx, i.ExecutionArn)
				if err != nil {
					return err
				}
				if again != "" {
					all.again++
					all.notes = append(all.notes, fmt.Sprintf("%s was started again by Step Functions: %s.", i.generator(), again))
				}
			}
		}
	}
	slices.Sort(all.notes)
	return nil
}

// failures says why an item that succeeded in the end had failed before, or "".
func (r *runner) failures(ctx context.Context, execution string) (string, error) {
	why := ""
	pages := sfn.NewGetExecutionHistoryPaginator(r.steps, &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(execution),
		IncludeExecutionData: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", r.explain("reading the history of a load generator", err)
		}
		for _, e := range page.Events {
			switch {
			case e.TaskFailedEventDetails != nil:
				why = or(aws.ToString(e.TaskFailedEventDetails.Cause), aws.ToString(e.TaskFailedEventDetails.Error))
			case e.TaskTimedOutEventDetails != nil:
				why = or(aws.ToString(e.TaskTimedOutEventDetails.Cause), aws.ToString(e.TaskTimedOutEventDetails.Error))
			case e.TaskSubmitFailedEventDetails != nil:
				why = or(aws.ToString(e.TaskSubmitFailedEventDetails.Cause), aws.ToString(e.TaskSubmitFailedEventDetails.Error))
			}
		}
	}
	return brief(why), nil
}

// brief is the stopped reason of an ECS task that is given as JSON, or the
// beginning of the text.
func brief(cause string) string {
	var t struct {
		StoppedReason string
		StopCode      string
		Containers    []struct {
			ExitCode *int
			Reason   string
		}
	}
	if json.Unmarshal([]byte(cause), &t) == nil && t.StoppedReason != "" {
		for _, c := range t.Containers {
			if c.Reason != "" {
				return c.Reason
			}
			if c.ExitCode != nil && *c.ExitCode != 0 {
				return fmt.Sprintf("exit code %d", *c.ExitCode)
			}
		}
		return t.StoppedReason
	}
	if len(cause) > 200 {
		return cause[:200] + "…"
	}
	return cause
}

// object reads a JSON object of the results bucket.
func (r *runner) object(ctx context.Context, key string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	out, err := r.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(r.load.bucket), Key: aws.String(key)})
	if err != nil {
		return r.explain("fetching s3://"+r.load.bucket+"/"+key, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return fail.Newf(fail.Environment, "try again", "fetching s3://%s/%s: %w", r.load.bucket, key, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fail.Newf(fail.Environment, "look at it", "s3://%s/%s: %w", r.load.bucket, key, err)
	}
	return nil
}

// stopExecutions ends executions and the tasks that they leave, and returns
// cause, with the command that stops what cannot be stopped here. An engine
// that is told to stop ends its tasks itself as best it can; what it leaves is
// looked for.
func (r *runner) stopExecutions(ctx context.Context, arns []string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	for _, arn := range arns {
		_, err := r.steps.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: aws.String(arn), Cause: aws.String("hoplab run ended")})
		if err != nil && codeOf(err) != "ExecutionDoesNotExist" {
			cause = r.leave(cause, fmt.Sprintf("aws stepfunctions stop-execution --region %s --execution-arn %s", r.Region, arn), err)
		}
	}
	if err := r.stopLeft(ctx); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}
