package experiment

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

func golden(t *testing.T, variant string) *topology.Topology {
	t.Helper()
	return cfntest.Read(t, filepath.Join("..", "..", "stacks", "testdata", "golden", variant))
}

func routes(t *testing.T, top *topology.Topology) map[string]Route {
	t.Helper()
	r, err := Routes(top)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a deployment offers follows its port mode: only an app that the load
// balancer reaches by itself can be called without it.
func TestRoutes(t *testing.T) {
	for variant, want := range map[string]map[string]string{
		"agent": {plan.ArmAgent: "through listener 80", plan.ArmMesh: "app.sample-namespace:80 from",
			plan.ArmMeshTLS: "with TLS"},
		"bypass": {plan.ArmBypass: "through listener 80", plan.ArmMesh: "app.sample-namespace:80 from",
			plan.ArmMeshTLS: "with TLS", plan.ArmDirect: "port 80 of its task, from a host with the groups of"},
		"both": {plan.ArmAgent: "through listener 80", plan.ArmBypass: "through listener 81",
			plan.ArmMesh: "app-agent.sample-namespace:80 from", plan.ArmMeshTLS: "with TLS",
			plan.ArmDirect: "port 80 of its task, from a host with the groups of"},
	} {
		have := routes(t, golden(t, variant))
		if len(have) != len(want) {
			t.Errorf("%s: routes %v; want %d", variant, have, len(want))
		}
		for arm, part := range want {
			if w, ok := have[arm]; !ok || !strings.Contains(w.String(), part) {
				t.Errorf("%s: arm %s is %v; want %q", variant, arm, w, part)
			}
		}
	}
}

// Of two listeners to apps without an agent before them, the lower port's is
// measured, whatever their order in the template, and direct belongs to it.
func TestTheLowestListenerWins(t *testing.T) {
	top := golden(t, "both")
	agent := routes(t, top)[plan.ArmAgent].Service
	ends := topology.NewIndex(top).Service(agent).Connect.Endpoints
	for i := range ends {
		ends[i].IngressPortOverride = topology.Known(9000)
	}
	for range 2 {
		have := routes(t, top)
		if w := have[plan.ArmBypass]; w.Port != 80 || w.Service != agent {
			t.Errorf("bypass is %v; want listener 80", w)
		}
		if w := have[plan.ArmDirect]; w.Service != agent {
			t.Errorf("direct is %v; want the service of bypass", w)
		}
		for _, lb := range top.LoadBalancers {
			slices.Reverse(lb.Listeners)
		}
	}
}

// What the load generator cannot do is refused before anything starts.
func TestDescribeRefusesWhatCannotBeCalled(t *testing.T) {
	top := golden(t, "both")
	for _, c := range []struct {
		name   string
		arms   []string
		change func(*plan.Plan)
		want   string // "" when the plan can be carried out
	}{
		{"all arms", plan.ArmNames(), func(*plan.Plan) {}, ""},
		{"direct with k6/http", []string{"bypass", "direct"}, func(p *plan.Plan) { p.Client = "http" }, "--client http cannot choose"},
		{"bypass with k6/http", []string{"agent", "bypass"}, func(p *plan.Plan) { p.Client = "http" }, ""},
		{"direct on netns", []string{"bypass", "direct"}, func(p *plan.Plan) { p.Fabric = plan.FabricNetns }, ""},
		{"all arms on netns", plan.ArmNames(), func(p *plan.Plan) { p.Fabric = plan.FabricNetns }, ""},
		{"mesh and its twin on netns", []string{"agent", "mesh"}, func(p *plan.Plan) { p.Fabric = plan.FabricNetns }, ""},
		{"mesh with k6/http", []string{"bypass", "mesh"}, func(p *plan.Plan) { p.Client = "http" }, ""},
		{"mesh with k6/http on netns", []string{"bypass", "mesh"}, func(p *plan.Plan) { p.Client, p.Fabric = "http", plan.FabricNetns },
			"--client http cannot choose"},
	} {
		p, err := plan.New(plan.ProfileQuick)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetArms(c.arms, true); err != nil {
			t.Fatal(err)
		}
		c.change(&p)
		err = Describe(top, &p)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || fail.CodeOf(err) != fail.Usage):
			t.Errorf("%s: %v; want a usage error with %q", c.name, err, c.want)
		}
	}
}

// An arm that is missing because its service is refused says so.
func TestDescribeSaysWhatIsNeverDeployed(t *testing.T) {
	top := golden(t, "bypass")
	for _, s := range top.Services {
		if s.Connect != nil {
			for i := range s.Connect.Endpoints {
				s.Connect.Endpoints[i].IngressPortOverride = topology.Known(443)
			}
		}
	}
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetArms([]string{plan.ArmBypass, plan.ArmMesh}, false); err != nil {
		t.Fatal(err)
	}
	if err := Describe(top, &p); err == nil || !strings.Contains(err.Error(), "ECS refuses ports <= 1024") || fail.CodeOf(err) != fail.Usage {
		t.Errorf("%v; want the reason why the service is never deployed", err)
	}
}

// The ports at each stop are those of the prediction, in either port mode.
func TestDescribePorts(t *testing.T) {
	top := golden(t, "both")
	for _, s := range top.Services {
		if s.Connect != nil && len(s.Connect.Endpoints) > 0 && s.Connect.Endpoints[0].IngressPortOverride.Or(0) != 0 {
			s.Connect.Endpoints[0].IngressPortOverride = topology.Known(9123)
		}
	}
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetArms(plan.ArmNames(), true); err != nil {
		t.Fatal(err)
	}
	if err := Describe(top, &p); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		plan.ArmAgent:   "URL port 80, listener 80, ingress port 80, container port 80",
		plan.ArmBypass:  "URL port 81, listener 81, container port 80",
		plan.ArmDirect:  "URL port 80, container port 80",
		plan.ArmMesh:    "client port 80, virtual address, ingress port 80, container port 80",
		plan.ArmMeshTLS: "client port 80, virtual address, ingress port 80, TLS, container port 80",
	}
	for _, a := range p.Arms {
		if got := strings.Join(a.Ports, ", "); got != want[original(a)] {
			t.Errorf("%s: %s; want %s", a.Name, got, want[original(a)])
		}
	}
}

// An endpoint that has TLS in the templates offers no arm without it.
func TestTLSInTheTemplates(t *testing.T) {
	top := golden(t, "bypass")
	for _, s := range top.Services {
		if s.Connect != nil && len(s.Connect.Endpoints) > 0 {
			s.Connect.Endpoints[0].TLS = topology.Known(true)
		}
	}
	have := routes(t, top)
	if _, ok := have[plan.ArmMesh]; ok || !have[plan.ArmMeshTLS].TLS {
		t.Errorf("routes %v; want mesh-tls and no mesh", have)
	}
}
