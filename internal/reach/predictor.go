package reach

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// Predictor answers questions about one topology. It remembers what it has
// worked out and is not safe for concurrent use.
type Predictor struct {
	x       *index
	o       Options
	apps    map[topology.ID]App
	deploys map[topology.ID]*Outcome
	checks  map[checkKey]*Prediction
	report  *Report
}

type checkKey struct {
	tg      topology.ID
	service topology.ID
	target  *topology.Target
	port    int
}

// New returns a Predictor for t. It fails when an option names something that t does not have.
func New(t *topology.Topology, o Options) (*Predictor, error) {
	if o.App == nil {
		o.App = AppOf
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	if o.MaxPairs == 0 {
		o.MaxPairs = defaultMaxPairs
	}
	p := &Predictor{
		x: newIndex(t), o: o,
		apps:    map[topology.ID]App{},
		deploys: map[topology.ID]*Outcome{},
		checks:  map[checkKey]*Prediction{},
	}
	for _, c := range o.Callers {
		for _, g := range c.Groups {
			if p.x.groups[g] == nil {
				return nil, fail.Newf(fail.Usage, "name a security group by its ID in the topology, as hoplab explain prints it",
					"caller %s: security group %s is not in %s", c.Name, g, t.Name)
			}
		}
		for _, s := range c.Subnets {
			if p.x.subnets[s] == nil {
				return nil, fail.Newf(fail.Usage, "name a subnet by its ID in the topology",
					"caller %s: subnet %s is not in %s", c.Name, s, t.Name)
			}
		}
	}
	return p, nil
}

// journey walks a path and writes it down.
type journey struct {
	p    *Predictor
	pr   *Prediction
	http bool // an agent on the way speaks HTTP, so it signs the answer
}

func (p *Predictor) begin(id string, kind Kind, c Caller, url, what string) *journey {
	return &journey{p: p, pr: &Prediction{ID: id, Kind: kind, Caller: c, URL: url, What: what, Likely: true}}
}

// leg appends a hop that security groups decide on, and returns its state.
func (j *journey) leg(from, to *host, fromRole, toRole string, port int) passage {
	pass := j.p.x.pass(from, to, port)
	j.pr.Hops = append(j.pr.Hops, Hop{
		From: fromRole, To: toRole, At: to.id, Name: to.name, Port: port, Admits: pass.admits, State: pass.state,
	})
	for _, b := range pass.blocks {
		b.Hop = len(j.pr.Hops) - 1
		j.pr.Blocks = append(j.pr.Blocks, b)
	}
	return pass
}

// inside appends a hop within a task, where no security group is asked.
func (j *journey) inside(from, to string, s *topology.Service, port int, through string) {
	j.pr.Hops = append(j.pr.Hops, Hop{
		From: from, To: to, At: s.ID, Name: label(s.Origin, s.Name), Port: port, Through: through, State: HopOpen,
	})
}

// enter continues a journey at the task of s: it names who takes the
// connection of the last hop and adds the leg from agent to app.
func (j *journey) enter(s *topology.Service, port int, tls bool) arrival {
	a := j.p.arrive(s, port, tls)
	j.pr.Assumes = append(j.pr.Assumes, a.assumes...)
	last := &j.pr.Hops[len(j.pr.Hops)-1]
	if a.agent == nil {
		last.To = "app"
		if a.kind == refused {
			last.State = HopClosed
		} else if a.kind == unsettled {
			last.State = HopUnknown
		}
		return a
	}
	last.To = "agent"
	j.http = j.http || a.agent.http()
	if a.agent.ep.IngressPortOverride.IsAbsent() {
		last.Through = "redirect"
	}
	if a.kind == served || a.kind == appRefuses {
		n, _ := a.agent.port.Get()
		j.inside("agent", "app", s, n, "loopback")
		if a.kind == appRefuses {
			j.pr.Hops[len(j.pr.Hops)-1].State = HopClosed
		}
	}
	return a
}

// end closes the journey with its outcome.
func (j *journey) end(o Outcome) Prediction {
	j.pr.Outcome = o
	j.exists()
	j.pr.Path = route(j.pr.Hops)
	if o.Class == OK && j.pr.Evidence == nil {
		j.pr.Evidence = evidence(j.pr.Hops)
		if j.http {
			j.pr.Evidence.ServerHeader = "envoy"
		}
	}
	return *j.pr
}

// exists states what a condition of the source may leave out.
func (j *journey) exists() {
	x := j.p.x
	say := func(o topology.Origin, name topology.Opt[string]) {
		if o.Maybe != "" {
			j.pr.Assumes = append(j.pr.Assumes, fmt.Sprintf("%s exists, which is not settled: %s", label(o, name), o.Maybe))
		}
	}
	for _, id := range []topology.ID{j.pr.Caller.Service, j.pr.Service} {
		if s := x.services[id]; s != nil {
			say(s.Origin, s.Name)
		}
	}
	if lb := x.lbs[j.pr.LoadBalancer]; lb != nil {
		say(lb.Origin, lb.Name)
		for _, l := range lb.Listeners {
			if l.ID == j.pr.Listener {
				say(l.Origin, topology.Opt[string]{})
			}
		}
	}
	if g := x.tgs[j.pr.TargetGroup]; g != nil {
		say(g.Origin, g.Name)
	}
}

func (j *journey) unknown(why string) Prediction {
	return j.end(Outcome{Class: Unknown, Why: why})
}

// route writes the hops that the request gets along, in the words of the design.
func route(hops []Hop) string {
	if len(hops) == 0 {
		return "client"
	}
	roles := []string{strings.TrimPrefix(hops[0].From, "client ")}
	for _, h := range hops {
		if h.State != HopOpen {
			break
		}
		roles = append(roles, strings.TrimPrefix(h.To, "client "))
	}
	return strings.Join(roles, " → ")
}

// evidence reads from the hops what a served request leaves behind.
func evidence(hops []Hop) *Evidence {
	e := &Evidence{Peer: "client", ServerHeader: "app"}
	for _, h := range hops {
		switch h.To {
		case "agent", "client agent":
			e.AgentHops++
			e.Counted = e.Counted || h.To == "agent"
		case "app":
			switch h.From {
			case "agent":
				e.Peer = "loopback"
			case "alb":
				e.Peer = "alb"
			}
		case "alb":
			e.Peer = "alb"
		}
	}
	return e
}

// The errors as curl prints them, up to the part that its version or a clock decides.
func curlNoName(host string) string { return "curl: (6) Could not resolve host: " + host }
func curlRefused(host string, port int) string {
	return fmt.Sprintf("curl: (7) Failed to connect to %s port %d", host, port)
}
func curlTimeout(host string, port int) string {
	return fmt.Sprintf("curl: (28) Failed to connect to %s port %d", host, port)
}

const curlReset = "curl: (56) Recv failure: Connection reset by peer"

// Bodies that the agent writes itself (section 3 of the semantics).
const (
	bodyRouteTimeout = "upstream request timeout"
	bodyUpstream     = "upstream connect error or disconnect/reset before headers."
	bodyNoHost       = "no healthy upstream"
)

// appOutcome is what the app answers on path once it has the request.
func appOutcome(a arrival, path string) Outcome {
	status, known := a.app.status(path)
	o := Outcome{Class: ClassOf(status), Status: status, By: "app", TimeKnown: true, After: a.app.Delay, Why: "the app answers"}
	if a.app.Body != "" && known {
		o.Body, o.Match = a.app.Body, Assumed
	}
	return o
}

// agentRefused is the answer of a server agent whose app does not listen on loopback.
func agentRefused(a arrival) Outcome {
	if a.agent.http() {
		return Outcome{
			Class: HTTPError, Status: 503, Body: bodyUpstream, Match: Contains, By: "agent", TimeKnown: true, Inferred: true,
			Basis: "3, 10 row 14", Why: a.why,
		}
	}
	return Outcome{
		Class: Reset, By: "agent", Inferred: true, TimeKnown: true,
		Basis: "3, 10 row 14", Why: a.why + "; as a TCP proxy it closes the connection",
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
