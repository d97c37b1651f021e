package awsrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// platform is the Fargate platform version of load tasks, as in the stacks.
const platform = "1.4.0"

// maxOverrides is ECS's limit for the overrides of one RunTask, characters.
const maxOverrides = 8192

// startedBy marks a run's tasks; ECS allows 128 characters.
func (r *runner) startedBy() string {
	name := "hoplab/" + r.dir.Name()
	return name[:min(len(name), 128)]
}

// sendFromTask runs one standalone task to its end.
func (r *runner) sendFromTask(ctx context.Context, l samplefile.Load) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if len(text) > maxOverrides-200 {
		return fail.Newf(fail.Usage, "use longer windows, fewer arms or a shorter --body", "the load is %d characters; ECS takes %d in a task's overrides", len(text), maxOverrides)
	}
	out, err := r.ecs.RunTask(ctx, r.task(string(text)))
	if err != nil {
		cause := r.explain("starting the load task", err)
		if answered(err) {
			return cause
		}
		return r.sweep(ctx, cause) // it may have started all the same
	}
	if len(out.Tasks) == 0 {
		why := "AWS gave no reason"
		if len(out.Failures) > 0 {
			why = strings.TrimSpace(aws.ToString(out.Failures[0].Reason) + " " + aws.ToString(out.Failures[0].Detail))
		}
		return fail.Newf(fail.Environment, "wait a while, or deploy to other subnets", "the load task was not started: %s", why)
	}
	arn := aws.ToString(out.Tasks[0].TaskArn)
	task, log, err := r.follow(ctx, arn, r.load.logGroup, l, func(t *types.Task, _ *tail) bool {
		return aws.ToString(t.LastStatus) == "STOPPED"
	})
	if err != nil {
		return r.stop(ctx, arn, err)
	}
	return stopped(task, log)
}

// task is a load task with its load.
func (r *runner) task(load string) *ecs.RunTaskInput {
	address := types.AssignPublicIpDisabled
	if r.load.public {
		address = types.AssignPublicIpEnabled
	}
	return &ecs.RunTaskInput{
		Cluster: aws.String(r.load.cluster), TaskDefinition: aws.String(r.load.task), Count: aws.Int32(1),
		LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String(platform), StartedBy: aws.String(r.startedBy()),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: r.load.subnets, SecurityGroups: r.load.groups, AssignPublicIp: address,
		}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String(r.load.container), Command: []string{load}}}},
	}
}

// follow polls a task until done says so, and fails when it takes too long.
func (r *runner) follow(ctx context.Context, arn, group string, l samplefile.Load,
	done func(*types.Task, *tail) bool) (*types.Task, *tail, error) {
	log := &tail{group: group, stream: "load/" + r.load.container + "/" + arn[strings.LastIndexByte(arn, '/')+1:]}
	began := time.Now()
	var running time.Time
	last := ""
	for misses := 0; ; {
		out, err := r.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(r.load.cluster), Tasks: []string{arn}})
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, log, ctx.Err()
		case err != nil && passing(err) && misses < 5:
			misses++
		case err != nil:
			return nil, log, r.explain("following the load task", err)
		case len(out.Tasks) == 0:
			return nil, log, fail.Newf(fail.Environment, "try again", "ECS does not know the load task %s any more", arn)
		default:
			misses = 0
			t := &out.Tasks[0]
			status := aws.ToString(t.LastStatus)
			if err := r.read(ctx, log); err != nil && ctx.Err() != nil {
				return t, log, ctx.Err()
			}
			if now := progressWords(status, log); now != last {
				last = now
				r.say("load task %s", now)
			}
			if done(t, log) {
				return t, log, nil
			}
			if status == "STOPPED" {
				return t, log, stopped(t, log)
			}
			if status == "RUNNING" && running.IsZero() {
				running = time.Now()
			}
			if err := r.overdue(status, log, began, running, l); err != nil {
				return t, log, err
			}
		}
		if err := sleep(ctx, r.o.Pace.Poll); err != nil {
			return nil, log, err
		}
	}
}

// overdue says that a task did not start or end in time.
func (r *runner) overdue(status string, log *tail, began, running time.Time, l samplefile.Load) error {
	switch {
	case running.IsZero() && time.Since(began) > r.o.Pace.Start:
		return fail.Newf(fail.Environment, "look at its events in the ECS console", "the load task did not start within %s: it is still %s", r.o.Pace.Start, status)
	case !running.IsZero() && time.Since(running) > l.Total()+r.o.Pace.Over:
		return fail.Newf(fail.Environment, "look at its log in "+log.where(), "the load task has not ended %s after its planned %s", r.o.Pace.Over, l.Total())
	}
	return nil
}

func progressWords(status string, log *tail) string {
	if status == "RUNNING" && log.progress != "" {
		return log.progress
	}
	return strings.ToLower(status)
}

// stopped says what went wrong with a task that has ended, or nil.
func stopped(t *types.Task, log *tail) error {
	reason := aws.ToString(t.StoppedReason)
	var exit *int32
	for _, c := range t.Containers {
		if c.ExitCode != nil && *c.ExitCode == 0 && t.StopCode == types.TaskStopCodeEssentialContainerExited {
			return nil
		}
		if c.Reason != nil {
			reason = *c.Reason
		}
		exit = c.ExitCode
	}
	said := strings.TrimSpace(string(t.StopCode) + ": " + reason)
	switch {
	case strings.Contains(reason, "OutOfMemory"):
		return fail.Newf(fail.Environment, "lower --rate, or use --generators", "the load task ran out of memory (%s)", reason)
	case strings.Contains(reason, "CannotPull"):
		return fail.Newf(fail.Environment, "check the image, and that the subnets reach ECR", "the load task's image could not be pulled (%s)", reason)
	case strings.Contains(strings.ToLower(reason), "capacity"):
		return fail.Newf(fail.Environment, "wait a while, or deploy to other subnets", "Fargate had no capacity for the load task (%s)", reason)
	case t.StopCode == types.TaskStopCodeTaskFailedToStart:
		return fail.Newf(fail.Environment, "mend what the reason names", "the load task could not start (%s)", said)
	case t.StopCode == types.TaskStopCodeUserInitiated: // how it then ends says nothing
		return fail.Newf(fail.Environment, "see who called StopTask, in CloudTrail", "the load task was stopped (%s)", said)
	case log.failed != "":
		return fail.Newf(fail.Environment, or(log.hint, "see its log in "+log.where()), "the load task failed: %s", log.failed)
	case exit != nil && *exit != 0:
		return fail.Newf(fail.Environment, "see its log in "+log.where(), "the load task ended with exit code %d (%s)", *exit, said)
	}
	return fail.Newf(fail.Environment, "see its log in "+log.where(), "the load task stopped (%s)", said)
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// stopGrace bounds the calls that clean up after a run that was interrupted.
const stopGrace = 45 * time.Second

// stop ends a task and returns cause, with the command that stops it when
// that cannot be done here.
func (r *runner) stop(ctx context.Context, arn string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	_, err := r.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String(r.load.cluster), Task: aws.String(arn),
		Reason: aws.String("hoplab run ended")})
	if err == nil || codeOf(err) == "InvalidParameterException" { // it is gone already
		return cause
	}
	command := fmt.Sprintf("aws ecs stop-task --region %s --cluster %s --task %s", r.Region, r.load.cluster, arn)
	return r.leave(cause, command, err)
}

// leave reports something that still runs with the command that ends it.
func (r *runner) leave(cause error, command string, err error) error {
	r.say("still running; stop it with: %s", command)
	code := fail.CodeOf(cause)
	return fail.Newf(code, "stop it with: "+command, "%w; a task is left (%v)", cause, r.explain("stopping it", err))
}

// sweep stops what a call may have started whose answer was lost, and returns
// cause.
func (r *runner) sweep(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	return errors.Join(cause, r.stopLeft(ctx))
}

// stopLeft stops load tasks of this run that an earlier, killed command left.
func (r *runner) stopLeft(ctx context.Context) error {
	tasks, err := r.tasksOf(ctx, &ecs.ListTasksInput{Cluster: aws.String(r.load.cluster),
		Family: aws.String(family(r.load.task)), DesiredStatus: types.DesiredStatusRunning})
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if !r.ours(t) {
			continue
		}
		arn := aws.ToString(t.TaskArn)
		r.say("stopping load task %s, which was left", arn)
		if _, err := r.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String(r.load.cluster), Task: aws.String(arn),
			Reason: aws.String("left by an earlier hoplab run")}); err != nil {
			return r.explain("stopping load task "+arn, err)
		}
	}
	return nil
}

// ours reports whether a load task belongs to this run: by its mark, or by
// the run's name in its command when the state machine started it.
func (r *runner) ours(t types.Task) bool {
	if aws.ToString(t.StartedBy) == r.startedBy() {
		return true
	}
	if t.Overrides == nil {
		return false
	}
	for _, c := range t.Overrides.ContainerOverrides {
		for _, arg := range c.Command {
			if r.isOurs(arg) {
				return true
			}
		}
	}
	return false
}

// isOurs reports whether a text is a load of this run.
func (r *runner) isOurs(text string) bool {
	l, err := samplefile.ParseLoad([]byte(text))
	return err == nil && l.Run == r.dir.Name() && l.PlanHash == r.plan.Hash()
}

// restart replaces the app's tasks and waits until the services are steady.
func (r *runner) restart(ctx context.Context) error {
	for _, svc := range r.services {
		r.say("restarting %s", svc.Name)
		_, err := r.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(r.load.cluster),
			Service: aws.String(svc.Name), ForceNewDeployment: true})
		if err != nil {
			return r.explain("restarting service "+svc.Name, err)
		}
	}
	for _, svc := range r.services {
		began := time.Now()
		for {
			d, err := r.describeService(ctx, r.load.cluster, svc.Name)
			if err != nil {
				return err
			}
			if steady(d) {
				break
			}
			if time.Since(began) > r.o.Pace.Start {
				return fail.Newf(fail.Environment, "look at the service's events", "service %s was not steady within %s after its restart", svc.Name, r.o.Pace.Start)
			}
			if err := sleep(ctx, r.o.Pace.Poll); err != nil {
				return err
			}
		}
	}
	return nil
}
