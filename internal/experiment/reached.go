package experiment

import (
	"strings"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/topology"
)

// Reached lists the services that the plan's arms can reach, in the topology's
// order: those at the ends of their routes and their callers, those that share
// the default action of a listener on a route, and those whose Service Connect
// names stand in the environment of any of them. The others run in no
// replicate: they would take CPU time and memory, and answer nobody.
func Reached(t *topology.Topology, p *plan.Plan) ([]topology.ID, error) {
	routes, err := choose(t, p)
	if err != nil {
		return nil, err
	}
	x := topology.NewIndex(t)
	in := map[topology.ID]bool{}
	var add func(id topology.ID)
	add = func(id topology.ID) {
		s := x.Service(id)
		if s == nil || in[id] {
			return
		}
		in[id] = true
		for _, other := range mentioned(x, s) {
			add(other)
		}
	}
	for _, a := range p.Arms {
		r := routes[original(a)]
		add(r.Service)
		add(r.Client)
		for _, id := range sharers(x, r) {
			add(id)
		}
	}
	var out []topology.ID
	for _, s := range t.Services {
		if in[s.ID] {
			out = append(out, s.ID)
		}
	}
	return out, nil
}

// mentioned lists the services whose names stand in the environment of a
// container of s.
func mentioned(x *topology.Index, s *topology.Service) (out []topology.ID) {
	ns := x.NamespaceOf(s.Connect)
	if ns == nil || s.Task == nil {
		return nil
	}
	var values []string
	for i := range s.Task.Containers {
		for _, o := range s.Task.Containers[i].Environment {
			if v, ok := o.Get(); ok {
				values = append(values, v)
			}
		}
	}
	all := strings.Join(values, "\n")
	for _, n := range ns.Names {
		if name, ok := n.Name.Get(); ok && name != "" && strings.Contains(all, name) {
			out = append(out, n.Endpoint.Service.ID)
		}
	}
	return out
}

// sharers lists the services behind the default action of the route's listener.
func sharers(x *topology.Index, r Route) (out []topology.ID) {
	lb := x.LoadBalancer(r.LoadBalancer)
	if lb == nil {
		return nil
	}
	groups := map[topology.ID]bool{}
	for _, l := range lb.Listeners {
		if port, ok := l.Port.Get(); !ok || port != r.Port {
			continue
		}
		for _, a := range l.Default {
			for _, f := range a.Forward {
				if id, ok := f.Group.Get(); ok {
					groups[id] = true
				}
			}
		}
	}
	for _, s := range x.Topology.Services {
		for _, b := range s.LoadBalancers {
			if id, ok := b.Group.Get(); ok && groups[id] {
				out = append(out, s.ID)
			}
		}
	}
	return out
}
