package topology

import (
	"fmt"
	"sort"
	"strings"
)

// find returns the element of list whose ID is id, or nil. Deployments hold
// tens of resources of a kind, so a scan beats an index that must be kept in
// step with slices that tests build by hand.
func find[T any](list []*T, id ID, key func(*T) ID) *T {
	for _, v := range list {
		if key(v) == id {
			return v
		}
	}
	return nil
}

// VPC returns the VPC with the ID, or nil.
func (t *Topology) VPC(id ID) *VPC {
	return find(t.VPCs, id, func(v *VPC) ID { return v.ID })
}

// Subnet returns the subnet with the ID, or nil.
func (t *Topology) Subnet(id ID) *Subnet {
	return find(t.Subnets, id, func(v *Subnet) ID { return v.ID })
}

// Namespace returns the namespace with the ID, or nil.
func (t *Topology) Namespace(id ID) *Namespace {
	return find(t.Namespaces, id, func(v *Namespace) ID { return v.ID })
}

// SecurityGroup returns the security group with the ID, or nil.
func (t *Topology) SecurityGroup(id ID) *SecurityGroup {
	return find(t.SecurityGroups, id, func(v *SecurityGroup) ID { return v.ID })
}

// LoadBalancer returns the load balancer with the ID, or nil.
func (t *Topology) LoadBalancer(id ID) *LoadBalancer {
	return find(t.LoadBalancers, id, func(v *LoadBalancer) ID { return v.ID })
}

// TargetGroup returns the target group with the ID, or nil.
func (t *Topology) TargetGroup(id ID) *TargetGroup {
	return find(t.TargetGroups, id, func(v *TargetGroup) ID { return v.ID })
}

// Service returns the service with the ID, or nil.
func (t *Topology) Service(id ID) *Service {
	return find(t.Services, id, func(v *Service) ID { return v.ID })
}

// Instance returns the instance with the ID, or nil.
func (t *Topology) Instance(id ID) *Instance {
	return find(t.Instances, id, func(v *Instance) ID { return v.ID })
}

// Role returns the role with the ID, or nil.
func (t *Topology) Role(id ID) *Role {
	return find(t.Roles, id, func(v *Role) ID { return v.ID })
}

// PortMapping returns the port mapping of that name and its container, or
// nil, nil when no container of the service's task names a port so.
func (s *Service) PortMapping(portName string) (*Container, *PortMapping) {
	if s.Task == nil {
		return nil, nil
	}
	return s.Task.PortMapping(portName)
}

// PortMapping returns the port mapping of that name and its container, or nil, nil.
func (d *TaskDefinition) PortMapping(portName string) (*Container, *PortMapping) {
	for i := range d.Containers {
		c := &d.Containers[i]
		for j := range c.Ports {
			if name, ok := c.Ports[j].Name.Get(); ok && name == portName {
				return c, &c.Ports[j]
			}
		}
	}
	return nil, nil
}

// Container returns the container of that name, or nil.
func (d *TaskDefinition) Container(name string) *Container {
	for i := range d.Containers {
		if d.Containers[i].Name == name {
			return &d.Containers[i]
		}
	}
	return nil
}

// NamespaceName returns the name of the namespace that c uses: the name of
// the declared namespace, or the name as written. It is absent when c names
// none, and unknown when the source does not settle it; an ARN holds the id
// of a namespace and not its name, so a literal ARN is unknown too.
func (t *Topology) NamespaceName(c *ServiceConnect) Opt[string] {
	if c == nil {
		return Opt[string]{}
	}
	ns, ok := c.Namespace.Get()
	if !ok {
		return c.Namespace
	}
	if c.NamespaceByID {
		if n := t.Namespace(ID(ns)); n != nil {
			return n.Name
		}
		return Unknown[string](fmt.Sprintf("namespace %s is not declared in the source", ns))
	}
	if strings.HasPrefix(ns, "arn:") {
		return Unknown[string](fmt.Sprintf("namespace %s is not declared in the source, and an ARN does not hold its name", ns))
	}
	return Known(ns)
}

// SameNamespace reports whether two services use the same namespace. It is
// absent when either uses none and unknown when the source does not settle it.
func (t *Topology) SameNamespace(a, b *ServiceConnect) Opt[bool] {
	if a == nil || b == nil || a.Namespace.IsAbsent() || b.Namespace.IsAbsent() {
		return Opt[bool]{}
	}
	x, okx := a.Namespace.Get()
	y, oky := b.Namespace.Get()
	switch {
	case okx && oky && x == y && a.NamespaceByID == b.NamespaceByID:
		return Known(true)
	case okx && oky && a.NamespaceByID && b.NamespaceByID:
		return Known(false)
	}
	n, okn := t.NamespaceName(a).Get()
	m, okm := t.NamespaceName(b).Get()
	if okn && okm {
		return Known(n == m)
	}
	for _, o := range []Opt[string]{t.NamespaceName(a), t.NamespaceName(b)} {
		if o.IsUnknown() {
			return Unknown[bool](o.Why())
		}
	}
	return Unknown[bool]("the name of a namespace is not in the source")
}

// SameGroup reports whether two IDs mean the same security group. A group
// that is declared is no other; an external one may turn out to be a declared
// group of another stack, which only the deployment settles, but not one of
// the stack that takes it from outside.
func (t *Topology) SameGroup(a, b ID) Opt[bool] {
	if a == b {
		return Known(true)
	}
	g, h := t.SecurityGroup(a), t.SecurityGroup(b)
	switch {
	case g == nil || h == nil:
		return Unknown[bool](fmt.Sprintf("security group %s or %s is not in the source", a, b))
	case !g.External && !h.External:
		return Known(false)
	case g.External != h.External && g.Stack == h.Stack:
		return Known(false)
	case strings.HasPrefix(string(a), "sg-") && strings.HasPrefix(string(b), "sg-"):
		return Known(false)
	}
	return Unknown[bool](fmt.Sprintf("%s and %s may be the same security group; only the deployment settles that", a, b))
}

// EndpointName is one name and port that clients of a namespace may call.
type EndpointName struct {
	Name     Opt[string]
	Port     Opt[int] // the client alias port
	Index    int      // from 1, one per distinct name, in order of names: the n of the virtual address 127.255.0.n; 0 when the name is unknown
	Service  *Service
	Endpoint *Endpoint
	Alias    *Alias // nil when the endpoint gives no alias and the default applies
}

// EndpointNames returns every name that a client with configuration c can
// call in its namespace, ordered by name, port and service ID, unknown names
// last. Services whose namespace is not certain to be the same are left out;
// SameNamespace tells which those are. Whether a running client already has
// the name is not decided here: see Service.After.
//
// An endpoint without alias gets the container port as
// <discoveryName>.<namespace> (section 2 of the semantics).
func (t *Topology) EndpointNames(c *ServiceConnect) []EndpointName {
	var out []EndpointName
	for _, s := range t.Services {
		if s.Connect == nil {
			continue
		}
		if same, ok := t.SameNamespace(c, s.Connect).Get(); !ok || !same {
			continue
		}
		for i := range s.Connect.Endpoints {
			out = append(out, t.names(s, &s.Connect.Endpoints[i])...)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].less(out[j]) })
	n, last := 0, ""
	for i := range out {
		name, ok := out[i].Name.Get()
		if !ok {
			continue
		}
		if n == 0 || name != last {
			n, last = n+1, name
		}
		out[i].Index = n
	}
	return out
}

func (a EndpointName) less(b EndpointName) bool {
	x, okx := a.Name.Get()
	y, oky := b.Name.Get()
	if okx != oky {
		return okx
	}
	if x != y {
		return x < y
	}
	if p, q := a.Port.Or(0), b.Port.Or(0); p != q {
		return p < q
	}
	return a.Service.ID < b.Service.ID
}

// names returns the names under which one endpoint of s is called.
func (t *Topology) names(s *Service, e *Endpoint) []EndpointName {
	if len(e.Aliases) == 0 {
		return []EndpointName{{
			Name: t.defaultName(s, e), Port: containerPort(s, e), Service: s, Endpoint: e,
		}}
	}
	var out []EndpointName
	for i := range e.Aliases {
		a := &e.Aliases[i]
		n := EndpointName{Name: a.DNSName, Port: a.Port, Service: s, Endpoint: e, Alias: a}
		if n.Name.IsAbsent() {
			n.Name = t.defaultName(s, e)
		}
		out = append(out, n)
	}
	return out
}

// Discovery returns the endpoint's discovery name: as given, else the port name.
func (e *Endpoint) Discovery() Opt[string] {
	if e.DiscoveryName.IsAbsent() {
		return e.PortName
	}
	return e.DiscoveryName
}

func (t *Topology) defaultName(s *Service, e *Endpoint) Opt[string] {
	d, ns := e.Discovery(), t.NamespaceName(s.Connect)
	name, okn := d.Get()
	space, oks := ns.Get()
	switch {
	case okn && oks:
		return Known(name + "." + space)
	case d.IsUnknown():
		return d
	case ns.IsUnknown():
		return ns
	}
	return Unknown[string]("the endpoint has no port name or the service no namespace")
}

func containerPort(s *Service, e *Endpoint) Opt[int] {
	name, ok := e.PortName.Get()
	if !ok {
		return Unknown[int]("the endpoint's port name is not settled: " + e.PortName.Why())
	}
	if s.Task == nil {
		return Unknown[int](s.TaskUnknown)
	}
	if _, m := s.PortMapping(name); m != nil {
		return m.Port
	}
	return Unknown[int](fmt.Sprintf("no port mapping is named %q", name))
}
