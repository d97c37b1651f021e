package deployment

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// defaultGroup returns the default security group of a VPC that the templates
// declare: it lets its own members in, and everything out.
// Source: https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
func (b *builder) defaultGroup(r *cfn.Resource) *topology.SecurityGroup {
	id := topology.ID(r.Name() + ".DefaultSecurityGroup")
	if g := b.groups[id]; g != nil {
		return g
	}
	v := b.of[r].(*topology.VPC)
	o := v.Origin
	o.ID, o.Type, o.Suppress = id, "AWS::EC2::SecurityGroup", nil
	rule := func(p topology.Peer) topology.Rule {
		return topology.Rule{Origin: topology.Origin{ID: id, File: o.File, Line: o.Line}, Protocol: "-1", Peer: p, Implied: true,
			Text: "of the VPC's default security group"}
	}
	g := &topology.SecurityGroup{
		Origin: o, Name: topology.Known("default group of " + topology.OriginLabel(v.Origin)), VPC: topology.Known(v.ID),
		Ingress: []topology.Rule{rule(topology.Peer{Group: id})},
		Egress:  []topology.Rule{rule(topology.Peer{CIDR: everyIPv4}), rule(topology.Peer{CIDR: everyIPv6})},
	}
	b.egressOf(g).given = true
	b.groups[id] = g
	b.t.SecurityGroups = append(b.t.SecurityGroups, g)
	return g
}

// defaultOf returns the default group of the declared VPC in which the subnets
// lie; false when they lie in none.
func (b *builder) defaultOf(subnets []topology.Opt[topology.ID]) ([]topology.Opt[topology.ID], bool) {
	if b.vpcOf == nil {
		b.vpcOf = map[topology.ID]*cfn.Resource{}
		vpcs := map[topology.ID]*cfn.Resource{}
		b.eachResource(func(r *cfn.Resource) {
			if v, ok := b.of[r].(*topology.VPC); ok {
				vpcs[v.ID] = r
			}
		})
		for _, n := range b.t.Subnets {
			b.vpcOf[n.ID] = vpcs[n.VPC]
		}
	}
	for _, o := range subnets {
		id, _ := o.Get()
		if r := b.vpcOf[id]; r != nil {
			return []topology.Opt[topology.ID]{topology.Known(b.defaultGroup(r).ID)}, true
		}
	}
	return nil, false
}

// defaultGroups gives the default group of their VPC to what names no group.
func (b *builder) defaultGroups() {
	for _, s := range b.t.Services {
		if len(s.Groups) == 0 && len(s.Subnets) > 0 {
			s.Groups, _ = b.defaultOf(s.Subnets)
		}
	}
	for _, lb := range b.t.LoadBalancers {
		if len(lb.Groups) == 0 && lb.Kind == "application" {
			lb.Groups, _ = b.defaultOf(lb.Subnets)
		}
	}
	for _, i := range b.t.Instances {
		if len(i.Groups) == 0 {
			i.Groups, _ = b.defaultOf(i.Places())
		}
	}
}

// fleets reads the Auto Scaling groups: as targets, and as the instances on
// which tasks in network mode bridge or host run.
func (b *builder) fleets() {
	starts := map[*cfn.Resource]*cfn.Resource{} // the launch template of a group
	var order []*cfn.Resource
	b.eachResource(func(r *cfn.Resource) {
		if r.Type != typeScaling {
			return
		}
		i, template := b.fleet(r)
		starts[r] = template
		order = append(order, r)
		b.t.Instances = append(b.t.Instances, i)
		b.of[r] = i
		for _, v := range r.Prop("TargetGroupARNs").Each() {
			b.register(v, topology.Target{Origin: b.at, Instance: topology.Known(i.ID)})
		}
	})
	b.eachResource(func(r *cfn.Resource) {
		if s, ok := b.of[r].(*topology.Service); ok && s.Task != nil && s.Task.NetworkMode.Or("bridge") != "awsvpc" {
			s.Nodes, s.OpenNodes = b.nodes(r, order, starts)
		}
	})
}

// register adds a static target to the group that v names.
func (b *builder) register(v cfn.Value, t topology.Target) {
	if r, ok := isRef(v, typeTargets, "", "TargetGroupArn"); ok {
		if g, ok := b.of[r].(*topology.TargetGroup); ok {
			g.Targets = append(g.Targets, t)
			return
		}
	}
	b.openTargets(v, fmt.Sprintf("%s: %s registers with a target group that is not settled", v.Pos(), b.at.ID))
}

// fleet reads an Auto Scaling group with its launch template or configuration.
func (b *builder) fleet(r *cfn.Resource) (*topology.Instance, *cfn.Resource) {
	i := &topology.Instance{Origin: b.at, Name: b.label(r.Prop("AutoScalingGroupName")), Fleet: true,
		Subnets: b.ids(r.Prop("VPCZoneIdentifier"), "AWS::EC2::Subnet", "SubnetId")}
	if len(i.Subnets) > 0 {
		i.Subnet = i.Subnets[0]
	}
	specs := []cfn.Value{
		r.Prop("LaunchTemplate", "LaunchTemplateId"), r.Prop("LaunchTemplate", "LaunchTemplateName"),
		r.Prop("MixedInstancesPolicy", "LaunchTemplate", "LaunchTemplateSpecification", "LaunchTemplateId"),
		r.Prop("LaunchConfigurationName"),
	}
	for _, v := range specs {
		if v.IsAbsent() {
			continue
		}
		ref, ok := v.Ref()
		if !ok || ref.Resource.Type != "AWS::EC2::LaunchTemplate" && ref.Resource.Type != "AWS::AutoScaling::LaunchConfiguration" {
			i.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID](fmt.Sprintf("%s: the launch template is not declared here, so its security groups are not known", v.Pos()))}
			return i, nil
		}
		b.launch(i, ref.Resource)
		return i, ref.Resource
	}
	i.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID](fmt.Sprintf("%s: how %s launches its instances is not settled", r.Pos(), r.LogicalID))}
	return i, nil
}

func (b *builder) launch(i *topology.Instance, r *cfn.Resource) {
	data := r.Prop()
	if r.Type == "AWS::EC2::LaunchTemplate" {
		data = r.Prop("LaunchTemplateData")
	}
	i.UserData = b.userData(data.Get("UserData"))
	i.Groups = append(b.groupIDs(data.Get("SecurityGroupIds")), b.groupIDs(data.Get("SecurityGroups"))...)
	for n, nic := range data.Get("NetworkInterfaces").Each() {
		if d, ok := nic.Get("DeviceIndex").Int(); ok && d == 0 || !ok && n == 0 {
			i.Groups = append(i.Groups, b.groupIDs(nic.Get("Groups"))...)
		}
	}
}

// nodes returns the Auto Scaling groups whose instances belong to the cluster
// of a service: by capacity provider, else because their launch template names
// the cluster, else because there is one group and one cluster. open says why
// they are not known.
func (b *builder) nodes(service *cfn.Resource, fleets []*cfn.Resource,
	starts map[*cfn.Resource]*cfn.Resource) (ids []topology.ID, open string) {
	cluster, _ := isRef(service.Prop("Cluster"), "AWS::ECS::Cluster", "", "Arn")
	add := func(r *cfn.Resource) {
		if id := topology.ID(r.Name()); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, provider := range b.providers(service, cluster) {
		if r, ok := isRef(provider.Prop("AutoScalingGroupProvider", "AutoScalingGroupArn"), typeScaling, "", "AutoScalingGroupARN", "Arn"); ok {
			add(r)
		}
	}
	if len(ids) > 0 {
		return ids, ""
	}
	for _, r := range fleets {
		if t := starts[r]; cluster != nil && t != nil && slices.Contains(t.Uses(), cluster) {
			add(r)
		}
	}
	switch {
	case len(ids) > 0:
		return ids, ""
	case len(fleets) == 1 && len(b.t.Clusters) <= 1 && b.t.OpenServices == "":
		add(fleets[0])
		return ids, ""
	case len(fleets) == 0:
		return nil, "no Auto Scaling group of the source provides them"
	}
	return nil, "which Auto Scaling group provides them is not settled"
}

// providers returns the declared capacity providers that a service uses: its
// own strategy, else those of its cluster.
func (b *builder) providers(service, cluster *cfn.Resource) []*cfn.Resource {
	var out []*cfn.Resource
	add := func(v cfn.Value) {
		if r, ok := isRef(v, "AWS::ECS::CapacityProvider", ""); ok {
			out = append(out, r)
		}
	}
	for _, v := range service.Prop("CapacityProviderStrategy").Each() {
		add(v.Get("CapacityProvider"))
	}
	if len(out) > 0 || cluster == nil {
		return out
	}
	for _, v := range cluster.Prop("CapacityProviders").Each() {
		add(v)
	}
	b.eachResource(func(r *cfn.Resource) {
		if r.Type != "AWS::ECS::ClusterCapacityProviderAssociations" {
			return
		}
		if c, ok := isRef(r.Prop("Cluster"), "AWS::ECS::Cluster", "", "Arn"); ok && c == cluster {
			for _, v := range r.Prop("CapacityProviders").Each() {
				add(v)
			}
		}
	})
	return out
}
