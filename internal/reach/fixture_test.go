package reach

import (
	"net/netip"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// fixture is the article's system, healthy in every way that a rule looks at,
// built by hand: an internal load balancer, one server with a Service Connect
// endpoint, one client. Tests spoil one thing each.
type fixture struct {
	*topology.Topology
	alb      *topology.LoadBalancer
	listener *topology.Listener
	tg       *topology.TargetGroup
	server   *topology.Service
	client   *topology.Service
	albSG    *topology.SecurityGroup
	appSG    *topology.SecurityGroup
	clientSG *topology.SecurityGroup
	role     *topology.Role
}

func known[T any](v T) topology.Opt[T] { return topology.Known(v) }

func origin(id, typ string) topology.Origin {
	return topology.Origin{ID: topology.ID("Main/" + id), Stack: "Main", Type: typ, Path: "Main/" + id + "/Resource", File: "Main.template.json", Line: 10}
}

func tcp(from, to int, peer topology.Peer) topology.Rule {
	return topology.Rule{Protocol: "tcp", From: from, To: to, Peer: peer}
}

func group(g *topology.SecurityGroup) topology.Peer { return topology.Peer{Group: g.ID} }

func cidr(s string) topology.Peer { return topology.Peer{CIDR: netip.MustParsePrefix(s)} }

func allowAll() topology.Rule {
	return topology.Rule{Protocol: "-1", Peer: cidr("0.0.0.0/0")}
}

func sg(id string) *topology.SecurityGroup {
	return &topology.SecurityGroup{Origin: origin(id, "AWS::EC2::SecurityGroup"), VPC: known(topology.ID("Main/Vpc"))}
}

func ids(gs ...*topology.SecurityGroup) []topology.Opt[topology.ID] {
	var out []topology.Opt[topology.ID]
	for _, g := range gs {
		out = append(out, known(g.ID))
	}
	return out
}

func task(id string, role topology.ID) *topology.TaskDefinition {
	return &topology.TaskDefinition{
		Origin: origin(id, "AWS::ECS::TaskDefinition"), NetworkMode: known("awsvpc"),
		CPU: known(1024), MemoryMiB: known(2048), TaskRole: known(role),
	}
}

// healthy returns the fixture in override mode, in which no rule has anything to say.
func healthy() *fixture {
	f := &fixture{Topology: &topology.Topology{Name: "fixture"}}
	f.VPCs = []*topology.VPC{{Origin: origin("Vpc", "AWS::EC2::VPC"), CIDR: known(netip.MustParsePrefix("10.0.0.0/16"))}}
	f.Subnets = []*topology.Subnet{{Origin: origin("Subnet", "AWS::EC2::Subnet"), VPC: "Main/Vpc", CIDR: known(netip.MustParsePrefix("10.0.1.0/24")), Public: known(false)}}
	f.Namespaces = []*topology.Namespace{{Origin: origin("Namespace", "AWS::ServiceDiscovery::HttpNamespace"), Name: known("sample-namespace"), Kind: "http"}}
	subnets := []topology.Opt[topology.ID]{known(topology.ID("Main/Subnet"))}

	f.albSG, f.appSG, f.clientSG = sg("AlbSg"), sg("AppSg"), sg("ClientSg")
	f.albSG.Ingress = []topology.Rule{tcp(80, 80, group(f.clientSG)), tcp(80, 80, cidr("10.0.0.0/16"))}
	f.albSG.Egress = []topology.Rule{tcp(80, 80, group(f.appSG))}
	f.appSG.Ingress = []topology.Rule{tcp(80, 80, group(f.albSG)), tcp(8080, 8080, group(f.clientSG))}
	f.appSG.Egress = []topology.Rule{allowAll()}
	f.clientSG.Egress = []topology.Rule{allowAll()}
	f.SecurityGroups = []*topology.SecurityGroup{f.albSG, f.appSG, f.clientSG}

	f.role = &topology.Role{Origin: origin("TaskRole", "AWS::IAM::Role")}
	f.Roles = []*topology.Role{f.role}

	f.tg = &topology.TargetGroup{
		Origin: origin("Targets", "AWS::ElasticLoadBalancingV2::TargetGroup"),
		Port:   known(80), Protocol: known("HTTP"), TargetType: known("ip"),
		Health: topology.HealthCheck{Path: known("/")},
	}
	f.TargetGroups = []*topology.TargetGroup{f.tg}
	f.listener = &topology.Listener{
		Origin: origin("Listener", "AWS::ElasticLoadBalancingV2::Listener"), LoadBalancer: "Main/Alb", Port: known(80), Protocol: known("HTTP"),
		Default: []topology.Action{{Type: "forward", Forward: []topology.WeightedTarget{{Group: known(f.tg.ID), Weight: 1}}}},
	}
	f.alb = &topology.LoadBalancer{
		Origin: origin("Alb", "AWS::ElasticLoadBalancingV2::LoadBalancer"), Kind: "application", Internal: known(true),
		Groups: ids(f.albSG), Subnets: subnets, Listeners: []*topology.Listener{f.listener},
	}
	f.LoadBalancers = []*topology.LoadBalancer{f.alb}

	td := task("Task", f.role.ID)
	td.Containers = []topology.Container{{
		Name: "app", Image: known("example/app:1"), CPU: known(256), MemoryMiB: known(512),
		Ports: []topology.PortMapping{{Name: known("app"), Port: known(80), Protocol: known("tcp"), AppProtocol: known("http")}},
	}}
	f.server = &topology.Service{
		Origin: origin("Service", "AWS::ECS::Service"), Name: known("app-service"), DesiredCount: known(1), LaunchType: known("FARGATE"),
		Groups: ids(f.appSG), Subnets: subnets, Task: td, GraceSeconds: known(60),
		LoadBalancers: []topology.ServiceTarget{{Group: known(f.tg.ID), Container: known("app"), Port: known(80)}},
		Connect: &topology.ServiceConnect{
			Enabled: known(true), Namespace: known("Main/Namespace"), NamespaceByID: true, HasLog: true,
			Endpoints: []topology.Endpoint{{
				PortName: known("app"), IngressPortOverride: known(8080), Aliases: []topology.Alias{{Port: known(80)}},
			}},
		},
	}
	ctd := task("ClientTask", f.role.ID)
	ctd.Containers = []topology.Container{{Name: "client", Image: known("example/client:1"), CPU: known(256), MemoryMiB: known(512)}}
	f.client = &topology.Service{
		Origin: origin("ClientService", "AWS::ECS::Service"), Name: known("client-service"), DesiredCount: known(1), LaunchType: known("FARGATE"),
		Groups: ids(f.clientSG), Subnets: subnets, Task: ctd, After: []topology.ID{"Main/Service"},
		Connect: &topology.ServiceConnect{Enabled: known(true), Namespace: known("Main/Namespace"), NamespaceByID: true},
	}
	f.Services = []*topology.Service{f.server, f.client}
	return f
}

// defaultMode takes the override away and opens the container port to the client.
func (f *fixture) defaultMode() *fixture {
	f.endpoint().IngressPortOverride = topology.Opt[int]{}
	f.appSG.Ingress = []topology.Rule{tcp(80, 80, group(f.albSG)), tcp(80, 80, group(f.clientSG))}
	return f
}

func (f *fixture) endpoint() *topology.Endpoint { return &f.server.Connect.Endpoints[0] }

func (f *fixture) app() *topology.Container { return &f.server.Task.Containers[0] }

func (f *fixture) mapping() *topology.PortMapping { return &f.app().Ports[0] }

// predict returns the report, or stops the test.
func (f *fixture) predict(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Predict(f.Topology, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The IDs of the fixture's predictions.
const (
	idALB       = "alb/Main/Alb:80/default"
	idALBClient = "alb/Main/ClientService/Main/Alb:80/default"
	idMesh      = "mesh/Main/ClientService/app.sample-namespace:80"
	idWhatIf    = "what-if/Main/ClientService/app.sample-namespace:8080"
	idHealth    = "health/Main/Targets/Main/Service:80"
	idDirect    = "direct/Main/ClientService/Main/Service:80"
	idDirect2   = "direct/Main/ClientService/Main/Service:8080"
)
