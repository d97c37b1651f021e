package lab

import (
	"cmp"
	"fmt"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/topology"
)

// TLS between agents. In AWS the certificates come from the private CA that the
// endpoint names; here from one authority of the lab's own, which no file has.
// They are valid as long as the lab's others and never rotated.

// secured reports whether the agents of the copy speak TLS for the endpoint.
// Lab.mu is held.
func (dc *deploymentCopy) secured(e *topology.ConnectEndpoint) bool {
	if dc.tlsOf != "" && e.Service.ID == dc.tlsOf {
		return true
	}
	if why := e.Config.TLS.Why(); why != "" {
		dc.lab.note(fmt.Sprintf("%s: whether its endpoint has TLS is not settled (%s); the lab runs it without", place(e.Service.Origin), why))
	}
	return e.Config.TLS.Or(false)
}

// serverName is what the certificate of an endpoint's agents is for.
func (dc *deploymentCopy) serverName(e *topology.ConnectEndpoint) string {
	name, _ := e.Config.Discovery().Get()
	namespace := ""
	if ns := dc.lab.index.NamespaceOf(e.Service.Connect); ns != nil {
		namespace = ns.Name.Or("")
	}
	return cmp.Or(name, "service-connect") + "." + cmp.Or(namespace, "local")
}

// certificateOf makes the certificate of the agent of one task; nil for an
// endpoint without TLS.
func (dc *deploymentCopy) certificateOf(e *topology.ConnectEndpoint) (*certs.Pair, error) {
	if !dc.secured(e) {
		return nil, nil
	}
	ca, err := dc.lab.agents()
	if err != nil {
		return nil, err
	}
	return ca.IssueAgent(dc.serverName(e))
}

// trustIn says whom the agent of a caller takes for the endpoint's tasks; nil
// for an endpoint without TLS.
func (dc *deploymentCopy) trustIn(e *topology.ConnectEndpoint) (*agent.Trust, error) {
	if !dc.secured(e) {
		return nil, nil
	}
	ca, err := dc.lab.agents()
	if err != nil {
		return nil, err
	}
	return &agent.Trust{Authority: ca.PEM, Name: dc.serverName(e)}, nil
}

// secureTargets makes the load balancer speak HTTPS with targets behind whose
// port the copy, and not the source, has an agent with TLS.
func (dc *deploymentCopy) secureTargets(id topology.ID, g *alb.Group) {
	s := dc.lab.index.Service(dc.tlsOf)
	if s == nil {
		return
	}
	for _, st := range s.LoadBalancers {
		group, okg := st.Group.Get()
		port, okp := st.Port.Get()
		if !okg || !okp || group != id {
			continue
		}
		for _, e := range dc.lab.index.Endpoints(s.ID) {
			if in, ok := e.IngressPort.Get(); ok && in == port {
				g.Protocol = "HTTPS"
				if g.Health.Protocol == "HTTP" && (g.Health.Port == 0 || int(g.Health.Port) == in) {
					g.Health.Protocol = "HTTPS"
				}
			}
		}
	}
}
