package lab

import (
	"context"
	"net/netip"
	"slices"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/topology"
)

// world is one set of services and load balancers: the deployment itself, or
// a twin of a part of it. Names resolve within a world.
type world struct {
	lab       *Lab
	name      string // "" for the deployment itself
	services  []*service
	instances []*instance
	balancers []*balancer
}

func (l *Lab) newWorld(name string, twin *Twin) *world {
	w := &world{lab: l, name: name}
	topo := l.opts.Topology
	for _, s := range order(topo.Services) {
		if twin == nil || s.ID == twin.Of || clientOf(s, twin.Of) {
			w.services = append(w.services, &service{world: w, def: s, desired: s.DesiredCount.Or(1)})
		}
	}
	for _, lb := range topo.LoadBalancers {
		if lb.Kind == "application" && (twin == nil || w.fronts(lb, twin.Of)) {
			w.balancers = append(w.balancers, &balancer{world: w, def: lb})
		}
	}
	w.newInstances()
	return w
}

// clientOf reports whether s is a client-only service that can call the other one.
func clientOf(s *topology.Service, other topology.ID) bool {
	return s.Connect != nil && s.Connect.Enabled.Or(false) && len(s.Connect.Endpoints) == 0 && slices.Contains(s.After, other)
}

// fronts reports whether a listener of lb forwards to the service.
func (w *world) fronts(lb *topology.LoadBalancer, id topology.ID) bool {
	s := w.lab.opts.Topology.Service(id)
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
func (w *world) start(ctx context.Context) error {
	for _, b := range w.balancers {
		if err := b.start(ctx); err != nil {
			return err
		}
	}
	w.lab.setNames()
	for _, i := range w.instances {
		if err := i.start(ctx); err != nil {
			return err
		}
	}
	if err := w.publish(); err != nil {
		return err
	}
	for _, s := range w.services {
		if err := s.first(ctx); err != nil {
			return err
		}
	}
	return nil
}

// balances reports whether a load balancer of the world forwards to the group.
func (w *world) balances(group topology.ID) bool {
	for _, b := range w.balancers {
		if slices.Contains(forwardsTo(b.def), group) {
			return true
		}
	}
	return false
}

// service returns the service with the ID, or nil.
func (w *world) service(id topology.ID) *service {
	for _, s := range w.services {
		if s.def.ID == id {
			return s
		}
	}
	return nil
}

// publish tells load balancers and agents which tasks there are now.
func (w *world) publish() error {
	for _, b := range w.balancers {
		if b.carrier == nil || !b.proc.Alive() {
			continue // a load balancer that starts again is told then
		}
		if err := b.Call(node.OpUpdate, alb.Update{Targets: b.targets()}, nil); err != nil && b.proc.Alive() {
			return err
		}
	}
	for _, s := range w.services {
		for _, t := range s.tasks {
			if t.agent == nil || len(t.names) == 0 {
				continue
			}
			err := t.agent.Call(node.OpUpdate, agent.Update{Hosts: w.hostsFor(t.names)}, nil)
			if err != nil && t.agent.proc.Alive() {
				return err
			}
		}
	}
	return nil
}

// hostsFor returns the tasks behind each name. Tasks are known to callers
// from their start, whether or not they are ready.
func (w *world) hostsFor(names []name) map[string][]netip.AddrPort {
	out := map[string][]netip.AddrPort{}
	for _, n := range names {
		hosts := []netip.AddrPort{}
		if s := w.service(n.service); s != nil {
			_, ingress, ok := ports(s.def, n.endpoint)
			for _, t := range s.tasks {
				if ok {
					hosts = append(hosts, netip.AddrPortFrom(t.iface.IP, ingress))
				}
			}
		}
		out[n.key()] = hosts
	}
	return out
}
