package terraform

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

var groupTypes = []string{"aws_security_group", "aws_default_security_group"}

// group is a security group with what decides how its rules are managed.
//
// Terraform removes the allow-all egress that AWS gives a new group, so a
// group without egress rules has none. Inline rules of one direction claim
// all rules of that direction: a separate rule beside them is revoked by one
// apply and created by the next.
type group struct {
	*topology.SecurityGroup
	ingress, egress direction
}

// direction is how the rules of one direction of a group are managed.
type direction struct {
	inline   bool            // by the group itself
	reported []topology.Rule // what AWS reported, for a group that writes no rules
	separate []topology.Rule // by resources of their own
	gone     bool            // by resources of their own that the plan deletes
}

func (g *group) direction(egress bool) *direction {
	if egress {
		return &g.egress
	}
	return &g.ingress
}

func (b *builder) securityGroup(inst *resource.Instance) {
	g := &topology.SecurityGroup{
		Origin: b.at,
		Name:   b.label(inst.Body, "name"),
		VPC:    b.id(inst.Body, "vpc_id", vpcTypes...),
	}
	if g.Name.IsAbsent() {
		if prefix, ok := b.label(inst.Body, "name_prefix").Get(); ok {
			g.Name = topology.Unknown[string](b.placed("the name begins with %q; Terraform chooses the rest", prefix))
		}
	}
	b.t.SecurityGroups = append(b.t.SecurityGroups, g)
	b.of[inst.Address] = g
	b.groups[g.ID] = &group{SecurityGroup: g}
}

// inlineRules reads the rules on the group itself, as blocks or as lists of
// objects. In a plan or state the group also reports the rules that other
// resources manage; those are told apart in settleGroups.
func (b *builder) inlineRules(inst *resource.Instance) {
	g := b.groups[topology.ID(inst.Address)]
	g.UncertainIngress = b.inlineDirection(inst, g, "ingress", &g.Ingress)
	g.UncertainEgress = b.inlineDirection(inst, g, "egress", &g.Egress)
}

func (b *builder) inlineDirection(inst *resource.Instance, g *group, name string, rules *[]topology.Rule) (open string) {
	blocks, open := b.blocks(inst.Body, name)
	d := g.direction(name == "egress")
	var out []topology.Rule
	for _, block := range blocks {
		out = append(out, b.rules(block, g.ID, name == "egress")...)
	}
	if inst.Body.Attrs[name].ReadBack && inst.Type == "aws_security_group" {
		d.reported = out
		return open
	}
	// aws_default_security_group manages both directions, rules or not.
	d.inline = inst.Body.Has(name) || inst.Type == "aws_default_security_group"
	*rules = out
	return open
}

// standaloneRule reads aws_security_group_rule, the older separate form.
func (b *builder) standaloneRule(inst *resource.Instance) {
	kind := b.text(inst.Body, "type")
	direction, ok := kind.Get()
	group := b.groupID(inst.Body, "security_group_id")
	for _, egress := range []bool{false, true} {
		if ok && egress != (direction == "egress") {
			continue
		}
		for _, r := range b.rules(inst.Body, group.Or(""), egress) {
			if !ok {
				r.Unknown = first(r.Unknown, kind.Why())
			}
			b.attach(group, egress, r)
		}
	}
}

func (b *builder) vpcIngressRule(inst *resource.Instance) { b.vpcRule(inst, false) }
func (b *builder) vpcEgressRule(inst *resource.Instance)  { b.vpcRule(inst, true) }

// vpcRule reads the newer separate form, one rule with one peer.
func (b *builder) vpcRule(inst *resource.Instance, egress bool) {
	r := b.ruleBase(inst.Body, "ip_protocol")
	peers := b.newPeers(inst.Body)
	r.Peer, r.Unknown = peers.peer, first(r.Unknown, peers.unknown)
	b.attach(b.groupID(inst.Body, "security_group_id"), egress, r)
}

// attach puts a separate rule on its group.
func (b *builder) attach(id topology.Opt[topology.ID], egress bool, r topology.Rule) {
	known, ok := id.Get()
	if g := b.groups[known]; ok && g != nil {
		d := g.direction(egress)
		d.separate = append(d.separate, r)
		return
	}
	why := id.Why()
	if why == "" {
		why = b.placed("the rule names no security group")
		b.note(why)
	}
	why = fmt.Sprintf("rule %s may belong to this group: %s", r.ID, why)
	n := 0
	if egress {
		n = 1
	}
	if len(b.strays[n]) < maxStrays {
		r.Maybe = first(r.Maybe, why)
		b.strays[n] = append(b.strays[n], r)
		return
	}
	if egress {
		b.strayEgress = first(b.strayEgress, why)
	} else {
		b.strayIngress = first(b.strayIngress, why)
	}
}

// maxStrays bounds the rules that are asked about at every group; with more,
// the rules of all groups are open.
const maxStrays = 16

// ruleBase reads protocol, ports and description.
func (b *builder) ruleBase(body *resource.Body, protocol string) topology.Rule {
	r := topology.Rule{Origin: b.at}
	if body.Line > 0 {
		r.File, r.Line = body.File, body.Line
	}
	r.Text, _ = b.label(body, "description").Get()
	p := b.text(body, protocol)
	if name, ok := p.Get(); ok && name != "" {
		r.Protocol = protocolName(name)
	} else {
		r.Protocol = "-1"
		r.Unknown = p.Why()
		if r.Unknown == "" {
			r.Unknown = b.placed("the rule has no protocol")
			b.note(r.Unknown)
		}
	}
	if r.Protocol != "-1" {
		r.From = b.port(body, &r, "from_port", 0)
		r.To = b.port(body, &r, "to_port", 65535)
	}
	return r
}

// protocolName normalises a protocol: a name, a number, or -1 for all.
func protocolName(s string) string {
	switch s = strings.ToLower(s); s {
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	case "58":
		return "icmpv6"
	case "all":
		return "-1"
	}
	return s
}

// port reads a port. For ICMP, where it is a type or code, absent means all, written -1.
func (b *builder) port(body *resource.Body, r *topology.Rule, name string, def int) int {
	o := b.integer(body, name)
	if o.IsUnknown() {
		r.Unknown = first(r.Unknown, o.Why())
		return def
	}
	n := o.Or(-1)
	if n < 0 && (r.Protocol == "tcp" || r.Protocol == "udp") {
		why := b.placed("the rule gives no %s", name)
		b.note(why)
		r.Unknown = first(r.Unknown, why)
		return def
	}
	return n
}

// rules reads a rule in the older form: one rule of the model per peer.
func (b *builder) rules(body *resource.Body, self topology.ID, egress bool) []topology.Rule {
	base := b.ruleBase(body, "protocol")
	var out []topology.Rule
	add := func(p topology.Peer, unknown string) {
		r := base
		r.Peer, r.Unknown = p, first(r.Unknown, unknown)
		out = append(out, r)
	}
	for _, name := range []string{"cidr_blocks", "ipv6_cidr_blocks"} {
		for _, o := range body.Strings(name) {
			p := b.parsePrefix(name, o)
			add(topology.Peer{CIDR: p.Or(netip.Prefix{})}, p.Why())
		}
	}
	for _, name := range []string{"security_groups", "source_security_group_id"} {
		for _, o := range body.Refs(name) {
			if o.Or("-") == "" { // unset, as far as the provider is concerned
				continue
			}
			g := b.groupRef(name, o)
			add(topology.Peer{Group: g.Or("")}, g.Why())
		}
	}
	for _, o := range body.Refs("prefix_list_ids") {
		list, why := b.prefixList(o)
		add(topology.Peer{PrefixList: list}, why)
	}
	switch yes := b.boolean(body, "self"); {
	case yes.Or(false):
		why := ""
		if self == "" {
			why = b.placed("self: the rule's group is not known")
		}
		add(topology.Peer{Group: self}, why)
	case yes.IsUnknown():
		add(topology.Peer{Group: self}, yes.Why())
	}
	if len(out) == 0 {
		why := b.placed("the rule names no peer")
		if body.Line > 0 {
			why = at(body) + ": the rule names no peer"
		}
		b.note(why)
		add(topology.Peer{}, why)
	}
	return out
}

// newPeer is the one peer of a rule in the newer form.
type newPeer struct {
	peer    topology.Peer
	unknown string
}

func (b *builder) newPeers(body *resource.Body) newPeer {
	for _, name := range []string{"cidr_ipv4", "cidr_ipv6"} {
		if body.Has(name) {
			p := b.prefix(body, name)
			return newPeer{topology.Peer{CIDR: p.Or(netip.Prefix{})}, p.Why()}
		}
	}
	if body.Has("referenced_security_group_id") {
		id := b.groupID(body, "referenced_security_group_id")
		return newPeer{topology.Peer{Group: id.Or("")}, id.Why()}
	}
	if body.Has("prefix_list_id") {
		list, why := b.prefixList(body.Ref("prefix_list_id"))
		return newPeer{topology.Peer{PrefixList: list}, why}
	}
	why := b.placed("the rule names no peer")
	b.note(why)
	return newPeer{unknown: why}
}

// prefixList names a prefix list: its id, or the resource it comes from.
func (b *builder) prefixList(o topology.Opt[string]) (list, why string) {
	s, ok := o.Get()
	if !ok {
		b.note(o.Why())
		return "", o.Why()
	}
	return resource.Render(s), ""
}

func (b *builder) groupID(body *resource.Body, name string) topology.Opt[topology.ID] {
	return b.groupRef(name, body.Ref(name))
}

func (b *builder) groupIDs(body *resource.Body, name string) []topology.Opt[topology.ID] {
	return b.each(body, name, b.groupRef)
}

// groupRef resolves a security group. One that is not declared, be it a
// data source or a literal id, gets an external entry.
func (b *builder) groupRef(name string, o topology.Opt[string]) topology.Opt[topology.ID] {
	if s, ok := o.Get(); ok {
		if address, attr, ok := resource.ParseSymbol(s); ok && attr == "default_security_group_id" {
			if g := b.defaultOf(topology.ID(address)); !g.IsAbsent() {
				return g
			}
		}
	}
	id := b.ref(name, o, groupTypes...)
	known, ok := id.Get()
	inst := b.byAddress[string(known)]
	if !ok || b.groups[known] != nil || inst != nil && !inst.Data {
		return id
	}
	why := b.placed("security group %s is not declared in this configuration, so its rules are not known", known)
	b.note(why)
	g := &topology.SecurityGroup{Origin: topology.Origin{ID: known, File: b.at.File, Line: b.at.Line},
		UncertainIngress: why, UncertainEgress: why, External: true}
	if inst != nil {
		g.Origin = origin(inst)
		g.Name = b.label(inst.Body, "name")
	}
	b.groups[known] = &group{SecurityGroup: g}
	b.t.SecurityGroups = append(b.t.SecurityGroups, g)
	return id
}

// settleGroups puts the separate rules on their groups.
func (b *builder) settleGroups() {
	for _, inst := range b.set.Gone {
		b.at = origin(inst)
		b.goneRule(inst)
	}
	for _, g := range b.t.SecurityGroups {
		m := b.groups[g.ID]
		g.UncertainIngress = first(first(g.UncertainIngress, b.strayIngress), g.Maybe)
		g.UncertainEgress = first(first(g.UncertainEgress, b.strayEgress), g.Maybe)
		g.Ingress = append(append(g.Ingress, b.settleDirection(g, "ingress", &m.ingress)...), b.strays[0]...)
		g.Egress = append(append(g.Egress, b.settleDirection(g, "egress", &m.egress)...), b.strays[1]...)
	}
}

// settleDirection returns the rules of a direction that are not inline. What
// AWS reported counts only without separate rules, planned or about to be
// deleted: it would repeat those, also the ones that go.
func (b *builder) settleDirection(g *topology.SecurityGroup, name string, d *direction) []topology.Rule {
	if len(d.separate) == 0 && !d.gone {
		return d.reported
	}
	for i := range d.separate {
		if r := &d.separate[i]; d.inline {
			b.at = r.Origin
			why := b.placed("%s has inline %s rules too; Terraform revokes this rule and creates it again in turns", g.ID, name)
			g.Conflict = first(g.Conflict, why)
			b.note(why)
			r.Unknown = first(r.Unknown, why)
		}
	}
	return d.separate
}

// goneRule notes on its group that a separate rule is about to be deleted.
func (b *builder) goneRule(inst *resource.Instance) {
	var egress bool
	switch inst.Type {
	case "aws_security_group_rule":
		egress = inst.Body.String("type").Or("") == "egress"
	case "aws_vpc_security_group_egress_rule":
		egress = true
	case "aws_vpc_security_group_ingress_rule":
	default:
		return
	}
	s, _ := inst.Body.Ref("security_group_id").Get()
	if address, _, ok := resource.ParseSymbol(s); ok && b.groups[topology.ID(address)] != nil {
		b.groups[topology.ID(address)].direction(egress).gone = true
	}
}
