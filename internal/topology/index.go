package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Index answers in constant time what is where in a finished Topology, with
// every reference resolved once: who registers with a target group and who
// forwards to it, the endpoints of a service with their three ports, the
// namespaces with their names and clients.
//
// It reads and does not judge: what a security group, an agent or a load
// balancer makes of a port is for those who predict or run it.
//
// An Index is read-only and safe for concurrent use. It keeps its answers
// when the topology changes, so build a new one for a changed topology.
type Index struct {
	Topology *Topology

	vpcs           map[ID]*VPC
	subnets        map[ID]*Subnet
	namespaces     map[ID]*Namespace
	securityGroups map[ID]*SecurityGroup
	loadBalancers  map[ID]*LoadBalancer
	targetGroups   map[ID]*TargetGroup
	services       map[ID]*Service
	instances      map[ID]*Instance
	roles          map[ID]*Role

	targets     targets
	connect     map[string]*ConnectNamespace // by key
	connectKeys []string                     // in order of declaration
	unsettled   []*Service
	endpoints   map[ID][]*ConnectEndpoint // by service
	byName      map[string]ID             // namespaces
	number      map[ID]int                // of services, from 0
	after       [][]uint64                // by number: a bit for each service that one is deployed after
}

// NewIndex returns the index of t. It takes time linear in the size of t, but
// for the sorting of the names of each namespace.
func NewIndex(t *Topology) *Index {
	x := &Index{
		Topology:       t,
		vpcs:           byID(t.VPCs, func(v *VPC) ID { return v.ID }),
		subnets:        byID(t.Subnets, func(v *Subnet) ID { return v.ID }),
		namespaces:     byID(t.Namespaces, func(v *Namespace) ID { return v.ID }),
		securityGroups: byID(t.SecurityGroups, func(v *SecurityGroup) ID { return v.ID }),
		loadBalancers:  byID(t.LoadBalancers, func(v *LoadBalancer) ID { return v.ID }),
		targetGroups:   byID(t.TargetGroups, func(v *TargetGroup) ID { return v.ID }),
		services:       byID(t.Services, func(v *Service) ID { return v.ID }),
		instances:      byID(t.Instances, func(v *Instance) ID { return v.ID }),
		roles:          byID(t.Roles, func(v *Role) ID { return v.ID }),
		targets:        newTargets(t),
		connect:        map[string]*ConnectNamespace{},
		endpoints:      map[ID][]*ConnectEndpoint{},
		byName:         map[string]ID{},
		number:         make(map[ID]int, len(t.Services)),
		after:          make([][]uint64, len(t.Services)),
	}
	for _, n := range t.Namespaces {
		if name, ok := n.Name.Get(); ok {
			x.byName[name] = n.ID
		}
	}
	for i, s := range slices.Backward(t.Services) {
		x.number[s.ID] = i // of two with the same ID the first wins, as in byID
	}
	for _, s := range t.Services {
		x.order(s)
		if s.Connected() {
			x.addConnect(s)
		}
	}
	for _, n := range x.connect {
		n.number()
	}
	return x
}

// byID maps things by their ID; of two with the same ID the first wins.
func byID[T any](list []*T, id func(*T) ID) map[ID]*T {
	m := make(map[ID]*T, len(list))
	for _, v := range slices.Backward(list) {
		m[id(v)] = v
	}
	return m
}

// VPC returns the VPC with the ID, or nil.
func (x *Index) VPC(id ID) *VPC { return x.vpcs[id] }

// Subnet returns the subnet with the ID, or nil.
func (x *Index) Subnet(id ID) *Subnet { return x.subnets[id] }

// Namespace returns the declared namespace with the ID, or nil.
func (x *Index) Namespace(id ID) *Namespace { return x.namespaces[id] }

// SecurityGroup returns the security group with the ID, or nil.
func (x *Index) SecurityGroup(id ID) *SecurityGroup { return x.securityGroups[id] }

// LoadBalancer returns the load balancer with the ID, or nil.
func (x *Index) LoadBalancer(id ID) *LoadBalancer { return x.loadBalancers[id] }

// TargetGroup returns the target group with the ID, or nil.
func (x *Index) TargetGroup(id ID) *TargetGroup { return x.targetGroups[id] }

// Service returns the service with the ID, or nil.
func (x *Index) Service(id ID) *Service { return x.services[id] }

// Instance returns the instance with the ID, or nil.
func (x *Index) Instance(id ID) *Instance { return x.instances[id] }

// Role returns the role with the ID, or nil.
func (x *Index) Role(id ID) *Role { return x.roles[id] }

// After reports whether service s is deployed after the other.
func (x *Index) After(s, other ID) bool {
	i, ok := x.number[s]
	j, there := x.number[other]
	return ok && there && j/64 < len(x.after[i]) && x.after[i][j/64]&(1<<(j%64)) != 0
}

// order notes what a service is deployed after, in bits: with each of a thousand
// services deployed after all before it, sets would hold half a million names.
func (x *Index) order(s *Service) {
	i := x.number[s.ID]
	for _, id := range s.After {
		j, ok := x.number[id]
		if !ok {
			continue
		}
		for len(x.after[i]) <= j/64 {
			x.after[i] = append(x.after[i], 0)
		}
		x.after[i][j/64] |= 1 << (j % 64)
	}
}

// SameGroup reports whether two IDs mean the same security group. A group
// that is declared is no other; an external one may turn out to be a declared
// group of another stack, which only the deployment settles, but not one of
// the stack that takes it from outside.
func (x *Index) SameGroup(a, b ID) Opt[bool] {
	if a == b {
		return Known(true)
	}
	g, h := x.SecurityGroup(a), x.SecurityGroup(b)
	switch {
	case g == nil || h == nil:
		return Unknown[bool](fmt.Sprintf("security group %s or %s is not in the source", a, b))
	case !g.External && !h.External:
		return Known(false)
	case g.External != h.External && g.Stack == h.Stack:
		return Known(false)
	case strings.HasPrefix(string(a), "sg-") && strings.HasPrefix(string(b), "sg-"):
		return Known(false)
	}
	return Unknown[bool](fmt.Sprintf("%s and %s may be the same security group; only the deployment settles that", a, b))
}

// targets says who is behind and before each target group.
type targets struct {
	registered map[ID][]Registration
	alternates map[ID]*Service
	forwards   map[ID][]Forward
	groups     map[ID]*TargetGroup
	// elsewhere is why a group's targets may be in another source.
	elsewhere map[ID]string
	// openForward and openRegister are reasons that concern every group.
	openForward, openRegister string
}

// Registration is a member of a target group: a service's tasks or a static target.
type Registration struct {
	Service *Service // nil for a static target
	Target  *Target  // nil for a service
	Port    Opt[int] // the registered port; a static target's own or its group's
}

// Forward is a listener's action that forwards to a target group.
type Forward struct {
	LoadBalancer *LoadBalancer
	Listener     *Listener
	Rule         *ListenerRule // nil for the default action
	Weight       int           // of this group, 0 to 999
	Total        int           // sum of the weights of the action
}

// Registrations returns the members of the target group, static targets first.
func (x *Index) Registrations(group ID) Set[Registration] {
	why := x.targets.openRegister
	if g := x.targets.groups[group]; g != nil {
		why = cmp.Or(g.OpenTargets, x.targets.elsewhere[group], why)
	}
	return Open(x.targets.registered[group], why)
}

// AlternateOf returns the service whose blue/green pair has the group as its
// other colour, or nil.
func (x *Index) AlternateOf(group ID) *Service { return x.targets.alternates[group] }

// Forwards returns the actions that forward to the target group, in the order
// of load balancers, listeners and rules.
func (x *Index) Forwards(group ID) Set[Forward] {
	why := x.targets.openForward
	if g := x.targets.groups[group]; g != nil {
		why = cmp.Or(g.OpenForwards, why)
	}
	return Open(x.targets.forwards[group], why)
}

func newTargets(t *Topology) targets {
	x := targets{registered: map[ID][]Registration{}, alternates: map[ID]*Service{}, forwards: map[ID][]Forward{},
		groups: byID(t.TargetGroups, func(g *TargetGroup) ID { return g.ID })}
	for _, g := range t.TargetGroups {
		for i := range g.Targets {
			port := g.Targets[i].Port
			if port.IsAbsent() {
				port = g.Port
			}
			x.registered[g.ID] = append(x.registered[g.ID], Registration{Target: &g.Targets[i], Port: port})
		}
	}
	for _, s := range t.Services {
		for _, lb := range s.LoadBalancers {
			x.register(s, lb)
		}
	}
	for _, lb := range t.LoadBalancers {
		for _, l := range lb.Listeners {
			x.forward(lb, l, nil, l.Default)
			for _, r := range l.Rules {
				x.forward(lb, l, r, r.Actions)
			}
		}
	}
	x.lookElsewhere(t)
	return x
}

// lookElsewhere finds the load balancers whose groups let them out to a group
// that is declared elsewhere: whatever has that group may be their target, in
// a part of the deployment that was not read.
func (x *targets) lookElsewhere(t *Topology) {
	groups := byID(t.SecurityGroups, func(g *SecurityGroup) ID { return g.ID })
	x.elsewhere = map[ID]string{}
	for id, forwards := range x.forwards {
		for _, o := range forwards[0].LoadBalancer.Groups {
			at, _ := o.Get()
			g := groups[at]
			if g == nil {
				continue
			}
			for _, r := range g.Egress {
				if peer := groups[r.Peer.Group]; peer != nil && peer.External {
					x.elsewhere[id] = fmt.Sprintf("%s lets the load balancer out to %s, which is not declared here, and neither may be what has it",
						Label(g.Origin, g.Name), peer.ID)
				}
			}
		}
	}
}

func (x *targets) register(s *Service, lb ServiceTarget) {
	if id, ok := lb.Group.Get(); ok {
		x.registered[id] = append(x.registered[id], Registration{Service: s, Port: lb.Port})
	} else {
		x.openRegister = cmp.Or(x.openRegister,
			fmt.Sprintf("%s registers with a target group that is not settled: %s", Label(s.Origin, s.Name), lb.Group.Why()))
	}
	if id, ok := lb.Alternate.Get(); ok {
		x.alternates[id] = s
	} else if lb.Alternate.IsUnknown() {
		x.openRegister = cmp.Or(x.openRegister,
			fmt.Sprintf("%s deploys blue/green to a target group that is not settled: %s", Label(s.Origin, s.Name), lb.Alternate.Why()))
	}
}

func (x *targets) forward(lb *LoadBalancer, l *Listener, r *ListenerRule, actions []Action) {
	for _, a := range actions {
		if a.Type == "unknown" {
			x.openForward = cmp.Or(x.openForward, "an action of "+Label(lb.Origin, lb.Name)+" is not settled")
		}
		total := 0
		for _, f := range a.Forward {
			total += f.Weight
		}
		for _, f := range a.Forward {
			if id, ok := f.Group.Get(); ok {
				x.forwards[id] = append(x.forwards[id], Forward{LoadBalancer: lb, Listener: l, Rule: r, Weight: f.Weight, Total: total})
			} else {
				x.openForward = cmp.Or(x.openForward,
					fmt.Sprintf("%s forwards to a target group that is not settled: %s", Label(lb.Origin, lb.Name), f.Group.Why()))
			}
		}
	}
}
