package reach

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

func itoa(n int) string { return strconv.Itoa(n) }

// atoi returns the number that s is, or 0.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// index answers in constant time what a topology's own lookups answer by a
// scan, so that a check of n resources costs O(n).
type index struct {
	t         *topology.Topology
	groups    map[topology.ID]*topology.SecurityGroup
	services  map[topology.ID]*topology.Service
	tgs       map[topology.ID]*topology.TargetGroup
	lbs       map[topology.ID]*topology.LoadBalancer
	subnets   map[topology.ID]*topology.Subnet
	vpcs      map[topology.ID]*topology.VPC
	instances map[topology.ID]*topology.Instance
	roles     map[topology.ID]*topology.Role
	nss       map[topology.ID]*topology.Namespace
	nsByName  map[string]topology.ID

	registered map[topology.ID][]registration    // by target group
	alternates map[topology.ID]*topology.Service // by target group: whose other colour it is
	fronts     map[topology.ID][]front           // by target group
	spaces     map[string]*space                 // by namespace key
	spaceOrder []string
	vague      []*topology.Service // Service Connect services whose namespace is unknown
	hosts      map[topology.ID]*host
	after      map[topology.ID]map[topology.ID]bool
	endpoints  map[topology.ID][]*endpoint // by service
	hintOrder  map[topology.ID][]*endpoint // by client: what the source hints that it calls

	// Why a target group may have a listener, or targets, that the source does not settle; "" when all is settled.
	openForward, openTargets string
}

// registration is a member of a target group: a service's tasks or a static target.
type registration struct {
	service *topology.Service
	target  *topology.Target
	port    topology.Opt[int]
}

// front is an action that forwards to a target group.
type front struct {
	lb       *topology.LoadBalancer
	listener *topology.Listener
	rule     *topology.ListenerRule // nil for the default action
	weight   int
	total    int // sum of the weights of the action
}

// space is a namespace with its endpoints and clients.
type space struct {
	name    topology.Opt[string]
	clients []*topology.Service
	names   []endpointName
	byName  map[string][]endpointName
}

// endpointName is a name and port that clients of a namespace may call.
type endpointName struct {
	name topology.Opt[string]
	port topology.Opt[int]
	ep   *endpoint
}

// endpoint is an entry of Services[] with what it refers to.
type endpoint struct {
	svc       *topology.Service
	ep        *topology.Endpoint
	mapping   *topology.PortMapping // nil: see missing
	container *topology.Container
	missing   string            // why there is no mapping
	unsure    bool              // it is missing only because a name is not settled
	port      topology.Opt[int] // container port
	protocol  string            // "http", "http2", "grpc", or "tcp"
	protoWhy  string            // set when the protocol is unknown
}

// ingress returns the port on which the endpoint's agent is reached.
func (e *endpoint) ingress() topology.Opt[int] {
	if e.ep.IngressPortOverride.IsAbsent() {
		return e.port
	}
	return e.ep.IngressPortOverride
}

// http reports whether the agent reads requests rather than bytes.
func (e *endpoint) http() bool { return e.protocol != "tcp" && e.protoWhy == "" }

// requestTimeout returns the per-request timeout in seconds: 15 by default, 0 for none.
func (e *endpoint) requestTimeout() topology.Opt[int] {
	if e.ep.PerRequestSeconds.IsAbsent() {
		return topology.Known(15)
	}
	return e.ep.PerRequestSeconds
}

// byID maps things by their ID.
func byID[T any](list []*T, id func(*T) topology.ID) map[topology.ID]*T {
	m := make(map[topology.ID]*T, len(list))
	for _, v := range list {
		m[id(v)] = v
	}
	return m
}

func newIndex(t *topology.Topology) *index {
	x := &index{
		t:          t,
		groups:     byID(t.SecurityGroups, func(v *topology.SecurityGroup) topology.ID { return v.ID }),
		services:   byID(t.Services, func(v *topology.Service) topology.ID { return v.ID }),
		tgs:        byID(t.TargetGroups, func(v *topology.TargetGroup) topology.ID { return v.ID }),
		lbs:        byID(t.LoadBalancers, func(v *topology.LoadBalancer) topology.ID { return v.ID }),
		subnets:    byID(t.Subnets, func(v *topology.Subnet) topology.ID { return v.ID }),
		vpcs:       byID(t.VPCs, func(v *topology.VPC) topology.ID { return v.ID }),
		instances:  byID(t.Instances, func(v *topology.Instance) topology.ID { return v.ID }),
		roles:      byID(t.Roles, func(v *topology.Role) topology.ID { return v.ID }),
		nss:        byID(t.Namespaces, func(v *topology.Namespace) topology.ID { return v.ID }),
		nsByName:   map[string]topology.ID{},
		registered: map[topology.ID][]registration{},
		alternates: map[topology.ID]*topology.Service{},
		fronts:     map[topology.ID][]front{},
		spaces:     map[string]*space{},
		hosts:      map[topology.ID]*host{},
		after:      map[topology.ID]map[topology.ID]bool{},
		endpoints:  map[topology.ID][]*endpoint{},
		hintOrder:  map[topology.ID][]*endpoint{},
	}
	for _, n := range t.Namespaces {
		if name, ok := n.Name.Get(); ok {
			x.nsByName[name] = n.ID
		}
	}
	x.indexTargets()
	for _, s := range t.Services {
		before := make(map[topology.ID]bool, len(s.After))
		for _, id := range s.After {
			before[id] = true
		}
		x.after[s.ID] = before
		if connected(s) {
			x.indexConnect(s)
		}
	}
	return x
}

func (x *index) indexTargets() {
	for _, g := range x.t.TargetGroups {
		for i := range g.Targets {
			port := g.Targets[i].Port
			if port.IsAbsent() {
				port = g.Port
			}
			x.registered[g.ID] = append(x.registered[g.ID], registration{target: &g.Targets[i], port: port})
		}
	}
	for _, s := range x.t.Services {
		for _, lb := range s.LoadBalancers {
			if id, ok := lb.Group.Get(); ok {
				x.registered[id] = append(x.registered[id], registration{service: s, port: lb.Port})
			} else {
				x.openTargets = orElse(x.openTargets, fmt.Sprintf("%s registers with a target group that is not settled: %s", label(s.Origin, s.Name), lb.Group.Why()))
			}
			if id, ok := lb.Alternate.Get(); ok {
				x.alternates[id] = s
			} else if lb.Alternate.IsUnknown() {
				x.openTargets = orElse(x.openTargets, fmt.Sprintf("%s deploys blue/green to a target group that is not settled: %s", label(s.Origin, s.Name), lb.Alternate.Why()))
			}
		}
	}
	for _, lb := range x.t.LoadBalancers {
		for _, l := range lb.Listeners {
			x.indexActions(lb, l, nil, l.Default)
			for _, r := range l.Rules {
				x.indexActions(lb, l, r, r.Actions)
			}
		}
	}
}

func (x *index) indexActions(lb *topology.LoadBalancer, l *topology.Listener, r *topology.ListenerRule, actions []topology.Action) {
	for _, a := range actions {
		if a.Type == "unknown" {
			x.openForward = orElse(x.openForward, "an action of "+label(lb.Origin, lb.Name)+" is not settled")
		}
		total := 0
		for _, f := range a.Forward {
			total += f.Weight
		}
		for _, f := range a.Forward {
			if id, ok := f.Group.Get(); ok {
				x.fronts[id] = append(x.fronts[id], front{lb: lb, listener: l, rule: r, weight: f.Weight, total: total})
			} else {
				x.openForward = orElse(x.openForward, fmt.Sprintf("%s forwards to a target group that is not settled: %s", label(lb.Origin, lb.Name), f.Group.Why()))
			}
		}
	}
}

// connected reports whether s has a Service Connect configuration that is not switched off.
func connected(s *topology.Service) bool {
	if s.Connect == nil {
		return false
	}
	on, ok := s.Connect.Enabled.Get()
	return !ok || on
}

func (x *index) indexConnect(s *topology.Service) {
	key, ok := x.spaceKey(s.Connect)
	if !ok {
		x.vague = append(x.vague, s)
	}
	for i := range s.Connect.Endpoints {
		e := x.resolveEndpoint(s, &s.Connect.Endpoints[i])
		x.endpoints[s.ID] = append(x.endpoints[s.ID], e)
		if ok {
			sp := x.space(key, s.Connect)
			for _, n := range x.endpointNames(e) {
				sp.names = append(sp.names, n)
				if name, ok := n.name.Get(); ok {
					sp.byName[name] = append(sp.byName[name], n)
				}
			}
		}
	}
	if ok {
		sp := x.space(key, s.Connect)
		sp.clients = append(sp.clients, s)
	}
}

func (x *index) space(key string, c *topology.ServiceConnect) *space {
	sp := x.spaces[key]
	if sp == nil {
		sp = &space{name: x.spaceName(c), byName: map[string][]endpointName{}}
		x.spaces[key] = sp
		x.spaceOrder = append(x.spaceOrder, key)
	}
	return sp
}

// spaceKey returns one key per namespace, however it was referred to. It is
// false when the namespace is not known.
func (x *index) spaceKey(c *topology.ServiceConnect) (string, bool) {
	ns, ok := c.Namespace.Get()
	if !ok {
		return "", false
	}
	if c.NamespaceByID {
		return "id:" + ns, true
	}
	if id, ok := x.nsByName[ns]; ok {
		return "id:" + string(id), true
	}
	return "name:" + ns, true
}

func (x *index) spaceName(c *topology.ServiceConnect) topology.Opt[string] {
	ns, ok := c.Namespace.Get()
	if !ok {
		return c.Namespace
	}
	if c.NamespaceByID {
		if n := x.nss[topology.ID(ns)]; n != nil {
			return n.Name
		}
		return topology.Unknown[string](fmt.Sprintf("namespace %s is not declared in the source", ns))
	}
	if strings.HasPrefix(ns, "arn:") {
		return topology.Unknown[string](fmt.Sprintf("the ARN %s does not hold the namespace's name", ns))
	}
	return topology.Known(ns)
}

func (x *index) resolveEndpoint(s *topology.Service, ep *topology.Endpoint) *endpoint {
	e := &endpoint{svc: s, ep: ep, protocol: "tcp"}
	name, ok := ep.PortName.Get()
	switch {
	case s.Task == nil:
		e.missing = orElse(s.TaskUnknown, "the task definition is not in the source")
		e.port, e.protoWhy = topology.Unknown[int](e.missing), e.missing
		return e
	case !ok:
		e.missing = orElse(ep.PortName.Why(), "the endpoint has no port name")
		e.port, e.protoWhy = topology.Unknown[int](e.missing), e.missing
		return e
	}
	e.container, e.mapping = s.PortMapping(name)
	if e.mapping == nil {
		e.unsure = s.Task.Uncertain != "" || unnamed(s.Task)
		e.missing = fmt.Sprintf("no port mapping of the task definition is named %q", name)
		e.port, e.protoWhy = topology.Unknown[int](e.missing), e.missing
		return e
	}
	e.port = e.mapping.Port
	if e.port.IsAbsent() {
		e.port = topology.Unknown[int](fmt.Sprintf("port mapping %q has no container port", name))
	}
	if p := e.mapping.AppProtocol; p.IsUnknown() {
		e.protoWhy = p.Why()
	} else {
		e.protocol = p.Or("tcp")
	}
	return e
}

// unnamed reports whether the name of some port mapping is not settled.
func unnamed(d *topology.TaskDefinition) bool {
	for _, c := range d.Containers {
		for _, m := range c.Ports {
			if m.Name.IsUnknown() {
				return true
			}
		}
	}
	return false
}

// endpointNames returns the names of one endpoint; without an alias the
// container port as <discoveryName>.<namespace>.
func (x *index) endpointNames(e *endpoint) []endpointName {
	if len(e.ep.Aliases) == 0 {
		return []endpointName{{name: x.defaultName(e), port: e.port, ep: e}}
	}
	var out []endpointName
	for _, a := range e.ep.Aliases {
		n := endpointName{name: a.DNSName, port: a.Port, ep: e}
		if a.DNSName.IsAbsent() {
			n.name = x.defaultName(e)
		}
		if a.Port.IsAbsent() {
			n.port = topology.Unknown[int]("the client alias has no port")
		}
		out = append(out, n)
	}
	return out
}

func (x *index) defaultName(e *endpoint) topology.Opt[string] {
	d := e.ep.DiscoveryName
	if d.IsAbsent() {
		d = e.ep.PortName
	}
	name, ok := d.Get()
	if !ok {
		return topology.Unknown[string](orElse(d.Why(), "the endpoint has neither discovery name nor port name"))
	}
	ns := x.spaceName(e.svc.Connect)
	space, ok := ns.Get()
	if !ok {
		return topology.Unknown[string](orElse(ns.Why(), "the service names no namespace"))
	}
	return topology.Known(name + "." + space)
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// places returns the IPv4 ranges in which a host with these subnets has its
// address, and false when the source does not tell. A subnet without a known
// range stands for its whole VPC.
func (x *index) places(subnets []topology.Opt[topology.ID]) ([]netip.Prefix, bool) {
	var out []netip.Prefix
	seen := map[netip.Prefix]bool{}
	add := func(p netip.Prefix) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, o := range subnets {
		id, ok := o.Get()
		if !ok {
			return nil, false
		}
		s := x.subnets[id]
		if s == nil {
			return nil, false
		}
		if p, ok := s.CIDR.Get(); ok {
			add(p)
			continue
		}
		v := x.vpcs[s.VPC]
		if v == nil {
			return nil, false
		}
		p, ok := v.CIDR.Get()
		if !ok {
			return nil, false
		}
		add(p)
	}
	return out, len(out) > 0
}
