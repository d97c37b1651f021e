package reach

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/hoplab/hoplab/internal/topology"
	"github.com/hoplab/hoplab/internal/variant"
)

// atoi returns the number that s is, or 0.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// index is the topology's index with what predicting adds to it.
type index struct {
	*topology.Index
	variants   *variant.Space
	hosts      map[topology.ID]*host                       // by service, load balancer or instance
	registered map[topology.ID][]*topology.Service         // by record: the services whose tasks it names
	dns        *dnsNames                                   // nil until asked for
	openNames  map[*topology.ConnectNamespace]string       // why a namespace may have further names
	hintOrder  map[topology.ID][]*topology.ConnectEndpoint // by client: what the source hints that it calls
}

func newIndex(t *topology.Topology) *index {
	x := &index{
		openNames: map[*topology.ConnectNamespace]string{}, registered: map[topology.ID][]*topology.Service{},
		Index:     topology.NewIndex(t),
		variants:  variant.New(t),
		hosts:     map[topology.ID]*host{},
		hintOrder: map[topology.ID][]*topology.ConnectEndpoint{},
	}
	for _, s := range t.Services {
		for _, id := range s.Registries {
			x.registered[id] = append(x.registered[id], s)
		}
	}
	return x
}

// groupLabel returns the name people know the security group by.
func (x *index) groupLabel(id topology.ID) string {
	if g := x.SecurityGroup(id); g != nil {
		return topology.Label(g.Origin, g.Name)
	}
	return topology.OriginLabel(topology.Origin{ID: id})
}

// RequestTimeout returns the per-request timeout in seconds: 15 by default, 0 for none.
func RequestTimeout(e *topology.ConnectEndpoint) topology.Opt[int] {
	if e.Config.PerRequestSeconds.IsAbsent() {
		return topology.Known(15)
	}
	return e.Config.PerRequestSeconds
}

// addresses returns the IPv4 ranges of a host with these subnets, or those of
// the VPC that its security groups belong to when the subnets are not settled;
// nil when neither is known.
func (x *index) addresses(subnets, groups []topology.Opt[topology.ID]) []netip.Prefix {
	if out, ok := x.places(subnets); ok {
		return out
	}
	for _, o := range groups {
		id, _ := o.Get()
		g := x.SecurityGroup(id)
		if g == nil {
			continue
		}
		vpc, _ := g.VPC.Get()
		if v := x.VPC(vpc); v != nil {
			if p, ok := v.CIDR.Get(); ok {
				return []netip.Prefix{p}
			}
		}
	}
	return nil
}

// places returns the IPv4 ranges in which a host with these subnets has its
// address, and false when the source does not tell. A subnet without a known
// range stands for its whole VPC.
func (x *index) places(subnets []topology.Opt[topology.ID]) ([]netip.Prefix, bool) {
	var out []netip.Prefix
	seen := map[netip.Prefix]bool{}
	add := func(p netip.Prefix) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, o := range subnets {
		id, ok := o.Get()
		if !ok {
			return nil, false
		}
		s := x.Subnet(id)
		if s == nil {
			return nil, false
		}
		if p, ok := s.CIDR.Get(); ok {
			add(p)
			continue
		}
		v := x.VPC(s.VPC)
		if v == nil {
			return nil, false
		}
		p, ok := v.CIDR.Get()
		if !ok {
			return nil, false
		}
		add(p)
	}
	return out, len(out) > 0
}
