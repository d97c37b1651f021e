package reach

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/topology"
)

// Tries is how often an agent dials in all: the first try and 2 retries (section 3).
const tries = 3

// mesh predicts a Service Connect client that calls name:port.
func (p *Predictor) mesh(client *topology.Service, n endpointName, kind Kind) Prediction {
	name, port := n.name.Or("?"), n.port.Or(0)
	c := serviceCaller(client)
	url := "http://" + name + ":" + itoa(port) + "/"
	id := fmt.Sprintf("%s/%s/%s:%d", kind, client.ID, name, port)
	j := p.begin(id, kind, c, url, fmt.Sprintf("%s calls %s:%d through Service Connect", c.Name, name, port))
	e := n.ep
	j.pr.Service = e.svc.ID
	switch {
	case !n.name.IsAbsent() && n.name.IsUnknown():
		return j.unknown("the endpoint's name is not settled: " + n.name.Why())
	case n.port.IsUnknown():
		return j.unknown("the client port is not settled: " + n.port.Why())
	}
	if o := p.deployOutcome(e.svc); o != nil {
		return j.end(*o)
	}
	if o := p.deployOutcome(client); o != nil {
		return j.end(*o)
	}
	if e.svc.ID == client.ID {
		return j.unknown("whether a task resolves the endpoint of its own service depends on what existed when it started")
	}
	if p.x.after[e.svc.ID][client.ID] {
		return j.end(noName(name, fmt.Sprintf("%s is deployed before %s; its tasks keep the names of their start and resolve %s only after a new deployment",
			c.Name, label(e.svc.Origin, e.svc.Name), name)))
	}
	if !p.x.after[client.ID][e.svc.ID] {
		j.pr.Otherwise = &Alternative{
			If:      fmt.Sprintf("a task of %s started before %s existed (nothing in the source orders the two)", c.Name, name),
			Outcome: noName(name, "names are frozen when a task starts"),
		}
	}
	j.inside("client", "client agent", client, port, "vip")
	return p.viaAgent(j, client, e)
}

// viaAgent continues from the client's agent to a task of the endpoint.
func (p *Predictor) viaAgent(j *journey, client *topology.Service, e *endpoint) Prediction {
	if e.protoWhy != "" {
		return j.unknown("the endpoint's protocol is not settled: " + e.protoWhy)
	}
	in, ok := e.ingress().Get()
	if !ok {
		return j.unknown("the ingress port is not settled: " + e.ingress().Why())
	}
	has, assumes := running(e.svc)
	if !has {
		return j.end(noHost(e))
	}
	if assumes != "" {
		j.pr.Assumes = append(j.pr.Assumes, assumes)
	}
	pass := j.leg(p.x.taskHost(client), p.x.taskHost(e.svc), "client agent", "agent", in)
	switch pass.state {
	case HopUnknown:
		return j.unknown(pass.why)
	case HopClosed:
		return j.end(p.dropped(e, pass.why))
	}
	a := j.enter(e.svc, in, e.ep.TLS)
	switch a.kind {
	case unsettled:
		return j.unknown(a.why)
	case appRefuses:
		return j.end(agentRefused(a))
	case served:
		return j.end(p.timed(e, a))
	}
	return j.unknown(a.why)
}

// timed is the answer of the app as the client's agent lets it through: at
// most the per-request timeout late.
func (p *Predictor) timed(e *endpoint, a arrival) Outcome {
	o := appOutcome(a, "/")
	o.Basis = "2, 3"
	limit, ok := e.requestTimeout().Get()
	if !e.http() || a.app.Delay == 0 {
		return o
	}
	if !ok {
		return Outcome{Class: Unknown, Why: "the per-request timeout is not settled: " + e.requestTimeout().Why()}
	}
	if limit > 0 && a.app.Delay > seconds(limit) {
		return routeTimeout(limit, fmt.Sprintf("the app takes longer than the per-request timeout of %d s", limit))
	}
	return o
}

func routeTimeout(limit int, why string) Outcome {
	return Outcome{
		Class: HTTPError, Status: 504, Body: bodyRouteTimeout, Match: Exact, By: "client agent",
		After: seconds(limit), TimeKnown: true, Basis: "3, 10 rows 4 and 16", Why: why,
	}
}

// dropped is what the caller sees when no SYN of its agent arrives: three
// tries of one connect timeout each, unless the per-request timeout ends them
// first (section 3).
func (p *Predictor) dropped(e *endpoint, why string) Outcome {
	all := tries * p.o.ConnectTimeout
	if !e.http() {
		return Outcome{
			Class: Reset, By: "client agent", Inferred: true, Basis: "3",
			Why: why + "; the agent proxies TCP, so it accepts the connection, cannot reach a task and closes it",
		}
	}
	limit, ok := e.requestTimeout().Get()
	if !ok {
		return Outcome{Class: Unknown, Why: "the per-request timeout is not settled: " + e.requestTimeout().Why()}
	}
	if idle, set := e.ep.IdleTimeoutSeconds.Get(); set && idle > 0 && (limit == 0 || idle < limit) && seconds(idle) < all {
		return Outcome{
			Class: HTTPError, Status: 504, By: "client agent", After: seconds(idle), TimeKnown: true, Inferred: true, Basis: "3",
			Why: fmt.Sprintf("%s; the idle timeout of %d s ends the request first", why, idle),
		}
	}
	if limit > 0 && seconds(limit) <= all {
		o := routeTimeout(limit, why)
		o.Basis = "3, 10 row 4"
		return o
	}
	return Outcome{
		Class: HTTPError, Status: 503, By: "client agent", After: all, TimeKnown: true, Inferred: true, Basis: "3",
		Body: bodyUpstream + " retried and the latest reset reason: connection timeout", Match: Exact,
		Why: why + "; the tries are used up before the per-request timeout",
	}
}

func noHost(e *endpoint) Outcome {
	why := label(e.svc.Origin, e.svc.Name) + " has a desired count of 0, so the agent knows no task to call"
	if !e.http() {
		return Outcome{Class: Reset, By: "client agent", TimeKnown: true, Inferred: true, Basis: "3", Why: why}
	}
	return Outcome{
		Class: HTTPError, Status: 503, Body: bodyNoHost, Match: Contains, By: "client agent", TimeKnown: true,
		Inferred: true, Basis: "3", Why: why,
	}
}

func noName(host, why string) Outcome {
	return Outcome{Class: NoName, By: "resolver", Curl: curlNoName(host), TimeKnown: true, Basis: "2, 10 rows 18 and 19", Why: why}
}

// wrongPort predicts a client that puts a port into the URL which is no
// client port of the name: the whole address range of the endpoint is
// redirected to the agent, which has no route for that port and closes.
func (p *Predictor) wrongPort(client *topology.Service, n endpointName, port int, what string) Prediction {
	name := n.name.Or("?")
	c := serviceCaller(client)
	id := fmt.Sprintf("what-if/%s/%s:%d", client.ID, name, port)
	j := p.begin(id, KindWhatIf, c, "http://"+name+":"+itoa(port)+"/",
		fmt.Sprintf("%s puts %s %d into the URL", c.Name, what, port))
	j.pr.Service, j.pr.Likely = n.ep.svc.ID, false
	if n.name.IsUnknown() {
		return j.unknown("the endpoint's name is not settled: " + n.name.Why())
	}
	for _, s := range []*topology.Service{n.ep.svc, client} {
		if o := p.deployOutcome(s); o != nil {
			return j.end(*o)
		}
	}
	if p.x.after[n.ep.svc.ID][client.ID] {
		return j.end(noName(name, c.Name+" is deployed before the endpoint exists"))
	}
	j.inside("client", "client agent", client, port, "vip")
	return j.end(Outcome{
		Class: Reset, By: "client agent", Curl: curlReset, TimeKnown: true, Basis: "2, 10 row 5",
		Why: fmt.Sprintf("%d is no client port of %s; callers use the client port, whatever the task listens on", port, name),
	})
}

// offPorts returns the ports people mistake for a client port of n, with what they are.
func (x *index) offPorts(sp *space, n endpointName) []struct {
	port int
	what string
} {
	var taken []int
	for _, m := range sp.byName[n.name.Or("")] {
		if q, ok := m.port.Get(); ok {
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
	add(n.ep.ep.IngressPortOverride, "the ingress port")
	add(n.ep.port, "the container port")
	return out
}

func serviceCaller(s *topology.Service) Caller {
	return Caller{Kind: CallerService, Name: label(s.Origin, s.Name), Service: s.ID}
}
