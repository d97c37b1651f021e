package scenario

import (
	"cmp"
	"slices"
	"strconv"
)

func (c *Config) app(r object) {
	mapping := object{"ContainerPort": c.ContainerPort, "Name": cmp.Or(c.AppName, PortName), "Protocol": "tcp"}
	if c.AppProtocol != "" {
		mapping["AppProtocol"] = c.AppProtocol
	}
	r["AppTask"] = task("App", object{
		"Name": "app", "Image": cmp.Or(c.Image, "app"), "Essential": true,
		"PortMappings": []object{mapping}, "Environment": environment(c.App),
	})
	p := c.service("AppTask", "AppSg", c.Tasks)
	if c.ServiceName != "" {
		p["ServiceName"] = c.ServiceName
	}
	if c.ALB && !c.RegisterNobody {
		p["LoadBalancers"] = []object{{"ContainerName": "app", "ContainerPort": c.ContainerPort, "TargetGroupArn": ref("TargetGroup")}}
		p["HealthCheckGracePeriodSeconds"] = c.GraceS
	}
	if c.Connect {
		p["ServiceConnectConfiguration"] = c.connect("Namespace", c.endpoint())
	}
	d := object{}
	if c.Breaker {
		d["DeploymentCircuitBreaker"] = object{"Enable": true, "Rollback": true}
	}
	if c.BlueGreen {
		d["Strategy"] = "BLUE_GREEN"
	}
	if len(d) > 0 {
		p["DeploymentConfiguration"] = d
	}
	service := resource("AWS::ECS::Service", p)
	after := c.otherIDs()
	if c.ALB && !c.RegisterNobody {
		after = append(after, "Listener")
	}
	if c.ClientFirst && c.Client {
		after = append(after, ClientService)
	}
	if len(after) > 0 {
		service["DependsOn"] = after
	}
	if len(c.Suppress) > 0 {
		var s []object
		for _, rule := range c.Suppress {
			s = append(s, object{"rule": rule, "reason": "the scenario is about it"})
		}
		service["Metadata"] = object{"hoplab": object{"suppress": s}}
	}
	r[AppService] = service
}

// connect is a service's Service Connect configuration in the namespace.
func (c *Config) connect(namespace string, endpoints ...object) object {
	o := object{"Enabled": true, "Namespace": get(namespace, "Arn")}
	if c.NameOnly {
		o["Namespace"] = Namespace
	}
	if len(endpoints) > 0 {
		o["Services"] = endpoints
	}
	if c.AccessLog != "" {
		o["LogConfiguration"] = object{"LogDriver": "awslogs",
			"Options": object{"awslogs-group": "/agents", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "agent"}}
		o["AccessLogConfiguration"] = object{"Format": c.AccessLog}
	}
	return o
}

// otherIDs are the logical ids of the other services.
func (c *Config) otherIDs() []string {
	ids := []string{}
	for i := range c.Others {
		ids = append(ids, "Other"+strconv.Itoa(i+1))
	}
	return ids
}

// other adds a further service of the namespace.
func (c *Config) other(r object, o Other) {
	i := slices.IndexFunc(c.Others, func(x Other) bool { return x.Name == o.Name })
	id := c.otherIDs()[i]
	var mappings, endpoints []object
	for _, p := range o.Ports {
		name := o.Name
		if len(o.Ports) > 1 {
			name += "-" + strconv.Itoa(p)
		}
		mappings = append(mappings, object{"ContainerPort": p, "Name": name, "Protocol": "tcp", "AppProtocol": "http"})
		endpoints = append(endpoints, object{"PortName": name, "ClientAliases": []object{{"Port": p, "DnsName": cmp.Or(o.Alias, o.Name)}}})
	}
	r[id+"Task"] = task(o.Name, object{"Name": o.Name, "Image": o.Name, "Essential": true, "PortMappings": mappings})
	p := c.service(id+"Task", "AppSg", 1)
	p["ServiceName"] = o.Name
	p["ServiceConnectConfiguration"] = c.connect("Namespace", endpoints...)
	r[id] = resource("AWS::ECS::Service", p)
}

func (c *Config) endpoint() object {
	alias := object{"Port": c.AliasPort}
	if c.AliasName != "" {
		alias["DnsName"] = c.AliasName
	}
	e := object{"PortName": cmp.Or(c.AppName, PortName), "ClientAliases": []object{alias}}
	if c.Override != nil {
		e["IngressPortOverride"] = *c.Override
	}
	if c.TLS {
		e["Tls"] = object{"IssuerCertificateAuthority": object{
			"AwsPcaAuthorityArn": "arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/scenario"}}
	}
	if c.PerRequestS != nil || c.IdleS != nil {
		t := object{}
		if c.PerRequestS != nil {
			t["PerRequestTimeoutSeconds"] = *c.PerRequestS
		}
		if c.IdleS != nil {
			t["IdleTimeoutSeconds"] = *c.IdleS
		}
		e["Timeout"] = t
	}
	return e
}

func task(family string, container object) object {
	return resource("AWS::ECS::TaskDefinition", object{
		"Family": family, "NetworkMode": "awsvpc", "RequiresCompatibilities": []string{"FARGATE"},
		"Cpu": "512", "Memory": "1024", "ContainerDefinitions": []object{container},
	})
}

func (c *Config) service(task, group string, n int) object {
	return object{
		"Cluster": ref("Cluster"), "TaskDefinition": ref(task), "DesiredCount": n, "LaunchType": "FARGATE",
		"NetworkConfiguration": object{"AwsvpcConfiguration": object{
			"AssignPublicIp": "DISABLED", "SecurityGroups": []any{get(group, "GroupId")}, "Subnets": []any{ref("SubnetA"), ref("SubnetB")},
		}},
	}
}

func (c *Config) client(r object) {
	r["ClientTask"] = task("Client", object{"Name": "client", "Image": cmp.Or(c.ClientImage, "client"), "Essential": true,
		"Command": []string{"sleep", "infinity"}, "Environment": environment(c.ClientEnv)})
	p := c.service("ClientTask", "ClientSg", 1)
	p["ServiceName"] = "client-service"
	if c.ClientConnect {
		namespace := "Namespace"
		if c.OtherNamespace {
			namespace = "Elsewhere"
		}
		p["ServiceConnectConfiguration"] = c.connect(namespace)
	}
	service := resource("AWS::ECS::Service", p)
	if !c.ClientFirst {
		service["DependsOn"] = append([]string{AppService}, c.otherIDs()...)
	}
	r[ClientService] = service
}

func (c *Config) balancer(r object) {
	lb := object{
		"Type": "application", "Scheme": "internal", "Subnets": []any{ref("SubnetA"), ref("SubnetB")},
		"SecurityGroups": []any{get("AlbSg", "GroupId")},
	}
	if c.IdleTimeoutS > 0 {
		lb["LoadBalancerAttributes"] = []object{{"Key": "idle_timeout.timeout_seconds", "Value": strconv.Itoa(c.IdleTimeoutS)}}
	}
	r["Alb"] = resource("AWS::ElasticLoadBalancingV2::LoadBalancer", lb)
	h := c.Health
	protocol := "HTTP"
	if c.TargetTLS {
		protocol = "HTTPS"
	}
	r["TargetGroup"] = resource("AWS::ElasticLoadBalancingV2::TargetGroup", object{
		"VpcId": ref("Vpc"), "TargetType": "ip", "Protocol": protocol, "Port": c.ContainerPort, "HealthCheckProtocol": protocol,
		"HealthCheckPath": h.Path, "HealthCheckPort": h.Port, "Matcher": object{"HttpCode": h.Matcher},
		"HealthCheckIntervalSeconds": h.IntervalS, "HealthCheckTimeoutSeconds": h.TimeoutS,
		"HealthyThresholdCount": h.Healthy, "UnhealthyThresholdCount": h.Unhealthy,
		"TargetGroupAttributes": []object{{"Key": "deregistration_delay.timeout_seconds", "Value": strconv.Itoa(c.DeregisterS)}},
	})
	r["Listener"] = resource("AWS::ElasticLoadBalancingV2::Listener", object{
		"LoadBalancerArn": ref("Alb"), "Port": c.Listener, "Protocol": "HTTP", "DefaultActions": []object{c.DefaultAction.object()},
	})
	if c.HTTPS {
		r["Secure"] = resource("AWS::ElasticLoadBalancingV2::Listener", object{
			"LoadBalancerArn": ref("Alb"), "Port": 443, "Protocol": "HTTPS", "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
			"Certificates":   []object{{"CertificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/scenario"}},
			"DefaultActions": []object{Action{}.object()},
		})
	}
	for i, rule := range c.Rules {
		r["Rule"+strconv.Itoa(i+1)] = resource("AWS::ElasticLoadBalancingV2::ListenerRule", object{
			"ListenerArn": ref("Listener"), "Priority": i + 1, "Actions": []object{rule.Action.object()},
			"Conditions": []object{{"Field": "path-pattern", "PathPatternConfig": object{"Values": []string{rule.Path}}}},
		})
	}
}

func (a Action) object() object {
	switch {
	case a.Redirect != "":
		return object{"Type": "redirect", "RedirectConfig": object{"Protocol": "HTTPS", "Port": "443", "StatusCode": a.Redirect}}
	case a.Fixed != 0:
		return object{"Type": "fixed-response",
			"FixedResponseConfig": object{"StatusCode": strconv.Itoa(a.Fixed), "ContentType": "text/plain", "MessageBody": a.Body}}
	}
	return object{"Type": "forward", "TargetGroupArn": ref("TargetGroup")}
}
