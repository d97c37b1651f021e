package terraform

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	namespaceTypes = []string{"aws_service_discovery_http_namespace", "aws_service_discovery_private_dns_namespace",
		"aws_service_discovery_public_dns_namespace", "aws_service_discovery_dns_namespace"}
)

func (b *builder) service(inst *resource.Instance) {
	body := inst.Body
	network, open := b.one(body, "network_configuration")
	s := &topology.Service{
		Origin:                b.at,
		Name:                  b.label(body, "name"),
		DesiredCount:          b.integer(body, "desired_count"),
		LaunchType:            b.text(body, "launch_type"),
		PlatformVersion:       b.text(body, "platform_version"),
		GraceSeconds:          b.integer(body, "health_check_grace_period_seconds"),
		DeploymentController:  b.text(b.inner(body, "deployment_controller"), "type"),
		CircuitBreaker:        b.boolean(b.inner(body, "deployment_circuit_breaker"), "enable"),
		Rollback:              b.boolean(b.inner(body, "deployment_circuit_breaker"), "rollback"),
		Strategy:              b.text(b.inner(body, "deployment_configuration"), "strategy"),
		MinimumHealthyPercent: b.integer(body, "deployment_minimum_healthy_percent"),
		MaximumPercent:        b.integer(body, "deployment_maximum_percent"),
		ExecuteCommand:        b.boolean(body, "enable_execute_command"),
	}
	// The provider sends 0 when desired_count is left out, unlike
	// CloudFormation's 1; a DAEMON service has none.
	if s.DesiredCount.IsAbsent() && body.String("scheduling_strategy").Or("REPLICA") == "REPLICA" {
		s.DesiredCount = topology.Known(0)
	}
	switch {
	case network != nil:
		s.Groups = b.groupIDs(network, "security_groups")
		s.Subnets = b.ids(network, "subnets", subnetTypes...)
		s.AssignPublicIP = enabled(b.boolean(network, "assign_public_ip"))
	case open != "":
		s.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID](open)}
		s.Subnets = []topology.Opt[topology.ID]{topology.Unknown[topology.ID](open)}
	}
	balancers, open := b.blocks(body, "load_balancer")
	for _, block := range balancers {
		s.LoadBalancers = append(s.LoadBalancers, b.serviceTarget(block))
	}
	if open != "" {
		s.LoadBalancers = append(s.LoadBalancers, topology.ServiceTarget{
			Group: topology.Unknown[topology.ID](open), Container: topology.Unknown[string](open), Port: topology.Unknown[int](open)})
	}
	cluster := b.clusterOf(body)
	s.Cluster = b.clusterName(cluster, body)
	s.Task, s.TaskUnknown = b.taskOf(body, "task_definition")
	if s.Task != nil && s.Task.NetworkMode.Or("bridge") != "awsvpc" {
		s.Nodes, s.OpenNodes = b.nodes(inst, cluster)
	}
	b.registries(s, body)
	if body.Has("vpc_lattice_configurations") {
		s.OtherBalancing = b.placed("VPC Lattice is not modelled")
	}
	s.Connect, s.ConnectUnknown = b.serviceConnect(body, cluster)
	b.t.Services = append(b.t.Services, s)
	b.of[inst.Address] = s
}

// enabled writes a boolean as ECS does; the provider's default is false.
func enabled(o topology.Opt[bool]) topology.Opt[string] {
	switch yes, ok := o.Get(); {
	case o.IsUnknown():
		return topology.Unknown[string](o.Why())
	case ok && yes:
		return topology.Known("ENABLED")
	}
	return topology.Known("DISABLED")
}

func (b *builder) serviceTarget(body *resource.Body) topology.ServiceTarget {
	group := b.id(body, "target_group_arn", targetsTypes...)
	if group.IsAbsent() {
		group = settled(b, topology.Unknown[topology.ID](at(body)+": a load balancer of the service without a target group is not modelled"))
	}
	t := topology.ServiceTarget{Group: group, Container: b.text(body, "container_name"), Port: b.integer(body, "container_port")}
	pairs, open := b.blocks(body, "advanced_configuration")
	if len(pairs) > 0 {
		t.Alternate = b.id(pairs[0], "alternate_target_group_arn", targetsTypes...)
	} else if open != "" {
		t.Alternate = topology.Unknown[topology.ID](open)
	}
	return t
}

// clusterOf returns the cluster that a service names, if it is declared here:
// by reference, or by the name that one of the declared clusters has.
func (b *builder) clusterOf(body *resource.Body) *resource.Instance {
	raw, ok := body.Raw("cluster")
	if !ok {
		return nil
	}
	if address, _, symbol := resource.ParseSymbol(raw); symbol {
		if inst := b.byAddress[address]; inst != nil && inst.Type == "aws_ecs_cluster" {
			return inst
		}
		return nil
	}
	var found *resource.Instance
	for _, inst := range b.set.Instances {
		if inst.Type != "aws_ecs_cluster" || inst.Data {
			continue
		}
		if name, ok := inst.Body.Raw("name"); ok && name == raw {
			if found != nil {
				return nil
			}
			found = inst
		}
	}
	return found
}

func (b *builder) clusterName(cluster *resource.Instance, body *resource.Body) topology.Opt[string] {
	if cluster != nil {
		return topology.Known(cluster.Address)
	}
	return b.text(body, "cluster")
}

// taskOf returns the task definition that a service runs: by reference, or
// by family. Of "family:revision" the family settles which one is meant.
func (b *builder) taskOf(body *resource.Body, name string) (*topology.TaskDefinition, string) {
	if !body.Has(name) {
		why := b.placed("the service names no task definition")
		b.note(why)
		return nil, why
	}
	raw, known := body.Raw(name)
	if symbol, ok := body.Ref(name).Get(); ok {
		if address, _, ok := resource.ParseSymbol(symbol); ok {
			if d, ok := b.of[address].(*topology.TaskDefinition); ok {
				return d, ""
			}
			if inst := b.byAddress[address]; inst != nil && inst.Data && inst.Type == "aws_ecs_task_definition" {
				return b.taskOf(inst.Body, "task_definition")
			}
		}
	}
	if family, _, hasRevision := strings.Cut(body.Prefix(name), ":"); hasRevision || known && resource.IsSettled(raw) {
		for _, inst := range b.set.Instances {
			d, ok := b.of[inst.Address].(*topology.TaskDefinition)
			if f, settled := inst.Body.Raw("family"); ok && settled && f == family {
				return d, ""
			}
		}
	}
	why := body.String(name).Why()
	if why == "" {
		why = b.placed("task definition %s is not declared in this configuration", resource.Render(raw))
	}
	b.note(why)
	return nil, why
}

// serviceConnect reads service_connect_configuration; nil and "" when there is none.
func (b *builder) serviceConnect(body *resource.Body, cluster *resource.Instance) (*topology.ServiceConnect, string) {
	v, open := b.one(body, "service_connect_configuration")
	if v == nil {
		return nil, open
	}
	log, openLog := b.one(v, "log_configuration")
	access := b.inner(v, "access_log_configuration")
	c := &topology.ServiceConnect{
		Enabled:   b.boolean(v, "enabled"),
		HasLog:    log != nil || openLog != "",
		AccessLog: b.text(access, "format"),
	}
	query := b.text(access, "include_query_parameters")
	switch q, ok := query.Get(); {
	case ok:
		c.AccessQuery = topology.Known(q == "ENABLED")
	case query.IsUnknown():
		c.AccessQuery = topology.Unknown[bool](query.Why())
	}
	switch {
	case v.Has("namespace"):
		b.useNamespace(c, v, "namespace")
	case cluster != nil && !cluster.Data:
		c.NamespaceFromCluster = true
		defaults, open := b.one(cluster.Body, "service_connect_defaults")
		switch {
		case defaults != nil:
			b.useNamespace(c, defaults, "namespace")
		case open != "":
			c.Namespace = topology.Unknown[string](open)
		}
		c.NoNamespace = c.Namespace.IsAbsent()
	default:
		c.Namespace = settled(b, topology.Unknown[string](b.placed("the service names no namespace, and its cluster, whose default would apply, is not declared here")))
	}
	endpoints, open := b.blocks(v, "service")
	c.Uncertain = open
	for _, e := range endpoints {
		c.Endpoints = append(c.Endpoints, b.endpoint(e))
	}
	return c, ""
}

// useNamespace records which namespace an attribute means and how it says so.
func (b *builder) useNamespace(c *topology.ServiceConnect, body *resource.Body, name string) {
	o := body.Ref(name)
	text, ok := o.Get()
	if !ok {
		if o.IsUnknown() {
			c.Namespace = settled(b, o)
		}
		return
	}
	if address, attr, symbol := resource.ParseSymbol(text); symbol {
		if n := b.namespaceAt(address); n != nil {
			c.Namespace, c.NamespaceByID, c.NamespaceVia = topology.Known(string(n.ID)), true, attr
			return
		}
		c.Namespace = settled(b, topology.Unknown[string](b.placed("namespace: %s is not a Cloud Map namespace", resource.Render(text))))
		return
	}
	c.Namespace = topology.Known(text)
	switch {
	case strings.HasPrefix(text, "arn:"):
		c.NamespaceVia = "arn"
	case strings.HasPrefix(text, "ns-"):
		c.NamespaceVia = "id"
	default:
		c.NamespaceVia = "name"
		b.declaredNamespace(c, text)
	}
}

// namespaceAt returns the namespace at an address. A data source makes one
// too: its name is an argument, and services that use it share it.
func (b *builder) namespaceAt(address string) *topology.Namespace {
	if n, ok := b.of[address].(*topology.Namespace); ok {
		return n
	}
	inst := b.byAddress[address]
	if inst == nil || !inst.Data || !slices.Contains(namespaceTypes, inst.Type) {
		return nil
	}
	kind := "http"
	if inst.Type == "aws_service_discovery_dns_namespace" {
		kind = "private-dns"
		if inst.Body.String("type").Or("") == "DNS_PUBLIC" {
			kind = "public-dns"
		}
	}
	n := &topology.Namespace{Origin: origin(inst), Name: b.text(inst.Body, "name"), Kind: kind}
	b.t.Namespaces = append(b.t.Namespaces, n)
	b.of[address] = n
	return n
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

// endpoint reads a service block of Service Connect.
//
// ingress_port_override = 0 means "not set": since version 4.47.0 the
// provider leaves a zero out of the request; older ones sent it, and ECS
// refused the port. In a timeout block the provider sends both fields, and a
// field that is left out goes as 0, which switches that timeout off.
// Source: hashicorp/terraform-provider-aws, internal/service/ecs/service.go and CHANGELOG.
func (b *builder) endpoint(body *resource.Body) topology.Endpoint {
	tls, openTLS := b.one(body, "tls")
	e := topology.Endpoint{
		PortName:            b.text(body, "port_name"),
		DiscoveryName:       nonEmpty(b.text(body, "discovery_name")),
		IngressPortOverride: nonZero(b.integer(body, "ingress_port_override")),
	}
	if tls != nil {
		e.TLS = topology.Known(true)
	} else if openTLS != "" {
		e.TLS = topology.Unknown[bool](openTLS)
	}
	if timeout, open := b.one(body, "timeout"); timeout != nil {
		e.IdleTimeoutSeconds = orInt(b.integer(timeout, "idle_timeout_seconds"), 0)
		e.PerRequestSeconds = orInt(b.integer(timeout, "per_request_timeout_seconds"), 0)
	} else if open != "" {
		e.IdleTimeoutSeconds, e.PerRequestSeconds = topology.Unknown[int](open), topology.Unknown[int](open)
	}
	aliases, open := b.blocks(body, "client_alias")
	for _, a := range aliases {
		e.Aliases = append(e.Aliases, topology.Alias{Port: b.integer(a, "port"), DNSName: nonEmpty(b.text(a, "dns_name")),
			TestHeader: b.text(b.inner(b.inner(a, "test_traffic_rules"), "header"), "name")})
	}
	if open != "" {
		e.Aliases = append(e.Aliases, topology.Alias{Port: topology.Unknown[int](open), DNSName: topology.Unknown[string](open)})
	}
	return e
}
