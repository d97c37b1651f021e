package differential_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/test/differential"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestStandaloneTasks: what a task reaches that RunTask starts is decided by the
// security groups that it was started with, in the prediction and in the lab.
func TestStandaloneTasks(t *testing.T) {
	layer.Full(t, "starts a lab")
	app, self := labtest.Programs(t)
	top := labtest.Deployment(t, "load")
	group := func(name string) *topology.SecurityGroup {
		i := slices.IndexFunc(top.SecurityGroups, func(g *topology.SecurityGroup) bool { return strings.Contains(string(g.ID), "/"+name) })
		if i < 0 {
			t.Fatalf("the deployment has no security group %s", name)
		}
		return top.SecurityGroups[i]
	}
	subnets, ok := top.Services[0].Subnets[0].Get()
	if !ok {
		t.Fatal("the first service has no settled subnet")
	}
	o := differential.Options{App: []string{app}, Node: []string{self, "node"}, Fabric: *fabric, Scale: 8, Seed: 1}
	o.Want = func(*reach.Prediction) bool { return false }
	for _, name := range []string{"LoadSg", "ClientSg", "AlbSg"} {
		caller := reach.Caller{Kind: reach.CallerStandalone, Name: "a task in " + name,
			Groups: []topology.ID{group(name).ID}, Subnets: []topology.ID{subnets}}
		lb := top.LoadBalancers[0]
		o.Ask = append(o.Ask, differential.Question{Caller: caller, URL: "http://" + topology.Label(lb.Origin, lb.Name) + ":80"})
		for _, s := range top.Services {
			if len(s.LoadBalancers) > 0 {
				o.Ask = append(o.Ask, differential.Question{Caller: caller, URL: "http://" + topology.Label(s.Origin, s.Name) + ":80"})
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rows, err := differential.Compare(ctx, top, o)
	if err != nil {
		t.Fatal(err)
	}
	through, dropped := 0, 0
	for _, row := range rows {
		t.Logf("%s: %s", row.What, row.Observed)
		switch {
		case row.Differs != "" || row.Skipped != "":
			t.Errorf("%s: predicted %s, observed %s: %s%s", row.What, row.Predicted, row.Observed, row.Differs, row.Skipped)
		case strings.HasPrefix(row.Observed, "200"):
			through++
		default:
			dropped++
		}
	}
	// The load's group lets out to the load balancer alone, the client's to the
	// agents, and the load balancer's to the apps.
	if len(rows) != len(o.Ask) || through == 0 || dropped == 0 {
		t.Errorf("%d calls of %d, %d got through and %d did not", len(rows), len(o.Ask), through, dropped)
	}
}

// TestStandaloneTasksInNamespaces is the same where the kernel decides.
func TestStandaloneTasksInNamespaces(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	labtest.Again(t, "TestStandaloneTasks", "-fabric=netns")
}
