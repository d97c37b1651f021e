package check

import (
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestRefusedBalancers has what the examples of the three rules do not show.
func TestRefusedBalancers(t *testing.T) {
	const vpcs, protocol, path = "vpc-differs", "protocol-of-other-load-balancer", "health-check-path-relative"
	for name, c := range map[string]struct {
		change func(*topologytest.Fixture)
		want   string
	}{
		"a load balancer's group elsewhere": {func(f *topologytest.Fixture) { f.ALBGroup.VPC = topology.Known(otherVPC(f).ID) }, vpcs},
		"a target group elsewhere":          {func(f *topologytest.Fixture) { f.TargetGroup.VPC = topology.Known(otherVPC(f).ID) }, vpcs},
		"a target group at home":            {func(f *topologytest.Fixture) { f.TargetGroup.VPC = topology.Known(f.VPCs[0].ID) }, ""},
		"a listener of TCP":                 {func(f *topologytest.Fixture) { f.Listener.Protocol = topology.Known("TCP") }, protocol},
		"a network load balancer of HTTP":   {func(f *topologytest.Fixture) { f.ALB.Kind = "network" }, protocol},
		"a network load balancer": {func(f *topologytest.Fixture) {
			f.ALB.Kind, f.Listener.Protocol, f.TargetGroup.Protocol = "network", topology.Known("TCP"), topology.Known("TCP")
			f.TargetGroup.Health.Protocol = topology.Known("HTTP")
		}, ""},
		"a health check of TCP": {func(f *topologytest.Fixture) {
			f.TargetGroup.Health.Path, f.TargetGroup.Health.Protocol = topology.Known("health"), topology.Known("TCP")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := topologytest.Healthy()
			c.change(f)
			got := ""
			for _, n := range check(t, f, Options{}) {
				if slices.Contains([]string{vpcs, protocol, path}, n.Rule) {
					got = n.Rule
				}
			}
			if got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
