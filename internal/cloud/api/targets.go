package api

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/wire"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
)

func (a *API) describeTargetGroups(_ context.Context, in *elb.DescribeTargetGroupsInput) (*elb.DescribeTargetGroupsOutput, error) {
	v := a.resources()
	list, err := v.chosen(typeTargetGroup, in.TargetGroupArns, in.Names, noGroup())
	if err != nil {
		return nil, err
	}
	if lb := aws.ToString(in.LoadBalancerArn); lb != "" {
		if _, ok := v.find(typeLoadBalancer, lb); !ok {
			return nil, &types.LoadBalancerNotFoundException{Message: aws.String("One or more load balancers not found")}
		}
		list = slices.DeleteFunc(list, func(r account.Resource) bool { return !slices.Contains(v.balancersOf(r.PhysicalID), lb) })
	}
	list, next := page(list, in.Marker, pageSize(in.PageSize), physical)
	out := &elb.DescribeTargetGroupsOutput{TargetGroups: []types.TargetGroup{}, NextMarker: next}
	for _, r := range list {
		g, err := v.targetGroup(r)
		if err != nil {
			return nil, err
		}
		out.TargetGroups = append(out.TargetGroups, g)
	}
	return out, nil
}

// targetGroup is a target group with the defaults of section 6 of the semantics.
func (v *view) targetGroup(r account.Resource) (types.TargetGroup, error) {
	g := types.TargetGroup{TargetType: types.TargetTypeEnumInstance, ProtocolVersion: aws.String("HTTP1"),
		IpAddressType:      types.TargetGroupIpAddressTypeEnumIpv4,
		HealthCheckEnabled: aws.Bool(true), HealthCheckProtocol: types.ProtocolEnumHttp, HealthCheckPort: aws.String("traffic-port"),
		HealthCheckPath: aws.String("/"), HealthCheckIntervalSeconds: aws.Int32(30), HealthCheckTimeoutSeconds: aws.Int32(5),
		HealthyThresholdCount: aws.Int32(5), UnhealthyThresholdCount: aws.Int32(2), Matcher: &types.Matcher{HttpCode: aws.String("200")}}
	if err := wire.Into(&g, r.Properties); err != nil {
		return g, fmt.Errorf("%s: %w", r.PhysicalID, err)
	}
	g.TargetGroupArn, g.TargetGroupName = aws.String(r.PhysicalID), aws.String(elbName(r))
	g.LoadBalancerArns = there(v.balancersOf(r.PhysicalID))
	return g, nil
}

// balancersOf lists the load balancers that forward to a target group.
func (v *view) balancersOf(group string) (out []string) {
	add := func(listener account.Resource, actions string, properties map[string]any) {
		lb := account.Text(listener.Properties, "LoadBalancerArn")
		if forwards(account.List(properties, actions), group) && !slices.Contains(out, lb) {
			out = append(out, lb)
		}
	}
	for _, l := range v.of(typeListener) {
		add(l, "DefaultActions", l.Properties)
	}
	for _, r := range v.of(typeRule) {
		if l, ok := v.find(typeListener, account.Text(r.Properties, "ListenerArn")); ok {
			add(l, "Actions", r.Properties)
		}
	}
	return out
}

func forwards(actions []any, group string) bool {
	for _, a := range actions {
		if account.Text(a, "TargetGroupArn") == group {
			return true
		}
		for _, t := range account.List(a, "ForwardConfig", "TargetGroups") {
			if account.Text(t, "TargetGroupArn") == group {
				return true
			}
		}
	}
	return false
}

// groupState is a target group at the load balancer that uses it.
type groupState struct {
	*alb.GroupStatus
	balancer *lab.LoadBalancerStatus
}

func (a *API) describeTargetHealth(_ context.Context, in *elb.DescribeTargetHealthInput) (*elb.DescribeTargetHealthOutput, error) {
	v := a.look()
	r, ok := v.find(typeTargetGroup, aws.ToString(in.TargetGroupArn))
	if !ok {
		return nil, noGroup()
	}
	out := &elb.DescribeTargetHealthOutput{TargetHealthDescriptions: []types.TargetHealthDescription{}}
	add := func(t alb.TargetStatus) {
		host, port, err := net.SplitHostPort(t.Address)
		if err != nil {
			return
		}
		n, _ := strconv.ParseInt(port, 10, 32)
		d := types.TargetHealthDescription{Target: &types.TargetDescription{Id: aws.String(host), Port: aws.Int32(int32(n))},
			HealthCheckPort: aws.String(port), TargetHealth: &types.TargetHealth{State: types.TargetHealthStateEnum(t.State),
				Reason: types.TargetHealthReasonEnum(t.Reason), Description: some(t.Description)}}
		if p := account.Text(r.Properties, "HealthCheckPort"); p != "" && p != "traffic-port" {
			d.HealthCheckPort = aws.String(p)
		}
		if s, ok := v.subnetOf(host); ok {
			d.Target.AvailabilityZone = some(zoneOf(s))
		}
		if asked(in.Targets, d.Target) {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, d)
		}
	}
	if g := v.group(r.ID); g != nil {
		for _, t := range g.Targets {
			add(t)
		}
	} else {
		for _, t := range v.unusedTargets(r.PhysicalID) {
			add(t)
		}
	}
	for _, t := range in.Targets {
		if !slices.ContainsFunc(out.TargetHealthDescriptions, func(d types.TargetHealthDescription) bool { return asked([]types.TargetDescription{t}, d.Target) }) {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, types.TargetHealthDescription{Target: &t,
				TargetHealth: &types.TargetHealth{State: types.TargetHealthStateEnumUnused, Reason: types.TargetHealthReasonEnumNotRegistered,
					Description: aws.String("Target is not registered to the target group")}})
		}
	}
	return out, nil
}

// asked reports whether a target is among those that a request names, or it
// names none.
func asked(names []types.TargetDescription, t *types.TargetDescription) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(n types.TargetDescription) bool {
		return aws.ToString(n.Id) == *t.Id && (n.Port == nil || *n.Port == *t.Port)
	})
}

// unusedTargets are the targets of a group that no load balancer forwards to.
func (v *view) unusedTargets(group string) (out []alb.TargetStatus) {
	for _, r := range v.of(typeService) {
		now := v.service(r.ID)
		if now == nil {
			continue
		}
		for _, lb := range account.List(r.Properties, "LoadBalancers") {
			if account.Text(lb, "TargetGroupArn") != group {
				continue
			}
			for _, t := range now.Tasks {
				out = append(out, alb.TargetStatus{Address: net.JoinHostPort(t.IP, account.Text(lb, "ContainerPort")), State: alb.Unused,
					Reason: alb.ReasonNotInUse, Description: "Target group is not configured to receive traffic from the load balancer"})
			}
		}
	}
	return out
}
