package topology_test

import (
	"fmt"
	"strings"
	"testing"

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
			service("s/Unnamed", shop, true, topology.Endpoint{PortName: topology.Unknown[string]("a parameter"),
				Aliases: []topology.Alias{alias(80, "")}}),
			{Origin: topology.Origin{ID: "s/Outside"}},
			client,
		},
	}
	var got []string
	x := topology.NewIndex(top)
	for _, n := range x.NamespaceOf(client.Connect).Numbered {
		name, _ := n.Name.Get()
		got = append(got, fmt.Sprintf("%d %s:%d %s", n.Index, name, n.Port.Or(-1), n.Endpoint.Service.ID))
	}
	want := []string{
		"1 api.shop:80 s/Api",
		"2 http.shop:81 s/Web",
		"3 lost.shop:-1 s/Lost",
		"4 plain.shop:8080 s/Plain",
		"5 web:80 s/Same",
		"5 web:80 s/Web",
		"0 :80 s/Unnamed",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLookupsMiss(t *testing.T) {
	x := topology.NewIndex(&topology.Topology{})
	if x.VPC("x") != nil || x.Subnet("x") != nil || x.Namespace("x") != nil || x.SecurityGroup("x") != nil ||
		x.LoadBalancer("x") != nil || x.TargetGroup("x") != nil || x.Service("x") != nil || x.Instance("x") != nil || x.Role("x") != nil {
		t.Error("an empty topology has something")
	}
	if c, m := (&topology.Service{}).PortMapping("x"); c != nil || m != nil {
		t.Error("a service without task has a port mapping")
	}
}
