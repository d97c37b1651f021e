package awsrun

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/fail"
)

// says fails the test unless an error is one line with these texts and a next step.
func says(t *testing.T, err error, code fail.Code, wants ...string) {
	t.Helper()
	if err == nil || fail.CodeOf(err) != code || strings.Contains(err.Error(), "\n") {
		t.Fatalf("%v with exit code %d; want one line and exit code %d", err, fail.CodeOf(err), code)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error()+" → "+fail.HintOf(err), want) {
			t.Errorf("%q → %q lacks %q", err, fail.HintOf(err), want)
		}
	}
}

func TestWhyATaskStopped(t *testing.T) {
	const exited, started, told = types.TaskStopCodeEssentialContainerExited, types.TaskStopCodeTaskFailedToStart, types.TaskStopCodeUserInitiated
	const essential = "Essential container in task exited"
	for name, c := range map[string]struct {
		code              types.TaskStopCode
		reason, container string
		exit              *int32
		log               tail
		wants             []string // nil when nothing went wrong
	}{
		"well": {code: exited, reason: essential, exit: aws.Int32(0)},
		"out of memory": {code: exited, reason: essential, exit: aws.Int32(137),
			container: "OutOfMemoryError: Container killed due to memory usage",
			wants:     []string{"ran out of memory", "--generators"}},
		"image": {code: started, reason: "CannotPullContainerError: pull image manifest has been retried 5 time(s)",
			wants: []string{"image could not be pulled", "the subnets reach ECR"}},
		"capacity": {code: started, reason: "Capacity is unavailable at this time. Please try again later",
			wants: []string{"no capacity", "wait a while"}},
		"resources": {code: started, reason: "ResourceInitializationError: unable to pull secrets",
			wants: []string{"could not start", "unable to pull secrets"}},
		"exit code": {code: exited, reason: essential, exit: aws.Int32(2), log: tail{group: "/g", stream: "load/load/1"},
			wants: []string{"exit code 2", "see its log in /g, stream load/load/1"}},
		"it says why": {code: exited, reason: essential, exit: aws.Int32(5),
			log:   tail{failed: "s3://b/k: AccessDenied", hint: "the task role needs s3:PutObject"},
			wants: []string{"failed: s3://b/k: AccessDenied", "the task role needs"}},
		"stopped": {code: told, reason: "Task stopped by user", exit: aws.Int32(143), log: tail{failed: "interrupted"},
			wants: []string{"was stopped (UserInitiated: Task stopped by user)", "CloudTrail"}},
		"no reason": {code: exited, log: tail{group: "/g", stream: "load/load/1"},
			wants: []string{"the load task stopped (EssentialContainerExited:", "its log in /g"}},
	} {
		t.Run(name, func(t *testing.T) {
			task := &types.Task{StopCode: c.code, StoppedReason: aws.String(c.reason), Containers: []types.Container{{ExitCode: c.exit}}}
			if c.container != "" {
				task.Containers[0].Reason = aws.String(c.container)
			}
			err := stopped(task, &c.log)
			if c.wants == nil {
				if err != nil {
					t.Errorf("a task that ended well: %v", err)
				}
				return
			}
			says(t, err, fail.Environment, c.wants...)
		})
	}
}

func TestErrorsOfAWSAreExplained(t *testing.T) {
	c := &Clients{Region: "eu-central-1"}
	api := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "AWS's words"} }
	for name, x := range map[string]struct {
		err   error
		wants []string
	}{
		"expired":       {api("ExpiredToken"), []string{"credentials have expired (ExpiredToken)", "aws sso login"}},
		"wrong keys":    {api("InvalidClientTokenId"), []string{"does not accept the credentials", "AWS_PROFILE"}},
		"denied":        {api("AccessDeniedException"), []string{"AWS denies it", "docs/aws-policy.json"}},
		"throttled":     {api("ThrottlingException"), []string{"throttles the calls", "wait a minute"}},
		"anything else": {api("ClusterNotFoundException"), []string{"ClusterNotFoundException: AWS's words"}},
		"no answer": {fmt.Errorf("operation error: %w", &url.Error{Op: "Post", Err: syscall.ECONNREFUSED,
			URL: "https://ecs.eu-central-1.amazonaws.com/"}),
			[]string{"no answer from ecs.eu-central-1.amazonaws.com: connection refused", "AWS_REGION (eu-central-1)"}},
		"too late": {fmt.Errorf("operation error: %w", context.DeadlineExceeded), []string{"no answer within 30s"}},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, c.explain("asking", x.err), fail.Environment, append(x.wants, "asking: ")...)
		})
	}
	if err := c.explain("asking", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("an interruption became %v", err)
	}
}

func TestAPollIsRepeatedOnlyWhenTheNextCanAnswer(t *testing.T) {
	for code, want := range map[string]bool{"ThrottlingException": true, "AccessDenied": false, "ExpiredToken": false} {
		if got := passing(&smithy.GenericAPIError{Code: code}); got != want {
			t.Errorf("%s: %v; want %v", code, got, want)
		}
	}
	if !passing(&url.Error{Op: "Post", URL: "http://x/", Err: syscall.ECONNRESET}) {
		t.Error("a connection that breaks ends the run")
	}
}

// A replicate begins with a period, never in one in which another's requests can be
// counted, and not later than it must.
func TestWhenAReplicateBegins(t *testing.T) {
	p := Pace{Period: time.Minute}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ now, free, want time.Duration }{
		"the first":            {30 * time.Second, -time.Hour, time.Minute},
		"another's are over":   {150 * time.Second, 2 * time.Minute, 3 * time.Minute},
		"another's are not":    {30 * time.Second, 3 * time.Minute, 3 * time.Minute},
		"they end just now":    {2 * time.Minute, 2 * time.Minute, 3 * time.Minute},
		"they end with this":   {90 * time.Second, 2 * time.Minute, 2 * time.Minute},
		"at a period's end":    {59999 * time.Millisecond, time.Minute, time.Minute},
		"at a period's begin":  {0, -time.Minute, time.Minute},
		"just in one's period": {time.Millisecond, time.Minute, time.Minute},
	} {
		if got := p.begin(noon.Add(c.now), noon.Add(c.free)).Sub(noon); got != c.want {
			t.Errorf("%s: at %s; want %s", name, got, c.want)
		}
	}
}
