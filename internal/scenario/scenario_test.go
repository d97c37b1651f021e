package scenario_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/test/cfntest"
)

func TestDefaultLeavesNothingOpen(t *testing.T) {
	c := scenario.Default()
	top := cfntest.Parse(t, "scenario.json", c.Template())
	for _, n := range top.Unknowns {
		t.Errorf("unknown: %s: %s", n.Origin.ID, n.Text)
	}
	if len(top.Services) != 2 || len(top.LoadBalancers) != 1 || len(top.SecurityGroups) != 3 {
		t.Errorf("got %d services, %d load balancers, %d groups; want 2, 1, 3", len(top.Services), len(top.LoadBalancers), len(top.SecurityGroups))
	}
}

func TestRandomIsReproducibleAndReadable(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		a, b := scenario.Random(rand.New(rand.NewPCG(seed, 0))), scenario.Random(rand.New(rand.NewPCG(seed, 0)))
		if !bytes.Equal(a.Template(), b.Template()) {
			t.Fatalf("seed %d gives two different templates", seed)
		}
		cfntest.Parse(t, "scenario.json", a.Template())
	}
}

func TestRandomReachesEveryFault(t *testing.T) {
	hits := map[string]int{}
	for seed := uint64(1); seed <= 2000; seed++ {
		c := scenario.Random(rand.New(rand.NewPCG(seed, 0)))
		for what, hit := range map[string]bool{
			"override": c.Override != nil, "no connect": !c.Connect, "tcp": c.AppProtocol == "", "no tasks": c.Tasks == 0,
			"no egress": c.NoALBEgress, "closed to the load balancer": len(c.AppFromALB) == 0, "closed to the client": len(c.AppFromClient) == 0,
			"loopback app": c.App["LISTEN_ADDRESS"] == "127.0.0.1", "interface app": c.App["LISTEN_ADDRESS"] == "eth0",
			"slow app": strings.HasPrefix(c.App["DELAY"], "20s"), "failing app": c.App["STATUS"] == "500",
			"redirect":     c.DefaultAction.Redirect != "",
			"client first": c.ClientFirst, "other namespace": c.OtherNamespace, "nobody registered": c.RegisterNobody,
			"TLS": c.TLS, "TLS and an HTTP target group": c.TLS && c.Override == nil && !c.TargetTLS, "HTTPS to an app": c.TargetTLS && !c.TLS,
		} {
			if hit {
				hits[what]++
			}
		}
	}
	for what, n := range hits {
		if n < 20 {
			t.Errorf("%s: %d of 2000; too rare to test anything", what, n)
		}
	}
	if len(hits) != 18 {
		t.Errorf("got %d kinds of fault; want 18: %v", len(hits), hits)
	}
}
