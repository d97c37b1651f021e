package awsrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Options of Run.
type Options struct {
	Pace Pace // Real()
	// RestartApp replaces the app's tasks before every replicate.
	RestartApp bool
	// Stop, if not nil, is asked after each complete replicate whether the
	// plan's stopping rule ends the run.
	Stop func(*run.Dir) (bool, error)
	// Progress, if not nil, hears of every step; calls do not overlap.
	Progress func(Event)
}

// Event is a step of a run, in a few words.
type Event struct {
	Replicate, Of int // 0 while it is about the run as a whole
	Text          string
}

// Site is a deployment that a plan fits.
type Site struct {
	c *Clients
	s *site
}

// Survey reads the deployed stacks and refuses what the plan cannot run on,
// with fail.Usage: no stack, an arm that is not there, a port mode that is not
// the arm's, services that are not steady, arms with different images.
func Survey(ctx context.Context, c *Clients, p *plan.Plan) (*Site, error) {
	s, err := c.survey(ctx, p)
	if err != nil {
		return nil, err
	}
	return &Site{c, s}, nil
}

// Digest identifies what is measured: the value for Plan.Topology.
func (s *Site) Digest() string { return s.s.digest() }

// Facts are what a report says of the deployment, for Environment.AWS.
func (s *Site) Facts() map[string]string { return s.s.facts(s.c.Region) }

// Account and Region are whose deployment it is; Caller is the ARN that asks.
func (s *Site) Account() string { return s.s.account }
func (s *Site) Region() string  { return s.c.Region }
func (s *Site) Caller() string  { return s.s.arn }

// runner is one run under way.
type runner struct {
	*Clients
	*site
	dir  *run.Dir
	plan *plan.Plan
	o    Options
	at   int       // replicate
	free time.Time // when the last replicate's last period is over: the beginning of one
}

// Run carries out what is missing of the directory's plan. Replicates that
// are complete are kept; their metrics are read when they were not yet. When
// ctx ends it stops its tasks, marks the run as interrupted and returns ctx's
// error. Evidence that contradicts the plan is no error: it is noted in the
// run's state, and the analysis refuses the run.
func Run(ctx context.Context, dir *run.Dir, s *Site, o Options) error {
	r := &runner{Clients: s.c, site: s.s, dir: dir, plan: &dir.Plan, o: o}
	if got := s.Digest(); got != dir.Plan.Topology {
		return fail.Newf(fail.Usage, "start a new run", "the deployment changed since this run began: %s, expected %s", got, dir.Plan.Topology)
	}
	if err := dir.SetState(run.State{Status: run.Running}); err != nil {
		return err
	}
	err := r.replicates(ctx)
	var refused string
	if err == nil {
		r.at = 0
		refused, err = r.metricsOfAll(ctx)
	}
	if err != nil {
		why := err.Error()
		if ctx.Err() != nil {
			why = "interrupted"
		}
		return errors.Join(err, dir.SetState(run.State{Status: run.Interrupted, Why: why}))
	}
	return dir.SetState(run.State{Status: run.Complete, Refused: refused})
}

// say reports progress.
func (r *runner) say(format string, args ...any) {
	if r.o.Progress != nil {
		r.o.Progress(Event{Replicate: r.at, Of: r.plan.Replicates, Text: fmt.Sprintf(format, args...)})
	}
}

func (r *runner) replicates(ctx context.Context) error {
	if err := r.stopLeft(ctx); err != nil { // by a run that was killed
		return err
	}
	if needsMesh(r.plan) {
		if err := r.meshLeft(ctx); err != nil {
			return err
		}
	}
	for i := 1; i <= r.plan.Replicates; i++ {
		rep := r.dir.Replicate(i)
		if _, ok, _ := rep.Evidence(); ok {
			continue // of an earlier, broken run; anything unreadable is done again
		}
		if err := rep.Reset(); err != nil {
			return err
		}
		r.at = i
		ev, err := r.replicate(ctx, rep)
		ev.KeepAwake, ev.OneCore = "off", "off"
		if err != nil {
			ev.Complete, ev.Failure = false, err.Error()
			return errors.Join(fmt.Errorf("replicate %d: %w", i, err), rep.Finish(ev))
		}
		ev.Complete = true
		if err := rep.Finish(ev); err != nil {
			return err
		}
		r.say("done")
		if r.o.Stop == nil {
			continue
		}
		if stop, err := r.o.Stop(r.dir); err != nil || stop {
			return err
		}
	}
	return nil
}

// replicate is one fresh load task, or one for each generator.
func (r *runner) replicate(ctx context.Context, rep run.Replicate) (run.Evidence, error) {
	ev := run.Evidence{Replicate: rep.Index, StartedUnixNs: time.Now().UnixNano(), Addresses: map[string]string{}}
	if r.o.RestartApp {
		if err := r.restart(ctx); err != nil {
			return ev, err
		}
	}
	if err := r.unchanged(ctx); err != nil {
		return ev, err
	}
	loads, err := r.loads(rep.Index, &ev)
	if err != nil {
		return ev, err
	}
	before, err := r.listed(ctx, rep.Index)
	if err != nil {
		return ev, err
	}
	r.say("waiting for a minute of its own")
	if err := sleep(ctx, time.Until(r.o.Pace.begin(time.Now(), r.free))); err != nil {
		return ev, err
	}
	sent, err := r.send(ctx, loads)
	ev.Warnings = sent.notes
	ev.EndedUnixNs = time.Now().UnixNano()
	r.free = time.Now().Truncate(r.o.Pace.Period).Add(2 * r.o.Pace.Period) // also when it failed: it may have sent
	if err != nil {
		return ev, err
	}
	r.say("fetching samples")
	counted, err := r.fetch(ctx, rep, loads, before)
	if err != nil {
		return ev, err
	}
	r.free = counted.until(r.o.Pace.Period)
	ev.StartedUnixNs, ev.EndedUnixNs = counted.start, counted.end
	ev.CloudWatch = r.expect(counted, sent.again)
	return ev, nil
}

// unchanged looks at the deployment again: it may have changed under the run.
func (r *runner) unchanged(ctx context.Context) error {
	now, err := r.survey(ctx, r.plan)
	if err != nil {
		return err
	}
	if got := now.digest(); got != r.plan.Topology {
		return fail.Newf(fail.Usage, "start a new run", "the deployment changed under the run: %s, expected %s", got, r.plan.Topology)
	}
	r.site = now
	return nil
}

// loads is what each generator of a replicate is told.
func (r *runner) loads(replicate int, ev *run.Evidence) ([]samplefile.Load, error) {
	var out []samplefile.Load
	for g := range r.plan.Generators {
		l := experiment.Load(r.plan, r.dir.Name(), replicate, g)
		for i, a := range r.plan.Arms {
			url, err := r.address(a)
			if err != nil {
				return nil, err
			}
			l.Arms[i].URL = url
			ev.Addresses[a.Name] = url
		}
		out = append(out, l)
	}
	return out, nil
}

// outcome is what sending a replicate's load left beside its samples.
type outcome struct {
	notes []string // for the report
	again int      // generators that were started again and may have sent twice
}

// send has the load sent by the kind of task that the plan needs.
func (r *runner) send(ctx context.Context, loads []samplefile.Load) (outcome, error) {
	switch {
	case len(loads) > 1:
		return r.fanOut(ctx, loads)
	case needsMesh(r.plan):
		return outcome{}, r.sendFromService(ctx, loads[0])
	}
	return outcome{}, r.sendFromTask(ctx, loads[0])
}
