package api

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

func (a *API) registerELB(s *wire.Server) {
	const service = "elasticloadbalancing"
	wire.Handle(s, service, "DescribeLoadBalancers", a.describeLoadBalancers)
	wire.Handle(s, service, "DescribeLoadBalancerAttributes", a.describeLoadBalancerAttributes)
	wire.Handle(s, service, "DescribeListeners", a.describeListeners)
	wire.Handle(s, service, "DescribeRules", a.describeRules)
	wire.Handle(s, service, "DescribeTargetGroups", a.describeTargetGroups)
	wire.Handle(s, service, "DescribeTargetGroupAttributes", a.describeTargetGroupAttributes)
	wire.Handle(s, service, "DescribeTargetHealth", a.describeTargetHealth)
}

// chosen are the resources of a type that a request names by ARN or by name, all
// of them when it names none; missing is the error for one that is not there.
func (v *view) chosen(kind string, arns, names []string, missing error) ([]account.Resource, error) {
	all := v.of(kind)
	if len(arns)+len(names) == 0 {
		return all, nil
	}
	var out []account.Resource
	for _, want := range slices.Concat(arns, names) {
		i := slices.IndexFunc(all, func(r account.Resource) bool { return r.PhysicalID == want || elbName(r) == want })
		if i < 0 {
			return nil, missing
		}
		out = append(out, all[i])
	}
	return out, nil
}

// elbName is the name in the ARN of a load balancer or a target group:
// …loadbalancer/app/NAME/ID, …targetgroup/NAME/ID.
func elbName(r account.Resource) string {
	parts := strings.Split(r.PhysicalID, "/")
	return parts[max(0, len(parts)-2)]
}

// metricName is what CloudWatch's dimensions call it: app/NAME/ID or targetgroup/NAME/ID.
func metricName(r account.Resource) string {
	_, name, _ := strings.Cut(r.PhysicalID, ":loadbalancer/")
	if name == "" {
		name = r.PhysicalID[strings.LastIndexByte(r.PhysicalID, ':')+1:]
	}
	return name
}

func pageSize(n *int32) int32 { return or32(n, 400) }

func physical(r account.Resource) string { return r.PhysicalID }

func (a *API) describeLoadBalancers(_ context.Context, in *elb.DescribeLoadBalancersInput) (*elb.DescribeLoadBalancersOutput, error) {
	v := a.look()
	list, err := v.chosen(typeLoadBalancer, in.LoadBalancerArns, in.Names, &types.LoadBalancerNotFoundException{
		Message: aws.String("One or more load balancers not found")})
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.Marker, pageSize(in.PageSize), physical)
	out := &elb.DescribeLoadBalancersOutput{LoadBalancers: []types.LoadBalancer{}, NextMarker: next}
	for _, r := range list {
		lb, err := v.loadBalancer(r)
		if err != nil {
			return nil, err
		}
		out.LoadBalancers = append(out.LoadBalancers, lb)
	}
	return out, nil
}

func (v *view) loadBalancer(r account.Resource) (types.LoadBalancer, error) {
	lb := types.LoadBalancer{Type: types.LoadBalancerTypeEnumApplication, IpAddressType: types.IpAddressTypeIpv4,
		Scheme: types.LoadBalancerSchemeEnumInternetFacing, State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive}}
	if err := wire.Into(&lb, r.Properties); err != nil {
		return lb, fmt.Errorf("%s: %w", r.PhysicalID, err)
	}
	lb.LoadBalancerArn, lb.LoadBalancerName, lb.CreatedTime = aws.String(r.PhysicalID), aws.String(elbName(r)), aws.Time(r.Created)
	lb.DNSName, lb.CanonicalHostedZoneId = some(account.Text(r.Attributes, "DNSName")), some(account.Text(r.Attributes, "CanonicalHostedZoneID"))
	for _, s := range v.subnetsAmong(account.Texts(r.Properties, "Subnets")) {
		lb.AvailabilityZones = append(lb.AvailabilityZones, types.AvailabilityZone{SubnetId: aws.String(s.PhysicalID), ZoneName: some(zoneOf(s))})
		lb.VpcId = some(account.Text(s.Properties, "VpcId"))
	}
	for _, now := range v.status.LoadBalancers {
		if now.ID != r.ID {
			continue
		}
		if now.Error != "" {
			lb.State = &types.LoadBalancerState{Code: types.LoadBalancerStateEnumFailed, Reason: aws.String(now.Error)}
		}
		if lb.DNSName == nil {
			lb.DNSName = aws.String(now.DNSName)
		}
	}
	return lb, nil
}

// Attributes that a load balancer and a target group have by default, in the
// order of AWS's documentation.
var (
	balancerDefaults = []string{"deletion_protection.enabled", "false", "access_logs.s3.enabled", "false", "access_logs.s3.bucket", "",
		"access_logs.s3.prefix", "", "ipv6.deny_all_igw_traffic", "false", "idle_timeout.timeout_seconds", "60",
		"client_keep_alive.seconds", "3600", "connection_logs.s3.enabled", "false", "load_balancing.cross_zone.enabled", "true",
		"routing.http.desync_mitigation_mode", "defensive", "routing.http.drop_invalid_header_fields.enabled", "false",
		"routing.http.preserve_host_header.enabled", "false", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false",
		"routing.http.xff_client_port.enabled", "false", "routing.http.xff_header_processing.mode", "append",
		"routing.http2.enabled", "true", "waf.fail_open.enabled", "false"}
	groupDefaults = []string{"deregistration_delay.timeout_seconds", "300", "stickiness.enabled", "false", "stickiness.type", "lb_cookie",
		"stickiness.lb_cookie.duration_seconds", "86400", "load_balancing.algorithm.type", "round_robin",
		"load_balancing.cross_zone.enabled", "use_load_balancer_configuration", "slow_start.duration_seconds", "0",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off",
		"target_group_health.dns_failover.minimum_healthy_targets.count", "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"}
)

// attributesOf are a resource's attributes, the template's over the defaults.
func attributesOf(r account.Resource, property string, defaults []string, add func(key, value string)) {
	keys, values := pairs(r, property)
	for i := 0; i < len(defaults); i += 2 {
		if v, ok := values[defaults[i]]; ok {
			add(defaults[i], v)
		} else {
			add(defaults[i], defaults[i+1])
		}
	}
	for _, k := range keys {
		if i := slices.Index(defaults, k); i < 0 || i%2 != 0 {
			add(k, values[k])
		}
	}
}

func (a *API) describeLoadBalancerAttributes(_ context.Context, in *elb.DescribeLoadBalancerAttributesInput) (
	*elb.DescribeLoadBalancerAttributesOutput, error,
) {
	r, ok := a.resources().find(typeLoadBalancer, aws.ToString(in.LoadBalancerArn))
	if !ok {
		return nil, &types.LoadBalancerNotFoundException{Message: aws.String("Load balancer '" + aws.ToString(in.LoadBalancerArn) + "' not found")}
	}
	out := &elb.DescribeLoadBalancerAttributesOutput{}
	attributesOf(r, "LoadBalancerAttributes", balancerDefaults, func(k, v string) {
		out.Attributes = append(out.Attributes, types.LoadBalancerAttribute{Key: aws.String(k), Value: aws.String(v)})
	})
	return out, nil
}

func (a *API) describeTargetGroupAttributes(_ context.Context, in *elb.DescribeTargetGroupAttributesInput) (
	*elb.DescribeTargetGroupAttributesOutput, error,
) {
	r, ok := a.resources().find(typeTargetGroup, aws.ToString(in.TargetGroupArn))
	if !ok {
		return nil, noGroup()
	}
	out := &elb.DescribeTargetGroupAttributesOutput{}
	attributesOf(r, "TargetGroupAttributes", groupDefaults, func(k, v string) {
		out.Attributes = append(out.Attributes, types.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(v)})
	})
	return out, nil
}

func noGroup() error {
	return &types.TargetGroupNotFoundException{Message: aws.String("One or more target groups not found")}
}

func (a *API) describeListeners(_ context.Context, in *elb.DescribeListenersInput) (*elb.DescribeListenersOutput, error) {
	v := a.resources()
	list, err := v.chosen(typeListener, in.ListenerArns, nil, &types.ListenerNotFoundException{Message: aws.String("One or more listeners not found")})
	if err != nil {
		return nil, err
	}
	if lb := aws.ToString(in.LoadBalancerArn); lb != "" {
		if _, ok := v.find(typeLoadBalancer, lb); !ok {
			return nil, &types.LoadBalancerNotFoundException{Message: aws.String("One or more load balancers not found")}
		}
		list = slices.DeleteFunc(list, func(r account.Resource) bool { return account.Text(r.Properties, "LoadBalancerArn") != lb })
	}
	list, next := page(list, in.Marker, pageSize(in.PageSize), physical)
	out := &elb.DescribeListenersOutput{Listeners: []types.Listener{}, NextMarker: next}
	for _, r := range list {
		l := types.Listener{}
		if err := wire.Into(&l, r.Properties); err != nil {
			return nil, fmt.Errorf("%s: %w", r.PhysicalID, err)
		}
		l.ListenerArn, l.DefaultActions = aws.String(r.PhysicalID), spelledOut(l.DefaultActions)
		out.Listeners = append(out.Listeners, l)
	}
	return out, nil
}

// spelledOut writes an action that forwards to one group in both of its forms,
// as AWS does.
func spelledOut(actions []types.Action) []types.Action {
	for i := range actions {
		c := &actions[i]
		if c.TargetGroupArn != nil && c.ForwardConfig == nil {
			c.ForwardConfig = &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: c.TargetGroupArn,
				Weight: aws.Int32(1)}},
				TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: aws.Bool(false)}}
		} else if f := c.ForwardConfig; f != nil && len(f.TargetGroups) == 1 && c.TargetGroupArn == nil {
			c.TargetGroupArn = f.TargetGroups[0].TargetGroupArn
		}
	}
	return actions
}

func (a *API) describeRules(_ context.Context, in *elb.DescribeRulesInput) (*elb.DescribeRulesOutput, error) {
	v := a.resources()
	out := &elb.DescribeRulesOutput{Rules: []types.Rule{}}
	for _, r := range v.of(typeRule) {
		rule := types.Rule{IsDefault: aws.Bool(false)}
		if err := wire.Into(&rule, r.Properties); err != nil {
			return nil, fmt.Errorf("%s: %w", r.PhysicalID, err)
		}
		rule.RuleArn, rule.Actions = aws.String(r.PhysicalID), spelledOut(rule.Actions)
		if wanted(in, r.PhysicalID, account.Text(r.Properties, "ListenerArn")) {
			out.Rules = append(out.Rules, rule)
		}
	}
	slices.SortStableFunc(out.Rules, func(x, y types.Rule) int { return priority(x) - priority(y) })
	found := false
	for _, l := range v.of(typeListener) {
		found = found || l.PhysicalID == aws.ToString(in.ListenerArn)
		rule := types.Rule{IsDefault: aws.Bool(true), Priority: aws.String("default"), Conditions: []types.RuleCondition{},
			RuleArn: aws.String(strings.Replace(l.PhysicalID, ":listener/", ":listener-rule/", 1) + "/" + hexID("", 16, "default", l.PhysicalID))}
		props := map[string]any{"Actions": l.Properties["DefaultActions"]}
		if err := wire.Into(&rule, props); err != nil {
			return nil, fmt.Errorf("%s: %w", l.PhysicalID, err)
		}
		rule.Actions = spelledOut(rule.Actions)
		if wanted(in, *rule.RuleArn, l.PhysicalID) {
			out.Rules = append(out.Rules, rule)
		}
	}
	if in.ListenerArn != nil && !found {
		return nil, &types.ListenerNotFoundException{Message: aws.String("One or more listeners not found")}
	}
	if len(in.RuleArns) > len(out.Rules) {
		return nil, &types.RuleNotFoundException{Message: aws.String("One or more rules not found")}
	}
	out.Rules, out.NextMarker = page(out.Rules, in.Marker, pageSize(in.PageSize), func(r types.Rule) string { return *r.RuleArn })
	return out, nil
}

func wanted(in *elb.DescribeRulesInput, rule, listener string) bool {
	if len(in.RuleArns) > 0 {
		return slices.Contains(in.RuleArns, rule)
	}
	return in.ListenerArn == nil || *in.ListenerArn == listener
}

func priority(r types.Rule) int {
	n, _ := strconv.Atoi(aws.ToString(r.Priority))
	return n
}
