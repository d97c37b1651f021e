package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Options are what a run needs beside its plan.
type Options struct {
	K6   k6.Binary
	Spin []string // command of an idle-priority spinner
	// Send, if not nil, sends a replicate's load from elsewhere and leaves its
	// samples at r.SamplesPath(0, 1). This machine then looks at no arm and starts no k6.
	Send func(ctx context.Context, r run.Replicate, l samplefile.Load) error
	// Stop, if not nil, is asked after each complete replicate whether the
	// plan's stopping rule ends the run.
	Stop func(*run.Dir) (bool, error)
	// Progress, if not nil, hears of every step; it is called from one goroutine.
	Progress func(experiment.Event)
}

// Run carries out what is missing of the directory's plan. Each replicate is a
// load generator of its own, after the restart command where the plan has one.
// An arm that goes another way than the plan says ends the run, with
// fail.Refused. When ctx ends, Run stops and returns its error; complete
// replicates are kept.
func Run(ctx context.Context, dir *run.Dir, o Options) error {
	if o.Progress == nil {
		o.Progress = func(experiment.Event) {}
	}
	if err := dir.SetState(run.State{Status: run.Running}); err != nil {
		return err
	}
	awake, stop := "off", func() {}
	if dir.Plan.KeepAwake {
		stop, awake = quiet.KeepAwake(o.Spin)
	}
	defer stop()
	err := replicates(ctx, dir, o, awake)
	if err == nil {
		return dir.SetState(run.State{Status: run.Complete})
	}
	state := run.State{Status: run.Interrupted, Why: err.Error()}
	if ctx.Err() != nil {
		state.Why = "interrupted"
	} else if fail.CodeOf(err) == fail.Refused {
		state.Refused = err.Error()
	}
	return errors.Join(err, dir.SetState(state))
}

func replicates(ctx context.Context, dir *run.Dir, o Options, awake string) error {
	n := dir.Plan.Replicates
	for i := 1; i <= n; i++ {
		r := dir.Replicate(i)
		if _, ok, _ := r.Evidence(); ok {
			continue // of an earlier, broken run; anything unreadable is done again
		}
		if err := r.Reset(); err != nil {
			return err
		}
		o.Progress(experiment.Event{Replicate: i, Of: n, Phase: experiment.Starting})
		ev, err := replicate(ctx, dir, o, r)
		ev.KeepAwake, ev.OneCore, ev.Complete = awake, "off", err == nil
		if err != nil {
			ev.Failure = err.Error()
			o.Progress(experiment.Event{Replicate: i, Of: n, Phase: experiment.Failed, Err: err})
			return errors.Join(fmt.Errorf("replicate %d: %w", i, err), r.Finish(ev))
		}
		if err := r.Finish(ev); err != nil {
			return err
		}
		o.Progress(experiment.Event{Replicate: i, Of: n, Phase: experiment.Done})
		if o.Stop == nil {
			continue
		}
		if stop, err := o.Stop(dir); err != nil || stop {
			return err
		}
	}
	return nil
}

// replicate is one start of the load generator.
func replicate(ctx context.Context, dir *run.Dir, o Options, r run.Replicate) (ev run.Evidence, err error) {
	p := &dir.Plan
	ev = run.Evidence{Replicate: r.Index, StartedUnixNs: time.Now().UnixNano()}
	if err := restart(ctx, p, r.Index); err != nil {
		return ev, err
	}
	load := Load(p, dir.Name(), r.Index)
	if o.Send != nil {
		o.Progress(experiment.Event{Replicate: r.Index, Of: p.Replicates, Phase: experiment.Loading})
		ev.Addresses = urls(p)
		err = o.Send(ctx, r, load)
		ev.EndedUnixNs = time.Now().UnixNano()
		return ev, err
	}
	if err := ready(ctx, p); err != nil {
		return ev, err
	}
	if ev.Addresses, err = Addresses(ctx, p); err != nil {
		return ev, err
	}
	load.Out = r.SamplesPath(0, 1)
	o.Progress(experiment.Event{Replicate: r.Index, Of: p.Replicates, Phase: experiment.Loading})
	sampling, stop := context.WithCancel(ctx)
	slices := make(chan []run.CPUSlice, 1)
	go func() { slices <- quiet.Sample(sampling) }()
	_, err = k6.Run(ctx, o.K6, load, k6.Options{Dir: r.Path, Env: secrets(p)})
	stop()
	ev.CPU = <-slices
	ev.EndedUnixNs = time.Now().UnixNano()
	return ev, err
}

// Load is what the plan tells the load generator of one replicate (from 1).
func Load(p *plan.Plan, runName string, replicate int) samplefile.Load {
	load := experiment.Load(p, runName, replicate, 0)
	load.Request, load.Watch = p.Request, p.Watch()
	for i, a := range p.Arms {
		to := &load.Arms[i]
		to.URL, to.Dial, to.ServerName = a.Endpoint.URL, a.Endpoint.Connect, a.Endpoint.ServerName
	}
	return load
}

// urls are the arms' addresses as they were given.
func urls(p *plan.Plan) map[string]string {
	out := map[string]string{}
	for _, a := range p.Arms {
		out[a.Name] = a.Endpoint.URL
	}
	return out
}

// secrets are the environment variables that the plan's headers name.
func secrets(p *plan.Plan) (env []string) {
	if p.Request == nil {
		return nil
	}
	for _, line := range p.Request.Headers {
		for _, name := range samplefile.Variables(line) {
			env = append(env, name+"="+os.Getenv(name))
		}
	}
	return env
}

// restartWithin bounds the restart command, and answersWithin how long the
// endpoints may take after it to answer as the plan says.
const (
	restartWithin = 10 * time.Minute
	answersWithin = time.Minute
	askAgain      = 200 * time.Millisecond
)

// restart runs the plan's restart command in a shell, with the replicate's
// number in HOPLAB_REPLICATE.
func restart(ctx context.Context, p *plan.Plan, replicate int) error {
	if p.Restart == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, restartWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", p.Restart)
	cmd.Env = append(os.Environ(), fmt.Sprintf("HOPLAB_REPLICATE=%d", replicate))
	// What the command leaves in the background may keep its output open.
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err != nil {
		said := bytes.TrimSpace(out[max(0, len(out)-300):])
		return fail.Newf(fail.Environment, "run it by hand: "+p.Restart, "--restart failed: %w: %s", err, said)
	}
	return nil
}

// looksAgain is how many requests an arm gets at the start of a replicate.
const looksAgain = 3

// ready waits until every arm answers as the plan says. After a restart they
// have time for it; else they must at once.
func ready(ctx context.Context, p *plan.Plan) error {
	end := time.Now()
	if p.Restart != "" {
		end = end.Add(answersWithin)
	}
	for {
		sights, err := Look(ctx, p, looksAgain)
		if err == nil {
			err = Held(p, sights)
		}
		if err == nil || ctx.Err() != nil || !time.Now().Before(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askAgain):
		}
	}
}
