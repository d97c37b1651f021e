package lab

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

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
	byID      map[topology.ID]*service
	instances []*instance
	balancers []*balancer
}

func (l *Lab) newCopy(name string, twin *Twin) *deploymentCopy {
	dc := &deploymentCopy{lab: l, name: name, byID: map[topology.ID]*service{}}
	if twin != nil && twin.TLS {
		dc.tlsOf = twin.Of
	}
	topo := l.opts.Topology
	for _, s := range order(topo.Services) {
		if !l.opts.wants(s.ID) {
			continue
		}
		if s.OnNodes() {
			l.note(fmt.Sprintf("%s: its tasks run in network mode %s, with the network of their instances; the lab does not run that, so it is left out",
				place(s.Origin), s.Task.NetworkMode.Or("bridge")))
			continue
		}
		if twin == nil || s.ID == twin.Of || clientOf(s, twin.Of) {
			sv := &service{copy: dc, def: s, desired: l.opts.desired(s)}
			dc.services = append(dc.services, sv)
			dc.byID[s.ID] = sv
		}
	}
	for _, lb := range topo.LoadBalancers {
		if lb.Kind != "application" {
			l.note(fmt.Sprintf("%s: a load balancer of the kind %s; the lab runs application load balancers, so it is left out", place(lb.Origin), lb.Kind))
		}
		if lb.Kind == "application" && (twin == nil && dc.needs(lb) || twin != nil && dc.balancesFor(lb, twin.Of)) {
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

// needs reports whether the load balancer belongs to a service that runs, or to
// none at all.
func (dc *deploymentCopy) needs(lb *topology.LoadBalancer) bool {
	none := true
	for _, s := range dc.lab.opts.Topology.Services {
		if dc.balancesFor(lb, s.ID) {
			if dc.service(s.ID) != nil {
				return true
			}
			none = none && dc.lab.opts.wants(s.ID)
		}
	}
	return none
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
	at := map[topology.ID]int{}
	for i, s := range in {
		at[s.ID] = i
	}
	placed := map[topology.ID]bool{}
	var place func(s *topology.Service)
	place = func(s *topology.Service) {
		if placed[s.ID] {
			return
		}
		placed[s.ID] = true // before its predecessors: a cycle must not hang us
		var before []int
		for _, id := range s.After {
			if i, ok := at[id]; ok && !placed[id] {
				before = append(before, i)
			}
		}
		slices.Sort(before)
		for _, i := range before {
			place(in[i])
		}
		out = append(out, s)
	}
	for _, s := range in {
		place(s)
	}
	return out
}

// start starts the load balancers, the instances behind them, and the tasks
// of all services: those that the source deploys first come first, but nobody
// waits for anybody, since nobody calls before the lab is up.
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
	var tasks []*task
	for _, s := range dc.services {
		tasks = append(tasks, s.deploy()...)
	}
	running, err := dc.lab.startTasks(ctx, tasks)
	for _, t := range running {
		t.service.enter(t)
		t.known = true // the lab is not up before its callers can call
		t.service.entered(t, "")
	}
	if err != nil {
		return err
	}
	return dc.publish()
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
	return dc.byID[id]
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
	return dc.tellAgents()
}

// tellAgents tells each agent what has changed of the tasks behind its names,
// all of them at the same time.
func (dc *deploymentCopy) tellAgents() error {
	hosts := map[*topology.ConnectEndpoint][]netip.AddrPort{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, s := range dc.services {
		callers := map[string]int{}
		for _, t := range s.tasks {
			callers[dc.lab.zone(t.iface.Subnet)]++
		}
		for _, t := range s.tasks {
			if t.agent == nil || len(t.names) == 0 {
				continue
			}
			u, changed := t.news(hosts, callers)
			if !changed {
				continue
			}
			wg.Go(func() {
				if err := t.agent.Call(node.OpUpdate, u, nil); err != nil && t.agent.proc.Alive() {
					mu.Lock()
					defer mu.Unlock()
					failed = cmp.Or(failed, err)
					t.told, t.toldCallers = nil, nil // it is told everything the next time
				}
			})
		}
	}
	wg.Wait()
	return failed
}

// news is what the task's agent is to be told, and whether that is anything:
// where the tasks behind its names are, and in which zones. hosts keeps what
// was looked up of an endpoint for the next task.
func (t *task) news(hosts map[*topology.ConnectEndpoint][]netip.AddrPort, callers map[string]int) (u agent.Update, changed bool) {
	dc := t.service.copy
	first := t.told == nil
	if first {
		t.told = make([][]netip.AddrPort, len(t.names))
	}
	u.Hosts, u.Zones = map[string][]netip.AddrPort{}, map[netip.Addr]string{}
	for i, n := range t.names {
		now, ok := hosts[n.endpoint]
		if !ok {
			now = dc.hostsOf(n)
			hosts[n.endpoint] = now
		}
		if !first && slices.Equal(now, t.told[i]) {
			continue
		}
		t.told[i], u.Hosts[n.key] = now, now
		for _, at := range now {
			u.Zones[at.Addr()] = dc.zoneOf(n.service, at.Addr())
		}
	}
	if !maps.Equal(callers, t.toldCallers) {
		t.toldCallers, u.Callers = callers, callers
	}
	return u, len(u.Hosts) > 0 || u.Callers != nil
}

// zoneOf is the zone of a service's task by its address.
func (dc *deploymentCopy) zoneOf(id topology.ID, ip netip.Addr) string {
	s := dc.service(id)
	for _, t := range slices.Concat(s.tasks, s.leaving) {
		if t.iface.IP == ip {
			return dc.lab.zone(t.iface.Subnet)
		}
	}
	return ""
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

// ingress is the port where the task takes what callers send to an endpoint, as
// their deployment knows it: tasks of another revision may have it elsewhere.
func (t *task) ingress(e *topology.ConnectEndpoint) (port uint16, ok bool) {
	name := e.Config.Discovery()
	for _, o := range t.offers {
		if o == e || o.Config.Discovery() == name {
			_, port, ok = ports(o)
			return port, ok
		}
	}
	return 0, false
}

// hostsOf returns the tasks behind a name, whether or not they are ready.
func (dc *deploymentCopy) hostsOf(n name) []netip.AddrPort {
	hosts := []netip.AddrPort{}
	if s := dc.service(n.service); s != nil {
		for _, t := range slices.Concat(s.tasks, s.leaving) {
			if ingress, ok := t.ingress(n.endpoint); ok && t.known {
				hosts = append(hosts, netip.AddrPortFrom(t.iface.IP, ingress))
			}
		}
	}
	return hosts
}
