package terraform

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	fleetTypes  = []string{"aws_autoscaling_group"}
	launchTypes = []string{"aws_launch_template", "aws_launch_configuration"}
	everyIPv4   = netip.MustParsePrefix("0.0.0.0/0")
	everyIPv6   = netip.MustParsePrefix("::/0")
)

// fleet reads an Auto Scaling group with its launch template or configuration
// as the one instance that stands for all of them.
func (b *builder) fleet(inst *resource.Instance) {
	i := &topology.Instance{Origin: b.at, Name: b.label(inst.Body, "name"), Fleet: true,
		Subnets: b.ids(inst.Body, "vpc_zone_identifier", subnetTypes...)}
	if len(i.Subnets) > 0 {
		i.Subnet = i.Subnets[0]
	}
	b.t.Instances = append(b.t.Instances, i)
	b.of[inst.Address] = i
	launch := b.launchOf(inst)
	if launch == nil {
		i.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID](b.placed("the launch template is not declared here, so its security groups are not known"))}
	} else {
		i.UserData = b.label(launch.Body, "user_data")
		i.Groups = append(b.groupIDs(launch.Body, "vpc_security_group_ids"), b.groupIDs(launch.Body, "security_groups")...)
		nics, _ := b.blocks(launch.Body, "network_interfaces")
		for n, nic := range nics {
			if d, ok := nic.Int("device_index").Get(); ok && d == 0 || !ok && n == 0 {
				i.Groups = append(i.Groups, b.groupIDs(nic, "security_groups")...)
			}
		}
	}
	for _, o := range inst.Body.Refs("target_group_arns") {
		b.register(b.ref("target_group_arns", o, targetsTypes...), i.ID)
	}
}

// fleetAttachment registers an Auto Scaling group with a target group.
func (b *builder) fleetAttachment(inst *resource.Instance) {
	id := b.id(inst.Body, "autoscaling_group_name", fleetTypes...)
	for _, name := range []string{"lb_target_group_arn", "alb_target_group_arn"} {
		if inst.Body.Has(name) {
			b.register(b.id(inst.Body, name, targetsTypes...), id.Or(""))
		}
	}
}

// register adds the instances of a fleet to a target group; all groups are
// open when it is not settled which.
func (b *builder) register(targets topology.Opt[topology.ID], fleet topology.ID) {
	if g, ok := declared[*topology.TargetGroup](b, targets); ok {
		t := topology.Target{Origin: b.at, Instance: topology.Known(fleet)}
		if fleet == "" {
			t.Instance = topology.Unknown[topology.ID](b.placed("the Auto Scaling group is not declared here"))
		}
		g.Targets = append(g.Targets, t)
		return
	}
	for _, g := range b.t.TargetGroups {
		g.OpenTargets = first(g.OpenTargets, b.placed("an Auto Scaling group registers with a target group that is not settled"))
	}
}

// launchOf returns the launch template or configuration of a fleet.
func (b *builder) launchOf(inst *resource.Instance) *resource.Instance {
	find := func(o topology.Opt[string]) *resource.Instance {
		s, _ := o.Get()
		address, _, ok := resource.ParseSymbol(s)
		if got := b.byAddress[address]; ok && got != nil && slices.Contains(launchTypes, got.Type) {
			return got
		}
		return nil
	}
	spec := b.inner(inst.Body, "launch_template")
	mixed := b.inner(b.inner(b.inner(inst.Body, "mixed_instances_policy"), "launch_template"), "launch_template_specification")
	for _, o := range []topology.Opt[string]{
		spec.Ref("id"), spec.Ref("name"), mixed.Ref("launch_template_id"), mixed.Ref("launch_template_name"),
		inst.Body.Ref("launch_configuration"),
	} {
		if got := find(o); got != nil {
			return got
		}
	}
	return nil
}

// nodes returns the fleets whose instances belong to the cluster of a service:
// by capacity provider, else because there is one fleet. open says why they
// are not known.
func (b *builder) nodes(service *resource.Instance, cluster *resource.Instance) (ids []topology.ID, open string) {
	add := func(address string) {
		if id := topology.ID(address); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	named := map[string]bool{}
	strategies, _ := service.Body.List("capacity_provider_strategy")
	for _, s := range strategies {
		if raw, ok := s.Raw("capacity_provider"); ok {
			named[raw] = true
		}
	}
	for _, inst := range b.set.Instances {
		if inst.Type == "aws_ecs_cluster_capacity_providers" && len(named) == 0 && cluster != nil {
			raw, _ := inst.Body.Raw("cluster_name")
			if name, set := cluster.Body.Raw("name"); symbolOf(raw, cluster.Address) || set && raw == name {
				for _, raw := range inst.Body.RawList("capacity_providers") {
					named[raw] = true
				}
			}
		}
	}
	fleets := 0
	for _, inst := range b.set.Instances {
		switch {
		case inst.Data:
		case inst.Type == "aws_ecs_capacity_provider":
			name, set := inst.Body.Raw("name")
			same := func(raw string) bool { return symbolOf(raw, inst.Address) || set && raw == name }
			if !slices.ContainsFunc(slices.Collect(maps.Keys(named)), same) {
				continue
			}
			if id, ok := b.id(b.inner(inst.Body, "auto_scaling_group_provider"), "auto_scaling_group_arn", fleetTypes...).Get(); ok {
				add(string(id))
			}
		case inst.Type == "aws_autoscaling_group":
			fleets++
		}
	}
	if len(ids) > 0 {
		return ids, ""
	}
	clusters := 0
	for _, inst := range b.set.Instances {
		if inst.Type == "aws_ecs_cluster" && !inst.Data {
			clusters++
		}
		if inst.Type == "aws_autoscaling_group" && !inst.Data && fleets == 1 {
			add(inst.Address)
		}
	}
	switch {
	case fleets == 1 && clusters <= 1 && len(b.unread) == 0:
		return ids, ""
	case fleets == 0:
		return nil, "no Auto Scaling group of the source provides them"
	}
	return nil, "which Auto Scaling group provides them is not settled"
}

// symbolOf reports that raw is the id, ARN or name of the resource at an address.
func symbolOf(raw, address string) bool {
	at, _, ok := resource.ParseSymbol(raw)
	return ok && at == address
}

// defaultOf returns the default security group of a VPC: the one that
// aws_default_security_group manages, else the one that AWS makes, which lets
// its own members in and everything out. It is absent for a VPC that the
// configuration does not declare.
// Source: https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
func (b *builder) defaultOf(vpc topology.ID) topology.Opt[topology.ID] {
	v, _ := b.of[string(vpc)].(*topology.VPC)
	if v == nil || b.byAddress[string(vpc)] == nil || b.byAddress[string(vpc)].Data {
		return topology.Opt[topology.ID]{}
	}
	for _, inst := range b.set.Instances {
		if inst.Type != "aws_default_security_group" || inst.Data {
			continue
		}
		if g, ok := b.of[inst.Address].(*topology.SecurityGroup); ok && g.VPC.Or("") == vpc {
			return topology.Known(g.ID)
		}
	}
	if len(b.unread) > 0 {
		return topology.Opt[topology.ID]{} // what was not read may manage it
	}
	id := vpc + ".default_security_group_id"
	if b.groups[id] == nil {
		rule := func(p topology.Peer) topology.Rule {
			return topology.Rule{Origin: topology.Origin{ID: id, File: v.File, Line: v.Line}, Protocol: "-1", Peer: p,
				Implied: true, Text: "of the VPC's default security group"}
		}
		o := v.Origin
		o.ID, o.Type, o.Suppress = id, "aws_security_group", nil
		g := &topology.SecurityGroup{Origin: o, Name: topology.Known("default"), VPC: topology.Known(vpc),
			Ingress: []topology.Rule{rule(topology.Peer{Group: id})},
			Egress:  []topology.Rule{rule(topology.Peer{CIDR: everyIPv4}), rule(topology.Peer{CIDR: everyIPv6})}}
		b.t.SecurityGroups = append(b.t.SecurityGroups, g)
		b.groups[id] = &group{SecurityGroup: g}
	}
	return topology.Known(id)
}

// giveDefaults gives the default group of their VPC to what names no group.
func (b *builder) giveDefaults() {
	give := func(groups *[]topology.Opt[topology.ID], subnets []topology.Opt[topology.ID]) {
		for _, o := range subnets {
			id, _ := o.Get()
			n, _ := b.of[string(id)].(*topology.Subnet)
			if n == nil {
				continue
			}
			if g := b.defaultOf(n.VPC); !g.IsAbsent() {
				*groups = []topology.Opt[topology.ID]{g}
			}
			return
		}
	}
	for _, s := range b.t.Services {
		if s.Groups == nil && len(s.Subnets) > 0 {
			give(&s.Groups, s.Subnets)
		}
	}
	for _, lb := range b.t.LoadBalancers {
		if lb.Groups == nil && lb.Kind == "application" {
			give(&lb.Groups, lb.Subnets)
		}
	}
	for _, i := range b.t.Instances {
		if len(i.Groups) == 0 {
			give(&i.Groups, i.Places())
		}
	}
}
