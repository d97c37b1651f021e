package deployment

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

const (
	typeBalancer = "AWS::ElasticLoadBalancingV2::LoadBalancer"
	typeListener = "AWS::ElasticLoadBalancingV2::Listener"
	typeTargets  = "AWS::ElasticLoadBalancingV2::TargetGroup"
)

func (b *builder) loadBalancer(r *cfn.Resource) *topology.LoadBalancer {
	lb := &topology.LoadBalancer{
		Origin:        b.at,
		Name:          b.label(r.Prop("Name")),
		Kind:          b.text(r.Prop("Type")).Or("application"),
		IPAddressType: b.text(r.Prop("IpAddressType")),
		Groups:        b.groupIDs(r.Prop("SecurityGroups")),
		PrivateLink:   b.text(r.Prop("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")),
		Subnets:       b.ids(r.Prop("Subnets"), "AWS::EC2::Subnet", "SubnetId"),
		Attributes:    b.keyed(r.Prop("LoadBalancerAttributes"), "Key", "Value"),
	}
	for _, m := range r.Prop("SubnetMappings").Each() {
		lb.Subnets = append(lb.Subnets, b.id(m.Get("SubnetId"), "AWS::EC2::Subnet", "SubnetId"))
	}
	scheme := b.text(r.Prop("Scheme"))
	switch s, ok := scheme.Get(); {
	case ok:
		lb.Internal = topology.Known(s == "internal")
	case scheme.IsUnknown():
		lb.Internal = topology.Unknown[bool](scheme.Why())
	default:
		lb.Internal = topology.Known(false) // the scheme's default is internet-facing
	}
	return lb
}

func (b *builder) targetGroup(r *cfn.Resource) *topology.TargetGroup {
	g := &topology.TargetGroup{
		Origin:          b.at,
		Name:            b.label(r.Prop("Name")),
		VPC:             b.id(r.Prop("VpcId"), "AWS::EC2::VPC", "VpcId"),
		Port:            b.integer(r.Prop("Port")),
		Protocol:        b.text(r.Prop("Protocol")),
		ProtocolVersion: b.text(r.Prop("ProtocolVersion")),
		TargetType:      b.text(r.Prop("TargetType")),
		Attributes:      b.keyed(r.Prop("TargetGroupAttributes"), "Key", "Value"),
		Health: topology.HealthCheck{
			Enabled:            b.boolean(r.Prop("HealthCheckEnabled")),
			Protocol:           b.text(r.Prop("HealthCheckProtocol")),
			Port:               b.text(r.Prop("HealthCheckPort")),
			Path:               b.text(r.Prop("HealthCheckPath")),
			IntervalSeconds:    b.integer(r.Prop("HealthCheckIntervalSeconds")),
			TimeoutSeconds:     b.integer(r.Prop("HealthCheckTimeoutSeconds")),
			HealthyThreshold:   b.integer(r.Prop("HealthyThresholdCount")),
			UnhealthyThreshold: b.integer(r.Prop("UnhealthyThresholdCount")),
			Matcher:            b.text(r.Prop("Matcher", "HttpCode")),
		},
	}
	if g.Health.Matcher.IsAbsent() {
		g.Health.Matcher = b.text(r.Prop("Matcher", "GrpcCode"))
	}
	for _, v := range r.Prop("Targets").Each() {
		g.Targets = append(g.Targets, b.target(v))
	}
	return g
}

// target reads a static target: an instance, or an address.
func (b *builder) target(v cfn.Value) topology.Target {
	t := topology.Target{Origin: b.at, Port: b.integer(v.Get("Port"))}
	if pos := v.Pos(); pos.File == t.File && pos.Line > 0 {
		t.Line = pos.Line
	}
	id := v.Get("Id")
	if r, ok := isRef(id, "AWS::EC2::Instance", "", "InstanceId"); ok {
		t.Instance = topology.Known(topology.ID(r.Name()))
		return t
	}
	text, ok := id.Text()
	ref, isFunction := id.Ref()
	isFunction = isFunction && (strings.HasPrefix(ref.Resource.Type, "AWS::Lambda::") || ref.Resource.Type == "AWS::Serverless::Function")
	switch {
	case isFunction:
		t.IP = topology.Unknown[string](fmt.Sprintf("%s is a function", ref.Resource.Name()))
	case ok && strings.HasPrefix(text, "i-"):
		t.Instance = topology.Known(topology.ID(text))
	case ok:
		t.IP = topology.Known(text)
	default:
		t.IP = open[string](b, id, "an instance or an address")
	}
	return t
}

func (b *builder) listener(r *cfn.Resource) *topology.Listener {
	l := &topology.Listener{
		Origin:    b.at,
		Port:      b.integer(r.Prop("Port")),
		Protocol:  b.text(r.Prop("Protocol")),
		SSLPolicy: b.text(r.Prop("SslPolicy")),
	}
	for _, c := range r.Prop("Certificates").Each() {
		l.Certificates = append(l.Certificates, b.label(c.Get("CertificateArn")))
	}
	return l
}

// attachListener reads what a listener refers to and puts it on its load balancer.
func (b *builder) attachListener(r *cfn.Resource, l *topology.Listener) {
	l.Default = b.actions(r.Prop("DefaultActions"))
	v := r.Prop("LoadBalancerArn")
	if target, ok := isRef(v, typeBalancer, "", "LoadBalancerArn"); ok {
		if lb, ok := b.of[target].(*topology.LoadBalancer); ok {
			l.LoadBalancer = lb.ID
			lb.Listeners = append(lb.Listeners, l)
			return
		}
	}
	lb := b.foreignBalancer(v, "load balancer")
	l.LoadBalancer = lb.ID
	lb.Listeners = append(lb.Listeners, l)
}

// foreignBalancer returns an entry for a load balancer that the templates use
// but do not declare; all that is known of it is what attaches to it.
func (b *builder) foreignBalancer(v cfn.Value, what string) *topology.LoadBalancer {
	id := b.identity(v)
	why := b.why(v, "a "+what+" of these templates")
	if id == "" {
		id = b.at.ID + ".LoadBalancer"
	}
	if lb := b.balancers[id]; lb != nil {
		return lb
	}
	lb := &topology.LoadBalancer{
		Origin:   topology.Origin{ID: id, Stack: b.at.Stack, File: v.Pos().File, Line: v.Pos().Line},
		Kind:     "unknown",
		Internal: topology.Unknown[bool](why),
		Groups:   []topology.Opt[topology.ID]{topology.Unknown[topology.ID](why)},
		Subnets:  []topology.Opt[topology.ID]{topology.Unknown[topology.ID](why)},
	}
	if b.balancers == nil {
		b.balancers = map[topology.ID]*topology.LoadBalancer{}
	}
	b.balancers[id] = lb
	b.t.LoadBalancers = append(b.t.LoadBalancers, lb)
	return lb
}

// listenerRule attaches a rule to its listener, or to an entry that stands
// for a listener the templates do not declare.
func (b *builder) listenerRule(r *cfn.Resource) {
	rule := &topology.ListenerRule{
		Origin:   b.at,
		Priority: b.integer(r.Prop("Priority")),
		Actions:  b.actions(r.Prop("Actions")),
	}
	for _, v := range r.Prop("Conditions").Each() {
		rule.Conditions = append(rule.Conditions, b.condition(v))
	}
	if v := r.Prop("Transforms"); !v.IsAbsent() {
		b.note("%s: transforms of a listener rule are not modelled", v.Pos())
	}
	l := b.listenerOf(r.Prop("ListenerArn"))
	l.Rules = append(l.Rules, rule)
}

func (b *builder) listenerOf(v cfn.Value) *topology.Listener {
	if target, ok := isRef(v, typeListener, "", "ListenerArn"); ok {
		if l, ok := b.of[target].(*topology.Listener); ok {
			return l
		}
	}
	lb := b.foreignBalancer(v, "listener")
	if l := b.undeclared[lb.ID]; l != nil {
		return l
	}
	why := fmt.Sprintf("listener %s is not declared in these templates", lb.ID)
	l := &topology.Listener{
		Origin: lb.Origin, LoadBalancer: lb.ID,
		Port: topology.Unknown[int](why), Protocol: topology.Unknown[string](why),
		Default: []topology.Action{{Type: "unknown"}},
	}
	b.undeclared[lb.ID] = l
	lb.Listeners = append(lb.Listeners, l)
	return l
}

func (b *builder) actions(v cfn.Value) []topology.Action {
	var out []topology.Action
	for _, item := range v.Each() {
		out = append(out, b.action(item))
	}
	return out
}

func (b *builder) action(v cfn.Value) topology.Action {
	typ, ok := b.text(v.Get("Type")).Get()
	if !ok {
		b.why(v, "an action with a type")
		return topology.Action{Type: "unknown"}
	}
	a := topology.Action{Type: typ}
	switch typ {
	case "forward":
		a.Forward = b.forward(v)
	case "redirect":
		c := v.Get("RedirectConfig")
		a.Redirect = &topology.Redirect{
			Protocol: b.written(c.Get("Protocol")), Host: b.written(c.Get("Host")), Port: b.written(c.Get("Port")),
			Path: b.written(c.Get("Path")), Query: b.written(c.Get("Query")), Status: b.written(c.Get("StatusCode")),
		}
	case "fixed-response":
		c := v.Get("FixedResponseConfig")
		a.Fixed = &topology.FixedResponse{
			Status: b.written(c.Get("StatusCode")), ContentType: b.written(c.Get("ContentType")), Body: b.written(c.Get("MessageBody")),
		}
	}
	return a
}

// forward reads the one target group of an action, or its weighted groups.
func (b *builder) forward(v cfn.Value) []topology.WeightedTarget {
	groups := v.At("ForwardConfig", "TargetGroups")
	if groups.IsAbsent() {
		return []topology.WeightedTarget{{Group: b.targetsID(v), Weight: 1}}
	}
	var out []topology.WeightedTarget
	for _, g := range groups.Each() {
		w := b.integer(g.Get("Weight"))
		t := topology.WeightedTarget{Group: b.targetsID(g), Weight: w.Or(1)}
		if w.IsUnknown() { // it may get any share, also none
			t.Group = topology.Unknown[topology.ID](w.Why())
		}
		out = append(out, t)
	}
	return out
}

// targetsID resolves the target group that v names. One is always meant, so
// without it the answer is unknown and not absent.
func (b *builder) targetsID(v cfn.Value) topology.Opt[topology.ID] {
	if v.Kind() == cfn.Map && v.Get("TargetGroupArn").IsAbsent() {
		return topology.Unknown[topology.ID](b.why(v, "a TargetGroupArn"))
	}
	return b.id(v.Get("TargetGroupArn"), typeTargets, "TargetGroupArn")
}

// written returns a text field as written, with what is open as ${Name}.
func (b *builder) written(v cfn.Value) string {
	if v.IsUnknown() {
		b.why(v, "text")
	}
	return v.Pattern()
}

// conditionConfigs maps the field of a condition to the property that holds
// its values in the newer form.
var conditionConfigs = map[string]string{
	"path-pattern":        "PathPatternConfig",
	"host-header":         "HostHeaderConfig",
	"http-header":         "HttpHeaderConfig",
	"http-request-method": "HttpRequestMethodConfig",
	"query-string":        "QueryStringConfig",
	"source-ip":           "SourceIpConfig",
}

func (b *builder) condition(v cfn.Value) topology.Condition {
	field, ok := b.text(v.Get("Field")).Get()
	if !ok {
		b.why(v, "a condition with a field")
		return topology.Condition{Field: "unknown"}
	}
	c := topology.Condition{Field: field}
	config := v.Get(conditionConfigs[field])
	if field == "query-string" {
		for _, q := range config.Get("Values").Each() {
			c.Query = append(c.Query, topology.KeyValue{Key: b.written(q.Get("Key")), Value: b.written(q.Get("Value"))})
		}
		return c
	}
	c.Name = b.written(config.Get("HttpHeaderName"))
	values := config.Get("Values")
	if values.IsAbsent() {
		values = v.Get("Values")
	}
	c.Values = b.texts(values)
	for _, rx := range []cfn.Value{config.Get("RegexValues"), v.Get("RegexValues")} {
		if !rx.IsAbsent() {
			why := rx.Pos().String() + ": regular expressions in a listener rule are not evaluated"
			b.note("%s", why)
			c.Values = append(c.Values, topology.Unknown[string](why))
		}
	}
	return c
}
