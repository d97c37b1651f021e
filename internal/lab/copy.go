package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/topology"
)

// deploymentCopy is one set of services and load balancers: the deployment
// itself, or a twin of a part of it. Names resolve within a copy.
type deploymentCopy struct {
	lab       *Lab
	name      string      // "" for the deployment itself
	tlsOf     topology.ID // the service whose endpoints have TLS here whatever the source says; "" for none
	services  []*service
	instances []*instance
	balancers []*balancer
}

func (l *Lab) newCopy(name string, twin *Twin) *deploymentCopy {
	dc := &deploymentCopy{lab: l, name: name}
	if twin != nil && twin.TLS {
		dc.tlsOf = twin.Of
	}
	topo := l.opts.Topology
	for _, s := range order(topo.Services) {
		if s.OnNodes() {
			l.note(fmt.Sprintf("%s: its tasks run in network mode %s, with the network of their instances; the lab does not run that, so it is left out",
				place(s.Origin), s.Task.NetworkMode.Or("bridge")))
			continue
		}
		if twin == nil || s.ID == twin.Of || clientOf(s, twin.Of) {
			dc.services = append(dc.services, &service{copy: dc, def: s, desired: s.DesiredCount.Or(1)})
		}
	}
	for _, lb := range topo.LoadBalancers {
		if lb.Kind != "application" {
			l.note(fmt.Sprintf("%s: a load balancer of the kind %s; the lab runs application load balancers, so it is left out", place(lb.Origin), lb.Kind))
		}
		if lb.Kind == "application" && (twin == nil || dc.balancesFor(lb, twin.Of)) {
			dc.balancers = append(dc.balancers, &balancer{copy: dc, def: lb})
		}
	}
	dc.newInstances()
	return dc
}

// clientOf reports whether s is a client-only service that can call the other one.
func clientOf(s *topology.Service, other topology.ID) bool {
	return s.Connect != nil && s.Connect.Enabled.Or(false) && len(s.Connect.Endpoints) == 0 && slices.Contains(s.After, other)
}

// balancesFor reports whether a listener of lb forwards to the service.
func (dc *deploymentCopy) balancesFor(lb *topology.LoadBalancer, id topology.ID) bool {
	s := dc.lab.index.Service(id)
	for _, st := range s.LoadBalancers {
		g, ok := st.Group.Get()
		if ok && slices.Contains(forwardsTo(lb), g) {
			return true
		}
	}
	return false
}

// order sorts services so that each comes after those that its source
// deploys before it; otherwise the source's order stays.
func order(in []*topology.Service) []*topology.Service {
	var out []*topology.Service
	placed := map[topology.ID]bool{}
	var place func(s *topology.Service)
	place = func(s *topology.Service) {
		if placed[s.ID] {
			return
		}
		placed[s.ID] = true // before its predecessors: a cycle must not hang us
		for _, o := range in {
			if slices.Contains(s.After, o.ID) {
				place(o)
			}
		}
		out = append(out, s)
	}
	for _, s := range in {
		place(s)
	}
	return out
}

// start starts the load balancers, the instances behind them, and the
// services one after the other.
func (dc *deploymentCopy) start(ctx context.Context) error {
	for _, b := range dc.balancers {
		if err := b.start(ctx); err != nil {
			return err
		}
	}
	dc.lab.setNames()
	for _, i := range dc.instances {
		if err := i.start(ctx); err != nil {
			return err
		}
	}
	if err := dc.publish(); err != nil {
		return err
	}
	for _, s := range dc.services {
		if err := s.first(ctx); err != nil {
			return err
		}
	}
	return nil
}

// balances reports whether a load balancer of the copy forwards to the group.
func (dc *deploymentCopy) balances(group topology.ID) bool {
	for _, b := range dc.balancers {
		if slices.Contains(forwardsTo(b.def), group) {
			return true
		}
	}
	return false
}

// service returns the service with the ID, or nil.
func (dc *deploymentCopy) service(id topology.ID) *service {
	for _, s := range dc.services {
		if s.def.ID == id {
			return s
		}
	}
	return nil
}

// publish tells load balancers and agents which tasks there are now.
func (dc *deploymentCopy) publish() error {
	for _, b := range dc.balancers {
		if b.nodeProcess == nil || !b.proc.Alive() {
			continue // a load balancer that starts again is told then
		}
		if err := b.Call(node.OpUpdate, alb.Update{Targets: b.targets()}, nil); err != nil && b.proc.Alive() {
			return err
		}
	}
	for _, s := range dc.services {
		for _, t := range s.tasks {
			if t.agent == nil || len(t.names) == 0 {
				continue
			}
			err := t.agent.Call(node.OpUpdate, dc.updateFor(t), nil)
			if err != nil && t.agent.proc.Alive() {
				return err
			}
		}
	}
	return nil
}

// updateFor is what the agent of a task is told: where the tasks behind its
// names are, and in which zones.
func (dc *deploymentCopy) updateFor(t *task) agent.Update {
	l := dc.lab
	u := agent.Update{Hosts: dc.hostsFor(t.names), Zones: map[netip.Addr]string{}, Callers: map[string]int{}}
	for _, s := range dc.services {
		for _, o := range slices.Concat(s.tasks, s.leaving) {
			u.Zones[o.iface.IP] = l.zone(o.iface.Subnet)
		}
	}
	for _, o := range t.service.tasks {
		u.Callers[l.zone(o.iface.Subnet)]++
	}
	return u
}

// zone is the availability zone of a subnet. Where the source leaves it open
// each subnet is taken for a zone of its own.
func (l *Lab) zone(subnet netip.Prefix) string {
	for _, s := range l.opts.Topology.Subnets {
		if c, ok := s.CIDR.Get(); ok && c.Masked() == subnet.Masked() {
			if az, ok := s.AZ.Get(); ok {
				return az
			}
		}
	}
	return subnet.String()
}

// hostsFor returns the tasks behind each name, whether or not they are ready.
func (dc *deploymentCopy) hostsFor(names []name) map[string][]netip.AddrPort {
	out := map[string][]netip.AddrPort{}
	for _, n := range names {
		hosts := []netip.AddrPort{}
		if s := dc.service(n.service); s != nil {
			_, ingress, ok := ports(n.endpoint)
			for _, t := range slices.Concat(s.tasks, s.leaving) {
				if ok && t.known {
					hosts = append(hosts, netip.AddrPortFrom(t.iface.IP, ingress))
				}
			}
		}
		out[n.key()] = hosts
	}
	return out
}
