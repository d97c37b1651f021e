package terraform

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	balancerTypes = []string{"aws_lb", "aws_alb"}
	listenerTypes = []string{"aws_lb_listener", "aws_alb_listener"}
	targetsTypes  = []string{"aws_lb_target_group", "aws_alb_target_group"}
)

// balancerAttributes maps arguments of aws_lb to load balancer attributes.
var balancerAttributes = map[string]string{
	"idle_timeout":                     "idle_timeout.timeout_seconds",
	"client_keep_alive":                "client_keep_alive.seconds",
	"desync_mitigation_mode":           "routing.http.desync_mitigation_mode",
	"drop_invalid_header_fields":       "routing.http.drop_invalid_header_fields.enabled",
	"enable_cross_zone_load_balancing": "load_balancing.cross_zone.enabled",
	"enable_deletion_protection":       "deletion_protection.enabled",
	"enable_http2":                     "routing.http2.enabled",
	"enable_xff_client_port":           "routing.http.xff_client_port.enabled",
	"preserve_host_header":             "routing.http.preserve_host_header.enabled",
	"xff_header_processing_mode":       "routing.http.xff_header_processing.mode",
}

// targetsAttributes maps arguments of aws_lb_target_group to its attributes.
var targetsAttributes = map[string]string{
	"deregistration_delay":              "deregistration_delay.timeout_seconds",
	"preserve_client_ip":                "preserve_client_ip.enabled",
	"slow_start":                        "slow_start.duration_seconds",
	"load_balancing_algorithm_type":     "load_balancing.algorithm.type",
	"load_balancing_cross_zone_enabled": "load_balancing.cross_zone.enabled",
}

func (b *builder) loadBalancer(inst *resource.Instance) {
	lb := &topology.LoadBalancer{
		Origin:        b.at,
		Name:          b.label(inst.Body, "name"),
		Kind:          "application",
		Internal:      b.boolean(inst.Body, "internal"),
		IPAddressType: b.text(inst.Body, "ip_address_type"),
		Groups:        b.groupIDs(inst.Body, "security_groups"),
		PrivateLink:   b.text(inst.Body, "enforce_security_group_inbound_rules_on_private_link_traffic"),
		Subnets:       b.ids(inst.Body, "subnets", subnetTypes...),
		Attributes:    b.keyed(inst.Body, balancerAttributes),
	}
	if kind := b.text(inst.Body, "load_balancer_type"); !kind.IsAbsent() {
		lb.Kind = kind.Or("unknown")
	}
	if lb.Internal.IsAbsent() {
		lb.Internal = topology.Known(false) // the default is internet-facing
	}
	mappings, open := b.blocks(inst.Body, "subnet_mapping")
	for _, m := range mappings {
		lb.Subnets = append(lb.Subnets, b.id(m, "subnet_id", subnetTypes...))
	}
	if open != "" {
		lb.Subnets = append(lb.Subnets, topology.Unknown[topology.ID](open))
	}
	if logs, _ := b.one(inst.Body, "access_logs"); logs != nil {
		lb.Attributes["access_logs.s3.enabled"] = orText(b.text(logs, "enabled"), "false")
	}
	b.t.LoadBalancers = append(b.t.LoadBalancers, lb)
	b.of[inst.Address] = lb
}

func orText(o topology.Opt[string], def string) topology.Opt[string] {
	if o.IsAbsent() {
		return topology.Known(def)
	}
	return o
}

func orInt(o topology.Opt[int], def int) topology.Opt[int] {
	if o.IsAbsent() {
		return topology.Known(def)
	}
	return o
}

func (b *builder) targetGroup(inst *resource.Instance) {
	g := &topology.TargetGroup{
		Origin:          b.at,
		Name:            b.label(inst.Body, "name"),
		VPC:             b.id(inst.Body, "vpc_id", vpcTypes...),
		Port:            b.integer(inst.Body, "port"),
		Protocol:        b.text(inst.Body, "protocol"),
		ProtocolVersion: b.text(inst.Body, "protocol_version"),
		TargetType:      b.text(inst.Body, "target_type"),
		Attributes:      b.keyed(inst.Body, targetsAttributes),
		Health:          b.healthCheck(inst.Body),
	}
	if sticky, _ := b.one(inst.Body, "stickiness"); sticky != nil {
		// A stickiness block turns it on unless it says otherwise.
		g.Attributes["stickiness.enabled"] = orText(b.text(sticky, "enabled"), "true")
		for name, o := range b.keyed(sticky, map[string]string{"type": "stickiness.type",
			"cookie_duration": "stickiness.lb_cookie.duration_seconds"}) {
			g.Attributes[name] = o
		}
	}
	routing := b.inner(b.inner(inst.Body, "target_group_health"), "unhealthy_state_routing")
	for name, o := range b.keyed(routing, map[string]string{
		"minimum_healthy_targets_count":      "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
		"minimum_healthy_targets_percentage": "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
	}) {
		g.Attributes[name] = o
	}
	b.t.TargetGroups = append(b.t.TargetGroups, g)
	b.of[inst.Address] = g
}

// healthCheck reads the health_check block. The provider sends its own
// default of 3 for both thresholds when the block does not set them, and
// nothing at all without the block; then the API's 5 and 2 hold.
// Source: hashicorp/terraform-provider-aws, internal/service/elbv2/target_group.go.
func (b *builder) healthCheck(body *resource.Body) topology.HealthCheck {
	h, open := b.one(body, "health_check")
	if h == nil {
		if open == "" {
			return topology.HealthCheck{}
		}
		return topology.HealthCheck{
			Enabled: topology.Unknown[bool](open), Protocol: topology.Unknown[string](open), Port: topology.Unknown[string](open),
			Path: topology.Unknown[string](open), Matcher: topology.Unknown[string](open),
			IntervalSeconds: topology.Unknown[int](open), TimeoutSeconds: topology.Unknown[int](open),
			HealthyThreshold: topology.Unknown[int](open), UnhealthyThreshold: topology.Unknown[int](open),
		}
	}
	return topology.HealthCheck{
		Enabled:            b.boolean(h, "enabled"),
		Protocol:           b.text(h, "protocol"),
		Port:               nonEmpty(b.text(h, "port")),
		Path:               nonEmpty(b.text(h, "path")),
		IntervalSeconds:    b.integer(h, "interval"),
		TimeoutSeconds:     nonZero(b.integer(h, "timeout")),
		HealthyThreshold:   orInt(b.integer(h, "healthy_threshold"), 3),
		UnhealthyThreshold: orInt(b.integer(h, "unhealthy_threshold"), 3),
		Matcher:            nonEmpty(b.text(h, "matcher")),
	}
}

// nonEmpty and nonZero drop what the provider takes for "not set".
func nonEmpty(o topology.Opt[string]) topology.Opt[string] {
	if s, ok := o.Get(); ok && s == "" {
		return topology.Opt[string]{}
	}
	return o
}

func nonZero(o topology.Opt[int]) topology.Opt[int] {
	if n, ok := o.Get(); ok && n == 0 {
		return topology.Opt[int]{}
	}
	return o
}

// attachment registers a static target.
func (b *builder) attachment(inst *resource.Instance) {
	t := topology.Target{Origin: b.at, Port: b.integer(inst.Body, "port")}
	id := inst.Body.Ref("target_id")
	text, ok := id.Get()
	address, _, symbol := resource.ParseSymbol(text)
	_, notIP := netip.ParseAddr(text)
	to := b.byAddress[address]
	switch {
	case symbol && to != nil && strings.HasPrefix(to.Type, "aws_lambda_"):
		t.IP = topology.Unknown[string](b.placed("%s is a function", address))
	case ok && (symbol || strings.HasPrefix(text, "i-")):
		t.Instance = b.ref("target_id", id, "aws_instance")
	case ok && notIP == nil:
		t.IP = id
	case ok:
		t.IP = settled(b, topology.Unknown[string](b.placed("target_id %q is neither an instance nor an address", text)))
	default:
		t.IP = settled(b, topology.Unknown[string](first(id.Why(), b.placed("the attachment names no target"))))
	}
	targets := b.id(inst.Body, "target_group_arn", targetsTypes...)
	g, ok := declared[*topology.TargetGroup](b, targets)
	if !ok {
		b.note(b.placed("the target group of the attachment is not declared here, so its target is not modelled"))
		return
	}
	g.Targets = append(g.Targets, t)
}

func (b *builder) listener(inst *resource.Instance) {
	l := &topology.Listener{
		Origin:    b.at,
		Port:      b.integer(inst.Body, "port"),
		Protocol:  b.text(inst.Body, "protocol"),
		SSLPolicy: nonEmpty(b.text(inst.Body, "ssl_policy")),
	}
	if c := nonEmpty(b.certificateARN(inst.Body)); !c.IsAbsent() {
		l.Certificates = append(l.Certificates, c)
	}
	b.of[inst.Address] = l
}

// certificateARN names a certificate: its ARN, or the resource it comes from.
func (b *builder) certificateARN(body *resource.Body) topology.Opt[string] {
	o := body.Ref("certificate_arn")
	if s, ok := o.Get(); ok {
		return topology.Known(resource.Render(s))
	}
	return o
}

// attachListener reads what a listener refers to and puts it on its load balancer.
func (b *builder) attachListener(inst *resource.Instance) {
	l := b.of[inst.Address].(*topology.Listener)
	l.Default = b.actions(inst.Body, "default_action")
	lb := b.balancerOf(inst.Body, "load_balancer_arn")
	l.LoadBalancer = lb.ID
	lb.Listeners = append(lb.Listeners, l)
	if l.Protocol.IsAbsent() && lb.Kind == "application" {
		l.Protocol = topology.Known("HTTP") // the provider's default for Application Load Balancers
	}
}

// balancerOf returns the load balancer that an attribute refers to, or an
// entry for one that is not declared here.
func (b *builder) balancerOf(body *resource.Body, name string) *topology.LoadBalancer {
	id := b.id(body, name, append(balancerTypes, listenerTypes...)...)
	if lb, ok := declared[*topology.LoadBalancer](b, id); ok {
		return lb
	}
	known, ok := id.Get()
	if !ok {
		known = b.at.ID + ".load_balancer"
	}
	why := first(id.Why(), b.placed("%s: %s is not declared in this configuration", name, known))
	b.note(why)
	lb := &topology.LoadBalancer{
		Origin: topology.Origin{ID: known, File: b.at.File, Line: b.at.Line}, Kind: "unknown",
		Internal: topology.Unknown[bool](why),
		Groups:   []topology.Opt[topology.ID]{topology.Unknown[topology.ID](why)},
		Subnets:  []topology.Opt[topology.ID]{topology.Unknown[topology.ID](why)},
	}
	b.t.LoadBalancers = append(b.t.LoadBalancers, lb)
	b.of[string(known)] = lb
	return lb
}

func (b *builder) listenerRule(inst *resource.Instance) {
	rule := &topology.ListenerRule{
		Origin:   b.at,
		Priority: b.integer(inst.Body, "priority"),
		Actions:  b.actions(inst.Body, "action"),
	}
	conditions, open := b.blocks(inst.Body, "condition")
	for _, c := range conditions {
		rule.Conditions = append(rule.Conditions, b.conditions(c)...)
	}
	if open != "" {
		rule.Conditions = append(rule.Conditions, topology.Condition{Field: "unknown"})
	}
	l := b.listenerOf(inst.Body)
	l.Rules = append(l.Rules, rule)
}

// listenerOf returns the listener that listener_arn refers to, or an entry
// that stands for one that is not declared here.
func (b *builder) listenerOf(body *resource.Body) *topology.Listener {
	id := b.id(body, "listener_arn", listenerTypes...)
	if l, ok := declared[*topology.Listener](b, id); ok {
		return l
	}
	lb := b.balancerOf(body, "listener_arn")
	if len(lb.Listeners) > 0 {
		return lb.Listeners[0]
	}
	why := fmt.Sprintf("listener %s is not declared in this configuration", lb.ID)
	l := &topology.Listener{
		Origin: lb.Origin, LoadBalancer: lb.ID,
		Port: topology.Unknown[int](why), Protocol: topology.Unknown[string](why),
		Default: []topology.Action{{Type: "unknown"}},
	}
	lb.Listeners = append(lb.Listeners, l)
	return l
}

// certificate adds a further certificate to a listener.
func (b *builder) certificate(inst *resource.Instance) {
	l, ok := declared[*topology.Listener](b, b.id(inst.Body, "listener_arn", listenerTypes...))
	if ok {
		l.Certificates = append(l.Certificates, b.certificateARN(inst.Body))
	}
}

// actions reads the actions of a listener or rule in their order.
func (b *builder) actions(body *resource.Body, name string) []topology.Action {
	blocks, open := b.blocks(body, name)
	slices.SortStableFunc(blocks, func(x, y *resource.Body) int {
		return cmp.Compare(x.Int("order").Or(0), y.Int("order").Or(0))
	})
	var out []topology.Action
	for _, a := range blocks {
		out = append(out, b.action(a))
	}
	if open != "" {
		out = append(out, topology.Action{Type: "unknown"})
	}
	return out
}

func (b *builder) action(body *resource.Body) topology.Action {
	typ, ok := b.text(body, "type").Get()
	if !ok {
		return topology.Action{Type: "unknown"}
	}
	a := topology.Action{Type: typ}
	switch typ {
	case "forward":
		a.Forward = b.forward(body)
	case "redirect":
		r := b.inner(body, "redirect")
		a.Redirect = &topology.Redirect{
			Protocol: b.written(r, "protocol"), Host: b.written(r, "host"), Port: b.written(r, "port"),
			Path: b.written(r, "path"), Query: b.written(r, "query"), Status: b.written(r, "status_code"),
		}
	case "fixed-response":
		f := b.inner(body, "fixed_response")
		a.Fixed = &topology.FixedResponse{
			Status: b.written(f, "status_code"), ContentType: b.written(f, "content_type"), Body: b.written(f, "message_body"),
		}
	}
	return a
}

// forward reads the one target group of an action, or its weighted groups.
func (b *builder) forward(body *resource.Body) []topology.WeightedTarget {
	if f, open := b.one(body, "forward"); f != nil {
		groups, more := b.blocks(f, "target_group")
		var out []topology.WeightedTarget
		for _, g := range groups {
			w := b.integer(g, "weight")
			t := topology.WeightedTarget{Group: b.id(g, "arn", targetsTypes...), Weight: w.Or(1)}
			if w.IsUnknown() { // it may get any share, also none
				t.Group = topology.Unknown[topology.ID](w.Why())
			}
			out = append(out, t)
		}
		if why := first(open, more); why != "" {
			out = append(out, topology.WeightedTarget{Group: topology.Unknown[topology.ID](why), Weight: 1})
		}
		return out
	}
	id := b.id(body, "target_group_arn", targetsTypes...)
	if id.IsAbsent() {
		id = settled(b, topology.Unknown[topology.ID](b.placed("the forward action names no target group")))
	}
	return []topology.WeightedTarget{{Group: id, Weight: 1}}
}

// conditionBlocks maps the block of a condition to the field of the model.
var conditionBlocks = map[string]string{
	"path_pattern":        "path-pattern",
	"host_header":         "host-header",
	"http_header":         "http-header",
	"http_request_method": "http-request-method",
	"source_ip":           "source-ip",
}

// conditions reads a condition block. Before version 3 of the provider it
// held field and values itself.
func (b *builder) conditions(body *resource.Body) []topology.Condition {
	if field, ok := b.text(body, "field").Get(); ok {
		return []topology.Condition{{Field: field, Values: b.texts(body, "values")}}
	}
	var out []topology.Condition
	for _, name := range sortedKeys(conditionBlocks) {
		c, open := b.one(body, name)
		if c == nil {
			if open != "" {
				out = append(out, topology.Condition{Field: "unknown"})
			}
			continue
		}
		cond := topology.Condition{Field: conditionBlocks[name], Name: b.written(c, "http_header_name"), Values: b.texts(c, "values")}
		if c.Has("regex_values") && len(c.Strings("regex_values")) > 0 {
			why := at(c) + ": regular expressions in a listener rule are not evaluated"
			b.note(why)
			cond.Values = append(cond.Values, topology.Unknown[string](why))
		}
		out = append(out, cond)
	}
	queries, open := b.blocks(body, "query_string")
	if open != "" {
		return append(out, topology.Condition{Field: "unknown"})
	}
	if len(queries) > 0 {
		cond := topology.Condition{Field: "query-string"}
		for _, q := range queries {
			cond.Query = append(cond.Query, topology.KeyValue{Key: b.written(q, "key"), Value: b.written(q, "value")})
		}
		out = append(out, cond)
	}
	if len(out) == 0 {
		b.note(at(body) + ": the condition is of a kind that is not modelled")
		out = append(out, topology.Condition{Field: "unknown"})
	}
	return out
}

// decodeBase64 returns the script of an instance that gives it encoded.
func decodeBase64(b *builder, s string) topology.Opt[string] {
	script, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return topology.Unknown[string](b.placed("user_data_base64 is not base64"))
	}
	return topology.Known(string(script))
}
