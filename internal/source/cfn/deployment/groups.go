package deployment

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// egress collects what decides the outgoing rules of a group: CloudFormation
// adds allow-all when the group gives none, and a standalone rule removes
// that default (section 7 of the semantics).
type egress struct {
	given      bool // SecurityGroupEgress stands in the template
	empty      bool // it is an empty list
	standalone int  // rules that are certain to exist
	maybe      string
}

func (b *builder) group(r *cfn.Resource) *topology.SecurityGroup {
	g := &topology.SecurityGroup{
		Origin: b.at,
		Name:   b.label(r.Prop("GroupName")),
		VPC:    b.id(r.Prop("VpcId"), "AWS::EC2::VPC", "VpcId"),
	}
	b.groups[g.ID] = g
	return g
}

// inlineRules reads the rules on the group itself.
func (b *builder) inlineRules(r *cfn.Resource, g *topology.SecurityGroup) {
	in, out := r.Prop("SecurityGroupIngress"), r.Prop("SecurityGroupEgress")
	for _, list := range in.Alternatives() {
		g.UncertainIngress = first(g.UncertainIngress, b.notList(list.Value))
		for _, v := range list.Value.Items() {
			g.Ingress = append(g.Ingress, b.rules(v, "Source", list)...)
		}
	}
	e := b.egressOf(g)
	e.given = !out.IsAbsent()
	g.UncertainEgress = b.notList(out)
	items := out.Items()
	e.empty = out.Kind() == cfn.List && len(items) == 0
	for _, v := range items {
		g.Egress = append(g.Egress, b.rules(v, "Destination", cfn.Alternative{})...)
	}
}

// rules reads an item of an inline list: a rule, or one of several by
// conditions that are not settled, of which each is conditional.
func (b *builder) rules(v cfn.Value, side string, list cfn.Alternative) []topology.Rule {
	var out []topology.Rule
	for _, a := range v.Alternatives() {
		r := b.rule(a.Value, side)
		r.When = topology.Both(r.When, topology.Both(list.When, a.When))
		r.Maybe = first(r.Maybe, first(list.Why, a.Why))
		out = append(out, r)
	}
	return out
}

// notList says why a list of rules cannot be read, or "".
func (b *builder) notList(v cfn.Value) string {
	if v.IsAbsent() || v.Kind() == cfn.List {
		return ""
	}
	return b.why(v, "a list of rules")
}

func (b *builder) egressOf(g *topology.SecurityGroup) *egress {
	if b.egress == nil {
		b.egress = map[*topology.SecurityGroup]*egress{}
	}
	if b.egress[g] == nil {
		b.egress[g] = &egress{}
	}
	return b.egress[g]
}

func (b *builder) standaloneIngress(r *cfn.Resource) {
	rule := b.rule(r.Prop(), "Source")
	g, why := b.ruleGroup(r)
	if g == nil {
		b.strayIngress = first(b.strayIngress, why)
		return
	}
	g.Ingress = append(g.Ingress, rule)
}

func (b *builder) standaloneEgress(r *cfn.Resource) {
	rule := b.rule(r.Prop(), "Destination")
	g, why := b.ruleGroup(r)
	if g == nil {
		b.strayEgress = first(b.strayEgress, why)
		return
	}
	g.Egress = append(g.Egress, rule)
	e := b.egressOf(g)
	if rule.Maybe != "" {
		e.maybe = first(e.maybe, rule.Maybe)
		return
	}
	e.standalone++
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// ruleGroup returns the group that a standalone rule belongs to. Without one
// the rule may belong to any group, and why says so.
func (b *builder) ruleGroup(r *cfn.Resource) (g *topology.SecurityGroup, why string) {
	v := r.Prop("GroupId")
	if v.IsAbsent() {
		v = r.Prop("GroupName")
	}
	id := b.groupID(v)
	known, ok := id.Get()
	if !ok {
		why := id.Why()
		if why == "" {
			why = fmt.Sprintf("%s: rule %s names no group", r.Pos(), r.LogicalID)
			b.note("%s", why)
		}
		return nil, fmt.Sprintf("rule %s may belong to this group: %s", r.LogicalID, why)
	}
	if g := b.groups[known]; g != nil {
		return g, ""
	}
	return nil, fmt.Sprintf("rule %s may belong to this group: %s is no group", r.LogicalID, known)
}

// rule reads one rule, inline or standalone; side is "Source" or "Destination".
func (b *builder) rule(v cfn.Value, side string) topology.Rule {
	r := topology.Rule{Origin: b.at}
	if pos := v.Pos(); pos.File == r.File && pos.Line > 0 {
		r.Line = pos.Line
	}
	if v.Kind() != cfn.Map {
		r.Protocol, r.Unknown = "-1", b.why(v, "a rule")
		return r
	}
	r.Text, _ = v.Get("Description").Text()
	b.protocol(&r, v)
	symbol := ""
	if r.Protocol != "-1" {
		settled := r.Unknown == ""
		r.From = b.port(&r, v, "FromPort", 0)
		r.To = b.port(&r, v, "ToPort", 65535)
		if from, to := b.symbol(v.Get("FromPort")), b.symbol(v.Get("ToPort")); settled && r.Unknown != "" && from == to && strings.Contains(from, "${") {
			symbol = from
		}
	}
	ports := r.Unknown
	r.Unknown = ""
	b.peer(&r, v, side)
	if r.Unknown == "" {
		r.PortSymbol = symbol
	}
	r.Unknown = first(ports, r.Unknown)
	return r
}

// protocol reads IpProtocol: a name, a number, or -1 for all.
func (b *builder) protocol(r *topology.Rule, v cfn.Value) {
	o := b.text(v.Get("IpProtocol"))
	t, ok := o.Get()
	if !ok {
		r.Protocol, r.Unknown = "-1", o.Why()
		if o.IsAbsent() {
			r.Unknown = v.Pos().String() + ": the rule has no protocol"
			b.note("%s", r.Unknown)
		}
		return
	}
	switch t = strings.ToLower(t); t {
	case "6":
		t = "tcp"
	case "17":
		t = "udp"
	case "1":
		t = "icmp"
	case "58":
		t = "icmpv6"
	case "all":
		t = "-1"
	}
	r.Protocol = t
}

// port reads a port. TCP and UDP rules must give it; for ICMP, where it is a
// type or code, absent means all, written -1.
func (b *builder) port(r *topology.Rule, v cfn.Value, name string, def int) int {
	o := b.integer(v.Get(name))
	if o.IsUnknown() {
		r.Unknown = first(r.Unknown, o.Why())
		return def
	}
	n := o.Or(-1)
	if n < 0 && (r.Protocol == "tcp" || r.Protocol == "udp") {
		why := fmt.Sprintf("%s: the rule gives no %s", v.Pos(), name)
		b.note("%s", why)
		r.Unknown = first(r.Unknown, why)
		return def
	}
	return n
}

// peer reads the other side of a rule: a range, a group or a prefix list.
func (b *builder) peer(r *topology.Rule, v cfn.Value, side string) {
	if group := v.Get(side + "SecurityGroupId"); !group.IsAbsent() {
		b.peerGroup(r, group)
		return
	}
	if name := v.Get(side + "SecurityGroupName"); !name.IsAbsent() {
		r.Unknown = first(r.Unknown, b.groupByName(r, name))
		return
	}
	if list := v.Get(side + "PrefixListId"); !list.IsAbsent() {
		r.Peer.PrefixList = b.prefixList(list)
		if r.Peer.PrefixList == "" {
			r.Unknown = first(r.Unknown, b.why(list, "a prefix list"))
		}
		return
	}
	cidr := v.Get("CidrIp")
	if cidr.IsAbsent() {
		cidr = v.Get("CidrIpv6")
	}
	if cidr.IsAbsent() {
		why := v.Pos().String() + ": the rule names no peer"
		b.note("%s", why)
		r.Unknown = first(r.Unknown, why)
		return
	}
	p := b.prefix(cidr)
	r.Peer.CIDR = p.Or(netip.Prefix{})
	r.Unknown = first(r.Unknown, p.Why())
}

func (b *builder) peerGroup(r *topology.Rule, v cfn.Value) {
	id := b.groupID(v)
	r.Peer.Group = id.Or("")
	r.Unknown = first(r.Unknown, id.Why())
}

// groupByName finds the declared group of that name; it returns why not.
func (b *builder) groupByName(r *topology.Rule, v cfn.Value) string {
	o := b.text(v)
	name, ok := o.Get()
	if !ok {
		return o.Why()
	}
	if b.named == nil {
		b.named = map[string]topology.ID{}
		for _, g := range b.t.SecurityGroups {
			if n, ok := g.Name.Get(); ok {
				b.named[n] = g.ID
			}
		}
	}
	if id, ok := b.named[name]; ok {
		r.Peer.Group = id
		return ""
	}
	return fmt.Sprintf("%s: no group here is named %s", v.Pos(), name)
}

// prefixList names a prefix list: its id, or what refers to it.
func (b *builder) prefixList(v cfn.Value) string {
	if t, ok := v.Text(); ok {
		return t
	}
	return string(b.identity(v))
}

// groupID resolves a security group to one identity however it is referred
// to. A group that is not declared here gets an external entry.
func (b *builder) groupID(v cfn.Value) topology.Opt[topology.ID] {
	if v.IsAbsent() {
		return topology.Opt[topology.ID]{}
	}
	if r, ok := isRef(v, "AWS::EC2::SecurityGroup", "", "GroupId", "Id"); ok {
		return topology.Known(topology.ID(r.Name()))
	}
	if r, ok := isRef(v, "AWS::EC2::VPC", "DefaultSecurityGroup"); ok {
		return topology.Known(b.defaultGroup(r).ID)
	}
	id := b.identity(v)
	if id == "" {
		return open[topology.ID](b, v, "a security group")
	}
	b.externalGroup(id, v)
	return topology.Known(id)
}

func (b *builder) groupIDs(v cfn.Value) []topology.Opt[topology.ID] {
	var out []topology.Opt[topology.ID]
	for _, item := range v.Each() {
		out = append(out, b.groupID(item))
	}
	return out
}

func (b *builder) externalGroup(id topology.ID, v cfn.Value) {
	if b.groups[id] != nil {
		return
	}
	why := fmt.Sprintf("%s: security group %s is not declared in these templates, so its rules are not known", v.Pos(), id)
	if v.IsUnknown() {
		why = fmt.Sprintf("security group %s is not declared in these templates, so its rules are not known: %s", id, v.Why())
	}
	pos, stack := v.Pos(), b.at.Stack
	if v.IsChoice() {
		stack = "" // one of the groups that this stack declares may be meant
	}
	g := &topology.SecurityGroup{
		Origin:           topology.Origin{ID: id, Stack: stack, File: pos.File, Line: pos.Line},
		UncertainIngress: why, UncertainEgress: why, External: true,
	}
	b.note("%s", why)
	b.groups[id] = g
	b.t.SecurityGroups = append(b.t.SecurityGroups, g)
}

var (
	everyIPv4 = netip.MustParsePrefix("0.0.0.0/0")
	everyIPv6 = netip.MustParsePrefix("::/0")
)

// settleEgress applies CloudFormation's default once all rules are attached.
func (b *builder) settleEgress() {
	for _, g := range b.t.SecurityGroups {
		g.UncertainIngress = first(g.UncertainIngress, b.strayIngress)
		g.UncertainEgress = first(g.UncertainEgress, b.strayEgress)
		if g.External {
			continue
		}
		e := b.egressOf(g)
		all := func(p netip.Prefix, unknown string) topology.Rule {
			return topology.Rule{Origin: g.Origin, Protocol: "-1", Peer: topology.Peer{CIDR: p}, Implied: true, Unknown: unknown,
				Text: "CloudFormation's default when a group gives no egress rule"}
		}
		switch {
		case !e.given && e.standalone == 0 && e.maybe != "":
			why := "a standalone egress rule would remove the default rule, and whether it exists is open: " + e.maybe
			g.Egress = append(g.Egress, all(everyIPv4, why), all(everyIPv6, why))
		case e.given && e.empty && e.standalone == 0:
			g.Conflict = fmt.Sprintf("%s:%d: SecurityGroupEgress is an empty list; whether that removes the default rule is not documented", g.File, g.Line)
			g.UncertainEgress = first(g.UncertainEgress, g.Conflict)
		case !e.given && e.standalone == 0 && g.UncertainEgress == "":
			g.Egress = append(g.Egress, all(everyIPv4, ""), all(everyIPv6, ""))
		case !e.given && e.standalone > 0:
			g.Egress = append(g.Egress, all(everyIPv6,
				"a standalone egress rule removes the default rule; for IPv6 that is not documented"))
		case e.given && e.standalone > 0:
			b.orderDependent(g)
		}
	}
}

// orderDependent marks an explicit allow-all that stands beside standalone
// egress rules: users report it lost, depending on the order of creation.
func (b *builder) orderDependent(g *topology.SecurityGroup) {
	for i := range g.Egress {
		r := &g.Egress[i]
		if r.ID != g.ID || r.Protocol != "-1" || r.Peer.CIDR.Bits() != 0 || !r.Peer.CIDR.IsValid() {
			continue
		}
		why := fmt.Sprintf("%s:%d: an inline rule for all traffic stands beside standalone egress rules; which of them hold depends on the order of creation", r.File, r.Line)
		r.Unknown = first(r.Unknown, why)
		g.UncertainEgress, g.Conflict = first(g.UncertainEgress, why), why
	}
}
