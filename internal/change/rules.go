package change

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// side is one direction of a security group.
type side struct {
	group *topology.SecurityGroup
	rules *[]topology.Rule
	name  string // of the list in the group
	peer  string // of the property for a group at the other side
	kind  string // of a rule that is a resource of its own
	out   bool
}

func sideOf(g *topology.SecurityGroup, out bool) side {
	if out {
		return side{g, &g.Egress, "SecurityGroupEgress", "DestinationSecurityGroupId", "AWS::EC2::SecurityGroupEgress", true}
	}
	return side{g, &g.Ingress, "SecurityGroupIngress", "SourceSecurityGroupId", "AWS::EC2::SecurityGroupIngress", false}
}

// inline reports whether a rule stands in the group itself.
func (s side) inline(r *topology.Rule) bool { return r.ID == s.group.ID && !r.Implied }

// position is where in the group's own list a rule stands.
func (s side) position(i int) (n int) {
	for k := range (*s.rules)[:i] {
		if s.inline(&(*s.rules)[k]) {
			n++
		}
	}
	return n
}

// settled reports whether a rule can be changed: it is certain, and so is where
// it stands.
func (s side) settled(i int) bool {
	r := &(*s.rules)[i]
	if r.Implied || r.Unknown != "" || r.Maybe != "" || s.group.Conflict != "" {
		return false
	}
	if !s.inline(r) {
		return r.Type != "" && !s.shared(r)
	}
	return !slices.ContainsFunc(*s.rules, func(o topology.Rule) bool { return s.inline(&o) && o.Maybe != "" })
}

// shared reports whether one resource stands for several rules, as in Terraform.
func (s side) shared(r *topology.Rule) bool {
	n := 0
	for i := range *s.rules {
		if (*s.rules)[i].ID == r.ID {
			n++
		}
	}
	return n > 1
}

// rulePorts changes the ports of a rule, or takes it away.
func (e *editor) rulePorts(c Change) error {
	g, err := e.group(c.On)
	if err != nil {
		return err
	}
	s := sideOf(g, c.Out)
	if c.At[0] < 0 || c.At[0] >= len(*s.rules) {
		return fmt.Errorf("the group has no rule %d in this direction", c.At[0])
	}
	if !s.settled(c.At[0]) {
		return fmt.Errorf("the source does not settle this rule, or the rule is implied")
	}
	*s.rules = slices.Clone(*s.rules)
	r := &(*s.rules)[c.At[0]]
	if c.To == "" {
		e.remove(s, c.At[0])
		return nil
	}
	from, to, err := span(c.To)
	if err != nil {
		return err
	}
	if r.Protocol != "tcp" && r.Protocol != "udp" {
		return fmt.Errorf("a rule for protocol %s has no ports", r.Protocol)
	}
	var path []any
	if s.inline(r) {
		path = []any{s.name, s.position(c.At[0])}
	}
	if from != r.From {
		e.edit(r.Origin, r.From, from, append(slices.Clone(path), "FromPort")...)
	}
	if to != r.To {
		e.edit(r.Origin, r.To, to, append(path, "ToPort")...)
	}
	r.From, r.To = from, to
	return nil
}

// remove takes a rule away. Without any egress rule CloudFormation would let
// everything out, so the last one is replaced by one that lets nothing out.
func (e *editor) remove(s side, i int) {
	r := (*s.rules)[i]
	rest := slices.Delete(slices.Clone(*s.rules), i, i+1)
	if s.out && !isTerraform(s.group.Origin) && !slices.ContainsFunc(rest, func(o topology.Rule) bool { return !o.Implied }) {
		e.closeEgress(s)
		return
	}
	var path []any
	if s.inline(&r) {
		path = []any{s.name, s.position(i)}
	}
	e.edit(r.Origin, Describe(&r), nil, path...)
	*s.rules = rest
}

// admit adds a rule for TCP.
func (e *editor) admit(c Change) error {
	g, err := e.group(c.On)
	if err != nil {
		return err
	}
	from, to, err := span(c.To)
	if err != nil {
		return err
	}
	r := topology.Rule{Protocol: "tcp", From: from, To: to}
	properties := map[string]any{"IpProtocol": "tcp", "FromPort": from, "ToPort": to}
	s := sideOf(g, c.Out)
	if peer, err := netip.ParsePrefix(c.Peer); err == nil {
		r.Peer.CIDR = peer.Masked()
		properties[cidrName(r.Peer.CIDR)] = r.Peer.CIDR.String()
	} else {
		i := slices.IndexFunc(e.t.SecurityGroups, func(o *topology.SecurityGroup) bool { return string(o.ID) == c.Peer })
		if i < 0 {
			return fmt.Errorf("%q: expected a security group of the source or an address range", c.Peer)
		}
		r.Peer.Group = e.t.SecurityGroups[i].ID
		properties[s.peer] = e.reference(g.Origin, e.t.SecurityGroups[i].Origin)
	}
	old := *s.rules
	if c.Out {
		old = slices.DeleteFunc(slices.Clone(old), func(o topology.Rule) bool { return o.Implied })
	}
	if n := s.position(len(*s.rules)); n > 0 || c.Out && len(old) == 0 {
		r.Origin = g.Origin
		e.edit(g.Origin, nil, properties, s.name, n)
	} else {
		r.Origin = e.fresh(g, s)
		properties["GroupId"] = e.reference(g.Origin, g.Origin)
		e.edit(r.Origin, nil, properties)
	}
	*s.rules = append(slices.Clone(old), r)
	return nil
}

func cidrName(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "CidrIpv6"
	}
	return "CidrIp"
}

// fresh is the origin of a rule that becomes a resource of its own: a name that
// nothing else has.
func (e *editor) fresh(g *topology.SecurityGroup, s side) topology.Origin {
	o := topology.Origin{Stack: g.Stack, Type: s.kind, File: g.File}
	word := "Ingress"
	if s.out {
		word = "Egress"
	}
	if isTerraform(g.Origin) {
		o.Type, word = "aws_vpc_security_group_"+strings.ToLower(word)+"_rule", "_"+strings.ToLower(word)+"_"
	}
	for n := 1; ; n++ {
		o.ID = topology.ID(fmt.Sprintf("%s%s%d", g.ID, word, n))
		if isTerraform(g.Origin) {
			o.ID = topology.ID(fmt.Sprintf("%s.%s%s%d", o.Type, nameOf(g.Origin), word, n))
		}
		taken := func(r topology.Rule) bool { return r.ID == o.ID }
		if !slices.ContainsFunc(e.t.SecurityGroups, func(x *topology.SecurityGroup) bool {
			return x.ID == o.ID || slices.ContainsFunc(x.Ingress, taken) || slices.ContainsFunc(x.Egress, taken)
		}) {
			return o
		}
	}
}

// reference is how a resource of the stack refers to a group.
func (e *editor) reference(from, to topology.Origin) any {
	if from.Stack != to.Stack {
		return Elsewhere{to}
	}
	return Reference{to}
}

// Reference is a value of an edit: the ID of a security group of the same
// stack. Elsewhere is that of one of another stack, which has to export it.
type (
	Reference struct{ Of topology.Origin }
	Elsewhere struct{ Of topology.Origin }
)

// egress makes everything or nothing what a group lets out.
func (e *editor) egress(c Change) error {
	g, err := e.group(c.On)
	if err != nil {
		return err
	}
	if why := cmp.Or(g.Conflict, g.UncertainEgress); why != "" {
		return fmt.Errorf("the group's egress is not settled: %s", why)
	}
	s := sideOf(g, true)
	switch c.To {
	case "nothing":
		e.closeEgress(s)
	case "everything":
		e.replaceEgress(s, topology.Rule{Origin: g.Origin, Protocol: "-1", Peer: topology.Peer{CIDR: netip.MustParsePrefix("0.0.0.0/0")}},
			map[string]any{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"})
	default:
		return fmt.Errorf("%q: expected everything or nothing", c.To)
	}
	return nil
}

// closeEgress lets nothing out, in CloudFormation by the rule with which CDK
// says so: for an address that nobody has.
func (e *editor) closeEgress(s side) {
	if isTerraform(s.group.Origin) {
		e.edit(s.group.Origin, s.describe(), []any{}, s.name)
		*s.rules = nil
		return
	}
	nobody := netip.MustParsePrefix("255.255.255.255/32")
	e.replaceEgress(s, topology.Rule{Origin: s.group.Origin, Protocol: "icmp", From: 252, To: 86, Peer: topology.Peer{CIDR: nobody}},
		map[string]any{"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": nobody.String()})
}

// replaceEgress makes a rule the only one of a group's egress.
func (e *editor) replaceEgress(s side, r topology.Rule, properties map[string]any) {
	for i := range *s.rules {
		if o := &(*s.rules)[i]; !s.inline(o) && !o.Implied {
			e.edit(o.Origin, Describe(o), nil)
		}
	}
	e.edit(s.group.Origin, s.describe(), []any{properties}, s.name)
	*s.rules = []topology.Rule{r}
}

// describe says which rules the group itself has, nil for none.
func (s side) describe() any {
	var out []string
	for i := range *s.rules {
		if s.inline(&(*s.rules)[i]) {
			out = append(out, Describe(&(*s.rules)[i]))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return strings.Join(out, "; ")
}

// Describe says a rule in words: "tcp 80 10.0.0.0/16".
func Describe(r *topology.Rule) string {
	peer := cmp.Or(string(r.Peer.Group), r.Peer.PrefixList)
	if peer == "" {
		peer = r.Peer.CIDR.String()
	}
	if r.Protocol == "-1" {
		return "everything " + peer
	}
	ports := fmt.Sprint(r.From)
	if r.To != r.From {
		ports += fmt.Sprintf("-%d", r.To)
	}
	return r.Protocol + " " + ports + " " + peer
}
