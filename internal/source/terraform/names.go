package terraform

import (
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

// cluster reads an ECS cluster.
func (b *builder) cluster(inst *resource.Instance) {
	b.t.Clusters = append(b.t.Clusters, &topology.Cluster{Origin: b.at, Name: b.label(inst.Body, "name")})
}

// clusterDefaults reads the clusters' default namespaces, once all namespaces are known.
func (b *builder) clusterDefaults() {
	for _, k := range b.t.Clusters {
		inst := b.byAddress[string(k.ID)]
		spec := inst.Body
		if blocks, _ := spec.List("service_connect_defaults"); len(blocks) > 0 {
			spec = blocks[0]
		} else {
			continue
		}
		o := spec.Ref("namespace")
		text, ok := o.Get()
		switch _, attr, symbol := resource.ParseSymbol(text); {
		case !ok:
			k.Default = o
		case symbol:
			k.DefaultVia = attr
		case strings.HasPrefix(text, "arn:"):
			k.Default, k.DefaultVia = o, "arn"
		case strings.HasPrefix(text, "ns-"):
			k.Default, k.DefaultVia = o, "id"
		default:
			k.Default, k.DefaultVia, k.DefaultName = o, "name", text
		}
	}
}

// discovery reads a Cloud Map service with DNS.
func (b *builder) discovery(inst *resource.Instance) {
	dns, open := b.one(inst.Body, "dns_config")
	if dns == nil && open == "" {
		return
	}
	rec := &topology.Record{Origin: b.at, Name: b.label(inst.Body, "name")}
	name, okn := rec.Name.Get()
	space := topology.Opt[string]{}
	if dns != nil {
		if s, ok := dns.Ref("namespace_id").Get(); ok {
			if address, _, ok := resource.ParseSymbol(s); ok {
				if n := b.namespaceAt(address); n != nil {
					space = n.Name
				}
			}
		}
	}
	if m, ok := space.Get(); ok && okn {
		rec.Name = topology.Known(name + "." + m)
	} else {
		rec.Name = topology.Unknown[string](first(first(rec.Name.Why(), space.Why()), b.placed("the namespace of the name is not settled")))
	}
	b.t.Records = append(b.t.Records, rec)
	b.of[inst.Address] = rec
}

// route53 reads a record of a hosted zone. Its name may be written with the
// zone's or without.
func (b *builder) route53(inst *resource.Instance) {
	rec := &topology.Record{Origin: b.at, Name: b.label(inst.Body, "name")}
	zone := ""
	if s, ok := inst.Body.Ref("zone_id").Get(); ok {
		if address, _, ok := resource.ParseSymbol(s); ok && b.byAddress[address] != nil {
			zone = strings.TrimSuffix(b.byAddress[address].Body.String("name").Or(""), ".")
		}
	}
	if name, ok := rec.Name.Get(); ok {
		name = strings.TrimSuffix(name, ".")
		switch {
		case zone == "" && !strings.Contains(name, "."):
			rec.Name = topology.Unknown[string](b.placed("the zone of record %s is not settled", name))
		case zone == "" || name == zone || strings.HasSuffix(name, "."+zone):
			rec.Name = topology.Known(name)
		case name == "":
			rec.Name = topology.Known(zone)
		default:
			rec.Name = topology.Known(name + "." + zone)
		}
	}
	b.t.Records = append(b.t.Records, rec)
}

// registries fills Service.Registries.
func (b *builder) registries(s *topology.Service, body *resource.Body) {
	blocks, _ := b.blocks(body, "service_registries")
	for _, block := range blocks {
		if text, ok := block.Ref("registry_arn").Get(); ok {
			if address, _, ok := resource.ParseSymbol(text); ok && b.byAddress[address] != nil {
				s.Registries = append(s.Registries, topology.ID(address))
			}
		}
	}
}

// markOpen opens the sets to which a module that was not read may add, or
// somebody else to whom an output gives the thing.
func (b *builder) markOpen() {
	for address, why := range b.set.Given {
		if g, ok := b.of[address].(*topology.TargetGroup); ok {
			g.OpenTargets, g.OpenForwards = first(g.OpenTargets, why), first(g.OpenForwards, why)
		}
	}
	b.handedOut()
	for _, u := range b.unread {
		b.t.OpenServices = first(b.t.OpenServices, u.why)
		b.t.OpenRecords = first(b.t.OpenRecords, u.why)
		for address := range u.uses {
			switch x := b.of[address].(type) {
			case *topology.SecurityGroup:
				x.UncertainIngress = first(x.UncertainIngress, u.why)
				x.UncertainEgress = first(x.UncertainEgress, u.why)
			case *topology.TargetGroup:
				x.OpenTargets, x.OpenForwards = first(x.OpenTargets, u.why), first(x.OpenForwards, u.why)
			case *topology.Listener:
				x.OpenRules = first(x.OpenRules, u.why)
			case *topology.Role:
				x.Open = first(x.Open, u.why)
			case *topology.VPC:
				x.OtherWay = first(x.OtherWay, u.why)
			}
		}
	}
	for _, inst := range b.set.Instances {
		if inst.Data && (inst.Type == "aws_lb_listener" || inst.Type == "aws_alb_listener") {
			for _, g := range b.t.TargetGroups { // it may be one that was made for them
				g.OpenForwards = first(g.OpenForwards, inst.Address+" is looked up, and what it forwards to is not in the source")
			}
		}
		if inst.Data || inst.Type != "aws_vpc_endpoint" {
			continue
		}
		b.at = origin(inst)
		id, ok := b.id(inst.Body, "vpc_id", vpcTypes...).Get()
		for _, v := range b.t.VPCs {
			if !ok || v.ID == id {
				v.OtherWay = first(v.OtherWay, b.placed("a VPC endpoint"))
			}
		}
	}
}

// handingOut are the types by which a configuration gives an identity to one
// that is not read, or to what is not modelled.
var handingOut = map[string]string{
	"aws_cloudformation_stack":          "what the stack attaches to it is not in the source",
	"aws_ecs_task_set":                  "task sets are not modelled",
	"aws_secretsmanager_secret_version": "it gives it to others, which are not read",
	"aws_ssm_parameter":                 "it gives it to others, which are not read",
}

// handedOut opens the target groups that such a resource holds.
func (b *builder) handedOut() {
	for _, inst := range b.set.Instances {
		why, ok := handingOut[inst.Type]
		if !ok || inst.Data {
			continue
		}
		b.at = origin(inst)
		resource.EachSymbol(cty.ObjectVal(inst.Body.Object()), func(address, _ string) {
			if g, ok := b.of[address].(*topology.TargetGroup); ok {
				why := b.placed("%s: %s", inst.Address, why)
				g.OpenTargets, g.OpenForwards = first(g.OpenTargets, why), first(g.OpenForwards, why)
			}
		})
	}
}

// unread is a module whose resources were not read, with what it is given.
type unread struct {
	why  string
	uses map[string]bool
}
