// Package experiment carries out a plan on the lab: for each replicate it
// starts everything anew, waits until it is healthy, lets k6 send the load,
// and writes samples and evidence into the run directory. It measures and
// counts; it does not judge.
package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options are what a run on the lab needs beside its plan.
type Options struct {
	Topology *topology.Topology
	App      []string // command of the measured app
	K6       k6.Binary
	Envoy    string   // path of the Envoy that the plan's agents are; empty for the lab's own
	Node     []string // command of a lab node; empty for this executable's own
	Spin     []string // command of an idle-priority spinner
	// Inject delays a hop by a known amount, for runs that must find it.
	Inject []Injection
	// Stop, if not nil, is asked after each complete replicate whether the
	// plan's stopping rule ends the run.
	Stop func(*run.Dir) (bool, error)
	// Progress, if not nil, hears of every step; it is called from one goroutine.
	Progress func(Event)
}

// Injection is a delay in one hop of one arm.
type Injection struct {
	Hop string // "alb", "agent" or "app"
	Arm string // "" for every arm
	call.Delay
}

// Event is a step of a run.
type Event struct {
	Replicate, Of int
	Phase         Phase
	Err           error // for Failed
}

// Phase is what a replicate is at.
type Phase string

// The phases of a replicate.
const (
	Starting Phase = "starting"
	Loading  Phase = "loading"
	Done     Phase = "done"
	Failed   Phase = "failed"
)

// Run carries out what is missing of the directory's plan: all of it for a
// new run, the incomplete replicates for a broken one. When ctx ends it stops
// everything, marks the run as interrupted and returns ctx's error; complete
// replicates are kept.
func Run(ctx context.Context, dir *run.Dir, o Options) error {
	routes, err := choose(o.Topology, &dir.Plan)
	if err != nil {
		return err
	}
	if o.Progress == nil {
		o.Progress = func(Event) {}
	}
	if err := dir.SetState(run.State{Status: run.Running}); err != nil {
		return err
	}
	restore, status := quieten(&dir.Plan, o.Spin)
	defer restore()
	if err := replicates(ctx, dir, o, routes, status); err != nil {
		why := err.Error()
		if ctx.Err() != nil {
			why = "interrupted"
		}
		return errors.Join(err, dir.SetState(run.State{Status: run.Interrupted, Why: why}))
	}
	return dir.SetState(run.State{Status: run.Complete})
}

// quieted says what was done for a quiet machine, in an evidence's words.
type quieted struct{ awake, oneCore string }

// quieten does what the plan asks for; restore takes it back. The spinners come
// after the one core, because they take the cores that this process may use.
func quieten(p *plan.Plan, spin []string) (restore func(), q quieted) {
	spread, stop := func() {}, func() {}
	q = quieted{awake: "off", oneCore: "off"}
	if p.OneCore {
		spread, q.oneCore = quiet.OneCore()
	}
	if p.KeepAwake {
		stop, q.awake = quiet.KeepAwake(spin)
	}
	return func() { stop(); spread() }, q
}

func replicates(ctx context.Context, dir *run.Dir, o Options, routes map[string]Route, q quieted) error {
	n := dir.Plan.Replicates
	for i := 1; i <= n; i++ {
		r := dir.Replicate(i)
		if _, ok, _ := r.Evidence(); ok {
			continue // of an earlier, broken run; anything unreadable is done again
		}
		if err := r.Reset(); err != nil {
			return err
		}
		o.Progress(Event{Replicate: i, Of: n, Phase: Starting})
		ev, err := replicate(ctx, dir, o, routes, r)
		ev.KeepAwake, ev.OneCore = q.awake, q.oneCore
		if err != nil {
			ev.Complete, ev.Failure = false, err.Error()
			o.Progress(Event{Replicate: i, Of: n, Phase: Failed, Err: err})
			return errors.Join(fmt.Errorf("replicate %d: %w", i, err), finish(r, ev))
		}
		ev.Complete = true
		if err := finish(r, ev); err != nil {
			return err
		}
		o.Progress(Event{Replicate: i, Of: n, Phase: Done})
		if o.Stop == nil {
			continue
		}
		if stop, err := o.Stop(dir); err != nil || stop {
			return err
		}
	}
	return nil
}

// finish writes a replicate's evidence. On a full disk it gives up the lab's
// logs, which no report needs, to have the room to say what happened.
func finish(r run.Replicate, ev run.Evidence) error {
	err := r.Finish(ev)
	if errors.Is(err, syscall.ENOSPC) && os.RemoveAll(labDir(r)) == nil {
		err = r.Finish(ev)
	}
	return err
}

// labDir is where the lab of a replicate keeps its logs and sockets.
func labDir(r run.Replicate) string { return filepath.Join(r.Path, "lab") }

// replicate is one start of everything.
func replicate(ctx context.Context, dir *run.Dir, o Options, routes map[string]Route, r run.Replicate) (ev run.Evidence, err error) {
	ev = run.Evidence{Replicate: r.Index, StartedUnixNs: time.Now().UnixNano()}
	rig, err := start(ctx, dir, o, routes, r)
	if err != nil {
		return ev, err
	}
	defer func() { err = errors.Join(err, rig.lab.Close()) }()
	load := Load(&dir.Plan, dir.Name(), r.Index, 0)
	namespaces, err := rig.dialled(&load, &ev)
	if err != nil {
		return ev, err
	}
	load.Out = r.SamplesPath(0, 1)
	o.Progress(Event{Replicate: r.Index, Of: dir.Plan.Replicates, Phase: Loading})
	before := rig.lab.Status()
	sampling, stop := context.WithCancel(ctx)
	slices := make(chan []run.CPUSlice, 1)
	go func() { slices <- quiet.Sample(sampling) }()
	_, err = k6.Run(ctx, o.K6, load, k6.Options{Dir: r.Path, Files: namespaces, Start: rig.startLoad})
	stop()
	ev.CPU = <-slices
	ev.EndedUnixNs = time.Now().UnixNano()
	if err != nil {
		return ev, err
	}
	after := rig.lab.Status()
	rig.count(&ev, before, after)
	ev.Injected = rig.injected(o.Inject, before, after)
	return ev, nil
}

// healthyWithin bounds the wait for the first health checks; the article's
// check needs one success.
const healthyWithin = 60 * time.Second

func start(ctx context.Context, dir *run.Dir, o Options, routes map[string]Route, r run.Replicate) (*rig, error) {
	rig := &rig{plan: &dir.Plan, routes: routes}
	opts := lab.Options{
		Topology: o.Topology, Fabric: dir.Plan.Fabric, App: lab.App{Command: o.App, Env: appEnv(&dir.Plan)},
		Dir: labDir(r), Seed: seedOf(&dir.Plan, r.Index), Scale: 1, Node: o.Node,
		Agent: dir.Plan.Agent, Envoy: o.Envoy, AgentWorkers: dir.Plan.EnvoyWorkers,
	}
	var err error
	if opts.Only, err = Reached(o.Topology, &dir.Plan); err != nil {
		return nil, err
	}
	for _, a := range dir.Plan.Arms {
		if rt, twin := rig.route(a); twin != "" {
			opts.Twins = append(opts.Twins, lab.Twin{Of: rt.Service, Name: twin, TLS: rt.TLS})
		}
	}
	for _, in := range o.Inject {
		opts.Inject = append(opts.Inject, rig.injections(in)...)
	}
	l, err := lab.Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	rig.lab = l
	wait, cancel := context.WithTimeout(ctx, healthyWithin)
	defer cancel()
	if err := l.WaitHealthy(wait); err != nil {
		err = errors.Join(fail.Newf(fail.Environment, "see what hoplab diagnose says of this template",
			"the lab's targets did not become healthy: %w", err), l.Close())
		return nil, err
	}
	return rig, nil
}
