package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// builder makes the map of a topology, and adds the callers that predictions name.
type builder struct {
	x       *topology.Index
	p       *reach.Predictor
	areas   []Area
	inArea  map[string]bool
	hosts   []Host
	onMap   map[string]bool
	callers []Caller
	known   map[string]reach.Caller
}

func newBuilder(x *topology.Index, p *reach.Predictor) *builder {
	b := &builder{x: x, p: p, inArea: map[string]bool{}, onMap: map[string]bool{}, known: map[string]reach.Caller{}}
	for _, lb := range x.Topology.LoadBalancers {
		b.add(b.balancer(lb))
	}
	for _, s := range x.Topology.Services {
		b.add(b.service(s))
	}
	for _, i := range x.Topology.Instances {
		b.add(Host{ID: string(i.ID), Area: b.area(i.Places()), Kind: "instance", Label: topology.Label(i.Origin, i.Name),
			Detail: "EC2 instance", Groups: b.groups(i.Groups)})
	}
	return b
}

func (b *builder) add(h Host) {
	if !b.onMap[h.ID] {
		b.onMap[h.ID] = true
		b.hosts = append(b.hosts, h)
	}
}

// finish returns the map with the lines of the likely paths.
func (b *builder) finish(paths []Path) Map {
	lines := []Line{}
	at := map[[2]string]int{}
	for _, p := range paths {
		for _, s := range p.Stops {
			key := [2]string{s.From.Host, s.To.Host}
			if !p.Likely || p.Kind == string(reach.KindDirect) || p.Kind == string(reach.KindWhatIf) || key[0] == key[1] || key[0] == "" || key[1] == "" {
				continue
			}
			i, ok := at[key]
			if !ok {
				i = len(lines)
				at[key] = i
				lines = append(lines, Line{From: key[0], To: key[1], Ports: []string{}})
			}
			if !slices.Contains(lines[i].Ports, s.Port) {
				lines[i].Ports = append(lines[i].Ports, s.Port)
			}
		}
	}
	return Map{Areas: b.areas, Hosts: b.hosts, Lines: lines}
}

func (b *builder) balancer(lb *topology.LoadBalancer) Host {
	h := Host{ID: string(lb.ID), Area: b.area(lb.Subnets), Kind: "alb", Label: topology.Label(lb.Origin, lb.Name),
		Detail: cmp.Or(lb.Kind, "application") + " load balancer", Groups: b.groups(lb.Groups)}
	for _, l := range lb.Listeners {
		h.Listens = append(h.Listens, strings.TrimSpace(l.Protocol.Or("")+" "+number(l.Port)))
	}
	return h
}

func (b *builder) service(s *topology.Service) Host {
	h := Host{ID: string(s.ID), Area: b.area(s.Subnets), Kind: "service", Label: topology.Label(s.Origin, s.Name),
		Detail: tasks(s.DesiredCount), Groups: b.groups(s.Groups), Agent: s.Connected()}
	served := map[string]bool{}
	for _, e := range b.x.Endpoints(s.ID) {
		for _, n := range e.Names {
			name, _ := n.Spelled()
			hp := HostPort{Name: name, Client: number(n.Port), Ingress: number(e.IngressPort), Container: number(e.ContainerPort)}
			served[hp.Container] = true
			h.Ports = append(h.Ports, hp)
		}
	}
	if s.Task == nil {
		return h
	}
	for _, c := range s.Task.Containers {
		for _, m := range c.Ports {
			if port := number(m.Port); !served[port] {
				served[port] = true
				h.Ports = append(h.Ports, HostPort{Container: port})
			}
		}
	}
	return h
}

func tasks(count topology.Opt[int]) string {
	n, ok := count.Get()
	switch {
	case count.IsAbsent() || ok && n == 1:
		return "1 task"
	case ok:
		return fmt.Sprintf("%d tasks", n)
	}
	return "tasks"
}

// groups describes the security groups of a host with their rules.
func (b *builder) groups(ids []topology.Opt[topology.ID]) []Group {
	var out []Group
	for _, o := range ids {
		id, ok := o.Get()
		g := b.x.SecurityGroup(id)
		if !ok || g == nil {
			out = append(out, Group{Label: cmp.Or(string(id), "?"), Ingress: []string{}, Egress: []string{},
				Open: cmp.Or(o.Why(), "the group is not in the source")})
			continue
		}
		out = append(out, Group{Label: topology.Label(g.Origin, g.Name),
			Ingress: b.rules(g.Ingress, reach.Ingress), Egress: b.rules(g.Egress, reach.Egress),
			Open: cmp.Or(g.Rules(false).Why(), g.Rules(true).Why())})
	}
	return out
}

func (b *builder) rules(rules []topology.Rule, dir reach.Direction) []string {
	out := []string{}
	for i := range rules {
		out = append(out, b.p.RuleText(&rules[i], dir))
	}
	return out
}

// area returns the area of hosts in these subnets, "" when they are not known.
func (b *builder) area(ids []topology.Opt[topology.ID]) string {
	var names, keys []string
	vpc := topology.ID("")
	for _, o := range ids {
		id, ok := o.Get()
		if !ok {
			continue
		}
		keys = append(keys, string(id))
		label := string(id)
		if s := b.x.Subnet(id); s != nil {
			vpc, label = s.VPC, topology.OriginLabel(s.Origin)
		}
		names = append(names, label)
	}
	parent := ""
	if v := b.x.VPC(vpc); v != nil {
		parent = "vpc:" + string(v.ID)
		label := "VPC " + topology.OriginLabel(v.Origin)
		if cidr, ok := v.CIDR.Get(); ok {
			label += " " + cidr.String()
		}
		b.addArea(Area{ID: parent, Kind: "vpc", Label: label})
	}
	if len(keys) == 0 {
		return parent
	}
	slices.Sort(keys)
	slices.Sort(names)
	id := "subnets:" + strings.Join(slices.Compact(keys), " ")
	b.addArea(Area{ID: id, Parent: parent, Kind: "subnets", Label: strings.Join(slices.Compact(names), ", ")})
	return id
}

func (b *builder) addArea(a Area) {
	if !b.inArea[a.ID] {
		b.inArea[a.ID] = true
		b.areas = append(b.areas, a)
	}
}

// caller returns the place where a prediction begins and the key of who calls,
// and puts who is no part of the deployment on the map.
func (b *builder) caller(pr *reach.Prediction) (Place, string) {
	c := pr.Caller
	at := Place{Host: string(c.Service), Part: "client", Name: c.Name}
	switch {
	case c.Service != "":
	case c.Kind == reach.CallerHealth:
		at.Host = string(pr.LoadBalancer)
	default:
		at.Host = "caller:" + string(c.Kind) + ":" + c.Name
		b.add(Host{ID: at.Host, Area: b.area(opts(c.Subnets)), Kind: "caller", Label: c.Name, Detail: string(c.Kind)})
	}
	key := at.Host
	if c.Kind == reach.CallerHealth {
		key = "health:" + c.Name // the load balancer's host calls for each of its groups
	}
	if _, ok := b.known[key]; !ok {
		b.known[key] = c
		b.callers = append(b.callers, Caller{Key: key, Host: at.Host, Label: c.Name})
	}
	return at, key
}

func opts(ids []topology.ID) []topology.Opt[topology.ID] {
	var out []topology.Opt[topology.ID]
	for _, id := range ids {
		out = append(out, topology.Known(id))
	}
	return out
}

// at returns the host that a hop ends at, "" when it is not on the map. A hop
// without a resource stays on its host.
func (b *builder) at(id topology.ID, here string) string {
	switch {
	case id == "":
		return here
	case b.onMap[string(id)]:
		return string(id)
	}
	return ""
}
