package change

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// Edit is one property of a resource that a change sets, spelled as in
// CloudFormation whatever the source is. Without a Path it is the resource itself.
type Edit struct {
	Resource topology.Origin
	Path     []any // names and positions
	From, To any   // nil where there is none
}

// editor makes changes in a copy, of which it owns what it has changed.
type editor struct {
	t     *topology.Topology
	edits []Edit
}

func newEditor(t *topology.Topology) *editor {
	own := *t
	own.Services = slices.Clone(t.Services)
	own.SecurityGroups = slices.Clone(t.SecurityGroups)
	own.TargetGroups = slices.Clone(t.TargetGroups)
	return &editor{t: &own}
}

func (e *editor) edit(o topology.Origin, from, to any, path ...any) {
	e.edits = append(e.edits, Edit{Resource: o, Path: path, From: from, To: to})
}

// own puts a copy of the thing with the ID in its place and returns it.
func own[T any](list []*T, id topology.ID, idOf func(*T) topology.ID) (*T, error) {
	i := slices.IndexFunc(list, func(x *T) bool { return idOf(x) == id })
	if i < 0 {
		return nil, fmt.Errorf("the source has no such resource")
	}
	c := *list[i]
	list[i] = &c
	return &c, nil
}

func (e *editor) service(id topology.ID) (*topology.Service, error) {
	return own(e.t.Services, id, func(s *topology.Service) topology.ID { return s.ID })
}

func (e *editor) group(id topology.ID) (*topology.SecurityGroup, error) {
	g, err := own(e.t.SecurityGroups, id, func(g *topology.SecurityGroup) topology.ID { return g.ID })
	if err == nil && (g.External || g.Type == "") {
		return nil, fmt.Errorf("the source does not declare this group")
	}
	return g, err
}

// was is the value that an edit replaces.
func was[T any](o topology.Opt[T]) any {
	if v, ok := o.Get(); ok {
		return v
	}
	return nil
}

func (e *editor) count(c Change) error {
	s, err := e.service(c.On)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(c.To)
	if err != nil || n < 0 || n > MaxCount {
		return fmt.Errorf("%q: expected a count from 0 to %d", c.To, MaxCount)
	}
	e.edit(s.Origin, was(s.DesiredCount), n, "DesiredCount")
	s.DesiredCount = topology.Known(n)
	return nil
}

// endpoint sets a port of an entry of the service's Service Connect configuration.
func (e *editor) endpoint(c Change) error {
	s, err := e.service(c.On)
	if err != nil {
		return err
	}
	if s.Connect == nil || c.At[0] < 0 || c.At[0] >= len(s.Connect.Endpoints) {
		return fmt.Errorf("the service has no endpoint %d", c.At[0])
	}
	connect := *s.Connect
	connect.Endpoints = slices.Clone(connect.Endpoints)
	s.Connect = &connect
	p := &connect.Endpoints[c.At[0]]
	path := []any{"ServiceConnectConfiguration", "Services", c.At[0]}
	to, n := topology.Opt[int]{}, 0
	if c.To != "" {
		if n, err = port(c.To); err != nil {
			return err
		}
		to = topology.Known(n)
	}
	if c.Kind == Override {
		e.edit(s.Origin, was(p.IngressPortOverride), was(to), append(path, "IngressPortOverride")...)
		p.IngressPortOverride = to
		return nil
	}
	if c.To == "" {
		return fmt.Errorf("expected a port from 1 to 65535")
	}
	if len(p.Aliases) == 0 && c.At[1] == 0 {
		e.edit(s.Origin, nil, []any{map[string]any{"Port": n}}, append(path, "ClientAliases")...)
		p.Aliases = []topology.Alias{{Port: to}}
		return nil
	}
	if c.At[1] < 0 || c.At[1] >= len(p.Aliases) {
		return fmt.Errorf("the endpoint has no alias %d", c.At[1])
	}
	p.Aliases = slices.Clone(p.Aliases)
	a := &p.Aliases[c.At[1]]
	e.edit(s.Origin, was(a.Port), n, append(path, "ClientAliases", c.At[1], "Port")...)
	a.Port = to
	return nil
}

// task puts a copy of the service's task definition in the place of it, also in
// other services that run it.
func (e *editor) task(s *topology.Service) (*topology.TaskDefinition, error) {
	if s.Task == nil {
		return nil, fmt.Errorf("the task definition is not in the source")
	}
	old, d := s.Task, *s.Task
	d.Containers = slices.Clone(d.Containers)
	for i, o := range e.t.Services {
		if o.Task != old {
			continue
		}
		c := *o
		c.Task, e.t.Services[i] = &d, &c
		if o == s {
			s.Task = &d
			e.t.Services[i] = s
		}
	}
	return &d, nil
}

func (e *editor) container(c Change) error {
	s, err := e.service(c.On)
	if err != nil {
		return err
	}
	d, err := e.task(s)
	if err != nil {
		return err
	}
	if c.At[0] < 0 || c.At[0] >= len(d.Containers) {
		return fmt.Errorf("the task definition has no container %d", c.At[0])
	}
	if c.Kind == Binding {
		return e.binding(d, c)
	}
	k := &d.Containers[c.At[0]]
	if c.At[1] < 0 || c.At[1] >= len(k.Ports) {
		return fmt.Errorf("the container has no port mapping %d", c.At[1])
	}
	n, err := port(c.To)
	if err != nil {
		return err
	}
	k.Ports = slices.Clone(k.Ports)
	m := &k.Ports[c.At[1]]
	before := m.Port
	path := []any{"ContainerDefinitions", c.At[0], "PortMappings", c.At[1]}
	e.edit(d.Origin, was(before), n, append(slices.Clone(path), "ContainerPort")...)
	m.Port = topology.Known(n)
	if old, ok := m.HostPort.Get(); ok && old != 0 && old == before.Or(-1) {
		e.edit(d.Origin, old, n, append(path, "HostPort")...)
		m.HostPort = topology.Known(n)
	}
	e.registered(d, k.Name, before, n)
	return nil
}

// registered lets the load balancers' registrations of a container's port follow it.
func (e *editor) registered(d *topology.TaskDefinition, container string, before topology.Opt[int], to int) {
	for i, s := range e.t.Services {
		if s.Task != d || !slices.ContainsFunc(s.LoadBalancers, func(r topology.ServiceTarget) bool { return registers(r, container, before) }) {
			continue
		}
		c := *s
		c.LoadBalancers, e.t.Services[i] = slices.Clone(s.LoadBalancers), &c
		for k := range c.LoadBalancers {
			if r := &c.LoadBalancers[k]; registers(*r, container, before) {
				e.edit(c.Origin, was(r.Port), to, "LoadBalancers", k, "ContainerPort")
				r.Port = topology.Known(to)
			}
		}
	}
}

func registers(r topology.ServiceTarget, container string, before topology.Opt[int]) bool {
	port, ok := r.Port.Get()
	return ok && r.Container.Or("") == container && port == before.Or(-1)
}

// Addresses are what LISTEN_ADDRESS can be: everywhere, loopback only, the task's address only.
var Addresses = []string{"", "127.0.0.1", "eth0"}

// listen is the variable by which hoplab's app is told where to listen.
const listen = "LISTEN_ADDRESS"

func (e *editor) binding(d *topology.TaskDefinition, c Change) error {
	if !slices.Contains(Addresses, c.To) {
		return fmt.Errorf("%q: expected one of %q", c.To, Addresses)
	}
	k := &d.Containers[c.At[0]]
	before := k.Environment[listen]
	k.Environment = maps.Clone(k.Environment)
	if k.Environment == nil {
		k.Environment = map[string]topology.Opt[string]{}
	}
	var to any = c.To
	k.Environment[listen] = topology.Known(c.To)
	if c.To == "" {
		to = nil
		delete(k.Environment, listen)
	}
	e.edit(d.Origin, was(before), to, "ContainerDefinitions", c.At[0], "Environment", listen)
	return nil
}

func (e *editor) health(c Change) error {
	g, err := own(e.t.TargetGroups, c.On, func(g *topology.TargetGroup) topology.ID { return g.ID })
	if err != nil {
		return err
	}
	field, name := &g.Health.Path, "HealthCheckPath"
	if c.Kind == HealthPort {
		field, name = &g.Health.Port, "HealthCheckPort"
		if _, err := port(c.To); err != nil && c.To != "traffic-port" {
			return fmt.Errorf("%q: expected traffic-port or a port from 1 to 65535", c.To)
		}
	} else if !strings.HasPrefix(c.To, "/") || strings.ContainsFunc(c.To, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q: expected a path that begins with / and has printable ASCII only", c.To)
	}
	e.edit(g.Origin, was(*field), c.To, name)
	*field = topology.Known(c.To)
	return nil
}
