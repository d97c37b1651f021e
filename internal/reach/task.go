package reach

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hoplab/hoplab/internal/topology"
)

// Delivery is what a task does with a connection that its security groups let in.
type Delivery struct {
	Kind  DeliveryKind
	Agent *topology.ConnectEndpoint // the endpoint whose agent takes the connection; nil when the app does
	App   App
	Why   string
	// Assumes lists what was taken for granted.
	Assumes []string
}

// DeliveryKind is what happens to a connection, or to a probe, that arrives.
type DeliveryKind string

// The kinds of delivery.
const (
	DeliveryServed       DeliveryKind = "served"        // the app reads the request, as far as the source tells
	DeliveryRefused      DeliveryKind = "refused"       // nothing listens: the kernel answers with a reset
	DeliveryAgentRefused DeliveryKind = "agent-refused" // the agent takes it and finds the app's port closed
	DeliveryWantsTLS     DeliveryKind = "wants-tls"     // an agent with TLS gets plain text
	DeliveryWantsPlain   DeliveryKind = "wants-plain"   // somebody who speaks plain text gets a TLS handshake
	DeliveryUnsettled    DeliveryKind = "unknown"
)

// Deliver says who takes a TCP connection from outside to the port of a task
// of s (section 1 of the semantics): in default mode the redirect gives the
// container port to the agent, in override mode the agent binds its own port
// and the app's is open.
func (p *Predictor) Deliver(s *topology.Service, port int, tls bool) Delivery {
	if tls {
		return p.deliver(s, port, inTLS)
	}
	return p.deliver(s, port, inPlain)
}

// speech is what a caller speaks with a task.
type speech int

const (
	inPlain speech = iota
	inTLS
	asAgreed // as the endpoint has it, whatever that is
)

// agreed is what a caller's agent speaks for an endpoint.
func agreed(e *topology.ConnectEndpoint) speech {
	switch {
	case e.Config.TLS.IsUnknown():
		return asAgreed
	case e.Config.TLS.Or(false):
		return inTLS
	}
	return inPlain
}

func (p *Predictor) deliver(s *topology.Service, port int, how speech) Delivery {
	app := p.app(s)
	if s.ConnectUnknown != "" {
		return Delivery{Kind: DeliveryUnsettled, Why: "whether the agent takes the connection is not settled: " + s.ConnectUnknown}
	}
	if s.Connect != nil && s.Connect.Enabled.IsUnknown() {
		return Delivery{Kind: DeliveryUnsettled, Why: "whether Service Connect is enabled is not settled: " + s.Connect.Enabled.Why()}
	}
	var why string
	for _, e := range p.x.Endpoints(s.ID) {
		in := e.IngressPort
		if n, ok := in.Get(); ok && n == port {
			return p.atAgent(e, app, how)
		} else if !ok {
			why = cmp.Or(why, "the port on which the agent listens is not settled: "+in.Why())
		}
	}
	if s.Connect != nil {
		why = cmp.Or(why, s.Connect.Uncertain)
	}
	if why != "" {
		return Delivery{Kind: DeliveryUnsettled, Why: why}
	}
	return atApp(s, app, port, how == inTLS)
}

func (p *Predictor) atAgent(e *topology.ConnectEndpoint, app App, how speech) Delivery {
	a := Delivery{Kind: DeliveryServed, Agent: e, App: app}
	wants, tls := e.Config.TLS.Or(false), how == inTLS
	switch {
	case e.Protocol.IsUnknown():
		a.Kind, a.Why = DeliveryUnsettled, "the endpoint's protocol is not settled: "+e.Protocol.Why()
		return a
	case how == asAgreed: // no misunderstanding is possible
	case e.Config.TLS.IsUnknown():
		a.Kind, a.Why = DeliveryUnsettled, "whether the endpoint has TLS is not settled: "+e.Config.TLS.Why()
		return a
	case wants && !tls:
		a.Kind, a.Why = DeliveryWantsTLS, "the agent of an endpoint with TLS accepts only TLS on its ingress port"
		return a
	case !wants && tls && e.HTTP():
		a.Kind, a.Why = DeliveryWantsPlain, "the agent of an endpoint without TLS reads plain HTTP"
		return a
	case !wants && tls && app.Ports == nil:
		a.Kind, a.Why = DeliveryUnsettled, "whether the app itself speaks TLS is not in the source"
		return a
	case !wants && tls:
		a.Kind, a.Why = DeliveryWantsPlain, "the agent passes the TLS handshake on to an app that speaks plain HTTP"
		return a
	}
	port, ok := e.ContainerPort.Get()
	if !ok {
		a.Kind, a.Why = DeliveryUnsettled, "the container port is not settled: "+e.ContainerPort.Why()
		return a
	}
	if app.Bind == BindInterface || app.Ports != nil && !slices.Contains(app.Ports, port) {
		a.Kind = DeliveryAgentRefused
		a.Why = fmt.Sprintf("the agent dials 127.0.0.1:%d, and the app does not listen there", port)
		return a
	}
	if app.Ports == nil {
		a.Assumes = append(a.Assumes, fmt.Sprintf("the app listens on port %d, loopback included", port))
	}
	return a
}

func atApp(s *topology.Service, app App, port int, tls bool) Delivery {
	a := Delivery{Kind: DeliveryServed, App: app}
	who := topology.Label(s.Origin, s.Name)
	switch {
	case app.Ports != nil && !slices.Contains(app.Ports, port):
		a.Kind, a.Why = DeliveryRefused, fmt.Sprintf("nothing in a task of %s listens on port %d", who, port)
	case app.Ports == nil && s.Task == nil:
		a.Kind, a.Why = DeliveryUnsettled, cmp.Or(s.TaskUnknown, "the task definition is not in the source")
	case app.Ports == nil && !s.Task.Declares(port):
		a.Kind = DeliveryUnsettled
		a.Why = fmt.Sprintf("no container of %s declares port %d, so whether anything listens there is not in the source", who, port)
	case app.Bind == BindLoopback:
		a.Kind, a.Why = DeliveryRefused, fmt.Sprintf("the app listens on 127.0.0.1:%d only, which nobody outside the task reaches", port)
	case tls && app.Ports == nil:
		a.Kind, a.Why = DeliveryUnsettled, "whether the app itself speaks TLS is not in the source"
	case tls:
		a.Kind, a.Why = DeliveryWantsPlain, "the app speaks plain HTTP"
	case app.Ports == nil:
		a.Assumes = append(a.Assumes, fmt.Sprintf("the app listens on port %d", port))
	}
	return a
}

// AppOf is the default of Options.App. It assumes an app that listens on its
// declared ports and answers as its callers want, and heeds LISTEN_ADDRESS,
// by which hoplab's own app is told on which addresses to listen.
func AppOf(s *topology.Service) App {
	var a App
	if s.Task == nil {
		return a
	}
	for i := range s.Task.Containers {
		env := s.Task.Containers[i].Environment
		listen, ours := env["LISTEN_ADDRESS"]
		if !ours {
			continue
		}
		addr, known := listen.Get()
		if !known {
			continue
		}
		switch addr {
		case "", "0.0.0.0", "::":
			a.Bind = BindAll
		case "127.0.0.1", "localhost", "::1":
			a.Bind = BindLoopback
		default:
			a.Bind = BindInterface
		}
	}
	return a
}

// app returns what the options say of the service's app, once per service.
func (p *Predictor) app(s *topology.Service) App {
	if a, ok := p.apps[s.ID]; ok {
		return a
	}
	a := p.o.App(s)
	p.apps[s.ID] = a
	return a
}

// taskHost returns the tasks of s as the end of a hop.
func (x *index) taskHost(s *topology.Service) *host {
	if h := x.hosts[s.ID]; h != nil {
		return h
	}
	h := &host{role: "task", name: topology.Label(s.Origin, s.Name), id: s.ID, origin: s.Origin, groups: s.Groups}
	subnets := s.Subnets
	if x.onNodes(s) {
		h.groups, subnets, h.noGroups = x.nodesOf(s)
	}
	h.addrs = x.addresses(subnets, h.groups)
	x.hosts[s.ID] = h
	return h
}

func (x *index) lbHost(lb *topology.LoadBalancer) *host {
	if h := x.hosts[lb.ID]; h != nil {
		return h
	}
	h := &host{role: lbRole(lb), name: topology.Label(lb.Origin, lb.Name), id: lb.ID, origin: lb.Origin, groups: lb.Groups}
	if lb.Kind == "network" && len(lb.Groups) == 0 { // it has none unless it is given one
		h.free, h.open = true, true
	}
	if lb.Kind == "network" {
		switch rules, ok := lb.PrivateLink.Get(); {
		case ok:
			h.privateLink = topology.Known(rules == "off")
		case lb.PrivateLink.IsUnknown():
			h.privateLink = topology.Unknown[bool](lb.PrivateLink.Why())
		}
	}
	h.addrs = x.addresses(lb.Subnets, lb.Groups)
	x.hosts[lb.ID] = h
	return h
}

func (x *index) instanceHost(i *topology.Instance) *host {
	if h := x.hosts[i.ID]; h != nil {
		return h
	}
	h := &host{role: "app", name: topology.Label(i.Origin, i.Name), id: i.ID, origin: i.Origin, groups: i.Groups}
	h.addrs = x.addresses(i.Places(), i.Groups)
	x.hosts[i.ID] = h
	return h
}

// callerHost returns the caller as the start of a path.
func (p *Predictor) callerHost(c Caller) *host {
	switch c.Kind {
	case CallerService:
		if s := p.x.Service(c.Service); s != nil {
			return p.x.taskHost(s)
		}
	case CallerAdmitted:
		return &host{role: "client", name: "an admitted caller", anybody: true}
	}
	h := &host{role: "client", name: c.Name, addrs: c.Addresses, free: len(c.Groups) == 0}
	for _, g := range c.Groups {
		h.groups = append(h.groups, topology.Known(g))
	}
	if len(h.addrs) == 0 {
		var subnets []topology.Opt[topology.ID]
		for _, s := range c.Subnets {
			subnets = append(subnets, topology.Known(s))
		}
		h.addrs, _ = p.x.places(subnets)
	}
	if len(h.addrs) == 0 && len(p.x.Topology.VPCs) == 1 {
		// Nobody said where the caller is; its kinds are all inside the VPC.
		if r, ok := p.x.Topology.VPCs[0].CIDR.Get(); ok {
			h.addrs = []netip.Prefix{r}
		}
	}
	return h
}

// running reports whether s has tasks: the desired count, 1 when absent.
func running(s *topology.Service) (ok bool, assumes string) {
	if s.DesiredCount.IsUnknown() {
		return true, "the desired count of " + topology.Label(s.Origin, s.Name) + " is at least 1"
	}
	return s.DesiredCount.Or(1) > 0, ""
}
