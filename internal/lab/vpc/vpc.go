// Package vpc gives every network interface of the lab its logical address
// and security groups, and answers which TCP ports one of them may reach on
// another. It is section 7 of the semantics, evaluated on addresses and
// groups; the fabric carries the packets.
package vpc

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/topology"
)

// Interface is one elastic network interface.
type Interface struct {
	Name   string
	IP     netip.Addr
	Subnet netip.Prefix
	VPC    topology.ID
	Groups []topology.ID
	// Unrestricted is set for a host whose security groups nobody named, such as
	// the one that load comes from: it may send anything and is in no group.
	Unrestricted bool
}

// Network hands out addresses and keeps the interfaces. It is safe for
// concurrent use.
type Network struct {
	mu         sync.RWMutex
	index      *topology.Index
	interfaces map[netip.Addr]*Interface
	used       map[netip.Prefix]int
	given      map[netip.Addr]bool // every address ever handed out
	nextSubnet map[string]int      // next subnet by the caller's choice of subnets
}

// New returns a network without interfaces.
func New(x *topology.Index) *Network {
	return &Network{
		index: x, interfaces: map[netip.Addr]*Interface{}, used: map[netip.Prefix]int{},
		given: map[netip.Addr]bool{}, nextSubnet: map[string]int{},
	}
}

// fallback is the VPC of a template that leaves its address range open.
var fallback = netip.MustParsePrefix("10.0.0.0/16")

// Addresses of a subnet by their place in it. AWS reserves the first four and
// the last; the lab gives those below firstHost when no other is left.
const (
	firstFree = 4
	firstHost = 10
)

// Attach makes an interface in one of the subnets, in turn, with the groups.
// Groups that the source does not settle allow nothing.
func (n *Network) Attach(name string, subnets []topology.Opt[topology.ID], groups []topology.Opt[topology.ID]) (*Interface, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	sub, vpc := n.subnet(subnets)
	i := &Interface{Name: name, Subnet: sub, VPC: vpc, Groups: known(groups)}
	return i, n.place(i)
}

// AttachExternal makes an interface without security groups in the VPC of
// another one: a host of the VPC that is not part of the deployment.
func (n *Network) AttachExternal(name string, sameVPC *Interface) (*Interface, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := &Interface{Name: name, Subnet: fallback, Unrestricted: true}
	if sameVPC != nil {
		i.Subnet, i.VPC = sameVPC.Subnet, sameVPC.VPC
	}
	return i, n.place(i)
}

// Follow makes the network that of another topology: what its groups and subnets
// say counts from now on. Interfaces keep their addresses and their groups.
func (n *Network) Follow(x *topology.Index) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.index = x
}

// Regroup puts an interface into other security groups.
func (n *Network) Regroup(i *Interface, groups []topology.Opt[topology.ID]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i.Groups = known(groups)
}

func known(groups []topology.Opt[topology.ID]) (out []topology.ID) {
	for _, g := range groups {
		if id, ok := g.Get(); ok {
			out = append(out, id)
		}
	}
	return out
}

// Detach takes the interface away. Its address is not used again.
func (n *Network) Detach(i *Interface) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.interfaces, i.IP)
}

// place gives the interface an address of its subnet that nobody ever had.
func (n *Network) place(i *Interface) error {
	range4 := i.Subnet.Masked().Addr().As4()
	first, free := binary.BigEndian.Uint32(range4[:]), 1<<(32-i.Subnet.Bits())-firstFree-1
	for n.used[i.Subnet] < free {
		at := firstFree + (firstHost-firstFree+n.used[i.Subnet])%free
		n.used[i.Subnet]++
		ip := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, first+uint32(at))))
		if n.given[ip] { // a range may hold another: that of a VPC those of its subnets
			continue
		}
		i.IP = ip
		n.given[ip] = true
		n.interfaces[ip] = i
		return nil
	}
	return fail.Newf(fail.Usage, "give the subnet a larger range, or the service more subnets; hoplab lab up has --only SERVICE and --tasks-per-service 1",
		"subnet %s has no address left for %s: expected at most %d tasks, load balancer nodes and hosts in it, those that have ended included",
		i.Subnet, i.Name, max(free, 0))
}

func (n *Network) subnet(ids []topology.Opt[topology.ID]) (netip.Prefix, topology.ID) {
	var known []*topology.Subnet
	var key string
	for _, o := range ids {
		if id, ok := o.Get(); ok {
			if s := n.index.Subnet(id); s != nil {
				known = append(known, s)
				key += string(id) + " "
			}
		}
	}
	if len(known) == 0 {
		var vpc topology.ID
		if len(n.index.Topology.VPCs) > 0 {
			vpc = n.index.Topology.VPCs[0].ID
		}
		return n.vpcRange(vpc), vpc
	}
	s := known[n.nextSubnet[key]%len(known)]
	n.nextSubnet[key]++
	if p, ok := s.CIDR.Get(); ok && p.Addr().Is4() {
		return p, s.VPC
	}
	return n.vpcRange(s.VPC), s.VPC
}

func (n *Network) vpcRange(id topology.ID) netip.Prefix {
	if v := n.index.VPC(id); v != nil {
		if p, ok := v.CIDR.Get(); ok && p.Addr().Is4() {
			return p
		}
	}
	return fallback
}

// Open is a fabric.Policy: the TCP ports of one interface that another may
// reach. Both sides' groups must allow a port.
func (n *Network) Open(from, to netip.Addr) []fabric.Range {
	return intersect(n.Egress(from, to), n.Ingress(from, to))
}

// Egress is the half of Open that is decided at the interface that sends.
func (n *Network) Egress(from, to netip.Addr) []fabric.Range { return n.between(from, to, egress) }

// Ingress is the half of Open that is decided at the interface that receives.
func (n *Network) Ingress(from, to netip.Addr) []fabric.Range { return n.between(from, to, ingress) }

func (n *Network) between(from, to netip.Addr, d direction) []fabric.Range {
	n.mu.RLock()
	defer n.mu.RUnlock()
	a, b := n.interfaces[from], n.interfaces[to]
	if a == nil || b == nil || a.VPC != b.VPC {
		return nil
	}
	if d == egress {
		return n.allowed(a, b, egress)
	}
	return n.allowed(b, a, ingress)
}

type direction bool

const (
	ingress direction = false
	egress  direction = true
)

var everything = []fabric.Range{{From: 0, To: 65535}}

// allowed returns the ports that the groups of i allow in a direction.
func (n *Network) allowed(i, peer *Interface, d direction) []fabric.Range {
	if i.Unrestricted {
		return everything
	}
	if len(i.Groups) == 0 { // the VPC's default group: all out, in only from itself
		if d == egress || len(peer.Groups) == 0 && !peer.Unrestricted {
			return everything
		}
		return nil
	}
	var out []fabric.Range
	for _, id := range i.Groups {
		g := n.index.SecurityGroup(id)
		if g == nil {
			continue
		}
		rules := g.Ingress
		if d == egress {
			rules = g.Egress
		}
		for k := range rules {
			if r, ok := ports(&rules[k]); ok && matches(rules[k].Peer, peer) {
				out = append(out, r)
			}
		}
	}
	return merge(out)
}

// ports returns the TCP ports of a rule.
func ports(r *topology.Rule) (fabric.Range, bool) {
	switch {
	case r.Unknown != "":
		return fabric.Range{}, false
	case r.Protocol == "-1":
		return everything[0], true
	case r.Protocol != "tcp" && r.Protocol != "6":
		return fabric.Range{}, false
	case r.From < 0 || r.To < 0:
		return everything[0], true
	}
	return fabric.Range{From: uint16(min(r.From, 65535)), To: uint16(min(r.To, 65535))}, true
}

func matches(p topology.Peer, i *Interface) bool {
	if p.Group != "" {
		return slices.Contains(i.Groups, p.Group)
	}
	return p.CIDR.IsValid() && p.CIDR.Contains(i.IP)
}

// merge sorts ranges and joins those that touch.
func merge(rs []fabric.Range) []fabric.Range {
	slices.SortFunc(rs, func(a, b fabric.Range) int { return int(a.From) - int(b.From) })
	var out []fabric.Range
	for _, r := range rs {
		if k := len(out); k > 0 && int(r.From) <= int(out[k-1].To)+1 {
			out[k-1].To = max(out[k-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

func intersect(a, b []fabric.Range) []fabric.Range {
	var out []fabric.Range
	for _, x := range a {
		for _, y := range b {
			if f, t := max(x.From, y.From), min(x.To, y.To); f <= t {
				out = append(out, fabric.Range{From: f, To: t})
			}
		}
	}
	return out
}
