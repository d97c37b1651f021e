package deployment_test

import (
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/cfntest"
)

// TestTLS: an endpoint has TLS when its entry has the object, whatever is in
// it; a condition that is open leaves it open.
func TestTLS(t *testing.T) {
	const template = `
Parameters:
  Secure: {Type: String}
  Authority: {Type: String}
Conditions:
  IsSecure: !Equals [!Ref Secure, "yes"]
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - {Name: a, Image: a, PortMappings: [{Name: p, ContainerPort: 80, AppProtocol: http}]}
  Service:
    Type: AWS::ECS::Service
    Properties:
      TaskDefinition: !Ref Task
      ServiceConnectConfiguration:
        Enabled: true
        Namespace: ns
        Services:
          - {PortName: p, DiscoveryName: plain}
          - {PortName: p, DiscoveryName: secure, Tls: {IssuerCertificateAuthority: {AwsPcaAuthorityArn: !Ref Authority}}}
          - {PortName: p, DiscoveryName: open, Tls: !If [IsSecure, {IssuerCertificateAuthority: {AwsPcaAuthorityArn: !Ref Authority}}, !Ref "AWS::NoValue"]}
`
	topo := cfntest.Parse(t, "tls.yaml", []byte(template))
	want := map[string]string{"plain": "absent", "secure": "true", "open": "unknown"}
	for _, e := range topo.Services[0].Connect.Endpoints {
		got := "absent"
		if v, ok := e.TLS.Get(); ok && v {
			got = "true"
		} else if e.TLS.IsUnknown() {
			got = "unknown"
			if !strings.Contains(e.TLS.Why(), "IsSecure") {
				t.Errorf("the reason does not name the condition: %s", e.TLS.Why())
			}
		}
		if name := e.DiscoveryName.Or(""); got != want[name] {
			t.Errorf("%s: TLS is %s, want %s", name, got, want[name])
		}
		delete(want, e.DiscoveryName.Or(""))
	}
	if len(want) > 0 {
		t.Errorf("not read: %v", want)
	}
}
