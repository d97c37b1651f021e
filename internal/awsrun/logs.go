package awsrun

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// tail is a load task's log, read as it grows.
type tail struct {
	group, stream string
	next          *string

	progress     string // the newest state in words
	failed, hint string // what the load program said of its failure
	holding      bool   // its work is done, and it waits to be stopped
}

// where names the log for somebody who looks for it.
func (t *tail) where() string {
	if t.group == "" {
		return "the ECS console: it has no log group"
	}
	return t.group + ", stream " + t.stream
}

// read takes in what is new. The stream appears with its first line, and a
// log that cannot be read only costs progress: its error is not the run's.
func (r *runner) read(ctx context.Context, t *tail) error {
	for t.group != "" {
		out, err := r.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(t.group), LogStreamName: aws.String(t.stream), StartFromHead: aws.Bool(true), NextToken: t.next,
		})
		if err != nil {
			return err
		}
		for _, e := range out.Events {
			t.line(aws.ToString(e.Message))
		}
		// The end is reached when the token stays the same.
		if out.NextForwardToken == nil || aws.ToString(out.NextForwardToken) == aws.ToString(t.next) {
			return nil
		}
		t.next = out.NextForwardToken
	}
	return nil
}

// line reads one line of the load program, JSON by its own contract.
func (t *tail) line(text string) {
	var l struct {
		Msg     string  `json:"msg"`
		Level   string  `json:"level"`
		Error   string  `json:"error"`
		Hint    string  `json:"hint"`
		Elapsed float64 `json:"elapsed_s"`
		Planned float64 `json:"planned_s"`
		Records int64   `json:"records"`
	}
	if json.Unmarshal([]byte(text), &l) != nil {
		return
	}
	switch l.Msg {
	case "started":
		t.progress = "sends the load"
	case "running":
		t.progress = fmt.Sprintf("sends the load, %.0f of %.0f s", l.Elapsed, l.Planned)
	case "finished":
		t.progress = fmt.Sprintf("finished, %d requests", l.Records)
	case "failed":
		t.failed, t.hint = l.Error, l.Hint
	case "holding":
		t.holding = true
	}
}
