package terraform_test

import (
	"testing"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/source/terraform"
)

// TestFindings checks what the rules make of a configuration as read: the
// article's file has one fault, the closed egress of its load balancer, and
// the Service Connect experiment none.
func TestFindings(t *testing.T) {
	tests := []struct {
		name, path string
		vars       map[string]string
		rule, on   string // the only finding; "" for none
	}{
		{name: "article, egress closed", path: "testdata/seed-health-check", rule: "alb-egress-closed", on: "aws_security_group.alb"},
		{name: "article, egress open", path: "testdata/seed-health-check", vars: map[string]string{"enable_alb_egress": "true"}},
		{name: "article's plan, egress open", path: "testdata/plans/seed-open.json"},
		{name: "Service Connect", path: "testdata/service-connect"},
		{name: "override below 1025", path: "testdata/service-connect",
			vars: map[string]string{"ingress_port_override": "1024"}, rule: "override-privileged-port", on: "aws_ecs_service.server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			top, err := terraform.Load(tt.path, terraform.Options{Vars: tt.vars})
			if err != nil {
				t.Fatal(err)
			}
			findings, err := check.Run(top, check.Options{})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range findings {
				if f.Severity == check.Note {
					continue
				}
				if f.Rule != tt.rule || string(f.Origin.ID) != tt.on {
					t.Errorf("%s on %s: %s", f.Rule, f.Origin.ID, f.Message)
					continue
				}
				found = true
			}
			if !found && tt.rule != "" {
				t.Errorf("no %s on %s", tt.rule, tt.on)
			}
		})
	}
}
