package experiment

import (
	"testing"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestVary: every endpoint has the plan's appProtocol and every agent its access
// log; a plan that wants neither changes nothing.
func TestVary(t *testing.T) {
	endpoints := func(p plan.Plan) (protocols, logs map[string]int) {
		topo := labtest.Deployment(t, "bypass")
		if err := Vary(topo, &p); err != nil {
			t.Fatal(err)
		}
		protocols, logs = map[string]int{}, map[string]int{}
		x := topology.NewIndex(topo)
		for _, s := range topo.Services {
			if s.Connect == nil {
				continue
			}
			logs[s.Connect.AccessLog.Or("none")]++
			for _, e := range x.Endpoints(s.ID) {
				protocols[e.Protocol.Or("unknown")]++
			}
		}
		return protocols, logs
	}
	wasProtocols, wasLogs := endpoints(plan.Plan{})
	if wasProtocols["http"] != 1 || wasLogs["JSON"] != 2 {
		t.Fatalf("the templates have %v and %v", wasProtocols, wasLogs)
	}
	protocols, logs := endpoints(plan.Plan{AppProtocol: "http2", AccessLog: "TEXT"})
	if len(protocols) != 1 || protocols["http2"] != 1 || len(logs) != 1 || logs["TEXT"] != 2 {
		t.Errorf("endpoints %v, access logs %v; want 1 of http2 and 2 of TEXT", protocols, logs)
	}
	if _, logs := endpoints(plan.Plan{AccessLog: plan.AccessLogOff}); len(logs) != 1 || logs["none"] != 2 {
		t.Errorf("access logs %v, want none", logs)
	}
}
