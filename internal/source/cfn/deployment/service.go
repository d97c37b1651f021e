package deployment

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

func (b *builder) service(r *cfn.Resource) *topology.Service {
	vpc := r.Prop("NetworkConfiguration", "AwsvpcConfiguration")
	deploy := r.Prop("DeploymentConfiguration")
	s := &topology.Service{
		Origin:                b.at,
		Name:                  b.label(r.Prop("ServiceName")),
		Cluster:               b.cluster(r.Prop("Cluster")),
		DesiredCount:          b.integer(r.Prop("DesiredCount")),
		LaunchType:            b.text(r.Prop("LaunchType")),
		PlatformVersion:       b.text(r.Prop("PlatformVersion")),
		Groups:                b.groupIDs(vpc.Get("SecurityGroups")),
		Subnets:               b.ids(vpc.Get("Subnets"), "AWS::EC2::Subnet", "SubnetId"),
		AssignPublicIP:        b.text(vpc.Get("AssignPublicIp")),
		GraceSeconds:          b.integer(r.Prop("HealthCheckGracePeriodSeconds")),
		DeploymentController:  b.text(r.Prop("DeploymentController", "Type")),
		CircuitBreaker:        b.boolean(deploy.At("DeploymentCircuitBreaker", "Enable")),
		Rollback:              b.boolean(deploy.At("DeploymentCircuitBreaker", "Rollback")),
		Strategy:              b.text(deploy.Get("Strategy")),
		MinimumHealthyPercent: b.integer(deploy.Get("MinimumHealthyPercent")),
		MaximumPercent:        b.integer(deploy.Get("MaximumPercent")),
		ExecuteCommand:        b.boolean(r.Prop("EnableExecuteCommand")),
	}
	for _, v := range r.Prop("LoadBalancers").Each() {
		s.LoadBalancers = append(s.LoadBalancers, b.serviceTarget(v))
	}
	if v := r.Prop("VpcLatticeConfigurations"); !v.IsAbsent() {
		s.OtherBalancing = v.Pos().String() + ": VPC Lattice is not modelled"
	}
	for _, v := range r.Prop("ServiceRegistries").Each() {
		if reg, ok := isRef(v.Get("RegistryArn"), "AWS::ServiceDiscovery::Service", "Arn", ""); ok {
			s.Registries = append(s.Registries, topology.ID(reg.Name()))
		}
	}
	s.Task, s.TaskUnknown = b.taskOf(r.Prop("TaskDefinition"))
	s.Connect, s.ConnectUnknown = b.serviceConnect(r)
	return s
}

// cluster names the cluster: its ID when it is declared, else as written.
func (b *builder) cluster(v cfn.Value) topology.Opt[string] {
	if r, ok := isRef(v, "AWS::ECS::Cluster", "", "Arn"); ok {
		return topology.Known(r.Name())
	}
	return b.text(v)
}

func (b *builder) serviceTarget(v cfn.Value) topology.ServiceTarget {
	return topology.ServiceTarget{
		Group:     b.targetsID(v),
		Alternate: b.id(v.At("AdvancedConfiguration", "AlternateTargetGroupArn"), typeTargets, "TargetGroupArn"),
		Container: b.text(v.Get("ContainerName")),
		Port:      b.integer(v.Get("ContainerPort")),
	}
}

func (b *builder) taskOf(v cfn.Value) (*topology.TaskDefinition, string) {
	if r, ok := isRef(v, "AWS::ECS::TaskDefinition", "", "TaskDefinitionArn"); ok {
		if d, ok := b.of[r].(*topology.TaskDefinition); ok {
			return d, ""
		}
	}
	if v.IsAbsent() {
		why := fmt.Sprintf("%s:%d: the service names no task definition", b.at.File, b.at.Line)
		b.note("%s", why)
		return nil, why
	}
	if d := b.family(v); d != nil {
		return d, ""
	}
	return nil, b.why(v, "a task definition of these templates")
}

// family returns the one declared task definition of the family that v names,
// with or without a revision. Equal symbols name the same family.
func (b *builder) family(v cfn.Value) *topology.TaskDefinition {
	want := v.Same()
	if t, ok := v.Text(); ok {
		name, _, _ := strings.Cut(t[strings.LastIndexByte(t, '/')+1:], ":")
		want = "=" + name
	}
	var found *topology.TaskDefinition
	b.eachTask(func(r *cfn.Resource, d *topology.TaskDefinition) {
		if key := r.Prop("Family").Same(); key != "" && key == want {
			found = d
		}
	})
	return found
}

func (b *builder) eachTask(f func(*cfn.Resource, *topology.TaskDefinition)) {
	for _, s := range b.asm.Stacks {
		for _, r := range s.Resources {
			if d, ok := b.of[r].(*topology.TaskDefinition); ok {
				f(r, d)
			}
		}
	}
}

// serviceConnect reads ServiceConnectConfiguration; nil and "" when there is none.
func (b *builder) serviceConnect(r *cfn.Resource) (*topology.ServiceConnect, string) {
	v := r.Prop("ServiceConnectConfiguration")
	switch v.Kind() {
	case cfn.Absent:
		return nil, ""
	case cfn.Map:
	default:
		return nil, b.why(v, "a Service Connect configuration")
	}
	c := &topology.ServiceConnect{
		Enabled:   b.boolean(v.Get("Enabled")),
		HasLog:    !v.Get("LogConfiguration").IsAbsent(),
		AccessLog: b.text(v.At("AccessLogConfiguration", "Format")),
	}
	query := b.text(v.At("AccessLogConfiguration", "IncludeQueryParameters"))
	switch q, ok := query.Get(); {
	case ok:
		c.AccessQuery = topology.Known(q == "ENABLED")
	case query.IsUnknown():
		c.AccessQuery = topology.Unknown[bool](query.Why())
	}
	b.useNamespace(c, v.Get("Namespace"))
	if enabled, ok := c.Enabled.Get(); v.Get("Namespace").IsAbsent() && (enabled || !ok) {
		b.clusterNamespace(c, r.Prop("Cluster"))
	}
	services := v.Get("Services")
	switch services.Kind() {
	case cfn.Absent, cfn.List:
	default:
		c.Uncertain = b.why(services, "a list of endpoints")
	}
	for _, e := range services.Items() {
		if e.Kind() != cfn.Map {
			c.Uncertain = first(c.Uncertain, b.why(e, "an endpoint"))
			continue
		}
		c.Endpoints = append(c.Endpoints, b.endpoint(e))
	}
	return c, ""
}

// useNamespace records which namespace v means and how it says so.
func (b *builder) useNamespace(c *topology.ServiceConnect, v cfn.Value) {
	if v.IsAbsent() {
		return
	}
	if r, via := namespaceRef(v); r != nil {
		if _, ok := b.of[r].(*topology.Namespace); ok {
			c.Namespace, c.NamespaceByID, c.NamespaceVia = topology.Known(r.Name()), true, via
			return
		}
	}
	if n := b.sameName(v); n != nil {
		c.Namespace, c.NamespaceByID, c.NamespaceVia = topology.Known(string(n.ID)), true, "name"
		return
	}
	if id := b.identity(v); id != "" && v.IsUnknown() {
		c.Namespace = topology.Known(string(id)) // which it is is not settled, but it is one for all that use it
		return
	}
	c.Namespace = b.text(v)
	text, ok := c.Namespace.Get()
	switch {
	case !ok:
		return
	case strings.HasPrefix(text, "arn:"):
		c.NamespaceVia = "arn"
	case strings.HasPrefix(text, "ns-"):
		c.NamespaceVia = "id"
	default:
		c.NamespaceVia = "name"
		b.declaredNamespace(c, text)
	}
}

// sameName returns the one declared namespace whose name is certainly v,
// although what v will be is settled at deploy.
func (b *builder) sameName(v cfn.Value) *topology.Namespace {
	key := v.Same()
	if key == "" || !v.IsUnknown() {
		return nil
	}
	var found *topology.Namespace
	for _, s := range b.asm.Stacks {
		for _, r := range s.Resources {
			if n, ok := b.of[r].(*topology.Namespace); ok && r.Prop("Name").Same() == key {
				if found != nil {
					return nil
				}
				found = n
			}
		}
	}
	return found
}

// namespaceRef returns the namespace that v refers to and whether by "arn" or
// "id". An ARN may be spelled out around the id.
func namespaceRef(v cfn.Value) (*cfn.Resource, string) {
	if ref, ok := v.Ref(); ok {
		switch ref.Attr {
		case "Arn":
			return ref.Resource, "arn"
		case "", "Id":
			return ref.Resource, "id"
		}
		return nil, ""
	}
	parts := v.Parts()
	if n := len(parts); n > 1 && strings.HasSuffix(parts[n-2].Pattern(), ":namespace/") {
		if ref, ok := parts[n-1].Ref(); ok && (ref.Attr == "" || ref.Attr == "Id") {
			return ref.Resource, "arn"
		}
	}
	return nil, ""
}

// declaredNamespace replaces a name by the one declared namespace that has it.
func (b *builder) declaredNamespace(c *topology.ServiceConnect, name string) {
	var found *topology.Namespace
	for _, n := range b.t.Namespaces {
		if t, ok := n.Name.Get(); ok && t == name {
			if found != nil {
				return
			}
			found = n
		}
	}
	if found != nil {
		c.Namespace, c.NamespaceByID = topology.Known(string(found.ID)), true
	}
}

// clusterNamespace applies the cluster's default to a service that names no namespace.
func (b *builder) clusterNamespace(c *topology.ServiceConnect, v cfn.Value) {
	r, ok := isRef(v, "AWS::ECS::Cluster", "", "Arn")
	if !ok {
		why := fmt.Sprintf("%s:%d: the service names no namespace, and its cluster, whose default would apply, is not declared here", b.at.File, b.at.Line)
		b.note("%s", why)
		c.Namespace = topology.Unknown[string](why)
		return
	}
	b.useNamespace(c, r.Prop("ServiceConnectDefaults", "Namespace"))
	c.NamespaceFromCluster, c.NoNamespace = !c.Namespace.IsAbsent(), c.Namespace.IsAbsent()
}

func (b *builder) endpoint(v cfn.Value) topology.Endpoint {
	e := topology.Endpoint{
		PortName:            b.text(v.Get("PortName")),
		DiscoveryName:       b.text(v.Get("DiscoveryName")),
		IngressPortOverride: b.integer(v.Get("IngressPortOverride")),
		IdleTimeoutSeconds:  b.integer(v.At("Timeout", "IdleTimeoutSeconds")),
		PerRequestSeconds:   b.integer(v.At("Timeout", "PerRequestTimeoutSeconds")),
		TLS:                 b.present(v.Get("Tls")),
	}
	for _, a := range v.Get("ClientAliases").Each() {
		e.Aliases = append(e.Aliases, topology.Alias{Port: b.integer(a.Get("Port")), DNSName: b.text(a.Get("DnsName")),
			TestHeader: b.text(a.At("TestTrafficRules", "Header", "Name"))})
	}
	return e
}
