package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Tries is how often an agent dials in all: the first try and 2 retries (section 3).
const tries = 3

// mesh predicts a Service Connect client that calls name:port.
func (p *Predictor) mesh(client *topology.Service, n *topology.EndpointName, kind Kind) Prediction {
	name, spelled := n.Spelled()
	name = cmp.Or(name, "?")
	port := n.Port.Or(0)
	c := serviceCaller(client)
	url := "http://" + name + ":" + strconv.Itoa(port) + "/"
	id := fmt.Sprintf("%s/%s/%s:%d", kind, client.ID, name, port)
	tr := p.begin(id, kind, c, url, fmt.Sprintf("%s calls %s:%d through Service Connect", c.Name, name, port))
	e := n.Endpoint
	tr.pr.Service = e.Service.ID
	switch {
	case !spelled && n.Name.IsUnknown():
		return tr.unknown("the endpoint's name is not settled: " + n.Name.Why())
	case n.Port.IsUnknown():
		return tr.unknown("the client port is not settled: " + n.Port.Why())
	}
	if o := p.deployOutcome(e.Service); o != nil {
		return tr.end(*o)
	}
	if o := p.deployOutcome(client); o != nil {
		return tr.end(*o)
	}
	if e.Service.ID == client.ID {
		return p.own(tr, client, e, port)
	}
	if p.x.After(e.Service.ID, client.ID) {
		return tr.end(noName(name, fmt.Sprintf("%s is deployed before %s; its tasks have the names of their deployment and resolve %s only after a new one",
			c.Name, topology.Label(e.Service.Origin, e.Service.Name), name)))
	}
	if !p.x.After(client.ID, e.Service.ID) {
		tr.pr.Otherwise = &Alternative{
			If:      fmt.Sprintf("the deployment of %s was created before %s existed (nothing in the source orders the two)", c.Name, name),
			Outcome: noName(name, "names are frozen when a deployment is created"),
		}
	}
	tr.hopInside("client", "client agent", client, port, "vip")
	return p.viaAgent(tr, client, e)
}

// own predicts a task that calls the name of its own service: the name exists
// before the first task does, so every task resolves it. Of several tasks its
// agent may choose any. A call to the task itself never leaves it: no security
// group and no redirect is in the way, so it ends at what listens on the
// ingress port of the task's own address (section 1).
func (p *Predictor) own(tr *trace, s *topology.Service, e *topology.ConnectEndpoint, port int) Prediction {
	tr.hopInside("client", "client agent", s, port, "vip")
	has, assumes := running(s)
	n, settled := s.DesiredCount.Get()
	switch {
	case !has:
		return tr.end(noHost(e))
	case assumes != "" || settled && n > 1:
		return tr.unknown("the name resolves; whether the task's agent calls the task itself or another one differs from call to call")
	case !e.Config.TLS.IsAbsent():
		return tr.unknown("the name resolves; what becomes of TLS to the task itself was not seen")
	}
	in, ok := e.IngressPort.Get()
	if !ok {
		return tr.unknown("the ingress port is not settled: " + e.IngressPort.Why())
	}
	a := atApp(s, p.app(s), in, false)
	seen := &Evidence{AgentHops: 1, Peer: "client", ServerHeader: "app"}
	if !e.Config.IngressPortOverride.IsAbsent() {
		a = p.atAgent(e, p.app(s), inPlain)
		seen.AgentHops, seen.Peer, seen.Counted = 2, "loopback", true
	}
	if e.HTTP() {
		seen.ServerHeader = "envoy"
	}
	switch {
	case a.Kind == DeliveryServed:
		o := p.timed(e, a)
		o.Inferred = true
		if o.Class == OK {
			tr.pr.Evidence = seen
		}
		return tr.end(o)
	case a.Kind == DeliveryAgentRefused:
		return tr.end(agentRefused(a))
	case a.Kind == DeliveryRefused && e.HTTP():
		o := agentRefused(Delivery{Agent: e, Why: a.Why})
		o.By, o.Match = "client agent", Contains
		o.Body = bodyUpstream
		return tr.end(o)
	}
	return tr.unknown(a.Why)
}

// viaAgent continues from the client's agent to a task of the endpoint.
func (p *Predictor) viaAgent(tr *trace, client *topology.Service, e *topology.ConnectEndpoint) Prediction {
	if e.Protocol.IsUnknown() {
		return tr.unknown("the endpoint's protocol is not settled: " + e.Protocol.Why())
	}
	in, ok := e.IngressPort.Get()
	if !ok {
		return tr.unknown("the ingress port is not settled: " + e.IngressPort.Why())
	}
	has, assumes := running(e.Service)
	if !has {
		return tr.end(noHost(e))
	}
	if assumes != "" {
		tr.pr.Assumes = append(tr.pr.Assumes, assumes)
	}
	ports := single(in)
	if p.x.onNodes(e.Service) && e.Config.IngressPortOverride.IsAbsent() {
		ports = dynamic // in bridge mode the agent has a port of the instance that Docker chooses
	}
	sg := tr.hopTo(p.x.taskHost(client), p.x.taskHost(e.Service), "client agent", "agent", ports)
	switch sg.state {
	case HopUnknown:
		return tr.unknown(sg.why)
	case HopClosed:
		return tr.end(p.dropped(e, sg.why))
	}
	a := tr.enter(e.Service, in, agreed(e))
	switch a.Kind {
	case DeliveryUnsettled:
		return tr.unknown(a.Why)
	case DeliveryAgentRefused:
		return tr.end(agentRefused(a))
	case DeliveryServed:
		return tr.end(p.timed(e, a))
	}
	return tr.unknown(a.Why)
}

// timed is the answer of the app as the client's agent lets it through: at
// most the per-request timeout late.
func (p *Predictor) timed(e *topology.ConnectEndpoint, a Delivery) Outcome {
	o := appOutcome(a, "/")
	o.Basis = semantics.Section(2, 3)
	limit, ok := RequestTimeout(e).Get()
	if !e.HTTP() || a.App.Delay == 0 {
		return o
	}
	if !ok {
		return Outcome{Class: Unknown, Why: "the per-request timeout is not settled: " + RequestTimeout(e).Why()}
	}
	if limit > 0 && a.App.Delay > seconds(limit) {
		return routeTimeout(limit, fmt.Sprintf("the app takes longer than the per-request timeout of %d s", limit))
	}
	return o
}

func routeTimeout(limit int, why string) Outcome {
	return Outcome{
		Class: HTTPError, Status: 504, Body: BodyRouteTimeout, Match: Exact, By: "client agent",
		After: seconds(limit), TimeKnown: true, Basis: semantics.Section(3).Row(4, 16), Why: why,
	}
}

// ingressTimeout is the answer of the server's agent, which applies the same
// limit to whoever calls it (section 3).
func ingressTimeout(limit int) Outcome {
	o := routeTimeout(limit, fmt.Sprintf("the app takes longer than the per-request timeout of %d s, which its own agent applies too", limit))
	o.By = "agent"
	return o
}

// dropped is what the caller sees when no SYN of its agent arrives: three
// tries of one connect timeout each, unless the per-request timeout ends them
// first (section 3).
func (p *Predictor) dropped(e *topology.ConnectEndpoint, why string) Outcome {
	all := tries * p.o.ConnectTimeout
	if !e.HTTP() {
		return Outcome{
			Class: Reset, By: "client agent", Inferred: true, Basis: semantics.Section(3),
			Why: why + "; the agent proxies TCP, so it accepts the connection, cannot reach a task and closes it",
		}
	}
	limit, ok := RequestTimeout(e).Get()
	if !ok {
		return Outcome{Class: Unknown, Why: "the per-request timeout is not settled: " + RequestTimeout(e).Why()}
	}
	if idle, set := e.Config.IdleTimeoutSeconds.Get(); set && idle > 0 && (limit == 0 || idle < limit) && seconds(idle) < all {
		return Outcome{
			Class: HTTPError, Status: 504, By: "client agent", After: seconds(idle), TimeKnown: true, Inferred: true, Basis: semantics.Section(3),
			Why: fmt.Sprintf("%s; the idle timeout of %d s ends the request first", why, idle),
		}
	}
	if limit > 0 && seconds(limit) <= all {
		o := routeTimeout(limit, why)
		o.Basis = semantics.Section(3).Row(4)
		return o
	}
	return Outcome{
		Class: HTTPError, Status: 503, By: "client agent", After: all, TimeKnown: true, Inferred: true, Basis: semantics.Section(3),
		Body: bodyUpstream + " retried and the latest reset reason: connection timeout", Match: Exact,
		Why: why + "; the tries are used up before the per-request timeout",
	}
}

func noHost(e *topology.ConnectEndpoint) Outcome {
	why := topology.Label(e.Service.Origin, e.Service.Name) + " has a desired count of 0, so the agent knows no task to call"
	if !e.HTTP() {
		return Outcome{Class: Reset, By: "client agent", TimeKnown: true, Inferred: true, Basis: semantics.Section(3), Why: why}
	}
	return Outcome{
		Class: HTTPError, Status: 503, Body: bodyNoHost, Match: Contains, By: "client agent", TimeKnown: true,
		Inferred: true, Basis: semantics.Section(3), Why: why,
	}
}

func noName(host, why string) Outcome {
	return Outcome{Class: NoName, By: "resolver", Curl: CurlNoName(host), TimeKnown: true, Basis: semantics.Section(2).Row(18, 19), Why: why}
}

// wrongPort predicts a client that puts a port into the URL which is no
// client port of the name: the whole address range of the endpoint is
// redirected to the agent, which has no route for that port and closes.
func (p *Predictor) wrongPort(client *topology.Service, n *topology.EndpointName, port int, what string) Prediction {
	name := n.Name.Or("?")
	c := serviceCaller(client)
	id := fmt.Sprintf("what-if/%s/%s:%d", client.ID, name, port)
	tr := p.begin(id, KindWhatIf, c, "http://"+name+":"+strconv.Itoa(port)+"/",
		fmt.Sprintf("%s puts %s %d into the URL", c.Name, what, port))
	tr.pr.Service, tr.pr.Likely = n.Endpoint.Service.ID, false
	if n.Name.IsUnknown() {
		return tr.unknown("the endpoint's name is not settled: " + n.Name.Why())
	}
	for _, s := range []*topology.Service{n.Endpoint.Service, client} {
		if o := p.deployOutcome(s); o != nil {
			return tr.end(*o)
		}
	}
	if p.x.After(n.Endpoint.Service.ID, client.ID) {
		return tr.end(noName(name, c.Name+" is deployed before the endpoint exists"))
	}
	tr.hopInside("client", "client agent", client, port, "vip")
	return tr.end(Outcome{
		Class: Reset, By: "client agent", Curl: CurlReset, TimeKnown: true, Basis: semantics.Section(2).Row(5),
		Why: fmt.Sprintf("%d is no client port of %s; callers use the client port, whatever the task listens on", port, name),
	})
}

// offPorts returns the ports people mistake for a client port of n, with what they are.
func (x *index) offPorts(ns *topology.ConnectNamespace, n *topology.EndpointName) []struct {
	port int
	what string
} {
	var taken []int
	for _, m := range ns.Named(n.Name.Or("")) {
		if q, ok := m.Port.Get(); ok {
			taken = append(taken, q)
		}
	}
	var out []struct {
		port int
		what string
	}
	add := func(o topology.Opt[int], what string) {
		if q, ok := o.Get(); ok && !slices.Contains(taken, q) {
			taken = append(taken, q)
			out = append(out, struct {
				port int
				what string
			}{q, what})
		}
	}
	add(n.Endpoint.Config.IngressPortOverride, "the ingress port")
	add(n.Endpoint.ContainerPort, "the container port")
	return out
}

func serviceCaller(s *topology.Service) Caller {
	return Caller{Kind: CallerService, Name: topology.Label(s.Origin, s.Name), Service: s.ID}
}
