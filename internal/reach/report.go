package reach

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Report returns every prediction, in a fixed order: listeners, Service
// Connect clients, health checks, direct access, callers without Service Connect.
func (p *Predictor) Report() *Report {
	if p.report != nil {
		return p.report
	}
	r := p.Outline()
	r.Predictions = slices.Collect(p.All())
	p.report = r
	return r
}

// Outline returns the report without its predictions, which All yields.
func (p *Predictor) Outline() *Report {
	return &Report{Topology: p.x.Topology.Name, Ports: p.portRows(), Notes: p.pairNotes(), Names: p.x.Names()}
}

// All yields every prediction in the order of Report and keeps none of them:
// in a namespace of a hundred services there are tens of thousands.
func (p *Predictor) All() iter.Seq[Prediction] {
	return func(yield func(Prediction) bool) {
		parts := []iter.Seq[Prediction]{
			p.listeners, p.meshes, slices.Values(p.lookups()), p.healths, p.directs, p.unconnected,
		}
		for _, part := range parts {
			for pr := range part {
				if !yield(pr) {
					return
				}
			}
		}
	}
}

// listeners predicts every listener for the callers it admits, and for each
// service or named caller that the load balancer's groups name.
func (p *Predictor) listeners(yield func(Prediction) bool) {
	byGroup := p.servicesByGroup()
	for _, lb := range p.x.Topology.LoadBalancers {
		for _, l := range lb.Listeners {
			callers := []Caller{{Kind: CallerAdmitted, Name: "an admitted caller"}}
			for _, s := range p.namedBy(lb, byGroup) {
				callers = append(callers, serviceCaller(s))
			}
			for _, c := range append(callers, p.o.Callers...) {
				if !yieldAll(yield, p.listener(c, lb, l)...) {
					return
				}
			}
		}
	}
}

// yieldAll yields predictions until they are all taken or one is not wanted.
func yieldAll(yield func(Prediction) bool, ps ...Prediction) bool {
	for _, pr := range ps {
		if !yield(pr) {
			return false
		}
	}
	return true
}

func (p *Predictor) servicesByGroup() map[topology.ID][]*topology.Service {
	m := map[topology.ID][]*topology.Service{}
	for _, s := range p.x.Topology.Services {
		for _, g := range s.Groups {
			if id, ok := g.Get(); ok {
				m[id] = append(m[id], s)
			}
		}
	}
	return m
}

// namedBy returns the services whose group an ingress rule of the load
// balancer names, each once; of the services of one group the first few stand
// for all.
func (p *Predictor) namedBy(lb *topology.LoadBalancer, byGroup map[topology.ID][]*topology.Service) []*topology.Service {
	var out []*topology.Service
	seen := map[topology.ID]bool{}
	for _, o := range lb.Groups {
		id, ok := o.Get()
		if !ok || p.x.SecurityGroup(id) == nil {
			continue
		}
		for _, r := range p.x.SecurityGroup(id).Ingress {
			if r.Peer.Group == id {
				continue // that a group lets in its own members says nothing of who calls whom
			}
			for _, s := range byGroup[r.Peer.Group][:min(maxMembers, len(byGroup[r.Peer.Group]))] {
				if r.Peer.Group != "" && !seen[s.ID] {
					seen[s.ID] = true
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// meshes predicts each client calling each name on its client port, and on the
// ports that people mistake for it.
func (p *Predictor) meshes(yield func(Prediction) bool) {
	for q := range p.pairs() {
		pr := p.mesh(q.client, q.name, KindMesh)
		pr.Likely, pr.Hint = q.likely, q.hint
		if !yield(pr) {
			return
		}
		for _, off := range p.x.offPorts(q.namespace, q.name) {
			what := p.wrongPort(q.client, q.name, off.port, off.what)
			what.Likely = q.likely
			if !yield(what) {
				return
			}
		}
	}
}

// healths predicts every target of every group.
func (p *Predictor) healths(yield func(Prediction) bool) {
	for _, g := range p.x.Topology.TargetGroups {
		var lb *topology.LoadBalancer
		if fs := p.x.Forwards(g.ID).Read(); len(fs) > 0 {
			lb = fs[0].LoadBalancer
		}
		for _, r := range p.x.Registrations(g.ID).Read() {
			if !yield(*p.health(lb, g, r)) {
				return
			}
		}
	}
}

// directs predicts each client calling the tasks' own address, on the
// container port and on the ingress port of an override.
func (p *Predictor) directs(yield func(Prediction) bool) {
	var client *topology.Service
	var seen map[string]bool // of one client: its pairs come one after the other
	for q := range p.pairs() {
		if q.client != client {
			client, seen = q.client, map[string]bool{}
		}
		for _, o := range []topology.Opt[int]{q.name.Endpoint.ContainerPort, q.name.Endpoint.Config.IngressPortOverride} {
			port, ok := o.Get()
			if !ok {
				continue
			}
			pr := p.direct(serviceCaller(q.client), q.name.Endpoint.Service, port)
			pr.Likely = q.likely
			if seen[pr.ID] {
				continue
			}
			seen[pr.ID] = true
			if !yield(pr) {
				return
			}
		}
	}
}

// direct predicts c calling a task of s by its address. The client's agent
// takes only the addresses of endpoints, so it is not involved.
func (p *Predictor) direct(c Caller, s *topology.Service, port int) Prediction {
	who := topology.Label(s.Origin, s.Name)
	tr := p.begin(fmt.Sprintf("direct/%s/%s:%d", cmp.Or(string(c.Service), c.Name), s.ID, port), KindDirect, c,
		"http://"+who+":"+strconv.Itoa(port)+"/", fmt.Sprintf("%s calls a task of %s by its address", c.Name, who))
	tr.pr.Service, tr.pr.Likely = s.ID, false
	if o := p.deployOutcome(s); o != nil {
		return tr.end(*o)
	}
	if has, _ := running(s); !has {
		return tr.end(Outcome{Class: NoTraffic, By: "ecs", Why: "the service has a desired count of 0: there is no task to call"})
	}
	if p.x.onNodes(s) {
		return tr.unknown("its tasks have no address of their own: they share that of their instance")
	}
	from := p.callerHost(c)
	sg := tr.hop(from, p.x.taskHost(s), "client", "app", port)
	switch sg.state {
	case HopUnknown:
		return tr.unknown(sg.why)
	case HopClosed:
		tr.name(s, port)
		return tr.end(Outcome{
			Class: Timeout, By: "network", Curl: curlTimeout(who, port), Basis: semantics.Section(7), Inferred: true,
			Why: sg.why + "; a security group drops packets, so the caller waits until it gives up",
		})
	}
	a := tr.enter(s, port, inPlain)
	switch a.Kind {
	case DeliveryServed:
		o := appOutcome(a, "/")
		o.Basis = semantics.Section(1)
		if a.Agent != nil && a.Agent.HTTP() && a.App.Delay > 0 {
			limit, ok := RequestTimeout(a.Agent).Get()
			if !ok {
				return tr.unknown("the per-request timeout is not settled: " + RequestTimeout(a.Agent).Why())
			}
			if limit > 0 && a.App.Delay > seconds(limit) {
				return tr.end(ingressTimeout(limit))
			}
		}
		return tr.end(o)
	case DeliveryRefused:
		return tr.end(Outcome{Class: Refused, By: "network", Curl: curlRefused(who, port), TimeKnown: true, Basis: semantics.Section(1),
			Why: a.Why})
	case DeliveryAgentRefused:
		return tr.end(agentRefused(a))
	case DeliveryWantsTLS:
		return tr.end(Outcome{Class: Reset, By: "agent", TimeKnown: true, Inferred: true, Basis: semantics.Section(4), Why: a.Why})
	}
	return tr.unknown(a.Why)
}

// unconnected predicts callers without Service Connect: their system does not
// know the endpoints' names, and the load balancer or a task's address is
// their only way in.
func (p *Predictor) unconnected(yield func(Prediction) bool) {
	callers := append([]Caller(nil), p.o.Callers...)
	for _, d := range p.x.Topology.Standalone {
		callers = append(callers, Caller{Kind: CallerStandalone, Name: topology.Label(d.Origin, d.Family)})
	}
	for _, c := range callers {
		for _, ns := range p.x.ConnectNamespaces() {
			for _, n := range ns.Names {
				name, ok := n.Name.Get()
				if !ok {
					continue
				}
				if !yield(p.outside(c, n, name)) {
					return
				}
			}
		}
		if len(c.Groups) == 0 {
			continue
		}
		for _, s := range p.x.Topology.Services {
			for _, e := range p.x.Endpoints(s.ID) {
				if port, ok := e.ContainerPort.Get(); ok && !yield(p.direct(c, s, port)) {
					return
				}
			}
		}
	}
}

func (p *Predictor) outside(c Caller, n *topology.EndpointName, name string) Prediction {
	port := n.Port.Or(0)
	tr := p.begin(fmt.Sprintf("outside/%s/%s:%d", c.Name, name, port), KindOutside, c,
		"http://"+name+":"+strconv.Itoa(port)+"/", fmt.Sprintf("%s calls %s without Service Connect", c.Name, name))
	tr.pr.Service, tr.pr.Likely = n.Endpoint.Service.ID, false
	return tr.end(noName(name, "ECS writes the names of a namespace only into tasks of services with Service Connect; use the load balancer"))
}

// portRows returns the three-port table, one row per name, then one per
// registered container port without an endpoint.
func (p *Predictor) portRows() []PortRow {
	var out []PortRow
	for _, s := range p.x.Topology.Services {
		named := map[int]bool{}
		for _, e := range p.x.Endpoints(s.ID) {
			for _, n := range e.Names {
				row := p.portRow(s, e, n)
				named[row.ContainerPort] = true
				out = append(out, row)
			}
		}
		for _, lb := range s.LoadBalancers {
			if port, ok := lb.Port.Get(); ok && !named[port] {
				named[port] = true
				out = append(out, PortRow{Service: s.ID, Label: topology.Label(s.Origin, s.Name), Mode: "none", ContainerPort: port})
			}
		}
	}
	return out
}

func (p *Predictor) portRow(s *topology.Service, e *topology.ConnectEndpoint, n *topology.EndpointName) PortRow {
	row := PortRow{
		Service: s.ID, Label: topology.Label(s.Origin, s.Name), Endpoint: n.Name.Or(""), PortName: e.Config.PortName.Or(""),
		ClientPort: n.Port.Or(0), IngressPort: e.IngressPort.Or(0), ContainerPort: e.ContainerPort.Or(0),
		AppProtocol: e.Protocol.Or(""), TLS: e.Config.TLS.Or(false), Mode: "default",
	}
	switch {
	case e.Config.IngressPortOverride.IsUnknown():
		row.Mode = "unknown"
	case !e.Config.IngressPortOverride.IsAbsent():
		row.Mode = "override"
	}
	for _, why := range []string{e.Missing, n.Name.Why(), n.Port.Why(), e.IngressPort.Why(), e.Protocol.Why(), e.Config.TLS.Why()} {
		row.Why = cmp.Or(row.Why, why)
	}
	return row
}
