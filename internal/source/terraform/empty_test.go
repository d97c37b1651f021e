package terraform_test

import (
	"strings"
	"testing"
)

// TestEmptyIDs: an empty id in a list is one that is still to be given; an empty
// peer of a rule is none, as the provider takes it.
func TestEmptyIDs(t *testing.T) {
	const config = `
variable "group" { default = "" }

resource "aws_lb" "main" {
  load_balancer_type = "application"
  security_groups    = [var.group]
  subnets            = [var.group]
}

resource "aws_security_group" "app" {}

resource "aws_security_group_rule" "app" {
  type                     = "ingress"
  security_group_id        = aws_security_group.app.id
  protocol                 = "tcp"
  from_port                = 80
  to_port                  = 80
  cidr_blocks              = ["10.0.0.0/8"]
  source_security_group_id = var.group
}
`
	topo := load(t, config)
	lb := topo.LoadBalancers[0]
	for name, why := range map[string]string{"security_groups": lb.Groups[0].Why(), "subnets": lb.Subnets[0].Why()} {
		if !strings.HasSuffix(why, name+": an empty id") {
			t.Errorf("%s is unknown for %q", name, why)
		}
	}
	if in := topo.SecurityGroups[0].Ingress; len(in) != 1 || !in[0].Peer.CIDR.IsValid() || in[0].Unknown != "" {
		t.Errorf("the group lets in %+v, want 10.0.0.0/8 alone", in)
	}
}
