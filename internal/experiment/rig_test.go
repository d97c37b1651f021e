package experiment

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

func TestMain(m *testing.M) {
	labtest.Node()
	os.Exit(m.Run())
}

// TestHosts: on netns the load comes from as many hosts as the arms have
// callers, each arm's from the one that its descriptor stands for.
func TestHosts(t *testing.T) {
	top := golden(t, "both")
	for _, c := range []struct {
		fabric string
		arms   []string
		twin   bool
		hosts  []int // by arm, the number of its host
	}{
		{plan.FabricNetns, []string{plan.ArmAgent, plan.ArmBypass}, true, []int{0, 0, 0}},
		{plan.FabricNetns, []string{plan.ArmBypass, plan.ArmMesh}, true, []int{0, 1, 0}},
		{plan.FabricNetns, []string{plan.ArmAgent, plan.ArmMesh}, true, []int{0, 1, 2}},
		{plan.FabricNetns, []string{plan.ArmBypass, plan.ArmDirect}, false, []int{0, 1}},
		{plan.FabricNetns, plan.ArmNames(), true, []int{0, 0, 1, 2, 3, 0}},
		{plan.FabricLoopback, plan.ArmNames(), true, []int{0, 0, 0, 0, 0, 0}},
	} {
		p, err := plan.New(plan.ProfileQuick)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetArms(c.arms, c.twin); err != nil {
			t.Fatal(err)
		}
		p.Fabric = c.fabric
		routes, err := choose(top, &p)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{plan: &p, routes: routes}
		hosts := r.hosts()
		var got []int
		for _, a := range p.Arms {
			got = append(got, max(0, slices.Index(hosts, r.host(a))))
		}
		if !slices.Equal(got, c.hosts) || len(hosts) != slices.Max(c.hosts)+1 {
			t.Errorf("%s, %v: hosts %+v, of the arms %v, want %v", c.fabric, c.arms, hosts, got, c.hosts)
		}
	}
}

// TestArmThatCannotBeCalled: security groups that keep the caller of an arm
// from it are an error before any load, on every fabric.
func TestArmThatCannotBeCalled(t *testing.T) {
	layer.Full(t, "starts a lab")
	app, err := labtest.BuildService(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	top := golden(t, "both")
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetArms([]string{plan.ArmBypass, plan.ArmMesh, plan.ArmDirect}, false); err != nil {
		t.Fatal(err)
	}
	routes, err := choose(top, &p)
	if err != nil {
		t.Fatal(err)
	}
	x := topology.NewIndex(top)
	id, _ := x.LoadBalancer(routes[plan.ArmDirect].GroupsOf).Groups[0].Get()
	x.SecurityGroup(id).Egress = nil
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := &rig{plan: &p, routes: routes}
	var twins []lab.Twin
	for _, a := range p.Arms {
		if rt, twin := r.route(a); twin != "" {
			twins = append(twins, lab.Twin{Of: rt.Service, Name: twin})
		}
	}
	if r.lab, err = lab.Start(ctx, lab.Options{Topology: top, App: lab.App{Command: []string{app}}, Twins: twins}); err != nil {
		t.Fatal(err)
	}
	defer r.lab.Close()
	load := Load(&p, "r", 1, 0)
	if _, err := r.dialled(&load, &run.Evidence{}); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "arm direct cannot be called: ") {
		t.Errorf("the load balancer's groups let nothing out: %v", err)
	}
}
