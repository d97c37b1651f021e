package experiment

import (
	"context"
	"os"
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
	if len(os.Args) > 1 && os.Args[1] == "node" {
		os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestLoadInsideATask: on netns the load of a plan with the mesh arm comes
// from the task that calls by name, and the task's security groups decide
// whether it may call the other arms too. What the groups decide is the same
// on every fabric, so the lab is on loopback.
func TestLoadInsideATask(t *testing.T) {
	layer.Full(t, "starts a lab")
	app, err := labtest.BuildService(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, closed := range []bool{false, true} {
		topo := golden(t, "both")
		p, err := plan.New(plan.ProfileQuick)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetArms([]string{plan.ArmBypass, plan.ArmMesh}, false); err != nil {
			t.Fatal(err)
		}
		p.Fabric = plan.FabricNetns
		routes, err := choose(topo, &p)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{plan: &p, routes: routes}
		client := routes[plan.ArmMesh].Client
		if c := r.caller(); c.Service != client || c.Twin != plan.ArmMesh {
			t.Fatalf("the load comes from %+v", c)
		}
		if closed { // the client's group lets out nothing but HTTPS
			id, _ := topology.NewIndex(topo).Service(client).Groups[0].Get()
			g := topology.NewIndex(topo).SecurityGroup(id)
			g.Egress = g.Egress[:1]
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		r.lab, err = lab.Start(ctx, lab.Options{Topology: topo, App: lab.App{Command: []string{app}},
			Twins: []lab.Twin{{Of: routes[plan.ArmMesh].Service, Name: plan.ArmMesh}}})
		if err != nil {
			t.Fatal(err)
		}
		load := Load(&p, "r", 1, 0)
		err = r.dialled(&load, &run.Evidence{})
		switch {
		case !closed && err != nil:
			t.Error(err)
		case closed && (fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "arm bypass cannot be called: the load comes from the task of "+string(client)) || !strings.Contains(err.Error(), "security groups")):
			t.Errorf("the client's group lets it reach no load balancer: %v", err)
		}
		if err := r.lab.Close(); err != nil {
			t.Error(err)
		}
	}
}
