package deployment_test

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

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
	top, err := deployment.FromTemplates(a)
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
