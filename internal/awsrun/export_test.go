package awsrun

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// SetPace replaces the pace of every run that follows.
func SetPace(p Pace) { pace = p }

// OnCall has f called with every operation that a client calls.
func OnCall(f func(operation string)) { onCall = f }

// Probe makes the steps of a run that concern load tasks, one by one.
type Probe struct {
	r    *runner
	load samplefile.Load
}

// NewProbe reads the Load stack, and nothing of the app. Its load calls one URL.
func NewProbe(ctx context.Context, c *Clients, dir string, p plan.Plan, url string, progress func(Event)) (*Probe, error) {
	load, err := c.readLoad(ctx)
	if err != nil {
		return nil, err
	}
	d, err := run.Create(dir+"/probe", p, run.Environment{Run: "probe"})
	if err != nil {
		return nil, err
	}
	l := experiment.Load(&d.Plan, d.Name(), 1, 0)
	for i := range l.Arms {
		l.Arms[i].URL = url
	}
	return &Probe{&runner{Clients: c, site: &site{load: load}, dir: d, plan: &d.Plan, o: Options{Pace: pace, Progress: progress}}, l}, nil
}

func (p *Probe) Service(ctx context.Context, name string) error {
	_, err := p.r.describeService(ctx, p.r.load.cluster, name)
	return err
}

// Task is what a run asks ECS to start.
func (p *Probe) Task() (*ecs.RunTaskInput, error) {
	text, err := json.Marshal(p.load)
	return p.r.task(string(text)), err
}

func (p *Probe) Send(ctx context.Context) error { return p.r.sendFromTask(ctx, p.load) }

func (p *Probe) StopLeft(ctx context.Context) error { return p.r.stopLeft(ctx) }

// Running lists the load tasks that run.
func (p *Probe) Running(ctx context.Context) ([]string, error) {
	tasks, err := p.r.tasksOf(ctx, &ecs.ListTasksInput{Cluster: aws.String(p.r.load.cluster),
		Family: aws.String(family(p.r.load.task)), DesiredStatus: types.DesiredStatusRunning})
	var arns []string
	for _, t := range tasks {
		arns = append(arns, aws.ToString(t.TaskArn))
	}
	return arns, err
}
