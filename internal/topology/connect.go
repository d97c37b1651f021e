package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ConnectNamespace is a namespace as Service Connect uses it: what is
// published in it and who calls it.
type ConnectNamespace struct {
	// Key is the same for every way in which the source refers to the
	// namespace: "id:<ID>" when it is declared, else "name:<as written>".
	Key     string
	Name    Opt[string]
	Clients []*Service // every service with Service Connect in the namespace, servers included
	// Names holds every name that a client may call, in the order of the
	// services; Numbered holds them by name, port and service ID, unknown names
	// last: the order of their virtual addresses.
	Names, Numbered []*EndpointName

	byName map[string][]*EndpointName
}

// Named returns the endpoint names that are spelled so, one for each port and endpoint.
func (n *ConnectNamespace) Named(name string) []*EndpointName { return n.byName[name] }

// Published returns the distinct known names, in no order.
func (n *ConnectNamespace) Published() []string {
	out := make([]string, 0, len(n.byName))
	for name := range n.byName {
		out = append(out, name)
	}
	return out
}

// Title returns the namespace's name, or what the source says instead of it.
func (n *ConnectNamespace) Title() string {
	if name, ok := n.Name.Get(); ok {
		return name
	}
	_, rest, _ := strings.Cut(n.Key, ":")
	return rest
}

// ConnectEndpoint is an entry of a service's Services[] with what it refers
// to: its name, protocol and three ports. The client port is in Names.
type ConnectEndpoint struct {
	Service *Service
	Config  *Endpoint
	// Mapping is the port mapping that PortName selects, and Container the
	// container that has it; both nil when there is none, and then Missing says
	// why. Unsure is set when it is missing only because a name is not settled.
	Container *Container
	Mapping   *PortMapping
	Missing   string
	Unsure    bool
	// ContainerPort is the port on which the app listens, IngressPort the one on
	// which the agent is reached from outside the task: the override, else the
	// container port. Either is known or unknown with the reason, never absent.
	ContainerPort, IngressPort Opt[int]
	// Protocol is "http", "http2", "grpc", or "tcp" when AppProtocol is not set.
	Protocol Opt[string]
	// Names holds the names and client ports, one for each alias, or the default.
	Names []*EndpointName
}

// HTTP reports whether the endpoint is known to speak a protocol of requests
// rather than bytes.
func (e *ConnectEndpoint) HTTP() bool {
	p, ok := e.Protocol.Get()
	return ok && p != "tcp"
}

// EndpointName is one name and port that clients of a namespace may call.
type EndpointName struct {
	Name     Opt[string]
	Port     Opt[int] // the client port
	Index    int      // from 1, one per distinct name, in order of names: the n of the virtual address 127.255.0.n; 0 when the name is unknown
	Endpoint *ConnectEndpoint
	Alias    *Alias // nil when the endpoint gives no alias and the default applies
}

// Connected reports whether s has a Service Connect configuration that is not
// switched off; one that is not settled counts.
func (s *Service) Connected() bool {
	if s.Connect == nil {
		return false
	}
	on, ok := s.Connect.Enabled.Get()
	return !ok || on
}

// Endpoints returns the endpoints of the service with the ID in the order of
// its configuration; none when Service Connect is switched off.
func (x *Index) Endpoints(service ID) []*ConnectEndpoint { return x.endpoints[service] }

// ConnectNamespaces returns the namespaces that services use, in the order in
// which the services name them first.
func (x *Index) ConnectNamespaces() []*ConnectNamespace {
	out := make([]*ConnectNamespace, len(x.connectKeys))
	for i, k := range x.connectKeys {
		out[i] = x.connect[k]
	}
	return out
}

// NamespaceOf returns the namespace of a connected service of the topology, or
// nil when it names none or the source does not settle which.
func (x *Index) NamespaceOf(c *ServiceConnect) *ConnectNamespace {
	key, ok := x.namespaceKey(c)
	if !ok {
		return nil
	}
	return x.connect[key]
}

// NamespaceUnsettled returns the connected services whose namespace is not known.
func (x *Index) NamespaceUnsettled() []*Service { return x.unsettled }

func (x *Index) addConnect(s *Service) {
	key, ok := x.namespaceKey(s.Connect)
	var n *ConnectNamespace
	if !ok {
		x.unsettled = append(x.unsettled, s)
	} else if n = x.connect[key]; n == nil {
		n = &ConnectNamespace{Key: key, Name: x.namespaceName(s.Connect), byName: map[string][]*EndpointName{}}
		x.connect[key] = n
		x.connectKeys = append(x.connectKeys, key)
	}
	for i := range s.Connect.Endpoints {
		e := resolve(s, &s.Connect.Endpoints[i])
		e.Names = x.names(e)
		x.endpoints[s.ID] = append(x.endpoints[s.ID], e)
		if n != nil {
			n.publish(e)
		}
	}
	if n != nil {
		n.Clients = append(n.Clients, s)
	}
}

func (n *ConnectNamespace) publish(e *ConnectEndpoint) {
	n.Names = append(n.Names, e.Names...)
	for _, m := range e.Names {
		if name, ok := m.Spelled(); ok {
			n.byName[name] = append(n.byName[name], m)
		}
	}
}

// Spelled returns the name, or the symbol of one that is not settled: a URL
// with the same symbol has the same name.
func (m *EndpointName) Spelled() (string, bool) {
	if name, ok := m.Name.Get(); ok {
		return name, true
	}
	return m.Name.Symbol(), m.Name.Symbol() != ""
}

// number sorts the names and numbers the distinct ones.
func (n *ConnectNamespace) number() {
	n.Numbered = slices.Clone(n.Names)
	slices.SortStableFunc(n.Numbered, compareNames)
	count, last := 0, ""
	for _, m := range n.Numbered {
		name, ok := m.Name.Get()
		if !ok {
			continue
		}
		if count == 0 || name != last {
			count, last = count+1, name
		}
		m.Index = count
	}
}

func compareNames(a, b *EndpointName) int {
	x, okx := a.Name.Get()
	y, oky := b.Name.Get()
	if okx != oky {
		if okx {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.Port.Or(0), b.Port.Or(0)), cmp.Compare(a.Endpoint.Service.ID, b.Endpoint.Service.ID))
}

// namespaceKey returns one key per namespace, however it was referred to. It
// is false when the namespace is not known.
func (x *Index) namespaceKey(c *ServiceConnect) (string, bool) {
	if c == nil {
		return "", false
	}
	ns, ok := c.Namespace.Get()
	if !ok {
		return "", false
	}
	if c.NamespaceByID {
		return "id:" + ns, true
	}
	if id, ok := x.byName[ns]; ok {
		return "id:" + string(id), true
	}
	return "name:" + ns, true
}

// namespaceName returns the name of the declared namespace, or the name as
// written. It is absent when c names none, and unknown when the source does
// not settle it; a literal ARN holds an id and no name.
func (x *Index) namespaceName(c *ServiceConnect) Opt[string] {
	ns, ok := c.Namespace.Get()
	if !ok {
		return c.Namespace
	}
	if c.NamespaceByID {
		if n := x.namespaces[ID(ns)]; n != nil {
			return n.Name
		}
		return Unknown[string](fmt.Sprintf("namespace %s is not declared in the source", ns))
	}
	if strings.HasPrefix(ns, "arn:") {
		return Unknown[string](fmt.Sprintf("the ARN %s does not hold the namespace's name", ns))
	}
	return Known(ns)
}

func resolve(s *Service, c *Endpoint) *ConnectEndpoint {
	e := &ConnectEndpoint{Service: s, Config: c}
	e.ContainerPort = e.findMapping()
	e.IngressPort = c.IngressPortOverride
	if e.IngressPort.IsAbsent() {
		e.IngressPort = e.ContainerPort
	}
	switch {
	case e.Mapping == nil:
		e.Protocol = Unknown[string](e.Missing)
	case e.Mapping.AppProtocol.IsUnknown():
		e.Protocol = e.Mapping.AppProtocol
	default:
		e.Protocol = Known(cmp.Or(e.Mapping.AppProtocol.Or(""), "tcp"))
	}
	return e
}

// findMapping finds the port mapping that the endpoint publishes and returns its port.
func (e *ConnectEndpoint) findMapping() Opt[int] {
	s := e.Service
	name, named := e.Config.PortName.Get()
	switch {
	case s.Task == nil:
		e.Missing = cmp.Or(s.TaskUnknown, "the task definition is not in the source")
	case !named:
		e.Missing = cmp.Or(e.Config.PortName.Why(), "the endpoint has no port name")
	default:
		if e.Container, e.Mapping = s.PortMapping(name); e.Mapping == nil {
			e.Unsure = s.Task.Uncertain != "" || s.Task.unnamed()
			e.Missing = fmt.Sprintf("no port mapping of the task definition is named %q", name)
		}
	}
	if e.Mapping == nil {
		return Unknown[int](e.Missing)
	}
	if e.Mapping.Port.IsAbsent() {
		return Unknown[int](fmt.Sprintf("port mapping %q has no container port", name))
	}
	return e.Mapping.Port
}

// unnamed reports whether the name of some port mapping is not settled.
func (d *TaskDefinition) unnamed() bool {
	for _, c := range d.Containers {
		for _, m := range c.Ports {
			if m.Name.IsUnknown() {
				return true
			}
		}
	}
	return false
}

// names returns the names of one endpoint; without an alias the container
// port as <discoveryName>.<namespace> (section 2 of the semantics).
func (x *Index) names(e *ConnectEndpoint) []*EndpointName {
	if len(e.Config.Aliases) == 0 {
		return []*EndpointName{{Name: x.defaultName(e), Port: e.ContainerPort, Endpoint: e}}
	}
	var out []*EndpointName
	for i := range e.Config.Aliases {
		a := &e.Config.Aliases[i]
		n := &EndpointName{Name: a.DNSName, Port: a.Port, Endpoint: e, Alias: a}
		if a.DNSName.IsAbsent() {
			n.Name = x.defaultName(e)
		}
		if a.Port.IsAbsent() {
			n.Port = Unknown[int]("the client alias has no port")
		}
		out = append(out, n)
	}
	return out
}

// defaultName returns <discoveryName>.<namespace>.
func (x *Index) defaultName(e *ConnectEndpoint) Opt[string] {
	d := e.Config.Discovery()
	name, ok := d.Get()
	if !ok {
		return Unknown[string](cmp.Or(d.Why(), "the endpoint has neither discovery name nor port name"))
	}
	ns := x.namespaceName(e.Service.Connect)
	namespace, ok := ns.Get()
	if !ok && ns.Symbol() != "" {
		return Symbolic[string](name+"."+ns.Symbol(), ns.Why())
	}
	if !ok {
		return Unknown[string](cmp.Or(ns.Why(), "the service names no namespace"))
	}
	return Known(name + "." + namespace)
}
