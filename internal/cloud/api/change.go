package api

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// updated are the members of UpdateService that are carried out. Everything else
// is a service's template.
var updated = []string{"Service", "Cluster", "DesiredCount", "ForceNewDeployment", "TaskDefinition"}

func (a *API) updateService(_ context.Context, in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
	if more := given(*in, updated); len(more) > 0 {
		return nil, refusal("InvalidParameterException", "hoplab cloud changes %s of a service by CloudFormation only", strings.Join(more, ", "))
	}
	v := a.sample()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	r, ok := v.serviceIn(c.PhysicalID, aws.ToString(in.Service))
	if !ok || v.service(r.ID) == nil {
		return nil, &types.ServiceNotFoundException{Message: aws.String("Service not found.")}
	}
	ref := lab.TaskRef{Service: r.ID}
	deploys := in.ForceNewDeployment
	if in.TaskDefinition != nil {
		changes, err := a.redefine(v, r, *in.TaskDefinition)
		if err != nil {
			return nil, err
		}
		deploys = deploys || changes
	}
	if deploys {
		if err := v.lab.Deploy(ref); err != nil {
			return nil, invalid(err)
		}
		a.look() // takes in what the deployment is begun with
	}
	if in.DesiredCount != nil {
		if err := v.lab.Scale(ref, int(*in.DesiredCount)); err != nil {
			return nil, invalid(err)
		}
	}
	s, err := a.serviceOf(a.look(), r)
	return &ecs.UpdateServiceOutput{Service: &s}, err
}

// given lists the members of an input that are set, beside those that are known.
func given(in any, known []string) (out []string) {
	v := reflect.ValueOf(in)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !v.Field(i).IsZero() && !slices.Contains(known, f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}

// invalid is the lab's error as a client reads it.
func invalid(err error) error {
	text := err.Error()
	if hint := fail.HintOf(err); hint != "" {
		text += "; " + hint
	}
	return refusal("InvalidParameterException", "%s", text)
}

// redefine gives a service another task definition. The lab runs the one of the
// template; another can only be given to a service with the load image, whose
// program takes its load from there.
func (a *API) redefine(v *view, r account.Resource, ref string) (changes bool, err error) {
	d, err := a.definition(v, ref)
	if err != nil {
		return false, &types.ClientException{Message: aws.String("TaskDefinition not found.")}
	}
	arn := aws.ToString(d.TaskDefinitionArn)
	if arn == a.revisions.definitionOf(r) {
		return false, nil
	}
	if _, _, ok := loadContainer(d, nil); !ok && arn != account.Text(r.Properties, "TaskDefinition") {
		return false, refusal("InvalidParameterException",
			"hoplab cloud changes the task definition of %s by CloudFormation only, for %s is not of hoplab's load image", nameOf(r), arn)
	}
	a.revisions.override(r, arn)
	return true, nil
}

func (a *API) runTask(_ context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
	v := a.resources()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	d, err := a.definition(v, aws.ToString(in.TaskDefinition))
	if err != nil {
		return nil, &types.ClientException{Message: aws.String("TaskDefinition not found.")}
	}
	if d.Status == types.TaskDefinitionStatusInactive {
		return nil, &types.ClientException{Message: aws.String("TaskDefinition is inactive")}
	}
	if v.lab == nil {
		return nil, refusal("InvalidParameterException", "nothing runs that a task could call: deploy a stack first")
	}
	n := or32(in.Count, 1)
	if n < 1 || n > 10 { // AWS's bounds
		return nil, &types.InvalidParameterException{Message: aws.String("Count must be between 1 and 10.")}
	}
	out := &ecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	a.tasks.starting.Lock()
	defer a.tasks.starting.Unlock()
	request, err := requestOf(*in)
	if err != nil {
		return nil, err
	}
	if before := a.tasks.startedBy(aws.ToString(in.ClientToken)); len(before) > 0 {
		if before[0].request != request {
			return nil, &types.ConflictException{Message: aws.String("The clientToken is already in use with a different RunTask request.")}
		}
		for _, t := range before {
			out.Tasks = append(out.Tasks, t.describe(v))
		}
		return out, nil
	}
	for range n {
		t := &loadTask{id: newTaskID(), cluster: c.PhysicalID, definition: d, startedBy: aws.ToString(in.StartedBy), lab: v.lab,
			token: aws.ToString(in.ClientToken), request: request,
			group: *or(aws.ToString(in.Group), "family:"+aws.ToString(d.Family)), overrides: in.Overrides}
		if nc := in.NetworkConfiguration; nc != nil && nc.AwsvpcConfiguration != nil {
			t.subnets = nc.AwsvpcConfiguration.Subnets
			if t.place, err = v.placeOf(nc.AwsvpcConfiguration); err != nil {
				return nil, err
			}
		}
		if err := a.tasks.run(t); err != nil {
			return nil, err
		}
		out.Tasks = append(out.Tasks, t.describe(v))
	}
	return out, nil
}

// placeOf is where in the VPC a standalone task is.
func (v *view) placeOf(c *types.AwsVpcConfiguration) (*place, error) {
	var p place
	for _, list := range []struct {
		kind, what string
		ids        []string
		to         *[]topology.ID
	}{{typeSubnet, "subnet", c.Subnets, &p.subnets}, {typeGroup, "security group", c.SecurityGroups, &p.groups}} {
		for _, id := range list.ids {
			r, ok := v.find(list.kind, id)
			if !ok {
				return nil, refusal("InvalidParameterException", "the account has no %s %s", list.what, id)
			}
			*list.to = append(*list.to, r.ID)
		}
	}
	return &p, nil
}

// requestOf is what a repeated call of RunTask must have alike.
func requestOf(in ecs.RunTaskInput) (string, error) {
	in.ClientToken = nil
	text, err := json.Marshal(in)
	return string(text), err
}

func (a *API) stopTask(_ context.Context, in *ecs.StopTaskInput) (*ecs.StopTaskOutput, error) {
	v := a.sample()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	ref := aws.ToString(in.Task)
	why := *or(aws.ToString(in.Reason), "Task stopped by user")
	if t := a.tasks.find(ref); t != nil && t.cluster == c.PhysicalID && t.caller.Service == "" {
		t.stop(why)
		d := t.describe(v)
		return &ecs.StopTaskOutput{Task: &d}, nil
	}
	for _, r := range v.servicesIn(c.PhysicalID) {
		s := v.service(r.ID)
		if s == nil || !slices.ContainsFunc(s.Tasks, func(t lab.TaskStatus) bool { return t.ID == shortTaskID(ref) }) {
			continue
		}
		a.revisions.stoppedFor(shortTaskID(ref), why)
		if err := v.lab.Drain(lab.TaskRef{Service: r.ID, Task: shortTaskID(ref)}); err != nil {
			return nil, invalid(err)
		}
		d, _, err := a.task(a.look(), c.PhysicalID, ref)
		return &ecs.StopTaskOutput{Task: &d}, err
	}
	if _, ok, err := a.task(v, c.PhysicalID, ref); ok && err == nil {
		d, _, err := a.task(v, c.PhysicalID, ref) // it has stopped: to stop it again changes nothing
		return &ecs.StopTaskOutput{Task: &d}, err
	}
	return nil, &types.InvalidParameterException{Message: aws.String("The referenced task was not found.")}
}

// followServices runs the load program in the tasks of services with the load
// image, and ends it with them.
func (a *API) followServices(v *view) {
	if a.tasks.program == nil {
		return
	}
	running := map[string]bool{}
	for _, r := range v.of(typeService) {
		s := v.service(r.ID)
		if s == nil {
			continue
		}
		for _, t := range s.Tasks {
			if t.State == lab.Running {
				running[t.ID] = true
				a.loadIn(v, r, t)
			}
		}
	}
	for _, t := range a.tasks.list() {
		if t.caller.Service != "" && !running[t.caller.Task] {
			t.stop(lab.Scaled)
		}
	}
}

// loadIn starts the load program in a service's task, once.
func (a *API) loadIn(v *view, r account.Resource, s lab.TaskStatus) {
	if a.tasks.find(longTaskID(s.ID)) != nil {
		return
	}
	d, err := a.definition(v, a.revisions.of(r, s.Deployment).definition)
	if err != nil {
		return // it was deleted: the task is about to go
	}
	if _, env, ok := loadContainer(d, nil); !ok || env[container.Load] == "" {
		return
	}
	_ = a.tasks.run(&loadTask{id: longTaskID(s.ID), cluster: clusterOf(r), definition: d, lab: v.lab, // the container is there
		caller: lab.Caller{Service: r.ID, Task: s.ID}})
}

// stops are the reasons that StopTask was given, by task.
type stops map[string]string

// maxStops bounds them; the lab keeps fewer stopped tasks of a service.
const maxStops = 1000

func (r *revisions) stoppedFor(task, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.stops) >= maxStops {
		maps.DeleteFunc(r.stops, func(string, string) bool { return true })
	}
	r.stops[task] = why
}

// reasonOf is the reason that StopTask was given for a task, or AWS's words for none.
func (r *revisions) reasonOf(task string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *or(r.stops[task], "Task stopped by user")
}
