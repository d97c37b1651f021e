package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// standalone are the containers that run the load program: of tasks that RunTask
// has started, and of tasks of a service with the load image.
type standalone struct {
	program *container.Program
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	// starting is held by a call that starts tasks, so that one with the same
	// client token finds them.
	starting sync.Mutex

	mu    sync.Mutex
	tasks []*loadTask // the oldest first
}

// maxStandalone bounds the tasks that are remembered; keepStopped is how long
// ECS does.
const (
	maxStandalone = 1000
	keepStopped   = time.Hour
)

// stopTimeout is what a container gets whose definition names none, in seconds.
const stopTimeout = 30

func newStandalone(p *container.Program) *standalone {
	s := &standalone{program: p}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// loadTask is a task with the load program.
type loadTask struct {
	id         string // 32 hexadecimal digits
	cluster    string
	definition *types.TaskDefinition
	startedBy  string
	token      string // the client's, by which a repeated request is known
	request    string // RunTask's, without the token
	group      string
	subnets    []string
	place      *place // nil for a task without a network configuration
	overrides  *types.TaskOverride
	created    time.Time
	lab        *lab.Lab
	caller     lab.Caller
	dir        string
	halt       chan struct{} // closed when it is asked to stop
	done       chan struct{} // closed when it has stopped
	halted     sync.Once

	mu       sync.Mutex
	process  *container.Process
	started  time.Time
	stopped  time.Time // zero while it runs
	exit     *int32
	code     types.TaskStopCode
	reason   string
	failure  string // of its container
	userSaid string
}

// place are the subnets and security groups of a standalone task, as the lab knows
// them.
type place struct{ subnets, groups []topology.ID }

// newTaskID is an id as a standalone task has it: random, and recognisably not
// AWS's, for it begins with eight zeros.
func newTaskID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return "00000000" + hex.EncodeToString(b[:])
}

// list returns the tasks that are remembered.
func (s *standalone) list() []*loadTask {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = slices.DeleteFunc(s.tasks, func(t *loadTask) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return !t.stopped.IsZero() && time.Since(t.stopped) > keepStopped
	})
	return slices.Clone(s.tasks)
}

func (s *standalone) find(ref string) *loadTask {
	id := lastPart(ref)
	for _, t := range s.list() {
		if t.id == id {
			return t
		}
	}
	return nil
}

// startedBy lists the tasks that a request with that client token has started.
func (s *standalone) startedBy(token string) []*loadTask {
	return slices.DeleteFunc(s.list(), func(t *loadTask) bool { return token == "" || t.token != token })
}

// run starts a task in the background.
func (s *standalone) run(t *loadTask) error {
	c, env, ok := loadContainer(t.definition, t.overrides)
	if !ok || s.program == nil {
		return refusal("InvalidParameterException", "hoplab cloud runs standalone tasks of hoplab's load image only, "+
			"whose container has the variable %s; %s has none", container.Bucket, aws.ToString(t.definition.TaskDefinitionArn))
	}
	s.mu.Lock()
	if len(s.tasks) >= maxStandalone {
		s.mu.Unlock()
		return refusal("LimitExceededException", "hoplab cloud remembers %d standalone tasks, no more", maxStandalone)
	}
	s.tasks = append(s.tasks, t)
	s.mu.Unlock()
	t.created, t.halt, t.done = time.Now(), make(chan struct{}), make(chan struct{})
	t.dir = filepath.Join(t.lab.Status().Dir, "standalone", t.id)
	spec := container.Spec{Name: "container " + aws.ToString(c.Name) + " of task " + t.id, Env: env, Dir: t.dir,
		StopTimeout: time.Duration(or32(c.StopTimeout, stopTimeout)) * time.Second, Lab: t.lab, Caller: t.caller}
	if o := overrideOf(t.overrides, aws.ToString(c.Name)); o != nil {
		spec.Args = o.Command
	}
	s.wg.Go(func() { s.follow(t, spec) })
	return nil
}

// follow is a task's life.
func (s *standalone) follow(t *loadTask, spec container.Spec) {
	defer close(t.done)
	p, err := s.start(t, &spec)
	defer func() {
		if err := t.lab.RemoveStandalone(t.id); err != nil {
			s.report(t, err)
		}
	}()
	t.mu.Lock()
	if err != nil {
		t.stopped, t.code = time.Now(), types.TaskStopCodeTaskFailedToStart
		t.reason, t.failure = "Task failed to start", "hoplab cloud: "+err.Error()
		t.mu.Unlock()
		s.report(t, err)
		return
	}
	t.process, t.started = p, time.Now()
	t.mu.Unlock()
	select {
	case <-p.Done():
	case <-t.halt:
		p.Stop()
	case <-s.ctx.Done():
		p.Kill()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped, t.exit = time.Now(), aws.Int32(int32(p.Exit()))
	t.code, t.reason = types.TaskStopCodeEssentialContainerExited, "Essential container in task exited"
	if t.userSaid != "" {
		t.code, t.reason = types.TaskStopCodeUserInitiated, t.userSaid
	}
}

// start gives a task its place in the VPC and starts its program there.
func (s *standalone) start(t *loadTask, spec *container.Spec) (*container.Process, error) {
	if t.place != nil {
		if err := t.lab.AddStandalone(s.ctx, t.id, t.place.subnets, t.place.groups); err != nil {
			return nil, err
		}
		spec.Caller = lab.Caller{Standalone: t.id}
	}
	return s.program.Start(s.ctx, *spec)
}

// report writes an error where the load program would: a service's task has no
// other place for it.
func (s *standalone) report(t *loadTask, err error) {
	line, _ := json.Marshal(map[string]any{"time": time.Now(), "level": "ERROR", "msg": "failed", "error": err.Error()}) // always marshals
	_ = os.MkdirAll(t.dir, 0o755)                                                                                        // the next line fails, too
	_ = os.WriteFile(container.LogFile(t.dir), append(line, '\n'), 0o644)                                                // DescribeTasks says it as well
}

// stop asks a task to end; why is what DescribeTasks says of it.
func (t *loadTask) stop(why string) {
	t.mu.Lock()
	if t.stopped.IsZero() && t.userSaid == "" {
		t.userSaid = why
	}
	t.mu.Unlock()
	t.halted.Do(func() { close(t.halt) })
}

// status is its lastStatus.
func (t *loadTask) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.stopped.IsZero():
		return "STOPPED"
	case t.process == nil:
		return "PENDING"
	case t.userSaid != "":
		return "DEACTIVATING"
	}
	return "RUNNING"
}

// close ends every task and waits for them.
func (s *standalone) close() {
	s.cancel()
	s.wg.Wait()
}

// loadContainer returns a definition's container with the load image, and its
// variables with those of the overrides; ok is false when it has none.
func loadContainer(d *types.TaskDefinition, o *types.TaskOverride) (c *types.ContainerDefinition, env map[string]string, ok bool) {
	for i := range d.ContainerDefinitions {
		c = &d.ContainerDefinitions[i]
		env = map[string]string{}
		for _, kv := range c.Environment {
			env[aws.ToString(kv.Name)] = aws.ToString(kv.Value)
		}
		if co := overrideOf(o, aws.ToString(c.Name)); co != nil {
			for _, kv := range co.Environment {
				env[aws.ToString(kv.Name)] = aws.ToString(kv.Value)
			}
		}
		if container.Runs(env) {
			return c, maps.Clone(env), true
		}
	}
	return nil, nil, false
}

func overrideOf(o *types.TaskOverride, name string) *types.ContainerOverride {
	if o == nil {
		return nil
	}
	for i := range o.ContainerOverrides {
		if aws.ToString(o.ContainerOverrides[i].Name) == name {
			return &o.ContainerOverrides[i]
		}
	}
	return nil
}

// describe is a task as DescribeTasks shows it.
func (t *loadTask) describe(v *view) types.Task {
	status := t.status()
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.definition
	out := types.Task{TaskArn: aws.String(v.taskARN(t.cluster, t.id)), ClusterArn: aws.String(v.clusterARN(t.cluster)),
		TaskDefinitionArn: d.TaskDefinitionArn, LastStatus: aws.String(status), DesiredStatus: aws.String("RUNNING"),
		CreatedAt: aws.Time(t.created), StartedBy: some(t.startedBy), Group: aws.String(t.group), Cpu: d.Cpu, Memory: d.Memory,
		LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String(fargatePlatform), PlatformFamily: aws.String("Linux"),
		Overrides: t.overrides, Attachments: []types.Attachment{}, HealthStatus: types.HealthStatusUnknown, Version: 1,
		Connectivity: types.ConnectivityConnected}
	if len(t.subnets) > 0 {
		if r, ok := v.find(typeSubnet, t.subnets[0]); ok {
			out.AvailabilityZone = some(zoneOf(r))
		}
	}
	if !t.started.IsZero() {
		out.StartedAt = aws.Time(t.started)
	}
	if t.userSaid != "" || status == "STOPPED" {
		out.DesiredStatus = aws.String("STOPPED")
	}
	if status == "STOPPED" {
		out.StoppedAt, out.ExecutionStoppedAt = aws.Time(t.stopped), aws.Time(t.stopped)
		out.StopCode, out.StoppedReason = t.code, aws.String(t.reason)
	}
	for i := range d.ContainerDefinitions {
		c := v.containerOf(t.cluster, t.id, &d.ContainerDefinitions[i], status)
		c.ExitCode = t.exit
		c.Reason = some(t.failure)
		out.Containers = append(out.Containers, c)
	}
	return out
}

func (v *view) taskARN(cluster, id string) string {
	return v.arn("ecs", fmt.Sprintf("task/%s/%s", cluster, id))
}
