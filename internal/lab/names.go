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
	endpoint *topology.ConnectEndpoint
	key      string // identifies the name and client port to an agent
}

// vip returns the n-th virtual address, from 1: 127.255.0.1 and on.
func vip(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 255, byte(n >> 8), byte(n)})
}

// namesFor returns what the tasks of a deployment of s resolve: the endpoints
// of its namespace whose service existed when it was created, with tasks or
// without. visible says which did.
func (dc *deploymentCopy) namesFor(s *topology.Service, visible func(topology.ID) bool) []name {
	if s.Connect == nil || !s.Connect.Enabled.Or(false) {
		return nil
	}
	ns := dc.lab.index.NamespaceOf(s.Connect)
	if ns == nil {
		return nil
	}
	var out []name
	for _, e := range ns.Numbered {
		host, okn := e.Name.Get()
		port, okp := e.Port.Get()
		if !okn || !okp || !e.Endpoint.Service.Connect.Enabled.Or(false) || !visible(e.Endpoint.Service.ID) {
			continue
		}
		out = append(out, name{
			host: host, at: netip.AddrPortFrom(vip(e.Index), uint16(port)),
			service: e.Endpoint.Service.ID, endpoint: e.Endpoint, key: fmt.Sprintf("%s:%d", host, port),
		})
	}
	return out
}

// protocolOf returns what an endpoint speaks: the AppProtocol of its port
// mapping, TCP when that is not settled.
func protocolOf(e *topology.ConnectEndpoint) agent.Protocol {
	return agent.Protocol(e.Protocol.Or(string(agent.TCP)))
}

// ports returns the container port of an endpoint and the port on which the
// agent is reached from outside the task; ok is false when the source does
// not settle them.
func ports(e *topology.ConnectEndpoint) (container, ingress uint16, ok bool) {
	c, okc := e.ContainerPort.Get()
	i, oki := e.IngressPort.Get()
	return uint16(c), uint16(i), okc && oki
}
