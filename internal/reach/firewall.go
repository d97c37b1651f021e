package reach

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// host is one end of a hop: something with security groups and an address.
type host struct {
	role   string // client, alb, agent, app: the vocabulary of the design
	name   string // label for people
	id     topology.ID
	origin topology.Origin
	groups []topology.Opt[topology.ID]
	// noGroups says why groups is empty: then the rules in force are unknown.
	noGroups string
	addrs    []netip.Prefix // IPv4 ranges of its address; nil when unknown
	// anybody stands for every caller whom the other side admits; what leaves
	// it is not asked.
	anybody bool
	// free is set for a caller whose own security groups are not asked, because
	// nobody named them.
	free bool
	// open is set for a load balancer without security groups: everybody may enter.
	open bool
	// privateLink is set for a load balancer whose groups do not ask callers
	// through AWS PrivateLink.
	privateLink topology.Opt[bool]
}

// span is a range of TCP ports, one of which is dialled, or one port that is
// not settled and has a symbol.
type span struct {
	from, to int
	symbol   string
}

func single(port int) span { return span{from: port, to: port} }

func (s span) String() string {
	if s.symbol != "" {
		return s.symbol
	}
	if s.from == s.to {
		return strconv.Itoa(s.from)
	}
	return strconv.Itoa(s.from) + "-" + strconv.Itoa(s.to)
}

// verdict is what the security groups of both ends say about a TCP connection.
type verdict struct {
	state  string // HopOpen, HopClosed, HopUnknown
	admits []Admission
	why    string // for closed and unknown
	blocks []Block
}

// connection asks the security groups on both ends. Network ACLs and routes are
// not modelled; section 7 of the semantics says they need the same ports.
func (x *index) connection(from, to *host, port span) verdict {
	var p verdict
	p.state = HopOpen
	if !from.anybody && !from.free {
		x.askGroups(&p, from, to, port, Egress)
	}
	free, known := to.privateLink.Get()
	switch {
	case to.open, from.anybody && free:
	case from.anybody && !known && !to.privateLink.IsAbsent():
		p.unsettled(to.privateLink.Why())
	default:
		x.askGroups(&p, to, from, port, Ingress)
	}
	return p
}

// askGroups asks the groups of h about a connection with peer on port.
func (x *index) askGroups(p *verdict, h, peer *host, port span, dir Direction) {
	if len(h.groups) == 0 {
		p.unsettled(fmt.Sprintf("%s: %s", h.name, cmp.Or(h.noGroups, "it names no security group, so the default group of its VPC applies, and that VPC is not in the source")))
		return
	}
	var why string            // why an answer may be yes
	var nearest, named string // the closest miss; the first group that could be opened
	var open *topology.SecurityGroup
	for _, o := range h.groups {
		id, ok := o.Get()
		if !ok {
			why = cmp.Or(why, fmt.Sprintf("a security group of %s is not settled: %s", h.name, o.Why()))
			continue
		}
		g := x.SecurityGroup(id)
		if g == nil {
			why = cmp.Or(why, fmt.Sprintf("security group %s of %s is not declared in the source", id, h.name))
			continue
		}
		if open == nil {
			open, named = g, topology.Label(g.Origin, g.Name)
		}
		m := x.scan(g, dir, h, peer, port)
		if m.rule != nil {
			p.admits = append(p.admits, Admission{
				Group: g.ID, Label: topology.Label(g.Origin, g.Name), Direction: dir, Rule: m.rule.ID, Text: x.ruleText(m.rule, dir),
			})
			return
		}
		why = cmp.Or(why, m.why)
		nearest = cmp.Or(nearest, m.nearest)
	}
	if why != "" {
		p.unsettled(why)
		return
	}
	p.close(x, h, peer, open, named, nearest, port, dir)
}

func (p *verdict) unsettled(why string) {
	if p.state == HopOpen {
		p.state, p.why = HopUnknown, why
	}
}

func (p *verdict) close(x *index, h, peer *host, g *topology.SecurityGroup, named, nearest string, port span, dir Direction) {
	rule := OpenRule{Group: g.ID, Label: named, Direction: dir, Protocol: "tcp", Port: port.from}
	if port.to != port.from {
		rule.PortEnd = port.to
	}
	verb, prep := "lets nothing in on", "from"
	if dir == Egress {
		verb, prep = "lets nothing out on", "to"
	}
	x.aim(&rule, peer)
	b := Block{
		At: g.Origin, Name: named, Nearest: nearest, Open: &rule,
		Why: fmt.Sprintf("%s %s tcp %s %s %s", named, verb, port, prep, peer.name),
	}
	if p.state != HopClosed {
		p.state, p.why = HopClosed, b.Why
	}
	p.blocks = append(p.blocks, b)
}

// aim fills in the peer of a rule that would open the way to or from peer.
func (x *index) aim(r *OpenRule, peer *host) {
	for _, o := range peer.groups {
		if id, ok := o.Get(); ok {
			r.Peer, r.PeerLabel = id, x.groupLabel(id)
			return
		}
	}
	if peer.anybody {
		r.PeerCIDR = "its callers"
		return
	}
	if len(peer.addrs) > 0 {
		r.PeerCIDR = peer.addrs[0].String()
		return
	}
	r.PeerCIDR = "the address range of " + peer.name
}

// found is what a group's rules say about one connection.
type found struct {
	rule    *topology.Rule // the admitting rule
	why     string         // why it may be admitted although no rule certainly does
	nearest string         // the closest miss
}

// scan looks for a rule of g that certainly admits; rules only ever allow, so one is enough.
func (x *index) scan(g *topology.SecurityGroup, dir Direction, h, peer *host, port span) found {
	set := g.Rules(dir == Egress)
	rules, uncertain := set.Read(), set.Why()
	if dir == Ingress && g.UncertainIngress == "" && tooLate(g, h, peer) { // LaterIngress alone
		uncertain = ""
	}
	var f found
	var otherPeer string
	var parts []*topology.Rule // rules for the ports that cover the peer in part
	for i := range rules {
		r := &rules[i]
		if !IsTCP(r.Protocol) && r.Unknown == "" {
			continue
		}
		onPort, toPeer := covers(r, port.from) && covers(r, port.to), x.peerIs(r, peer)
		unknown := r.Unknown
		if port.symbol != "" {
			switch {
			case r.PortSymbol == port.symbol:
				onPort, unknown = true, ""
			case covers(r, 1) && covers(r, 65535):
				onPort = true
			default:
				if toPeer != no {
					f.why = cmp.Or(f.why, fmt.Sprintf("whether %s of %s opens %s is not settled", x.ruleText(r, dir), topology.Label(g.Origin, g.Name), port))
				}
				continue
			}
		}
		if port.symbol == "" && !onPort && r.From <= port.to && port.from <= r.To && toPeer != no && cmp.Or(r.Unknown, r.Maybe) == "" {
			f.why = cmp.Or(f.why, fmt.Sprintf("%s of %s opens a part of the ports %s, of which any may be used", x.ruleText(r, dir), topology.Label(g.Origin, g.Name), port))
		}
		if r.Peer.CIDR.IsValid() && toPeer == no {
			if unknown == "" && r.Maybe == "" && onPort {
				otherPeer = cmp.Or(otherPeer, x.ruleText(r, dir))
			}
			continue // whatever else of it is open, it is not about this peer
		}
		if why := cmp.Or(unknown, r.Maybe); why != "" {
			if unknown != "" || onPort && toPeer != no {
				f.why = cmp.Or(f.why, fmt.Sprintf("a rule of %s is not settled: %s", topology.Label(g.Origin, g.Name), why))
			}
			continue
		}
		switch {
		case onPort && toPeer == yes:
			if uncertain != "" && everything(r) {
				f.why = cmp.Or(f.why, uncertain)
				continue
			}
			f.rule = r
			return f
		case onPort && toPeer == maybe:
			if r.Peer.CIDR.IsValid() {
				parts = append(parts, r)
			}
			f.why = cmp.Or(f.why, fmt.Sprintf("whether %s of %s covers %s is not settled by the source", x.ruleText(r, dir), topology.Label(g.Origin, g.Name), peer.name))
		case !onPort && toPeer == yes:
			f.nearest = cmp.Or(f.nearest, x.ruleText(r, dir))
		case onPort:
			otherPeer = cmp.Or(otherPeer, x.ruleText(r, dir))
		}
	}
	if r := together(parts, peer.addrs); r != nil {
		f.rule = r
		return f
	}
	f.nearest = cmp.Or(f.nearest, otherPeer)
	f.why = cmp.Or(f.why, uncertain)
	return f
}

// tooLate reports that rules which a later stack adds to g cannot help h: a
// service is created only once its load balancer finds the targets healthy, and
// nobody imports from a stack before that one is created.
func tooLate(g *topology.SecurityGroup, h, peer *host) bool {
	return peer.origin.Type == "AWS::ElasticLoadBalancingV2::LoadBalancer" && h.origin.Type == "AWS::ECS::Service" && h.origin.Stack == g.Stack
}

// together returns the first of the rules when each range of the peer lies in
// one of them, or in several of the same size that make it up.
func together(rules []*topology.Rule, ranges []netip.Prefix) *topology.Rule {
	if len(rules) < 2 || len(ranges) == 0 {
		return nil
	}
	for _, q := range ranges {
		if !filled(rules, q, 0) {
			return nil
		}
	}
	return rules[0]
}

// filled reports whether the rules cover all of q, halving it at most 8 times.
func filled(rules []*topology.Rule, q netip.Prefix, depth int) bool {
	for _, r := range rules {
		if p := r.Peer.CIDR; p.Bits() <= q.Bits() && p.Contains(q.Addr()) {
			return true
		}
	}
	if depth == 8 || q.Bits() >= q.Addr().BitLen() || !q.Addr().Is4() {
		return false
	}
	low := netip.PrefixFrom(q.Addr(), q.Bits()+1)
	b := q.Addr().As4()
	b[q.Bits()/8] |= 1 << (7 - q.Bits()%8)
	return filled(rules, low, depth+1) && filled(rules, netip.PrefixFrom(netip.AddrFrom4(b), q.Bits()+1), depth+1)
}

// everything reports whether r is an allow-all rule, the kind that an
// order-dependent set may lose.
func everything(r *topology.Rule) bool {
	return r.Protocol == "-1" && r.Peer.CIDR.IsValid() && r.Peer.CIDR.Bits() == 0
}

// IsTCP reports whether a rule for the protocol covers TCP.
func IsTCP(protocol string) bool {
	switch strings.ToLower(protocol) {
	case "tcp", "6", "-1", "all":
		return true
	}
	return false
}

func covers(r *topology.Rule, port int) bool {
	if r.Protocol == "-1" || strings.EqualFold(r.Protocol, "all") || r.From == -1 && r.To == -1 {
		return true
	}
	return r.From <= port && port <= r.To
}

type answer int

const (
	no answer = iota
	maybe
	yes
)

// peerIs reports whether the rule's peer includes the host, for IPv4.
func (x *index) peerIs(r *topology.Rule, h *host) answer {
	if h.anybody {
		return yes
	}
	switch {
	case r.Peer.Group != "":
		got := no
		for _, o := range h.groups {
			id, ok := o.Get()
			if ok && id == r.Peer.Group {
				return yes
			}
			if !ok || x.maybeSame(id, r.Peer.Group) {
				got = maybe
			}
		}
		if len(h.groups) == 0 {
			got = maybe
		}
		return got
	case r.Peer.PrefixList != "":
		return maybe
	case !r.Peer.CIDR.IsValid():
		return maybe
	case !r.Peer.CIDR.Addr().Is4():
		return no
	case r.Peer.CIDR.Bits() == 0:
		return yes
	}
	return within(h.addrs, r.Peer.CIDR)
}

// maybeSame reports whether two different IDs may mean the same group: one of
// them is used by the source without being declared. Declared groups, nearly
// all of them, are told apart without the topology's scan.
func (x *index) maybeSame(a, b topology.ID) bool {
	g, h := x.SecurityGroup(a), x.SecurityGroup(b)
	if g != nil && h != nil && !g.External && !h.External {
		return false
	}
	return x.SameGroup(a, b).IsUnknown()
}

// within reports whether all addresses of the ranges lie in p.
func within(ranges []netip.Prefix, p netip.Prefix) answer {
	if len(ranges) == 0 {
		return maybe
	}
	in, out := 0, 0
	for _, q := range ranges {
		switch {
		case p.Bits() <= q.Bits() && p.Contains(q.Addr()):
			in++
		case !p.Overlaps(q):
			out++
		}
	}
	switch {
	case in == len(ranges):
		return yes
	case out == len(ranges):
		return no
	}
	return maybe
}

// RuleText writes a security-group rule as people do: "ingress tcp 80 from AlbSg".
func (p *Predictor) RuleText(r *topology.Rule, dir Direction) string { return p.x.ruleText(r, dir) }

// ruleText is RuleText.
func (x *index) ruleText(r *topology.Rule, dir Direction) string {
	what := r.Protocol + " "
	switch {
	case r.Protocol == "-1":
		what = "all traffic "
	case r.From == r.To:
		what += strconv.Itoa(r.From) + " "
	default:
		what += strconv.Itoa(r.From) + "-" + strconv.Itoa(r.To) + " "
	}
	prep := "from "
	if dir == Egress {
		prep = "to "
	}
	peer := "?"
	switch {
	case r.Peer.Group != "":
		peer = x.groupLabel(r.Peer.Group)
	case r.Peer.PrefixList != "":
		peer = "prefix list " + r.Peer.PrefixList
	case r.Peer.CIDR.IsValid():
		peer = r.Peer.CIDR.String()
	}
	text := string(dir) + " " + what + prep + peer
	if r.Implied {
		text += " (default, not written in the source)"
	}
	return text
}
