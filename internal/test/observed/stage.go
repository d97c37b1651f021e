package observed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options say where an observation is shown.
type Options struct {
	App, Node []string // commands of the measured app and of a lab node
	Fabric    string
	Dir       string // logs
	// Slower divides the observation's scale, for a machine that is too busy
	// for its clock; 0 means 1.
	Slower float64
	// Settle bounds the wait for something that has to come about, such as an
	// event, in real time; 0 means 30 s.
	Settle time.Duration
}

// stage is where an observation's steps play.
type stage struct {
	o      *Observation
	opts   Options
	config scenario.Config
	top    *topology.Topology // as it is now: scaled, deployed again
	lab    *lab.Lab           // nil until a step needs it
	scale  float64
	// settleWithin bounds waits, real time.
	settleWithin time.Duration
}

// Show plays the steps on a fabric and returns where prediction or lab leave
// what was observed; nothing when they agree. The error is for a lab that
// cannot run.
func Show(ctx context.Context, o *Observation, opts Options) (differs []string, err error) {
	s := &stage{o: o, opts: opts, scale: 20, settleWithin: cmp.Or(opts.Settle, 30*time.Second)}
	if o.Scale > 0 {
		s.scale = o.Scale
	}
	if opts.Slower > 1 {
		s.scale = max(s.scale/opts.Slower, 1)
	}
	if s.config, err = o.Config(); err != nil {
		return nil, err
	}
	if s.top, err = s.config.Topology(); err != nil {
		return nil, err
	}
	defer func() {
		if s.lab != nil {
			err = errors.Join(err, s.lab.Close())
		}
	}()
	for i := range o.Steps {
		step := &o.Steps[i]
		if step.lab() && s.lab == nil {
			if err := s.start(ctx); err != nil {
				return differs, err
			}
		}
		if step.Exec != nil && opts.Fabric != "netns" {
			continue // a program has the host's network only there
		}
		diff, err := s.play(ctx, step)
		if err != nil {
			return differs, fmt.Errorf("step %d: %w", i+1, err)
		}
		for _, d := range diff {
			differs = append(differs, fmt.Sprintf("step %d: %s", i+1, d))
		}
	}
	return differs, nil
}

func (s *stage) start(ctx context.Context) (err error) {
	o := lab.Options{
		Topology: s.top, Fabric: s.opts.Fabric, App: lab.App{Command: s.opts.App}, Node: s.opts.Node, Seed: 1,
		Scale: s.scale, Dir: s.opts.Dir, KeepUnhealthy: !s.o.Replace,
	}
	if s.o.Profile != "" {
		if o.Timing, err = lab.Profile(s.o.Profile); err != nil {
			return err
		}
		if d := time.Duration(s.o.TaskStart); d > 0 {
			o.Timing.TaskStart = d
		}
	}
	if s.lab, err = lab.Start(ctx, o); err != nil {
		return err
	}
	if s.o.Replace {
		return nil // a target that is replaced is initial again and again
	}
	settle, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.lab.WaitSettled(settle)
}

func (s *stage) play(ctx context.Context, step *Step) ([]string, error) {
	switch {
	case step.Call != nil:
		return s.calls(ctx, step.Call)
	case step.Raw != nil:
		return s.raw(ctx, step.Raw)
	case step.Loop != nil:
		return s.loop(ctx, step.Loop)
	case step.Operate != "":
		return nil, s.operate(ctx, step.Operate)
	case step.Hosts != nil:
		return s.hosts(step.Hosts)
	case step.Exec != nil:
		return s.exec(ctx, step.Exec)
	case step.TLS != nil:
		return s.tls(ctx, step.TLS)
	case step.Target != nil:
		return s.target(ctx, step.Target)
	case step.Events != nil:
		return s.events(ctx, step.Events)
	case step.Log != nil:
		return s.log(step.Log)
	case step.Workers != nil:
		return s.workers(ctx, step.Workers)
	case step.Entries != nil:
		return s.entries(step.Entries)
	case step.Stable != nil:
		return s.stable(ctx, step.Stable)
	case step.Finding != nil:
		return s.finding(step.Finding)
	case step.Deploy != "":
		return s.deploy(step.Deploy)
	}
	return nil, errors.New("the step says nothing to do")
}

// service finds a service by its name in the scenario; nil for "".
func (s *stage) service(name string) (*topology.Service, error) {
	for _, v := range s.top.Services {
		if v.Name.Or("") == name || strings.HasSuffix(string(v.ID), "/"+name) {
			return v, nil
		}
	}
	return nil, fmt.Errorf("the deployment has no service %q", name)
}

func (s *stage) app() *topology.Service {
	v, _ := s.service(scenario.AppService) // every scenario has it
	return v
}

func (s *stage) reachOptions() reach.Options {
	return reach.Options{App: situation.Situation{Config: s.config}.App}
}

// address returns who calls what: in the lab's words and in reach's.
func (s *stage) address(from, to string, port int, path string, lookup call.Lookup) (c lab.Caller, url string, rc reach.Caller, label string, err error) {
	rc = reach.Caller{Kind: reach.CallerStandalone, Name: "a task without Service Connect", Lookup: lookup}
	c.Lookup = lookup
	if from != "" {
		v, err := s.service(from)
		if err != nil {
			return c, "", rc, "", err
		}
		c.Service, rc.Kind, rc.Name, rc.Service = v.ID, reach.CallerService, from, v.ID
	}
	if path == "" {
		path = "/"
	}
	switch to {
	case "alb":
		rc.Kind, rc.Name, rc.Service = reach.CallerAdmitted, "an admitted caller", ""
		if port == 0 {
			port = s.config.Listener
		}
		if url, err = s.lab.LoadBalancerURL(s.top.LoadBalancers[0].ID, port); err != nil {
			return c, "", rc, "", err
		}
		return c, strings.TrimSuffix(url, "/") + path, rc, "http://Alb:" + strconv.Itoa(port) + path, nil
	case "task":
		if port == 0 {
			port = s.config.ContainerPort
		}
		if url, err = s.lab.TaskURL(s.app().ID, "", port); err != nil {
			return c, "", rc, "", err
		}
		return c, strings.TrimSuffix(url, "/") + path, rc, "http://" + scenario.AppService + ":" + strconv.Itoa(port) + path, nil
	case "name":
		to = s.config.Endpoint()
	}
	if port == 0 {
		port = s.config.AliasPort
	}
	url = "http://" + net.JoinHostPort(to, strconv.Itoa(port)) + path
	return c, url, rc, url, nil
}

// patience bounds one request, modelled: longer than any timeout that a caller runs into.
const patience = 90 * time.Second

func (s *stage) real(d time.Duration) time.Duration { return time.Duration(float64(d) / s.scale) }

func (s *stage) modelled(d time.Duration) time.Duration { return time.Duration(float64(d) * s.scale) }
