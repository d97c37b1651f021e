package lab_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestDrainByAnEndedNode: a task that waits for its last request through a load
// balancer ends when the balancer's node does, and with it the request.
func TestDrainByAnEndedNode(t *testing.T) {
	layer.Full(t, "starts a lab")
	c := scenario.Default()
	c.Name, c.DeregisterS, c.App = "drain", 3600, map[string]string{"DELAY": "/slow=1000s"}
	topo, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	id, lb := appID(t, topo), topo.LoadBalancers[0].ID
	url, _ := l.LoadBalancerURL(lb, 80)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.Curl(ctx, lab.Caller{}, url+"slow") })
	waitFor(t, func() bool { st := l.Status(); return st.LoadBalancers[0].Groups[0].Requests > 0 })
	old := tasksOf(l, id)[0].ID
	if err := l.Drain(lab.TaskRef{Service: id}); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		return slices.ContainsFunc(tasksOf(l, id), func(s lab.TaskStatus) bool { return s.ID == old })
	}
	time.Sleep(100 * time.Millisecond)
	if !there() {
		t.Fatal("the task did not wait for its open request")
	}
	if err := l.KillLoadBalancer(lb, ""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return !there() })
	stopped := l.Status()
	if s := stopped.Service(id, "").Stopped; len(s) != 1 || s[0].ID != old || s[0].Why == "" {
		t.Errorf("stopped tasks %+v, want %s with a reason", s, old)
	}
}

// TestApplyKeepsWhatItDoesNotChange: a count that a user has set stays through an
// update that concerns other things, and one of the template's is taken.
func TestApplyKeepsWhatItDoesNotChange(t *testing.T) {
	layer.Full(t, "starts a lab")
	c := scenario.Default()
	c.Name = "counts"
	topo, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, lab.Options{Topology: topo, Scale: 20})
	healthy(t, l)
	id := appID(t, topo)
	if err := l.Scale(lab.TaskRef{Service: id}, 2); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		change func(*scenario.Config)
		how    string
		tasks  int
	}{
		{func(*scenario.Config) {}, "", 2},
		{func(c *scenario.Config) { c.AppFromClient = append(c.AppFromClient, 8080) }, "", 2},
		{func(c *scenario.Config) { c.Override = new(8080) }, "deployed", 2},
		{func(c *scenario.Config) { c.Tasks = 3 }, "scaled", 3},
		{func(c *scenario.Config) { c.Tasks = 0 }, "scaled", 0},
	} {
		x.change(&c)
		next, err := c.Topology()
		if err != nil {
			t.Fatal(err)
		}
		changes, err := l.Apply(t.Context(), next)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := l.WaitDeployed(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		how := ""
		for _, c := range changes {
			how += c.How
		}
		if st := l.Status(); how != x.how || len(st.Service(id, "").Tasks) != x.tasks {
			t.Errorf("changes %+v, %d tasks; want %q and %d", changes, len(st.Service(id, "").Tasks), x.how, x.tasks)
		}
	}
}
