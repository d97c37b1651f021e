package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// service returns a service with Service Connect in the namespace.
func service(id string, ns topology.Opt[string], byID bool, endpoints ...topology.Endpoint) *topology.Service {
	return &topology.Service{
		Origin:  topology.Origin{ID: topology.ID(id)},
		Connect: &topology.ServiceConnect{Namespace: ns, NamespaceByID: byID, Endpoints: endpoints},
		Task: &topology.TaskDefinition{Containers: []topology.Container{{
			Name: "app", Ports: []topology.PortMapping{{Name: topology.Known("http"), Port: topology.Known(8080)}},
		}}},
	}
}

func endpoint(port, discovery string, aliases ...topology.Alias) topology.Endpoint {
	e := topology.Endpoint{PortName: topology.Known(port), Aliases: aliases}
	if discovery != "" {
		e.DiscoveryName = topology.Known(discovery)
	}
	return e
}

func alias(port int, name string) topology.Alias {
	a := topology.Alias{Port: topology.Known(port)}
	if name != "" {
		a.DNSName = topology.Known(name)
	}
	return a
}

func TestEndpointNames(t *testing.T) {
	shop := topology.Known("s/Shop")
	client := service("s/Client", shop, true)
	top := &topology.Topology{
		Namespaces: []*topology.Namespace{
			{Origin: topology.Origin{ID: "s/Shop"}, Name: topology.Known("shop")},
			{Origin: topology.Origin{ID: "s/Other"}, Name: topology.Known("other")},
		},
		Services: []*topology.Service{
			service("s/Web", shop, true, endpoint("http", "", alias(80, "web"), alias(81, ""))),
			service("s/Api", topology.Known("shop"), false, endpoint("http", "api", alias(80, ""))),
			service("s/Same", shop, true, endpoint("http", "", alias(80, "web"))),
			service("s/Plain", shop, true, endpoint("http", "plain")),
			service("s/Lost", shop, true, endpoint("nobody", "lost")),
			service("s/Else", topology.Known("s/Other"), true, endpoint("http", "else", alias(80, ""))),
			service("s/Open", topology.Unknown[string]("a parameter"), false, endpoint("http", "open", alias(80, ""))),
			service("s/Vague", shop, true, topology.Endpoint{PortName: topology.Unknown[string]("a parameter"), Aliases: []topology.Alias{alias(80, "")}}),
			{Origin: topology.Origin{ID: "s/Outside"}},
			client,
		},
	}
	var got []string
	for _, n := range top.EndpointNames(client.Connect) {
		name, _ := n.Name.Get()
		got = append(got, fmt.Sprintf("%d %s:%d %s", n.Index, name, n.Port.Or(-1), n.Service.ID))
	}
	want := []string{
		"1 api.shop:80 s/Api",
		"2 http.shop:81 s/Web",
		"3 lost.shop:-1 s/Lost",
		"4 plain.shop:8080 s/Plain",
		"5 web:80 s/Same",
		"5 web:80 s/Web",
		"0 :80 s/Vague",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSameNamespace(t *testing.T) {
	top := build(t, nil, "testdata/shapes/namespace-forms.yaml")
	connect := func(id string) *topology.ServiceConnect {
		return top.Service(topology.ID("namespace-forms/" + id)).Connect
	}
	tests := []struct{ a, b, want string }{
		{"ByArn", "ByRef", "true"},
		{"ByArn", "ByName", "true"},
		{"ByArn", "BySub", "true"},
		{"ByArn", "ByCluster", "false"},
		{"ByArn", "ByOtherName", "false"},
		{"ByArn", "ByLiteral", "unknown"},
		{"ByLiteral", "ByLiteral", "true"},
		{"ByArn", "ByPlain", "absent"},
		{"ByArn", "ByNothing", "unknown"},
	}
	for _, tt := range tests {
		got := "absent"
		o := top.SameNamespace(connect(tt.a), connect(tt.b))
		if v, ok := o.Get(); ok {
			got = fmt.Sprint(v)
		} else if o.IsUnknown() {
			got = "unknown"
		}
		if got != tt.want || got == "unknown" && o.Why() == "" {
			t.Errorf("%s and %s: %s (%s), want %s", tt.a, tt.b, got, o.Why(), tt.want)
		}
	}
}

func TestSameGroup(t *testing.T) {
	top := build(t, nil, "testdata/shapes/imported-groups/network.yaml", "testdata/shapes/imported-groups/app.yaml", "testdata/shapes/parameter-types.yaml")
	tests := []struct {
		a, b topology.ID
		want string
	}{
		{"network/AppGroup", "network/AppGroup", "true"},
		{"network/AppGroup", "network/AlbGroup", "false"},
		{"network/AppGroup", "app/PeerGroup", "unknown"},                       // a parameter of another stack may be anything
		{"parameter-types/TaskGroup", "parameter-types/AlbGroupId", "false"},   // a stack does not take its own group as a parameter
		{"parameter-types/AlbGroupId", "ssm:/network/shared-group", "unknown"}, // two open ones may be one
		{"parameter-types/TaskGroup", "network/AppGroup", "false"},             // both declared
		{"sg-0123456789abcdef0", "parameter-types/AlbGroupId", "unknown"},      // the literal may be what is passed
		{"sg-0123456789abcdef0", "nowhere", "unknown"},                         // not in the source
	}
	for _, tt := range tests {
		o := top.SameGroup(tt.a, tt.b)
		got := "unknown"
		if v, ok := o.Get(); ok {
			got = fmt.Sprint(v)
		}
		if got != tt.want || got == "unknown" && o.Why() == "" {
			t.Errorf("%s and %s: %s (%s), want %s", tt.a, tt.b, got, o.Why(), tt.want)
		}
		if back, ok := top.SameGroup(tt.b, tt.a).Get(); ok != (got != "unknown") || ok && fmt.Sprint(back) != got {
			t.Errorf("%s and %s: the answer depends on the order", tt.a, tt.b)
		}
	}
}

func TestLookupsMiss(t *testing.T) {
	top := &topology.Topology{}
	if top.VPC("x") != nil || top.Subnet("x") != nil || top.Namespace("x") != nil || top.SecurityGroup("x") != nil ||
		top.LoadBalancer("x") != nil || top.TargetGroup("x") != nil || top.Service("x") != nil || top.Instance("x") != nil || top.Role("x") != nil {
		t.Error("an empty topology has something")
	}
	if c, m := (&topology.Service{}).PortMapping("x"); c != nil || m != nil {
		t.Error("a service without task has a port mapping")
	}
}

// TestParamSettles gives a parameter that a template leaves open.
func TestParamSettles(t *testing.T) {
	open := build(t, nil, "testdata/shapes/if-around-properties.yaml")
	if len(open.Unknowns) == 0 {
		t.Fatal("nothing is open without the parameter")
	}
	top := build(t, map[string]string{"Mode": "override"}, "testdata/shapes/if-around-properties.yaml")
	if len(top.Unknowns) != 0 {
		t.Errorf("still open: %v", top.Unknowns)
	}
	s := top.Service("if-around-properties/Service")
	if got := s.Connect.Endpoints[0].IngressPortOverride.Or(0); got != 8080 {
		t.Errorf("override %d, want 8080", got)
	}
}

func ExampleFromTemplates() {
	template := `
Resources:
  Space: {Type: AWS::ServiceDiscovery::HttpNamespace, Properties: {Name: shop}}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions: [{Name: web, Image: nginx, PortMappings: [{Name: web, ContainerPort: 80}]}]
  Web:
    Type: AWS::ECS::Service
    Properties:
      TaskDefinition: !Ref Task
      ServiceConnectConfiguration:
        Enabled: true
        Namespace: !GetAtt Space.Arn
        Services: [{PortName: web, IngressPortOverride: !Ref Override, ClientAliases: [{Port: 80}]}]
Parameters:
  Override: {Type: Number}
`
	a, err := cfn.Parse("web.yaml", []byte(template), cfn.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	top, err := topology.FromTemplates(a)
	if err != nil {
		fmt.Println(err)
		return
	}
	web := top.Service("web/Web")
	for _, n := range top.EndpointNames(web.Connect) {
		fmt.Printf("http://%s:%d\n", n.Name.Or("?"), n.Port.Or(0))
	}
	_, mapping := web.PortMapping("web")
	fmt.Println("container port", mapping.Port.Or(0))
	fmt.Println(web.Connect.Endpoints[0].IngressPortOverride.Why())
	// Output:
	// http://web.shop:80
	// container port 80
	// web.yaml:15: parameter Override has no default; settle it with --param Override=VALUE
}
