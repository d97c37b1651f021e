package learn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/topology"
)

// stage is where an act plays: the deployment as read, what reach says about
// it, and the lab that runs it.
type stage struct {
	act         *Act
	o           *Options
	top         *topology.Topology
	reach       reach.Options
	predictor   *reach.Predictor
	lab         *lab.Lab // nil until a step needs it
	app, client *topology.Service
	ahead       []rollout.Phase // of the update that is under way
}

// settleWithin bounds the wait for what the lab does by itself, such as the
// first results of health checks, in real time.
const settleWithin = 30 * time.Second

// settleReally is the same on a clock that is not faster than real: targets have
// health checks every half minute.
const settleReally = 3 * time.Minute

func (s *stage) patience() time.Duration {
	if s.act.Scale == 1 {
		return settleReally
	}
	return settleWithin
}

func newStage(a *Act, o *Options) (*stage, error) {
	top, err := a.Config.Topology()
	if err != nil {
		return nil, fmt.Errorf("act %q: %w", a.Title, err)
	}
	s := &stage{act: a, o: o, top: top}
	for _, svc := range top.Services {
		switch {
		case strings.HasSuffix(string(svc.ID), scenario.AppService):
			s.app = svc
		case strings.HasSuffix(string(svc.ID), scenario.ClientService):
			s.client = svc
		}
	}
	s.reach = reach.Options{App: s.behaviour}
	s.predictor, err = reach.New(top, s.reach)
	return s, err
}

// behaviour tells reach what the app does.
func (s *stage) behaviour(svc *topology.Service) reach.App {
	if svc == s.app && s.act.App != nil {
		return *s.act.App
	}
	return situation.Situation{Config: s.act.Config}.App(svc)
}

// running starts the lab when the first step needs it, and waits until the
// health checks have come to a result.
func (s *stage) running(ctx context.Context) (*lab.Lab, error) {
	if s.lab != nil {
		return s.lab, nil
	}
	opts := lab.Options{
		Topology: s.top, Fabric: s.o.Fabric, App: lab.App{Command: s.o.App}, Node: s.o.Node, Seed: 1, Scale: s.act.Scale, Log: s.o.Log,
	}
	if s.o.Envoy != "" {
		opts.Agent, opts.Envoy = lab.AgentEnvoy, s.o.Envoy
	}
	l, err := lab.Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	s.lab = l
	settle, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	return l, l.WaitSettled(settle)
}

func (s *stage) close() error {
	if s.lab == nil {
		return nil
	}
	return s.lab.Close()
}

// record begins the act's record: what was read from its template.
func (s *stage) record() ActRecord {
	r := ActRecord{Title: s.act.Title, Scale: max(s.act.Scale, 1)}
	for _, row := range s.predictor.Report().Ports {
		if row.Service == s.app.ID {
			r.Ports = append(r.Ports, row)
		}
	}
	for _, o := range s.app.Groups {
		if id, ok := o.Get(); ok {
			r.Groups = append(r.Groups, admits(s.predictor.Index().SecurityGroup(id))...)
		}
	}
	return r
}

// admits puts a group's ingress rules into words.
func admits(g *topology.SecurityGroup) []string {
	var out []string
	for _, r := range g.Ingress {
		port := fmt.Sprint(r.From)
		if r.To != r.From {
			port += fmt.Sprintf("-%d", r.To)
		}
		from := string(r.Peer.Group)
		if i := strings.LastIndexByte(from, '/'); i >= 0 {
			from = from[i+1:]
		}
		if from == "" && r.Peer.CIDR != (netip.Prefix{}) {
			from = r.Peer.CIDR.String()
		}
		out = append(out, fmt.Sprintf("%s %s from %s", r.Protocol, port, from))
	}
	slices.Sort(out)
	return out
}
