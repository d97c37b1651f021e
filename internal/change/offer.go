package change

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/topology"
)

// Offer is a change that a deployment can have.
type Offer struct {
	Change // with the value that there is as To
	// Hosts are the IDs of what on a map it concerns: services and load balancers.
	Hosts []string `json:"hosts"`
	Label string   `json:"label"`
	// Form is how the new value is given: "port", "ports", "path", "count", or one of Choices.
	Form    string   `json:"form"`
	Choices []string `json:"choices,omitempty"`
	// Removable is set where "" is a value.
	Removable bool `json:"removable,omitempty"`
	// Peers are the groups that a new rule can admit.
	Peers []Peer `json:"peers,omitempty"`
}

// Peer is a security group.
type Peer struct {
	ID    string `json:"id"` // as Change.Peer has it
	Label string `json:"label"`
}

// Offers lists what can be changed in a deployment, by service, then target
// group, then security group. What the source does not settle is left out.
func Offers(x *topology.Index) []Offer {
	out := []Offer{}
	for _, s := range x.Topology.Services {
		out = append(out, ofService(s)...)
	}
	for _, g := range x.Topology.TargetGroups {
		out = append(out, ofTargetGroup(x, g)...)
	}
	for _, g := range x.Topology.SecurityGroups {
		out = append(out, ofGroup(x, g)...)
	}
	return out
}

// Label says a change of the deployment in a line: what it is of, what was there and what is to be.
func Label(x *topology.Index, c Change) string {
	offers := Offers(x)
	i := slices.IndexFunc(offers, func(o Offer) bool { return o.Kind == c.Kind && o.On == c.On && o.At == c.At && o.Out == c.Out })
	if i < 0 {
		return string(c.Kind) + " of " + string(c.On)
	}
	o := offers[i]
	switch {
	case c.Kind == Admit:
		from := c.Peer
		if g := x.SecurityGroup(topology.ID(c.Peer)); g != nil {
			from = topology.Label(g.Origin, g.Name)
		}
		return fmt.Sprintf("%s: tcp %s from %s", o.Label, c.To, from)
	case c.Kind == Egress:
		return o.Label + ": " + c.To
	}
	return fmt.Sprintf("%s: %s → %s", o.Label, none(o.To), none(c.To))
}

func none(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func ofService(s *topology.Service) (out []Offer) {
	offer := func(k Kind, label, form, now string, at ...int) *Offer {
		o := Offer{Change: Change{Kind: k, On: s.ID, To: now}, Hosts: []string{string(s.ID)}, Label: label, Form: form}
		copy(o.At[:], at)
		out = append(out, o)
		return &out[len(out)-1]
	}
	if s.Connect != nil && s.Connected() {
		for i, p := range s.Connect.Endpoints {
			name := p.PortName.Or(fmt.Sprint(i + 1))
			if !p.IngressPortOverride.IsUnknown() {
				offer(Override, "ingressPortOverride of "+name, "port", text(p.IngressPortOverride), i).Removable = true
			}
			for k, a := range p.Aliases {
				if !a.Port.IsUnknown() {
					offer(AliasPort, "client port of "+a.DNSName.Or(name), "port", text(a.Port), i, k)
				}
			}
			if len(p.Aliases) == 0 {
				offer(AliasPort, "client port of "+name, "port", "", i, 0)
			}
		}
	}
	if s.Task != nil {
		for i, c := range s.Task.Containers {
			for k, m := range c.Ports {
				if _, ok := m.Port.Get(); ok {
					offer(ContainerPort, "container port of "+c.Name, "port", text(m.Port), i, k)
				}
			}
			if len(c.Ports) > 0 && !c.Environment[listen].IsUnknown() {
				offer(Binding, "where "+c.Name+" listens", "choice", text(c.Environment[listen]), i).Choices = Addresses
			}
		}
	}
	if !s.DesiredCount.IsUnknown() {
		offer(Count, "desired count", "count", fmt.Sprint(s.DesiredCount.Or(1)))
	}
	return out
}

func text[T any](o topology.Opt[T]) string {
	if v, ok := o.Get(); ok {
		return fmt.Sprint(v)
	}
	return ""
}

func ofTargetGroup(x *topology.Index, g *topology.TargetGroup) (out []Offer) {
	var hosts []string
	for _, s := range x.Topology.Services {
		if slices.ContainsFunc(s.LoadBalancers, func(r topology.ServiceTarget) bool { return r.Group.Or("") == g.ID }) {
			hosts = append(hosts, string(s.ID))
		}
	}
	if len(hosts) == 0 || g.Type == "" {
		return nil
	}
	label := topology.Label(g.Origin, g.Name)
	if !g.Health.Path.IsUnknown() {
		out = append(out, Offer{Change: Change{Kind: HealthPath, On: g.ID, To: g.Health.Path.Or("/")}, Hosts: hosts,
			Label: "health-check path of " + label, Form: "path"})
	}
	if !g.Health.Port.IsUnknown() {
		out = append(out, Offer{Change: Change{Kind: HealthPort, On: g.ID, To: g.Health.Port.Or("traffic-port")}, Hosts: hosts,
			Label: "health-check port of " + label, Form: "port or traffic-port"})
	}
	return out
}

func ofGroup(x *topology.Index, g *topology.SecurityGroup) (out []Offer) {
	hosts, balancer := holders(x, g.ID)
	if len(hosts) == 0 || g.External || g.Type == "" {
		return nil
	}
	label := topology.Label(g.Origin, g.Name)
	for _, outward := range []bool{false, true} {
		s, word := sideOf(g, outward), "ingress"
		if outward {
			word = "egress"
		}
		for i := range *s.rules {
			r := &(*s.rules)[i]
			if !s.settled(i) || r.Protocol != "tcp" {
				continue
			}
			now := fmt.Sprint(r.From)
			if r.To != r.From {
				now += fmt.Sprintf("-%d", r.To)
			}
			out = append(out, Offer{Change: Change{Kind: RulePorts, On: g.ID, At: [2]int{i}, Out: outward, To: now}, Hosts: hosts,
				Label: fmt.Sprintf("%s %s: %s", label, word, shortly(x, r)), Form: "ports", Removable: true})
		}
	}
	if g.Conflict == "" {
		out = append(out, Offer{Change: Change{Kind: Admit, On: g.ID}, Hosts: hosts,
			Label: "a new ingress rule of " + label, Form: "ports", Peers: peers(x, g)})
	}
	if balancer && g.Conflict == "" && g.UncertainEgress == "" {
		out = append(out, Offer{Change: Change{Kind: Egress, On: g.ID}, Hosts: hosts, Label: "egress of " + label, Form: "choice",
			Choices: []string{"nothing", "everything"}})
	}
	return out
}

// shortly says a rule with its peer's label.
func shortly(x *topology.Index, r *topology.Rule) string {
	named := *r
	if g := x.SecurityGroup(r.Peer.Group); g != nil {
		named.Peer.Group = topology.ID(topology.Label(g.Origin, g.Name))
	}
	return Describe(&named)
}

// holders are the services and load balancers that have a security group.
func holders(x *topology.Index, id topology.ID) (hosts []string, balancer bool) {
	has := func(list []topology.Opt[topology.ID]) bool {
		return slices.ContainsFunc(list, func(o topology.Opt[topology.ID]) bool { return o.Or("") == id })
	}
	for _, b := range x.Topology.LoadBalancers {
		if has(b.Groups) {
			hosts, balancer = append(hosts, string(b.ID)), true
		}
	}
	for _, s := range x.Topology.Services {
		if has(s.Groups) {
			hosts = append(hosts, string(s.ID))
		}
	}
	return hosts, balancer
}

// peers are the groups that hosts of the deployment have, but for the group itself.
func peers(x *topology.Index, g *topology.SecurityGroup) (out []Peer) {
	for _, o := range x.Topology.SecurityGroups {
		if hosts, _ := holders(x, o.ID); o.ID != g.ID && len(hosts) > 0 {
			out = append(out, Peer{string(o.ID), printable.Line(topology.Label(o.Origin, o.Name))})
		}
	}
	return out
}
