package vpc

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/topology"
)

func ids(names ...string) (out []topology.Opt[topology.ID]) {
	for _, n := range names {
		out = append(out, topology.Known(topology.ID(n)))
	}
	return out
}

func group(id string, in, out []topology.Rule) *topology.SecurityGroup {
	return &topology.SecurityGroup{Origin: topology.Origin{ID: topology.ID(id)}, Ingress: in, Egress: out}
}

func tcp(from, to int, p topology.Peer) topology.Rule {
	return topology.Rule{Protocol: "tcp", From: from, To: to, Peer: p}
}

func cidr(s string) topology.Peer { return topology.Peer{CIDR: netip.MustParsePrefix(s)} }
func sg(id string) topology.Peer  { return topology.Peer{Group: topology.ID(id)} }

var anywhere = []topology.Rule{{Protocol: "-1", Peer: cidr("0.0.0.0/0")}}

func subnet(id, vpc, prefix string) *topology.Subnet {
	return &topology.Subnet{Origin: topology.Origin{ID: topology.ID(id)}, VPC: topology.ID(vpc),
		CIDR: topology.Known(netip.MustParsePrefix(prefix))}
}

func ports1(n ...uint16) (out []fabric.Range) {
	for i := 0; i < len(n); i += 2 {
		out = append(out, fabric.Range{From: n[i], To: n[i+1]})
	}
	return out
}

// TestOpen: both sides must allow a port; rules of several groups add up.
func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		client, server []*topology.SecurityGroup
		want           []fabric.Range
	}{
		"by group": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 80, sg("c"))}, nil)}, ports1(80, 80)},
		"by CIDR": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 90, cidr("10.0.0.0/24"))}, nil)}, ports1(80, 90)},
		"other CIDR": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 90, cidr("10.1.0.0/24"))}, nil)}, nil},
		"other group": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 80, sg("x"))}, nil)}, nil},
		"egress closed": {[]*topology.SecurityGroup{group("c", nil, nil)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 80, sg("c"))}, nil)}, nil},
		"egress narrower": {[]*topology.SecurityGroup{group("c", nil, []topology.Rule{tcp(85, 100, sg("s"))})},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 90, sg("c"))}, nil)}, ports1(85, 90)},
		"two rules, joined": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(443, 443, sg("c")), tcp(80, 80, sg("c")), tcp(81, 82, sg("c"))}, nil)},
			ports1(80, 82, 443, 443)},
		"two groups": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 80, sg("c"))}, nil),
				group("s2", []topology.Rule{tcp(90, 90, sg("c"))}, nil)},
			ports1(80, 80, 90, 90)},
		"protocol 6": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{{Protocol: "6", From: 80, To: 80, Peer: sg("c")}}, nil)}, ports1(80, 80)},
		"udp": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{{Protocol: "udp", From: 80, To: 80, Peer: sg("c")}}, nil)}, nil},
		"all TCP ports": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(-1, -1, sg("c"))}, nil)}, everything},
		"icmp dummy of CDK": {[]*topology.SecurityGroup{group("c", nil, []topology.Rule{{Protocol: "icmp", From: 252, To: 86,
			Peer: cidr("255.255.255.255/32")}})},
			[]*topology.SecurityGroup{group("s", anywhere, nil)}, nil},
		"rule not settled": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{{Protocol: "tcp", From: 80, To: 80, Peer: sg("c"), Unknown: "why"}}, nil)}, nil},
		"prefix list": {[]*topology.SecurityGroup{group("c", nil, anywhere)},
			[]*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 80, topology.Peer{PrefixList: "pl"})}, nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			topo := &topology.Topology{Subnets: []*topology.Subnet{subnet("a", "v", "10.0.0.0/24")}}
			attach := func(n *Network, name string, gs []*topology.SecurityGroup) *Interface {
				var names []string
				for _, g := range gs {
					names = append(names, string(g.ID))
				}
				i, err := n.Attach(name, ids("a"), ids(names...))
				if err != nil {
					t.Fatal(err)
				}
				return i
			}
			topo.SecurityGroups = slices.Concat(c.client, c.server)
			n := New(topology.NewIndex(topo))
			from, to := attach(n, "client", c.client), attach(n, "server", c.server)
			if got := n.Open(from.IP, to.IP); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			n.Detach(to)
			if got := n.Open(from.IP, to.IP); got != nil {
				t.Errorf("after the server went: %v", got)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	topo := &topology.Topology{Subnets: []*topology.Subnet{
		subnet("a", "v", "10.0.0.0/24"), subnet("b", "v", "10.0.1.0/24"),
		subnet("other", "w", "10.0.0.0/24")}}
	n := New(topology.NewIndex(topo))
	var got []string
	for range 3 {
		i, err := n.Attach("task", ids("a", "b"), nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, i.IP.String())
	}
	if want := []string{"10.0.0.10", "10.0.1.10", "10.0.0.11"}; !reflect.DeepEqual(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	a, _ := n.Attach("x", ids("a"), nil)
	o, _ := n.Attach("y", ids("other"), nil)
	if a.IP == o.IP {
		t.Errorf("two interfaces have the address %s", a.IP)
	}
	if n.Open(a.IP, o.IP) != nil {
		t.Error("two VPCs are connected")
	}
	u, err := n.Attach("unknown subnet", nil, nil)
	if err != nil || !u.Subnet.IsValid() {
		t.Errorf("without a known subnet: %+v %v", u, err)
	}
}

// TestFree: a host without groups sends anything and is admitted by CIDR only.
func TestFree(t *testing.T) {
	topo := &topology.Topology{Subnets: []*topology.Subnet{subnet("a", "v", "10.0.0.0/24")},
		SecurityGroups: []*topology.SecurityGroup{group("s", []topology.Rule{tcp(80, 80, cidr("10.0.0.0/8")), tcp(81, 81, sg("s"))}, nil)}}
	n := New(topology.NewIndex(topo))
	s, _ := n.Attach("server", ids("a"), ids("s"))
	load, err := n.AttachExternal("load", s)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Open(load.IP, s.IP); !reflect.DeepEqual(got, ports1(80, 80)) {
		t.Errorf("got %v, want port 80", got)
	}
}

// TestDefaultGroup: interfaces without groups are in the VPC's default one.
func TestDefaultGroup(t *testing.T) {
	topo := &topology.Topology{Subnets: []*topology.Subnet{subnet("a", "v", "10.0.0.0/24")},
		SecurityGroups: []*topology.SecurityGroup{group("s", nil, anywhere)}}
	n := New(topology.NewIndex(topo))
	attach := func(name string, groups []topology.Opt[topology.ID]) *Interface {
		i, err := n.Attach(name, ids("a"), groups)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	a, b, s := attach("a", nil), attach("b", nil), attach("s", ids("s"))
	if got := n.Open(a.IP, b.IP); !reflect.DeepEqual(got, everything) {
		t.Errorf("within the default group: %v", got)
	}
	if got := n.Open(s.IP, a.IP); got != nil {
		t.Errorf("from another group: %v", got)
	}
}

// A host whose subnet is not settled gets an address of the VPC's range, which
// holds those of the subnets.
func TestRangesInsideEachOther(t *testing.T) {
	top := &topology.Topology{
		VPCs: []*topology.VPC{{Origin: topology.Origin{ID: "v"}, CIDR: topology.Known(netip.MustParsePrefix("10.1.0.0/16"))}},
		Subnets: []*topology.Subnet{{
			Origin: topology.Origin{ID: "s"}, VPC: "v", CIDR: topology.Known(netip.MustParsePrefix("10.1.0.0/24")),
		}},
	}
	n := New(topology.NewIndex(top))
	seen := map[netip.Addr]bool{}
	for i := range 40 {
		var subnets []topology.Opt[topology.ID]
		if i%3 > 0 {
			subnets = []topology.Opt[topology.ID]{topology.Known(topology.ID("s"))}
		}
		a, err := n.Attach("host", subnets, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen[a.IP] {
			t.Fatalf("%s is handed out twice", a.IP)
		}
		seen[a.IP] = true
	}
}

// TestFullSubnet: a subnet has as many addresses as in AWS, none twice, and says
// what to do when they are taken.
func TestFullSubnet(t *testing.T) {
	n := New(topology.NewIndex(&topology.Topology{Subnets: []*topology.Subnet{subnet("small", "vpc", "10.0.3.16/28")}}))
	var got []string
	for range 11 { // of 16, AWS keeps five
		i, err := n.Attach("task", ids("small"), nil)
		if err != nil {
			t.Fatal(err)
		}
		n.Detach(i)
		got = append(got, i.IP.String()[len("10.0.3."):])
	}
	if want := []string{"26", "27", "28", "29", "30", "20", "21", "22", "23", "24", "25"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := n.Attach("shop/1", ids("small"), nil)
	if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "subnet 10.0.3.16/28 has no address left for shop/1: expected at most 11 ") ||
		!strings.Contains(fail.HintOf(err), "--tasks-per-service 1") {
		t.Errorf("%v (hint %q)", err, fail.HintOf(err))
	}
}
