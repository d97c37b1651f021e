// Package topologytest builds a small deployment by hand for the tests of
// whoever reasons over one.
package topologytest

import (
	"net/netip"
	"slices"

	"github.com/hoplab/hoplab/internal/topology"
)

// Fixture is the article's system, healthy in every way that a rule looks at,
// built by hand: an internal load balancer, one server with a Service Connect
// endpoint, one client. Tests spoil one thing each.
type Fixture struct {
	*topology.Topology
	ALB         *topology.LoadBalancer
	Listener    *topology.Listener
	TargetGroup *topology.TargetGroup
	Server      *topology.Service
	Client      *topology.Service
	ALBGroup    *topology.SecurityGroup
	AppGroup    *topology.SecurityGroup
	ClientGroup *topology.SecurityGroup
	Role        *topology.Role
}

// Origin returns the origin of the resource with the logical ID in stack Main.
func Origin(id, typ string) topology.Origin {
	return topology.Origin{ID: topology.ID("Main/" + id), Stack: "Main", Type: typ, Path: "Main/" + id + "/Resource",
		File: "Main.template.json", Line: 10}
}

// TCP returns a rule for the ports from to to.
func TCP(from, to int, peer topology.Peer) topology.Rule {
	return topology.Rule{Protocol: "tcp", From: from, To: to, Peer: peer}
}

// Group returns the security group as the peer of a rule.
func Group(g *topology.SecurityGroup) topology.Peer { return topology.Peer{Group: g.ID} }

// CIDR returns the range as the peer of a rule; it panics when s is none.
func CIDR(s string) topology.Peer { return topology.Peer{CIDR: netip.MustParsePrefix(s)} }

// AllowAll returns the rule for everything to 0.0.0.0/0.
func AllowAll() topology.Rule {
	return topology.Rule{Protocol: "-1", Peer: CIDR("0.0.0.0/0")}
}

// SecurityGroup returns a security group without rules.
func SecurityGroup(id string) *topology.SecurityGroup {
	return &topology.SecurityGroup{Origin: Origin(id, "AWS::EC2::SecurityGroup"), VPC: topology.Known(topology.ID("Main/Vpc"))}
}

// IDs returns the IDs of the groups as a resource refers to them.
func IDs(gs ...*topology.SecurityGroup) []topology.Opt[topology.ID] {
	var out []topology.Opt[topology.ID]
	for _, g := range gs {
		out = append(out, topology.Known(g.ID))
	}
	return out
}

// Task returns a task definition without containers, 1 vCPU and 2 GiB.
func Task(id string, role topology.ID) *topology.TaskDefinition {
	return &topology.TaskDefinition{
		Origin: Origin(id, "AWS::ECS::TaskDefinition"), NetworkMode: topology.Known("awsvpc"),
		CPU: topology.Known(1024), MemoryMiB: topology.Known(2048), TaskRole: topology.Known(role),
	}
}

// Healthy returns the fixture in override mode, in which no rule has anything to say.
func Healthy() *Fixture {
	f := &Fixture{Topology: &topology.Topology{Name: "fixture"}}
	f.VPCs = []*topology.VPC{{Origin: Origin("Vpc", "AWS::EC2::VPC"), CIDR: topology.Known(netip.MustParsePrefix("10.0.0.0/16"))}}
	f.Subnets = []*topology.Subnet{{Origin: Origin("Subnet", "AWS::EC2::Subnet"), VPC: "Main/Vpc",
		CIDR: topology.Known(netip.MustParsePrefix("10.0.1.0/24")), Public: topology.Known(false)}}
	f.Namespaces = []*topology.Namespace{{Origin: Origin("Namespace", "AWS::ServiceDiscovery::HttpNamespace"),
		Name: topology.Known("sample-namespace"), Kind: "http"}}
	subnets := []topology.Opt[topology.ID]{topology.Known(topology.ID("Main/Subnet"))}

	f.ALBGroup, f.AppGroup, f.ClientGroup = SecurityGroup("AlbSg"), SecurityGroup("AppSg"), SecurityGroup("ClientSg")
	f.ALBGroup.Ingress = []topology.Rule{TCP(80, 80, Group(f.ClientGroup)), TCP(80, 80, CIDR("10.0.0.0/16"))}
	f.ALBGroup.Egress = []topology.Rule{TCP(80, 80, Group(f.AppGroup))}
	f.AppGroup.Ingress = []topology.Rule{TCP(80, 80, Group(f.ALBGroup)), TCP(8080, 8080, Group(f.ClientGroup))}
	f.AppGroup.Egress = []topology.Rule{AllowAll()}
	f.ClientGroup.Egress = []topology.Rule{AllowAll()}
	f.SecurityGroups = []*topology.SecurityGroup{f.ALBGroup, f.AppGroup, f.ClientGroup}

	f.Role = &topology.Role{Origin: Origin("TaskRole", "AWS::IAM::Role")}
	f.Roles = []*topology.Role{f.Role}

	f.TargetGroup = &topology.TargetGroup{
		Origin: Origin("Targets", "AWS::ElasticLoadBalancingV2::TargetGroup"),
		Port:   topology.Known(80), Protocol: topology.Known("HTTP"), TargetType: topology.Known("ip"),
		Health: topology.HealthCheck{Path: topology.Known("/")},
	}
	f.TargetGroups = []*topology.TargetGroup{f.TargetGroup}
	f.Listener = &topology.Listener{
		Origin: Origin("Listener", "AWS::ElasticLoadBalancingV2::Listener"), LoadBalancer: "Main/Alb", Port: topology.Known(80),
		Protocol: topology.Known("HTTP"),
		Default:  []topology.Action{{Type: "forward", Forward: []topology.WeightedTarget{{Group: topology.Known(f.TargetGroup.ID), Weight: 1}}}},
	}
	f.ALB = &topology.LoadBalancer{
		Origin: Origin("Alb", "AWS::ElasticLoadBalancingV2::LoadBalancer"), Kind: "application", Internal: topology.Known(true),
		Groups: IDs(f.ALBGroup), Subnets: subnets, Listeners: []*topology.Listener{f.Listener},
	}
	f.LoadBalancers = []*topology.LoadBalancer{f.ALB}

	td := Task("Task", f.Role.ID)
	td.Containers = []topology.Container{{
		Name: "app", Image: topology.Known("example/app:1"), CPU: topology.Known(256), MemoryMiB: topology.Known(512),
		Ports: []topology.PortMapping{{Name: topology.Known("app"), Port: topology.Known(80), Protocol: topology.Known("tcp"),
			AppProtocol: topology.Known("http")}},
	}}
	f.Server = &topology.Service{
		Origin: Origin("Service", "AWS::ECS::Service"), Name: topology.Known("app-service"), DesiredCount: topology.Known(1),
		LaunchType: topology.Known("FARGATE"),
		Groups:     IDs(f.AppGroup), Subnets: subnets, Task: td, GraceSeconds: topology.Known(60),
		LoadBalancers: []topology.ServiceTarget{{Group: topology.Known(f.TargetGroup.ID), Container: topology.Known("app"),
			Port: topology.Known(80)}},
		Connect: &topology.ServiceConnect{
			Enabled: topology.Known(true), Namespace: topology.Known("Main/Namespace"), NamespaceByID: true, HasLog: true,
			Endpoints: []topology.Endpoint{{
				PortName: topology.Known("app"), IngressPortOverride: topology.Known(8080), Aliases: []topology.Alias{{Port: topology.Known(80)}},
			}},
		},
	}
	ctd := Task("ClientTask", f.Role.ID)
	ctd.Containers = []topology.Container{{Name: "client", Image: topology.Known("example/client:1"), CPU: topology.Known(256),
		MemoryMiB: topology.Known(512)}}
	f.Client = &topology.Service{
		Origin: Origin("ClientService", "AWS::ECS::Service"), Name: topology.Known("client-service"), DesiredCount: topology.Known(1),
		LaunchType: topology.Known("FARGATE"),
		Groups:     IDs(f.ClientGroup), Subnets: subnets, Task: ctd, After: []topology.ID{"Main/Service"},
		Connect: &topology.ServiceConnect{Enabled: topology.Known(true), Namespace: topology.Known("Main/Namespace"), NamespaceByID: true},
	}
	f.Services = []*topology.Service{f.Server, f.Client}
	return f
}

// DefaultMode takes the override away and opens the container port to the client.
func (f *Fixture) DefaultMode() *Fixture {
	f.Endpoint().IngressPortOverride = topology.Opt[int]{}
	f.AppGroup.Ingress = []topology.Rule{TCP(80, 80, Group(f.ALBGroup)), TCP(80, 80, Group(f.ClientGroup))}
	return f
}

// Endpoint returns the server's only endpoint.
func (f *Fixture) Endpoint() *topology.Endpoint { return &f.Server.Connect.Endpoints[0] }

// App returns the server's only container.
func (f *Fixture) App() *topology.Container { return &f.Server.Task.Containers[0] }

// Mapping returns the server's only port mapping.
func (f *Fixture) Mapping() *topology.PortMapping { return &f.App().Ports[0] }

// SecondEndpoint publishes a second port of the server and opens its ingress port.
func (f *Fixture) SecondEndpoint() *topology.Endpoint {
	f.App().Ports = append(f.App().Ports, topology.PortMapping{Name: topology.Known("admin"), Port: topology.Known(81),
		AppProtocol: topology.Known("http")})
	f.Server.Connect.Endpoints = append(f.Server.Connect.Endpoints, topology.Endpoint{PortName: topology.Known("admin"),
		Aliases: []topology.Alias{{Port: topology.Known(81)}}})
	f.AppGroup.Ingress = append(f.AppGroup.Ingress, TCP(8081, 8081, Group(f.ClientGroup)))
	return &f.Server.Connect.Endpoints[1]
}

// Twin adds a second service that publishes the same port name.
func (f *Fixture) Twin() *topology.Service {
	s, c := *f.Server, *f.Server.Connect
	s.Origin, s.Name, s.LoadBalancers = Origin("Twin", "AWS::ECS::Service"), topology.Known("twin"), nil
	c.Endpoints = slices.Clone(c.Endpoints)
	s.Connect = &c
	f.Services = append(f.Services, &s)
	f.Client.After = append(f.Client.After, s.ID)
	return &s
}

// HTTPS adds an HTTPS listener that forwards to the target group.
func (f *Fixture) HTTPS() *topology.Listener {
	l := *f.Listener
	l.Origin, l.Port, l.Protocol = Origin("Https", "AWS::ElasticLoadBalancingV2::Listener"), topology.Known(443), topology.Known("HTTPS")
	f.ALB.Listeners = append(f.ALB.Listeners, &l)
	f.ALBGroup.Ingress = append(f.ALBGroup.Ingress, TCP(443, 443, CIDR("10.0.0.0/16")))
	return &l
}

func (f *Fixture) ClientEnv(k, v string) {
	f.Client.Task.Containers[0].Environment = map[string]topology.Opt[string]{k: topology.Known(v)}
}
