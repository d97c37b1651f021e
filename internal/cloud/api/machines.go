package api

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/states"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// typeMachine is a state machine of Step Functions.
const typeMachine = "AWS::StepFunctions::StateMachine"

// machineText is a state machine's definition, by its ARN.
func (a *API) machineText(arn string) (string, bool) {
	r, ok := a.resources().find(typeMachine, arn)
	if !ok {
		return "", false
	}
	return account.Text(r.Properties, "DefinitionString"), true
}

// runState runs the task of a state ecs:runTask.sync to its end; its parameters
// are RunTask's, with the members' names of templates.
func (a *API) runState(ctx context.Context, parameters map[string]any) states.Result {
	in := &ecs.RunTaskInput{}
	if err := wire.Into(in, parameters); err != nil {
		return states.Result{Error: "States.Runtime", Cause: err.Error()}
	}
	in.StartedBy = aws.String("AWS Step Functions")
	out, err := a.runTask(ctx, in)
	if err != nil {
		name := "ECS.AmazonECSException"
		if e := smithy.APIError(nil); errors.As(err, &e) {
			name = "ECS." + e.ErrorCode()
		}
		return states.Result{Error: name, Cause: err.Error()}
	}
	t := a.tasks.find(*out.Tasks[0].TaskArn)
	select {
	case <-t.done:
	case <-ctx.Done():
		t.stop("Task stopped by AWS Step Functions")
		<-t.done
	}
	ended := t.describe(a.resources())
	cause, _ := json.Marshal(ended) // strings, numbers and times
	ok := ended.StopCode == types.TaskStopCodeEssentialContainerExited
	for _, c := range ended.Containers {
		ok = ok && c.ExitCode != nil && *c.ExitCode == 0
	}
	return states.Result{OK: ok, Error: "States.TaskFailed", Cause: string(cause)}
}
