package deployment_test

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

// Two services that refer to one namespace in different ways share it; an ARN
// that is no reference stands for itself.
func TestNamespaceForms(t *testing.T) {
	x := topology.NewIndex(build(t, nil, "testdata/shapes/namespace-forms.yaml"))
	key := func(id string) string {
		n := x.NamespaceOf(x.Service(topology.ID("namespace-forms/" + id)).Connect)
		if n == nil {
			return ""
		}
		return n.Key
	}
	want := key("ByArn")
	for _, id := range []string{"ByArn", "ByRef", "ByName", "BySub"} {
		if got := key(id); got != want || got == "" {
			t.Errorf("%s is in namespace %q, ByArn in %q", id, got, want)
		}
	}
	for _, id := range []string{"ByCluster", "ByOtherName", "ByLiteral"} {
		if got := key(id); got == want || got == "" {
			t.Errorf("%s is in namespace %q, ByArn in %q", id, got, want)
		}
	}
	for _, id := range []string{"ByPlain", "ByNothing"} {
		if got := key(id); got != "" {
			t.Errorf("%s is in namespace %q", id, got)
		}
	}
}

func TestSameGroup(t *testing.T) {
	x := topology.NewIndex(build(t, nil, "testdata/shapes/imported-groups/network.yaml", "testdata/shapes/imported-groups/app.yaml", "testdata/shapes/parameter-types.yaml"))
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
		o := x.SameGroup(tt.a, tt.b)
		got := "unknown"
		if v, ok := o.Get(); ok {
			got = fmt.Sprint(v)
		}
		if got != tt.want || got == "unknown" && o.Why() == "" {
			t.Errorf("%s and %s: %s (%s), want %s", tt.a, tt.b, got, o.Why(), tt.want)
		}
		if back, ok := x.SameGroup(tt.b, tt.a).Get(); ok != (got != "unknown") || ok && fmt.Sprint(back) != got {
			t.Errorf("%s and %s: the answer depends on the order", tt.a, tt.b)
		}
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
	s := topology.NewIndex(top).Service("if-around-properties/Service")
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
	top, err := deployment.FromTemplates(a)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := topology.NewIndex(top)
	web := x.Service("web/Web")
	for _, n := range x.NamespaceOf(web.Connect).Numbered {
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
