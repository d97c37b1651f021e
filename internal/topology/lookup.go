package topology

import (
	"slices"
	"strings"
)

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

// OnNodes reports whether the tasks of s run with the network of their
// instances: in mode bridge or host, or without a mode on EC2, which is bridge.
func (s *Service) OnNodes() bool {
	if s.Task == nil {
		return false
	}
	if s.Task.NetworkMode.IsAbsent() {
		return len(s.Groups) == 0 && s.LaunchType.Or("") != "FARGATE"
	}
	m, ok := s.Task.NetworkMode.Get()
	return ok && (m == "bridge" || m == "host")
}

// Discovery returns the endpoint's discovery name: as given, else the port name.
func (e *Endpoint) Discovery() Opt[string] {
	if e.DiscoveryName.IsAbsent() {
		return e.PortName
	}
	return e.DiscoveryName
}

// Declares reports whether a container of the task maps the TCP port.
func (d *TaskDefinition) Declares(port int) bool {
	for i := range d.Containers {
		for _, m := range d.Containers[i].Ports {
			if n, ok := m.Port.Get(); ok && n == port && strings.EqualFold(m.Protocol.Or("tcp"), "tcp") {
				return true
			}
		}
	}
	return false
}

// MayHave reports whether a container of that name maps the port, or one whose
// name, list or port is not settled.
func (d *TaskDefinition) MayHave(name string, port int) bool {
	return !d.ContainerSet().Any(func(c Container) bool {
		return (c.Name == name || c.OpenName != "") && c.MayMap(port)
	}).is(false)
}

// is reports that o is known to be v.
func (o Opt[T]) is(v any) bool { return o.state == known && any(o.v) == v }

// MayMap reports whether the container maps the port, or a port that is not settled.
func (c *Container) MayMap(port int) bool {
	return slices.ContainsFunc(c.Ports, func(m PortMapping) bool {
		n, ok := m.Port.Get()
		return !ok || n == port
	})
}
