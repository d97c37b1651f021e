package reach

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
	"github.com/hoplab/hoplab/internal/variant"
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
	// hinted holds by namespace what the source hints that its clients call.
	hinted map[*topology.ConnectNamespace]map[topology.ID]map[*topology.ConnectEndpoint]Hint
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
	p := newPredictor(t, o)
	for _, c := range o.Callers {
		for _, g := range c.Groups {
			if p.x.SecurityGroup(g) == nil {
				return nil, fail.Newf(fail.Usage, "name a security group by its ID in the topology, as hoplab explain prints it",
					"caller %s: security group %s is not in %s", c.Name, g, t.Name)
			}
		}
		for _, s := range c.Subnets {
			if p.x.Subnet(s) == nil {
				return nil, fail.Newf(fail.Usage, "name a subnet by its ID in the topology",
					"caller %s: subnet %s is not in %s", c.Name, s, t.Name)
			}
		}
	}
	return p, nil
}

func newPredictor(t *topology.Topology, o Options) *Predictor {
	return &Predictor{
		x: newIndex(t), o: o,
		apps:    map[topology.ID]App{},
		deploys: map[topology.ID]*Outcome{},
		checks:  map[checkKey]*Prediction{},
		hinted:  map[*topology.ConnectNamespace]map[topology.ID]map[*topology.ConnectEndpoint]Hint{},
	}
}

// Variants returns the variants of the topology that p predicts over; nil when
// nothing in it is conditional.
func (p *Predictor) Variants() *variant.Space { return p.x.variants }

// Variant returns a Predictor for what exists in a variant, with p's options.
func (p *Predictor) Variant(v variant.Variant) *Predictor {
	return newPredictor(v.Topology(p.x.Topology), p.o)
}

// Index returns the index of the topology that p predicts over.
func (p *Predictor) Index() *topology.Index { return p.x.Index }

// trace walks the path of a request and writes it down.
type trace struct {
	p    *Predictor
	pr   *Prediction
	http bool // an agent on the way speaks HTTP, so it signs the answer
}

func (p *Predictor) begin(id string, kind Kind, c Caller, url, what string) *trace {
	return &trace{p: p, pr: &Prediction{ID: id, Kind: kind, Caller: c, URL: url, What: what, Likely: true}}
}

// hop appends a hop that security groups decide on, and returns their verdict.
func (tr *trace) hop(from, to *host, fromRole, toRole string, port int) verdict {
	return tr.hopTo(from, to, fromRole, toRole, single(port))
}

// hopTo is hop to one of several ports.
func (tr *trace) hopTo(from, to *host, fromRole, toRole string, ports span) verdict {
	sg := tr.p.x.connection(from, to, ports)
	h := Hop{From: fromRole, To: toRole, At: to.id, Name: to.name, Port: ports.from, PortSymbol: ports.symbol,
		Admits: sg.admits, State: sg.state}
	if ports.to > ports.from {
		h.PortEnd = ports.to
	}
	tr.pr.Hops = append(tr.pr.Hops, h)
	for _, b := range sg.blocks {
		b.Hop = len(tr.pr.Hops) - 1
		tr.pr.Blocks = append(tr.pr.Blocks, b)
	}
	return sg
}

// hopInside appends a hop within a task, where no security group is asked.
func (tr *trace) hopInside(from, to string, s *topology.Service, port int, through string) {
	tr.pr.Hops = append(tr.pr.Hops, Hop{
		From: from, To: to, At: s.ID, Name: topology.Label(s.Origin, s.Name), Port: port, Through: through, State: HopOpen,
	})
}

// enter continues a trace at the task of s: it names who takes the connection
// of the last hop and adds the hop from agent to app.
func (tr *trace) enter(s *topology.Service, port int, how speech) Delivery {
	a := tr.p.deliver(s, port, how)
	tr.pr.Assumes = append(tr.pr.Assumes, a.Assumes...)
	last := &tr.pr.Hops[len(tr.pr.Hops)-1]
	if a.Agent == nil {
		last.To = "app"
		if a.Kind == DeliveryRefused {
			last.State = HopClosed
		} else if a.Kind == DeliveryUnsettled {
			last.State = HopUnknown
		}
		return a
	}
	last.To = "agent"
	tr.http = tr.http || a.Agent.HTTP()
	if a.Agent.Config.IngressPortOverride.IsAbsent() {
		last.Through = "redirect"
	}
	if a.Kind == DeliveryServed || a.Kind == DeliveryAgentRefused {
		n, _ := a.Agent.ContainerPort.Get()
		tr.hopInside("agent", "app", s, n, "loopback")
		if a.Kind == DeliveryAgentRefused {
			tr.pr.Hops[len(tr.pr.Hops)-1].State = HopClosed
		}
	}
	return a
}

// end closes the trace with its outcome.
func (tr *trace) end(o Outcome) Prediction {
	tr.pr.Outcome = o
	tr.exists()
	tr.pr.Path = route(tr.pr.Hops)
	if o.Class == OK && tr.pr.Evidence == nil {
		tr.pr.Evidence = evidence(tr.pr.Hops)
		if tr.http {
			tr.pr.Evidence.ServerHeader = "envoy"
		}
	}
	return *tr.pr
}

// exists states what a condition of the source may leave out.
func (tr *trace) exists() {
	x := tr.p.x
	say := func(o topology.Origin, name topology.Opt[string]) {
		if o.Maybe != "" {
			tr.pr.Assumes = append(tr.pr.Assumes, fmt.Sprintf("%s exists, which is not settled: %s", topology.Label(o, name), o.Maybe))
		}
	}
	for _, id := range []topology.ID{tr.pr.Caller.Service, tr.pr.Service} {
		if s := x.Service(id); s != nil {
			say(s.Origin, s.Name)
		}
	}
	if lb := x.LoadBalancer(tr.pr.LoadBalancer); lb != nil {
		say(lb.Origin, lb.Name)
		for _, l := range lb.Listeners {
			if l.ID == tr.pr.Listener {
				say(l.Origin, topology.Opt[string]{})
			}
		}
	}
	if g := x.TargetGroup(tr.pr.TargetGroup); g != nil {
		say(g.Origin, g.Name)
	}
}

func (tr *trace) unknown(why string) Prediction {
	return tr.end(Outcome{Class: Unknown, Why: why})
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
			case "alb", "nlb":
				e.Peer = h.From
			}
		case "alb", "nlb":
			e.Peer = h.To
		}
	}
	return e
}

// The errors as curl prints them, up to the part that its version or a clock decides.

// CurlNoName returns curl's message for a host that does not resolve.
func CurlNoName(host string) string { return "curl: (6) Could not resolve host: " + host }
func curlRefused(host string, port int) string {
	return fmt.Sprintf("curl: (7) Failed to connect to %s port %d", host, port)
}
func curlTimeout(host string, port int) string {
	return fmt.Sprintf("curl: (28) Failed to connect to %s port %d", host, port)
}

// CurlReset is curl's message when the connection is closed without an answer.
const CurlReset = "curl: (56) Recv failure: Connection reset by peer"

// Bodies that the agent writes itself (section 3 of the semantics).
const (
	BodyRouteTimeout = "upstream request timeout"
	bodyUpstream     = "upstream connect error or disconnect/reset before headers."
	bodyNoHost       = "no healthy upstream"
)

// appOutcome is what the app answers on path once it has the request.
func appOutcome(a Delivery, path string) Outcome {
	status, known := a.App.status(path)
	o := Outcome{Class: ClassOf(status), Status: status, By: "app", TimeKnown: true, After: a.App.Delay, Why: "the app answers"}
	if a.App.Body != "" && known {
		o.Body, o.Match = a.App.Body, Assumed
	}
	return o
}

// agentRefused is the answer of a server agent whose app does not listen on loopback.
func agentRefused(a Delivery) Outcome {
	if a.Agent.HTTP() {
		return Outcome{
			Class: HTTPError, Status: 503, Body: bodyUpstream, Match: Contains, By: "agent", TimeKnown: true, Inferred: true,
			Basis: semantics.Section(3).Row(14), Why: a.Why,
		}
	}
	return Outcome{
		Class: Reset, By: "agent", Inferred: true, TimeKnown: true,
		Basis: semantics.Section(3).Row(14), Why: a.Why + "; as a TCP proxy it closes the connection",
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
