package reach

import (
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// A blue/green pair: where the tasks are depends on deployments that the
// source does not tell.
func TestBlueGreen(t *testing.T) {
	f := topologytest.Healthy()
	green := *f.TargetGroup
	green.Origin = topologytest.Origin("Green", "AWS::ElasticLoadBalancingV2::TargetGroup")
	f.TargetGroups = append(f.TargetGroups, &green)
	test := *f.Listener
	test.Origin, test.Port = topologytest.Origin("TestListener", "AWS::ElasticLoadBalancingV2::Listener"), topology.Known(80)
	test.Default = []topology.Action{{Type: "forward", Forward: []topology.WeightedTarget{{Group: topology.Known(green.ID), Weight: 1}}}}
	f.ALB.Listeners = append(f.ALB.Listeners, &test)
	f.ALB.Listeners[0].Port = topology.Known(8081)
	f.ALBGroup.Ingress = append(f.ALBGroup.Ingress, topologytest.TCP(8081, 8081, topologytest.CIDR("10.0.0.0/16")))

	alternate := func() (production, other Prediction) {
		t.Helper()
		for _, p := range predict(t, f, Options{}).Predictions {
			switch {
			case p.Kind == KindALB && p.TargetGroup == f.TargetGroup.ID:
				production = p
			case p.Kind == KindALB && p.TargetGroup == green.ID:
				other = p
			}
		}
		return production, other
	}
	if _, other := alternate(); other.Outcome.Status != 503 {
		t.Errorf("a group that nothing registers with: got %+v; want 503", other.Outcome)
	}
	f.Server.LoadBalancers[0].Alternate = topology.Known(green.ID)
	production, other := alternate()
	if other.Outcome.Class != Unknown || !strings.Contains(other.Outcome.Why, "blue/green") {
		t.Errorf("the alternate group: got %+v; want unknown, because of blue/green", other.Outcome)
	}
	if production.Outcome.Status != 200 || !slices.ContainsFunc(production.Remarks, func(r string) bool { return strings.Contains(r, "blue/green") }) {
		t.Errorf("the production group: got %+v, remarks %q; want 200 as after the first deployment", production.Outcome, production.Remarks)
	}
	f.Server.LoadBalancers[0].Alternate = topology.Unknown[topology.ID]("a parameter without a default")
	if _, other := alternate(); other.Outcome.Class != Unknown {
		t.Errorf("an alternate group that is not settled: got %+v; want unknown", other.Outcome)
	}
}
