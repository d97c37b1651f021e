package deployment

import (
	"fmt"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// attach reads, in a third round, what adds to the things of the first two.
func (b *builder) attach(r *cfn.Resource) {
	switch r.Type {
	case "AWS::ECS::Cluster":
		b.clusterDefault(r, b.of[r].(*topology.Cluster))
	case "AWS::ECS::TaskSet":
		for _, v := range r.Prop("LoadBalancers").Each() {
			b.openTargets(v.Get("TargetGroupArn"), fmt.Sprintf("%s: task set %s registers with it, and task sets are not modelled", r.Pos(), r.LogicalID))
		}
	case "AWS::CodeDeploy::DeploymentGroup":
		for _, pair := range r.Prop("LoadBalancerInfo", "TargetGroupPairInfoList").Each() {
			b.pair(r, pair)
		}
	case "AWS::EC2::VPCEndpoint":
		b.endpointOf(r)
	case "AWS::ServiceDiscovery::Service", "AWS::Route53::RecordSet":
		b.record(r, r.Prop())
	case "AWS::Route53::RecordSetGroup":
		for _, v := range r.Prop("RecordSets").Each() {
			b.record(r, v)
		}
	}
}

func (b *builder) clusterDefault(r *cfn.Resource, k *topology.Cluster) {
	v := r.Prop("ServiceConnectDefaults", "Namespace")
	if v.IsAbsent() {
		return
	}
	c := &topology.ServiceConnect{}
	quietly(b, func(v cfn.Value) any { b.useNamespace(c, v); return nil }, v)
	k.Default, k.DefaultByID, k.DefaultVia = c.Namespace, c.NamespaceByID, c.NamespaceVia
	if k.DefaultVia == "name" {
		k.DefaultName, _ = v.Text()
	}
}

// openTargets opens the target group that v names, or all when that is not settled.
func (b *builder) openTargets(v cfn.Value, why string) {
	for _, ref := range b.targetsNamed(v) {
		ref.OpenTargets = first(ref.OpenTargets, why)
	}
}

// targetsNamed returns the target group that v refers to by ARN or by name;
// all of them when it is not settled which.
func (b *builder) targetsNamed(v cfn.Value) []*topology.TargetGroup {
	if r, ok := isRef(v, typeTargets, "", "TargetGroupArn", "TargetGroupName", "TargetGroupFullName"); ok {
		if g, ok := b.of[r].(*topology.TargetGroup); ok {
			return []*topology.TargetGroup{g}
		}
	}
	var out []*topology.TargetGroup
	text, known := v.Text()
	for _, g := range b.t.TargetGroups {
		if name, ok := g.Name.Get(); !known || ok && name == text {
			out = append(out, g)
		}
	}
	return out
}

// pair reads the two target groups between which CodeDeploy moves a service.
func (b *builder) pair(r *cfn.Resource, v cfn.Value) {
	var groups []*topology.TargetGroup
	for _, name := range v.Get("TargetGroups").Each() {
		groups = append(groups, b.targetsNamed(name.Get("Name"))...)
	}
	why := fmt.Sprintf("%s: CodeDeploy moves tasks to it", r.Pos())
	for _, g := range groups {
		g.OpenTargets = first(g.OpenTargets, why)
		g.OpenForwards = first(g.OpenForwards, why)
	}
	for _, s := range b.t.Services {
		for i := range s.LoadBalancers {
			t := &s.LoadBalancers[i]
			id, ok := t.Group.Get()
			if !ok || !t.Alternate.IsAbsent() || len(groups) != 2 {
				continue
			}
			for j, g := range groups {
				if g.ID == id {
					t.Alternate = topology.Known(groups[1-j].ID)
				}
			}
		}
	}
}

// endpointOf notes on the VPC that its hosts reach a service of AWS without a
// public address.
func (b *builder) endpointOf(r *cfn.Resource) {
	why := fmt.Sprintf("%s: endpoint %s", r.Pos(), r.LogicalID)
	target, ok := isRef(r.Prop("VpcId"), "AWS::EC2::VPC", "", "VpcId")
	for _, v := range b.t.VPCs {
		if !ok || b.of[target] == any(v) {
			v.OtherWay = first(v.OtherWay, why)
		}
	}
}

// record reads a name that DNS answers.
func (b *builder) record(r *cfn.Resource, v cfn.Value) {
	rec := &topology.Record{Origin: b.at, Name: b.label(v.Get("Name"))}
	if r.Type == "AWS::ServiceDiscovery::Service" {
		dns := v.Get("DnsConfig")
		space := dns.Get("NamespaceId")
		if space.IsAbsent() {
			space = v.Get("NamespaceId")
		}
		ref, ok := space.Ref()
		var n *topology.Namespace
		if ok {
			n, _ = b.of[ref.Resource].(*topology.Namespace)
		}
		switch {
		case n != nil && n.Kind == "http":
			return // reached by API calls only
		case n == nil:
			rec.Name = topology.Unknown[string](fmt.Sprintf("%s: the namespace of %s is not declared here", r.Pos(), r.LogicalID))
		default:
			rec.Name = joined(rec.Name, n.Name)
		}
	}
	if t, ok := rec.Name.Get(); ok {
		rec.Name = topology.Known(trimDot(t))
	}
	if r, ok := isRef(v.At("AliasTarget", "DNSName"), typeBalancer, "DNSName"); ok {
		if lb, ok := b.of[r].(*topology.LoadBalancer); ok {
			rec.LoadBalancer = lb.ID
		}
	}
	b.t.Records = append(b.t.Records, rec)
}

func trimDot(s string) string {
	if n := len(s); n > 1 && s[n-1] == '.' {
		return s[:n-1]
	}
	return s
}

// joined returns name.space, or why it is not settled.
func joined(name, space topology.Opt[string]) topology.Opt[string] {
	n, ok := name.Get()
	m, okm := space.Get()
	switch {
	case !ok:
		return topology.Unknown[string](first(name.Why(), "the name is given by Cloud Map"))
	case !okm:
		return topology.Unknown[string](first(space.Why(), "the namespace has no name"))
	}
	return topology.Known(n + "." + m)
}
