package terraform

import (
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

// deploymentGroups reads between which target groups CodeDeploy moves the
// tasks of services.
func (b *builder) deploymentGroups() {
	for _, inst := range b.set.Instances {
		if inst.Data || inst.Type != "aws_codedeploy_deployment_group" {
			continue
		}
		b.at = origin(inst)
		pairs, open := b.blocks(b.inner(inst.Body, "load_balancer_info"), "target_group_pair_info")
		for _, pair := range pairs {
			b.pair(pair)
		}
		if open != "" {
			b.mayMove(b.t.TargetGroups)
		}
	}
}

// pair reads the two target groups of a deployment group.
func (b *builder) pair(body *resource.Body) {
	var groups []*topology.TargetGroup
	names, open := b.blocks(body, "target_group")
	for _, name := range names {
		groups = append(groups, b.targetsNamed(name)...)
	}
	if open != "" {
		groups = b.t.TargetGroups
	}
	b.mayMove(groups)
	if len(groups) != 2 || open != "" {
		return
	}
	for _, s := range b.t.Services {
		for i := range s.LoadBalancers {
			t := &s.LoadBalancers[i]
			for j, g := range groups {
				if id, ok := t.Group.Get(); ok && id == g.ID && t.Alternate.IsAbsent() {
					t.Alternate = topology.Known(groups[1-j].ID)
				}
			}
		}
	}
}

// mayMove opens target groups and what forwards to them.
func (b *builder) mayMove(groups []*topology.TargetGroup) {
	why := b.placed("CodeDeploy moves tasks to it")
	for _, g := range groups {
		g.OpenTargets, g.OpenForwards = first(g.OpenTargets, why), first(g.OpenForwards, why)
	}
}

// targetsNamed returns the target group that a block names, by reference or by
// text; all of them when it is not settled which.
func (b *builder) targetsNamed(body *resource.Body) []*topology.TargetGroup {
	named := body.Ref("name")
	text, known := named.Get()
	if address, _, ok := resource.ParseSymbol(text); ok {
		if g, ok := b.of[address].(*topology.TargetGroup); ok {
			return []*topology.TargetGroup{g}
		}
		known = false
	}
	var out []*topology.TargetGroup
	for _, g := range b.t.TargetGroups {
		if name, ok := g.Name.Get(); !known || ok && name == text {
			out = append(out, g)
		}
	}
	return out
}
