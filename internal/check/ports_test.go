package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestPortsOutOfRange has every place of a port but the override, with numbers
// below, above and far above TCP's.
func TestPortsOutOfRange(t *testing.T) {
	places := map[string]func(f *topologytest.Fixture, n topology.Opt[int]) topology.Origin{
		"listener": func(f *topologytest.Fixture, n topology.Opt[int]) topology.Origin {
			l := f.Topology.LoadBalancers[0].Listeners[0]
			l.Port = n
			return l.Origin
		},
		"target group": func(f *topologytest.Fixture, n topology.Opt[int]) topology.Origin {
			f.Topology.TargetGroups[0].Port = n
			return f.Topology.TargetGroups[0].Origin
		},
		"health check": func(f *topologytest.Fixture, n topology.Opt[int]) topology.Origin {
			f.Topology.TargetGroups[0].Health.Port = topology.Known(fmt.Sprint(n.Or(1)))
			return f.Topology.TargetGroups[0].Origin
		},
		"container": func(f *topologytest.Fixture, n topology.Opt[int]) topology.Origin {
			f.Mapping().Port = n
			return f.Server.Task.Origin
		},
		"alias": func(f *topologytest.Fixture, n topology.Opt[int]) topology.Origin {
			f.Endpoint().Aliases[0].Port = n
			return f.Server.Origin
		},
	}
	for name, set := range places {
		for n, bad := range map[int]bool{1: false, 65535: false, 65536: true, 0: true, -1: true, 1_000_000_000: true} {
			f := topologytest.Healthy()
			at := set(f, topology.Known(n))
			got := ofRule(check(t, f, Options{}), "port-out-of-range")
			if bad != (len(got) == 1) {
				t.Errorf("%s %d: findings %v", name, n, got)
			} else if bad && (got[0].Origin.ID != at.ID || !strings.Contains(got[0].Message, fmt.Sprintf(" %d is no TCP port", n))) {
				t.Errorf("%s %d: %+v; want it at %s with the number", name, n, got[0], at.ID)
			}
			for _, other := range check(t, f, Options{}) {
				if text := other.Message + other.Fix; bad && n != 0 && other.Rule != "port-out-of-range" && strings.Contains(text, fmt.Sprint(n)) {
					t.Errorf("%s %d: and %s: %s %s", name, n, other.Rule, other.Message, other.Fix)
				}
			}
		}
	}
}
