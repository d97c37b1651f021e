package awsrun

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// loadVariable is where the load program looks for its load when it has no argument.
const loadVariable = "HOPLAB_LOAD_JSON"

// sendFromService sends a load from a task of the Service Connect client
// service: only a service's tasks get an agent. A service cannot override a
// command, so the load goes into a revision of its task definition that lives
// as long as the replicate. The service is back at no tasks and its own
// definition when this returns.
func (r *runner) sendFromService(ctx context.Context, l samplefile.Load) (err error) {
	definition, err := r.meshRevision(ctx, l)
	if err != nil {
		return err
	}
	defer func() { err = r.scaleBack(ctx, definition, err) }()
	if err := r.scale(ctx, definition, 1); err != nil {
		return err
	}
	task, err := r.meshTask(ctx, definition)
	if err != nil {
		return err
	}
	_, log, err := r.follow(ctx, task, r.load.meshLogs, l, func(_ *types.Task, log *tail) bool { return log.holding })
	if err == nil && log.failed != "" {
		err = fail.Newf(fail.Environment, or(log.hint, "see its log in "+log.where()), "the load task failed: %s", log.failed)
	}
	return err
}

// meshRevision registers the client service's task definition with the load in
// its environment.
func (r *runner) meshRevision(ctx context.Context, l samplefile.Load) (string, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	out, err := r.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(r.load.meshTask)})
	if err != nil {
		return "", r.explain("describing the Service Connect client's task", err)
	}
	d := out.TaskDefinition
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if aws.ToString(c.Name) == r.load.container {
			c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String(loadVariable), Value: aws.String(string(text))})
		}
	}
	made, err := r.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, Cpu: d.Cpu, Memory: d.Memory,
		ExecutionRoleArn: d.ExecutionRoleArn, TaskRoleArn: d.TaskRoleArn, NetworkMode: d.NetworkMode,
		RequiresCompatibilities: d.RequiresCompatibilities, RuntimePlatform: d.RuntimePlatform, Volumes: d.Volumes,
	})
	if err != nil {
		return "", r.explain("registering the load for the Service Connect client", err)
	}
	return aws.ToString(made.TaskDefinition.TaskDefinitionArn), nil
}

func (r *runner) scale(ctx context.Context, definition string, tasks int32) error {
	_, err := r.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(r.load.cluster), Service: aws.String(r.load.meshService),
		TaskDefinition: aws.String(definition), DesiredCount: aws.Int32(tasks)})
	if err != nil {
		return r.explain(fmt.Sprintf("scaling service %s to %d", r.load.meshService, tasks), err)
	}
	return nil
}

// scaleBack leaves the service as it was found, and cause as it is.
func (r *runner) scaleBack(ctx context.Context, definition string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := r.scale(ctx, r.load.meshTask, 0); err != nil {
		if cause == nil {
			cause = fail.Newf(fail.Environment, "", "the Service Connect client was not scaled back")
		}
		return r.leave(cause, r.scaleBackCommand(), err)
	}
	r.deregister(ctx, definition)
	return cause
}

// deregister takes back a task definition. One that stays would only be untidy.
func (r *runner) deregister(ctx context.Context, definition string) {
	if _, err := r.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(definition)}); err != nil {
		r.say("task definition %s stays registered: %v", definition, r.explain("deregistering it", err))
	}
}

// meshLeft scales the client service back when an earlier, killed command left
// it with a task, which would wait for ever to be stopped. It refuses a service
// that something else uses: one service has one load.
func (r *runner) meshLeft(ctx context.Context) error {
	d, err := r.describeService(ctx, r.load.cluster, r.load.meshService)
	if err != nil || d.DesiredCount == 0 {
		return err
	}
	definition := aws.ToString(d.TaskDefinition)
	ours, err := r.oursByEnvironment(ctx, definition)
	if err != nil {
		return err
	}
	if !ours {
		return fail.Newf(fail.Usage, "end what uses it, or scale it back with: "+r.scaleBackCommand(),
			"service %s has a desired count of %d, which this run did not set; expected 0", r.load.meshService, d.DesiredCount)
	}
	r.say("scaling back service %s, which was left", r.load.meshService)
	if err := r.scaleBack(ctx, definition, nil); err != nil {
		return err
	}
	for began := time.Now(); ; {
		d, err := r.describeService(ctx, r.load.cluster, r.load.meshService)
		if err != nil || d.RunningCount == 0 {
			return err
		}
		if time.Since(began) > r.o.Pace.Start {
			return fail.Newf(fail.Environment, "look at the service's events", "service %s still has a task %s after it was scaled to 0", r.load.meshService, r.o.Pace.Start)
		}
		if err := sleep(ctx, r.o.Pace.Poll); err != nil {
			return err
		}
	}
}

// oursByEnvironment reports whether a task definition carries a load of this run.
func (r *runner) oursByEnvironment(ctx context.Context, definition string) (bool, error) {
	out, err := r.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(definition)})
	if err != nil {
		return false, r.explain("describing the Service Connect client's task", err)
	}
	for _, c := range out.TaskDefinition.ContainerDefinitions {
		for _, e := range c.Environment {
			if aws.ToString(e.Name) == loadVariable && r.isOurs(aws.ToString(e.Value)) {
				return true, nil
			}
		}
	}
	return false, nil
}

func (r *runner) scaleBackCommand() string {
	return fmt.Sprintf("aws ecs update-service --region %s --cluster %s --service %s --desired-count 0", r.Region, r.load.cluster, r.load.meshService)
}

// meshTask waits for the service's new task and returns its ARN.
func (r *runner) meshTask(ctx context.Context, definition string) (string, error) {
	for began := time.Now(); ; {
		tasks, err := r.tasksOf(ctx, &ecs.ListTasksInput{Cluster: aws.String(r.load.cluster), ServiceName: aws.String(r.load.meshService)})
		if err != nil {
			return "", err
		}
		for _, t := range tasks {
			if aws.ToString(t.TaskDefinitionArn) == definition {
				return aws.ToString(t.TaskArn), nil
			}
		}
		if time.Since(began) > r.o.Pace.Start {
			return "", fail.Newf(fail.Environment, "look at the service's events", "service %s started no task within %s", r.load.meshService, r.o.Pace.Start)
		}
		if err := sleep(ctx, r.o.Pace.Poll); err != nil {
			return "", err
		}
	}
}
