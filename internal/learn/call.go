package learn

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/situation"
)

// Step is one thing that an act does or looks at.
type Step interface {
	// show does it. The error is for a lab that fails, not for what a caller sees.
	show(context.Context, *stage) (Shown, error)
}

// request is a call with its documented outcome.
type request struct {
	key, say string
	call     situation.Call
	want     want
}

// want is what is documented of a call. Zero values are not compared.
type want struct {
	status   int
	body     string // a prefix
	curl     string // a prefix of curl's message
	path     string // exact, as in Call.Path
	location string // a prefix
}

// patience bounds one call in the lab's own time; the longest documented wait is 60 s.
const patience = 90 * time.Second

func (c request) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: c.key, Say: c.say}
	l, err := s.running(ctx)
	if err != nil {
		return out, err
	}
	asked := situation.Situation{Config: s.act.Config, Call: &c.call}
	who, question := asked.Ask(s.top)
	predicted, err := s.predictor.Ask(who, question)
	if err != nil {
		return out, err
	}
	if len(predicted) != 1 {
		return out, fmt.Errorf("%s: %d predictions for one call", question, len(predicted))
	}
	p := predicted[0]
	caller, name := lab.Caller{}, "a host of the VPC without Service Connect"
	if c.call.FromClient {
		caller, name = lab.Caller{Service: s.client.ID}, s.client.Name.Or("the client")
	}
	caller.Lookup = c.call.Lookup
	target, err := s.address(&p, question, c.call.Path)
	if err != nil {
		return out, err
	}
	before := s.count()
	limit, cancel := context.WithTimeout(ctx, time.Duration(float64(patience)/max(s.act.Scale, 1)))
	defer cancel()
	o, err := l.Curl(limit, caller, target)
	if err != nil {
		return out, err
	}
	seen := &Call{Caller: name, URL: target, Predicted: p, Seen: o, Peer: o.Header.Get("X-Hoplab-Peer")}
	fromApp := o.Header.Get("X-Hoplab-App") != ""
	seen.Path = s.path(ctx, before, fromApp || strings.HasSuffix(p.Path, "app") && p.Outcome.After > 0, seen.Peer)
	seen.Predicted.Outcome.Location = named(p.Outcome.Location, target)
	out.Call = seen
	out.Differs = c.differs(seen)
	return out, nil
}

// address is what the caller types: a load balancer's name instead of its label.
func (s *stage) address(p *reach.Prediction, question, path string) (string, error) {
	if p.LoadBalancer == "" {
		return question, nil
	}
	u, err := url.Parse(question)
	if err != nil {
		return "", err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return "", err
	}
	base, err := s.lab.LoadBalancerURL(p.LoadBalancer, port)
	return strings.TrimSuffix(base, "/") + path, err
}

// named puts the name that the caller used into a predicted redirect, which
// names the load balancer as the topology does.
func named(location, target string) string {
	to, err1 := url.Parse(location)
	used, err2 := url.Parse(target)
	if location == "" || err1 != nil || err2 != nil {
		return location
	}
	return strings.Replace(location, to.Hostname(), used.Hostname(), 1)
}

// differs compares what was seen with what is documented and with what reach predicts.
func (c request) differs(seen *Call) string {
	o, w := &seen.Seen, &c.want
	var diffs []string
	wrong := func(format string, args ...any) { diffs = append(diffs, fmt.Sprintf(format, args...)) }
	if o.Status != w.status {
		wrong("documented is status %d, seen %d", w.status, o.Status)
	}
	if !strings.HasPrefix(o.Body, w.body) {
		wrong("documented is the body %q, seen %q", w.body, o.Body)
	}
	if !strings.HasPrefix(o.Error, w.curl) {
		wrong("documented is %q, seen %q", w.curl, o.Error)
	}
	if w.path != "" && seen.Path != w.path {
		wrong("documented is the path %s, seen %s", w.path, seen.Path)
	}
	if !strings.HasPrefix(o.Header.Get("Location"), w.location) {
		wrong("documented is a redirect to %s, seen %q", w.location, o.Header.Get("Location"))
	}
	if d := disagrees(seen); d != "" {
		wrong("predicted is %s", d)
	}
	return strings.Join(diffs, "; ")
}

// disagrees compares with the prediction, which has no body of the app's own;
// curl names a load balancer by another name than the topology.
func disagrees(seen *Call) string {
	want := seen.Predicted.Outcome
	if want.Match == reach.Assumed {
		want.Match, want.Body = reach.Open, ""
	}
	if seen.Predicted.LoadBalancer != "" {
		want.Curl = ""
	}
	return want.Disagrees(seen.Seen)
}
