// Package differential holds prediction against observation: it asks reach
// what every caller of a deployment will see, lets the lab show it, and lists
// where the two differ. Each difference is a bug in one of them, or a line
// that the semantics lack.
package differential

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Row is one caller's request: what was predicted and what was seen.
type Row struct {
	ID        string
	What      string
	Predicted string // in words that compare: "504 upstream request timeout"
	Observed  string
	Differs   string // "" or what differs
	Skipped   string // "" or why it cannot be shown
}

// Options adjust a comparison.
type Options struct {
	App    []string // command of the measured app
	Node   []string // command of a lab node
	Fabric string
	Envoy  string // the Envoy that the agents are; "" for the lab's own
	Share  bool   // the lab's own agents share processes
	// Scale is how many times faster than real the lab's timers run.
	Scale float64
	Seed  uint64
	Dir   string // logs; "" for a temporary directory
	// Reach are the options of the prediction; App says what the app does.
	Reach reach.Options
	// Want, if not nil, chooses among the report's predictions.
	Want func(*reach.Prediction) bool
	// Ask adds calls of which the report does not speak by itself.
	Ask []Question
	// Lookups adds callers that look names up in other ways, Streams event
	// streams on the paths that work.
	Lookups, Streams bool
	// Changes happen one after the other; after each everything is compared
	// again with what is predicted then.
	Changes []Change
}

// Question is a call to predict and to make.
type Question struct {
	Caller reach.Caller
	URL    string // as reach's Ask wants it
}

// patience bounds one request in the lab's own time: longer than any timeout
// that a caller runs into, shorter than the kernel's two minutes.
const patience = 90 * time.Second

// settling is how long targets may take to come to a result: a health check's
// interval in real time is half a minute and more.
func settling(scale float64) time.Duration {
	if scale <= 1 {
		return 2 * time.Minute
	}
	return 20 * time.Second
}

// Compare predicts and runs one deployment.
func Compare(ctx context.Context, t *topology.Topology, o Options) ([]Row, error) {
	predictions, err := predict(t, o)
	if err != nil {
		return nil, err
	}
	opts := lab.Options{Topology: t, Fabric: o.Fabric, App: lab.App{Command: o.App}, Node: o.Node, Seed: o.Seed, Scale: o.Scale,
		Dir: o.Dir, ShareAgents: o.Share}
	if o.Envoy != "" {
		opts.Agent, opts.Envoy = lab.AgentEnvoy, o.Envoy
	}
	l, err := lab.Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	settle, cancel := context.WithTimeout(ctx, settling(o.Scale))
	defer cancel()
	if err := l.WaitSettled(settle); err != nil {
		return nil, err
	}
	rows := compareAll(ctx, l, t, predictions, o)
	for _, c := range o.Changes {
		if err := c.Do(ctx, l); err != nil {
			return rows, fmt.Errorf("%s: %w", c.What, err)
		}
		settle, cancel := context.WithTimeout(ctx, settling(o.Scale))
		err := l.WaitSettled(settle)
		cancel()
		if err != nil {
			return rows, fmt.Errorf("%s: %w", c.What, err)
		}
		now, after := t, o
		if c.After != nil {
			now, after.Reach = c.After, c.Reach
		}
		if predictions, err = predict(now, after); err != nil {
			return rows, err
		}
		for _, r := range compareAll(ctx, l, now, predictions, after) {
			r.ID = c.What + ": " + r.ID
			rows = append(rows, r)
		}
	}
	return rows, ctx.Err()
}

func compareAll(ctx context.Context, l *lab.Lab, t *topology.Topology, predictions []reach.Prediction, o Options) []Row {
	rows := make([]Row, len(predictions))
	streams := make([]*Row, len(predictions))
	x := topology.NewIndex(t)
	var wg sync.WaitGroup
	slots := make(chan struct{}, callsAtOnce)
	for i := range predictions {
		p := &predictions[i]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			rows[i] = compare(ctx, l, p, o.Scale)
		})
		if o.Streams {
			wg.Go(func() {
				if r, ok := stream(ctx, l, x, p, o.Scale); ok {
					streams[i] = &r
				}
			})
		}
	}
	wg.Wait()
	for _, r := range streams {
		if r != nil {
			rows = append(rows, *r)
		}
	}
	return rows
}

// callsAtOnce is how many calls are under way at the same time.
const callsAtOnce = 32

// predict lists what is to be compared.
func predict(t *topology.Topology, o Options) ([]reach.Prediction, error) {
	p, err := reach.New(t, o.Reach)
	if err != nil {
		return nil, err
	}
	var out []reach.Prediction
	for _, x := range p.Report().Predictions {
		if o.Want == nil || o.Want(&x) {
			out = append(out, x)
		}
	}
	for _, q := range o.Ask {
		answers, err := p.Ask(q.Caller, q.URL)
		if err != nil {
			return nil, err
		}
		out = append(out, answers...)
	}
	if o.Lookups {
		others, err := lookups(p, out)
		if err != nil {
			return nil, err
		}
		out = append(out, others...)
	}
	return out, nil
}

func compare(ctx context.Context, l *lab.Lab, p *reach.Prediction, scale float64) Row {
	r := Row{ID: p.ID, What: p.What}
	if p.Kind == reach.KindHealth {
		return health(l, p, r)
	}
	caller, target, skip := addressee(l, p)
	if skip != "" {
		r.Skipped = skip
		return r
	}
	r.Predicted = words(p)
	if id := standalone(p); id != "" {
		if err := l.AddStandalone(ctx, id, p.Caller.Subnets, p.Caller.Groups); err != nil {
			r.Observed, r.Differs = err.Error(), "the caller could not be placed"
			return r
		}
		defer l.RemoveStandalone(id)
		caller.Standalone = id
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(float64(patience)/max(scale, 1)))
	defer cancel()
	o, err := l.Curl(limit, caller, target)
	if err != nil {
		r.Observed, r.Differs = err.Error(), "the call could not be made"
		return r
	}
	r.Observed = seen(o)
	r.Differs = differs(p, o, target)
	return r
}

// standalone names the task of a prediction whose caller is one that no service
// runs and whose place is known; "" for every other.
func standalone(p *reach.Prediction) string {
	if p.Caller.Kind != reach.CallerStandalone || len(p.Caller.Groups) == 0 {
		return ""
	}
	return fmt.Sprint(p.ID, p.Caller.Groups)
}

// addressee says who calls what in the lab for a prediction, or why the lab cannot show it.
func addressee(l *lab.Lab, p *reach.Prediction) (caller lab.Caller, target, skip string) {
	switch p.Outcome.Class {
	case reach.Unknown:
		return caller, "", "the prediction is unknown"
	case reach.DeployFails, reach.NoTraffic:
		return caller, "", "there is nothing to call: " + string(p.Outcome.Class)
	}
	if p.Outcome.Match == reach.Open && p.Outcome.Status == 0 && p.Outcome.Class == reach.HTTPError {
		return caller, "", "the status is not settled"
	}
	caller.Service, caller.Lookup = p.Caller.Service, p.Caller.Lookup
	u, err := url.Parse(p.URL)
	if err != nil {
		return caller, "", "no URL: " + p.URL
	}
	switch p.Kind {
	case reach.KindMesh, reach.KindWhatIf, reach.KindOutside:
		return caller, p.URL, ""
	case reach.KindURL:
		if p.Outcome.Class != reach.NoName {
			return caller, "", "the lab has no Cloud Map DNS"
		}
		return caller, p.URL, ""
	case reach.KindALB:
		if u.Scheme == "https" {
			return caller, "", "HTTPS is compared in its own test"
		}
		base, err := l.LoadBalancerURL(p.LoadBalancer, port(u))
		if err != nil {
			return caller, "", err.Error()
		}
		return caller, strings.TrimSuffix(base, "/") + u.RequestURI(), ""
	case reach.KindDirect:
		base, err := l.TaskURL(p.Service, "", port(u))
		if err != nil {
			return caller, "", err.Error()
		}
		return caller, base, ""
	}
	return caller, "", "no call for a " + string(p.Kind)
}

func port(u *url.URL) int {
	n := 80
	if u.Scheme == "https" {
		n = 443
	}
	fmt.Sscan(u.Port(), &n)
	return n
}

// words puts a prediction into the form of seen.
func words(p *reach.Prediction) string {
	o := &p.Outcome
	if o.Class != reach.OK && o.Class != reach.HTTPError {
		return string(o.Class)
	}
	body := fmt.Sprintf("%q", o.Body)
	switch o.Match {
	case reach.Contains:
		body = "…" + body + "…"
	case reach.Open, reach.Assumed:
		body = "(any body)"
	}
	return fmt.Sprintf("%d %s", o.Status, body)
}

func seen(o call.Observation) string {
	if o.Status != 0 {
		return fmt.Sprintf("%d %q", o.Status, o.Body)
	}
	return string(reach.ClassSeen(o)) + ": " + o.Error
}

// curl is the predicted text of curl with the name that the lab's caller used:
// a prediction calls load balancers and tasks by their labels.
func curl(p *reach.Prediction, target string) string {
	label, err1 := url.Parse(p.URL)
	used, err2 := url.Parse(target)
	if err1 != nil || err2 != nil {
		return p.Outcome.Curl
	}
	return strings.Replace(p.Outcome.Curl, label.Hostname(), used.Hostname(), 1)
}

func differs(p *reach.Prediction, o call.Observation, target string) string {
	want := &p.Outcome
	switch got := reach.ClassSeen(o); {
	case got != want.Class:
		return fmt.Sprintf("class %s, predicted %s", got, want.Class)
	case want.Status != 0 && o.Status != want.Status:
		return fmt.Sprintf("status %d, predicted %d", o.Status, want.Status)
	case want.Match == reach.Exact && o.Body != want.Body:
		return fmt.Sprintf("body %q, predicted %q", o.Body, want.Body)
	case want.Match == reach.Contains && !strings.Contains(o.Body, want.Body):
		return fmt.Sprintf("body %q, predicted to contain %q", o.Body, want.Body)
	case want.Curl != "" && o.Error != "" && !strings.HasPrefix(o.Error, curl(p, target)):
		return fmt.Sprintf("curl said %q, predicted %q", o.Error, curl(p, target))
	case want.Location != "" && o.Status/100 == 3 && o.Header.Get("Location") == "":
		return "no Location, predicted " + want.Location
	}
	return proof(p, o)
}

// proof compares what the response shows of its way with the predicted evidence.
func proof(p *reach.Prediction, o call.Observation) string {
	e := p.Evidence
	peer := o.Header.Get("X-Hoplab-Peer")
	if e == nil || peer == "" {
		return ""
	}
	loopback := peer == "127.0.0.1" || peer == "::1"
	envoy := o.Header.Get("Server") == "envoy" && o.Header.Get("X-Envoy-Upstream-Service-Time") != ""
	switch {
	case (e.Peer == "loopback") != loopback:
		return fmt.Sprintf("the app saw peer %s, predicted %s", peer, e.Peer)
	case (e.ServerHeader == "envoy") != envoy:
		return fmt.Sprintf("server header %q, predicted %s", o.Header.Get("Server"), e.ServerHeader)
	}
	return ""
}

// health compares the state of a target.
func health(l *lab.Lab, p *reach.Prediction, r Row) Row {
	if p.Target == nil || p.Outcome.Class == reach.Unknown {
		r.Skipped = "the target's state is not predicted"
		return r
	}
	r.Predicted = strings.TrimSpace(p.Target.State + " " + p.Target.Reason)
	st := l.Status()
	for _, b := range st.LoadBalancers {
		for _, g := range b.Groups {
			if g.ID != string(p.TargetGroup) {
				continue
			}
			// A target that a crashed task leaves behind drains beside the next one.
			left := func(t alb.TargetStatus) bool { return t.State == alb.Draining }
			if !slices.ContainsFunc(g.Targets, func(t alb.TargetStatus) bool { return !left(t) }) {
				left = func(alb.TargetStatus) bool { return false }
			}
			for _, t := range g.Targets {
				if left(t) {
					continue
				}
				r.Observed = strings.TrimSpace(string(t.State) + " " + t.Reason)
				if t.State == alb.Initial {
					r.Skipped = "the target is still initial"
				} else if r.Observed != r.Predicted {
					r.Differs = "target " + r.Observed + ", predicted " + r.Predicted
					return r
				}
			}
		}
	}
	if r.Observed == "" {
		r.Skipped = "the lab has no such target"
	}
	return r
}
