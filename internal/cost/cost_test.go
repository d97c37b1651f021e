package cost_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cost"
	"github.com/hoplab/hoplab/internal/topology"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s: got %v; want %v", what, got, want)
	}
}

func TestDeployedCountsWhatTheTemplateHolds(t *testing.T) {
	task := &topology.TaskDefinition{CPU: topology.Known(512), MemoryMiB: topology.Known(1024)}
	top := &topology.Topology{
		Services: []*topology.Service{
			{Origin: topology.Origin{ID: "App/Service"}, DesiredCount: topology.Known(2), Task: task},
			{Origin: topology.Origin{ID: "App/Idle"}, DesiredCount: topology.Known(0), Task: task},
			{Origin: topology.Origin{ID: "App/Foreign"}, DesiredCount: topology.Known(1)},
		},
		LoadBalancers: []*topology.LoadBalancer{{Kind: "application"}, {Kind: "network"}},
		Ignored:       map[string]int{"AWS::EC2::NatGateway": 1, "AWS::EC2::EIP": 1},
	}
	e := cost.Deployed(top, cost.USEast1)
	// 2 × (0.5 × 0.04048 + 1 × 0.004445) + 0.0225 + 0.045 + 0.005
	near(t, "per hour", e.USD, 2*(0.5*0.04048+0.004445)+0.0225+0.045+0.005)
	if without := strings.Join(e.Without, "\n"); !strings.Contains(without, "App/Foreign") {
		t.Errorf("the service without a known task size is not named as left out:\n%s", without)
	}
	for _, l := range e.Lines {
		if strings.Contains(l.What, "Idle") {
			t.Error("a service of zero tasks has a line")
		}
	}
}

func TestAgentRoomPerMonth(t *testing.T) {
	// A quarter vCPU and a sixteenth GB for 730 hours.
	near(t, "agent room", cost.AgentMonth(cost.USEast1), 730*(0.25*0.04048+0.0625*0.004445))
}

func TestRunPaysAtLeastAMinute(t *testing.T) {
	short := cost.Run(cost.USEast1, cost.LoadTask{VCPU: 1, GB: 2}, 1, 10, 0)
	minute := cost.Run(cost.USEast1, cost.LoadTask{VCPU: 1, GB: 2}, 1, 60, 0)
	near(t, "10 s against 60 s", short.USD, minute.USD)
	if two := cost.Run(cost.USEast1, cost.LoadTask{VCPU: 1, GB: 2}, 2, 60, 0); two.USD <= minute.USD {
		t.Error("two load tasks cost no more than one")
	}
}
