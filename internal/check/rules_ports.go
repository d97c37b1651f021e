package check

import (
	"fmt"
	"net/netip"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

func twoOpenPorts(c *checker) {
	first := once()
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindDirect || p.Caller.Kind != reach.CallerService || len(p.Hops) != 1 || p.Hops[0].State != reach.HopOpen {
			continue
		}
		server := c.x.Service(p.Service)
		if !c.overrides(server, p.Hops[0].Port) {
			continue
		}
		for _, a := range p.Hops[0].Admits {
			if a.Direction != reach.Ingress || !first(a.Group, a.Text) || c.admitsALB(server, a, p.Hops[0].Port) {
				continue
			}
			at := server.Origin
			if g := c.x.SecurityGroup(a.Group); g != nil {
				at = g.Origin
			}
			f := c.add(at, "Remove the rule, unless something other than Service Connect needs it.",
				"%s has %s: %s can call the app of %s past the agent", a.Label, a.Text, p.Caller.Name, p.Hops[0].Name)
			f.Prediction = p.ID
		}
	}
}

// overrides reports whether port is the container port of an endpoint of s in override mode.
func (c *checker) overrides(s *topology.Service, port int) bool {
	for _, e := range c.x.Endpoints(s.ID) {
		n, ok := e.ContainerPort.Get()
		if _, o := e.Config.IngressPortOverride.Get(); ok && o && n == port {
			return true
		}
	}
	return false
}

// admitsALB reports whether the same rule is also what lets the load balancer in.
func (c *checker) admitsALB(s *topology.Service, a reach.Admission, port int) bool {
	for _, t := range s.LoadBalancers {
		id, ok := t.Group.Get()
		if !ok {
			continue
		}
		for _, f := range c.x.Forwards(id).Read() {
			for _, b := range c.p.TaskIngress(s, port, f.LoadBalancer).Admits {
				if b.Group == a.Group && b.Text == a.Text {
					return true
				}
			}
		}
	}
	return false
}

func aliasPortInRule(c *checker) {
	first := once()
	c.eachEndpoint(func(e *topology.ConnectEndpoint) {
		in, ok := e.IngressPort.Get()
		if !ok || e.Service.Task == nil {
			return
		}
		for _, n := range e.Names {
			alias, ok := n.Port.Get()
			if !ok || alias == in || e.Service.Task.Declares(alias) {
				continue
			}
			for _, o := range e.Service.Groups {
				id, _ := o.Get()
				g := c.x.SecurityGroup(id)
				if g == nil {
					continue
				}
				for i := range g.Ingress {
					r := &g.Ingress[i]
					if r.Protocol == "tcp" && r.From == alias && r.To == alias && first(g.ID, i) {
						c.add(ruleOrigin(r, g), fmt.Sprintf("Open %d instead.", in),
							"%s has %s, the client port of %s; its tasks listen on %d", topology.Label(g.Origin, g.Name), c.p.RuleText(r, reach.Ingress), n.Name.Or("the endpoint"), in)
					}
				}
			}
		}
	})
}

// ruleOrigin is where a rule stands: its own resource, or its group.
func ruleOrigin(r *topology.Rule, g *topology.SecurityGroup) topology.Origin {
	if r.ID != "" {
		return r.Origin
	}
	return g.Origin
}

// everyAddress reports whether a rule's peer is every address of a family.
func everyAddress(r *topology.Rule, v6 bool) bool {
	p := r.Peer.CIDR
	return p.IsValid() && p.Bits() == 0 && p.Addr().Is6() == v6 && p != (netip.Prefix{})
}
