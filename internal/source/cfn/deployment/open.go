package deployment

import (
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// markOpen opens the sets to which a part of the source that was not read may
// add: the rules of a group, the targets of a target group and the actions that
// forward to it, the rules of a listener, the services of the deployment.
func (b *builder) markOpen() {
	for i := range b.asm.Unread {
		u := &b.asm.Unread[i]
		if u.Makes(typeService) && !u.Exports {
			b.t.OpenServices = first(b.t.OpenServices, u.Why)
		}
		if u.Makes("AWS::ServiceDiscovery::Service", "AWS::Route53::RecordSet", "AWS::Route53::RecordSetGroup") && !u.Exports {
			b.t.OpenRecords = first(b.t.OpenRecords, u.Why)
		}
		for _, r := range u.Uses {
			b.open(u, b.of[r])
		}
		if !u.Anything {
			continue
		}
		for _, g := range b.t.SecurityGroups {
			b.open(u, g)
		}
		for _, v := range b.t.VPCs {
			b.open(u, v)
		}
		for _, r := range b.t.Roles {
			b.open(u, r)
		}
		for _, g := range b.t.TargetGroups {
			b.open(u, g)
		}
		for _, lb := range b.t.LoadBalancers {
			for _, l := range lb.Listeners {
				b.open(u, l)
			}
		}
	}
}

// open opens the sets of one thing to which u may add.
func (b *builder) open(u *cfn.Unread, thing any) {
	switch x := thing.(type) {
	case *topology.SecurityGroup:
		switch {
		case !u.Makes("AWS::EC2::SecurityGroupIngress") || u.Handed:
		case u.Exports:
			x.LaterIngress = first(x.LaterIngress, u.Why)
		default:
			x.UncertainIngress = first(x.UncertainIngress, u.Why)
		}
		if u.Makes("AWS::EC2::SecurityGroupEgress") && !u.Exports {
			x.UncertainEgress = first(x.UncertainEgress, u.Why)
		}
	case *topology.TargetGroup:
		if u.Makes(typeService, typeScaling, "AWS::ECS::TaskSet", "AWS::CodeDeploy::DeploymentGroup") {
			x.OpenTargets = first(x.OpenTargets, u.Why)
		}
		if u.Makes(typeListener, typeListener+"Rule") {
			x.OpenForwards = first(x.OpenForwards, u.Why)
		}
	case *topology.Role:
		if u.Makes("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy") && !u.Exports {
			x.Open = first(x.Open, u.Why)
		}
	case *topology.VPC:
		if u.Makes("AWS::EC2::VPCEndpoint") {
			x.OtherWay = first(x.OtherWay, u.Why)
		}
	case *topology.Listener:
		if u.Makes(typeListener + "Rule") {
			x.OpenRules = first(x.OpenRules, u.Why)
		}
	}
}

const (
	typeService = "AWS::ECS::Service"
	typeScaling = "AWS::AutoScaling::AutoScalingGroup"
)
