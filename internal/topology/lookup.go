package topology

import (
	"slices"
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

// MayMap reports whether the container maps the port, or a port that is not settled.
func (c *Container) MayMap(port int) bool {
	return slices.ContainsFunc(c.Ports, func(m PortMapping) bool {
		n, ok := m.Port.Get()
		return !ok || n == port
	})
}
