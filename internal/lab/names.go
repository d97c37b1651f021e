package lab

import (
	"fmt"
	"net/netip"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/topology"
)

// name is an entry of a task's hosts file with the listener behind it.
type name struct {
	host     string
	at       netip.AddrPort // virtual address and client port
	service  topology.ID
	endpoint *topology.Endpoint
}

// key identifies an endpoint name and client port to an agent.
func (n name) key() string { return fmt.Sprintf("%s:%d", n.host, n.at.Port()) }

// vip returns the n-th virtual address, from 1: 127.255.0.1 and on.
func vip(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 255, byte(n >> 8), byte(n)})
}

// namesFor returns what a task of s that starts now will resolve: the
// endpoints of its namespace whose service exists. visible says which do.
func (dc *deploymentCopy) namesFor(s *topology.Service, visible func(topology.ID) bool) []name {
	if s.Connect == nil || !s.Connect.Enabled.Or(false) {
		return nil
	}
	var out []name
	for _, e := range dc.lab.opts.Topology.EndpointNames(s.Connect) {
		host, okn := e.Name.Get()
		port, okp := e.Port.Get()
		if !okn || !okp || !e.Service.Connect.Enabled.Or(false) || !visible(e.Service.ID) {
			continue
		}
		out = append(out, name{
			host: host, at: netip.AddrPortFrom(vip(e.Index), uint16(port)),
			service: e.Service.ID, endpoint: e.Endpoint,
		})
	}
	return out
}

// protocolOf returns what an endpoint speaks: the AppProtocol of its port mapping.
func protocolOf(s *topology.Service, e *topology.Endpoint) agent.Protocol {
	port, _ := e.PortName.Get()
	_, m := s.PortMapping(port)
	if m == nil {
		return agent.TCP
	}
	p, ok := m.AppProtocol.Get()
	if !ok || p == "" {
		return agent.TCP
	}
	return agent.Protocol(p)
}

// ports returns the container port of an endpoint and the port on which the
// agent is reached from outside the task; ok is false when the source does
// not settle them.
func ports(s *topology.Service, e *topology.Endpoint) (container, ingress uint16, ok bool) {
	port, _ := e.PortName.Get()
	_, m := s.PortMapping(port)
	if m == nil {
		return 0, 0, false
	}
	c, okc := m.Port.Get()
	o := e.IngressPortOverride
	if !okc || o.IsUnknown() {
		return 0, 0, false
	}
	return uint16(c), uint16(o.Or(c)), true
}
