package terraform_test

import (
	"testing"
)

// TestTLS: an endpoint has TLS when its service block has the block; one whose
// number a variable decides leaves it open.
func TestTLS(t *testing.T) {
	const config = `
variable "authority" { type = string }
variable "issuers" { type = list(string) }

resource "aws_ecs_service" "app" {
  name = "app"
  service_connect_configuration {
    enabled   = true
    namespace = "ns"
    service { port_name = "plain" }
    service {
      port_name = "secure"
      tls {
        issuer_cert_authority { aws_pca_authority_arn = var.authority }
      }
    }
    service {
      port_name = "open"
      dynamic "tls" {
        for_each = var.issuers
        content {
          issuer_cert_authority { aws_pca_authority_arn = tls.value }
        }
      }
    }
  }
}
`
	topo := load(t, config)
	want := map[string][2]bool{"plain": {}, "secure": {true, false}, "open": {false, true}}
	ends := topo.Services[0].Connect.Endpoints
	if len(ends) != len(want) {
		t.Fatalf("%d endpoints", len(ends))
	}
	for _, e := range ends {
		name := e.PortName.Or("")
		if got := [2]bool{e.TLS.Or(false), e.TLS.IsUnknown()}; got != want[name] {
			t.Errorf("%s: TLS and unknown are %v, want %v", name, got, want[name])
		}
	}
}
