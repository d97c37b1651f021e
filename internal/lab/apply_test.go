package lab_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// step is what CloudFormation changes at once, before it goes on.
type step func(*scenario.Config)

// The ports of the app's ingress listener without and with the override.
const usual, override = 80, 8080

// opens lets the client reach the app's task on the given ports.
func opens(ports ...int) step {
	return func(c *scenario.Config) { c.AppFromClient, c.AppFromALB = ports, []int{usual} }
}

func overrides(c *scenario.Config) { port := override; c.Override = &port }

// TestToggle turns ingressPortOverride on under load, in the two ways that a
// template can. CloudFormation changes a security group before the service that
// is in it, and new tasks take their time. A rule that moves with the override
// locks callers out until the new tasks are there; with both ports open for the
// deployment nobody notices.
func TestToggle(t *testing.T) {
	layer.Full(t, "starts labs")
	for _, c := range []struct {
		name   string
		steps  []step
		outage bool
	}{
		{"the rule moves with the override", []step{opens(override), overrides}, true},
		{"both ports are open for one deployment", []step{opens(usual, override), overrides, opens(override)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mesh, front := toggle(t, c.steps, 4)
			if front.late+front.failed > 0 || (mesh.failed+mesh.late > 0) != c.outage { // a busy machine is late too
				mesh, front = toggle(t, c.steps, 1)
			}
			t.Logf("by name: %s; through the load balancer: %s", mesh, front)
			if front.late+front.failed > 0 {
				t.Errorf("the load balancer's requests do not go through the agent's port, and yet: %s", front)
			}
			if got := mesh.failed+mesh.late > 0; got != c.outage {
				t.Errorf("callers notice: %v, want %v (%s)", got, c.outage, mesh)
			}
		})
	}
}

// tally counts calls by what became of them.
type tally struct {
	mu               sync.Mutex
	ok, late, failed int
	longest          time.Duration // modelled
}

func (x *tally) String() string {
	return fmt.Sprintf("%d answered within a second, %d later, %d failed; the longest took %s", x.ok, x.late, x.failed, x.longest.Round(10*time.Millisecond))
}

func (x *tally) add(d time.Duration, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.longest = max(x.longest, d)
	switch {
	case !ok:
		x.failed++
	case d > time.Second:
		x.late++
	default:
		x.ok++
	}
}

// toggle starts a lab in which tasks take 20 s to start, carries the steps out
// one after the other and counts what callers see meanwhile.
func toggle(t *testing.T, steps []step, scale int) (mesh, front *tally) {
	t.Helper()
	c := scenario.Default()
	c.Name, c.ContainerPort, c.AliasPort = "toggle", usual, usual
	opens(usual)(&c)
	topo, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, lab.Options{Topology: topo, Scale: float64(scale), Timing: lab.Timing{TaskStart: 20 * time.Second}})
	healthy(t, l)
	var client topology.ID
	for _, s := range topo.Services {
		if len(s.LoadBalancers) == 0 {
			client = s.ID
		}
	}
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, topo.LoadBalancers[0].Listeners[0].Port.Or(80))
	mesh, front = &tally{}, &tally{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		wg.Wait()
	})
	defer end()
	for who, counted := range map[*tally]lab.Caller{mesh: {Service: client}, front: {}} {
		to := url
		if counted.Service != "" {
			to = fmt.Sprintf("http://app.%s:%d", scenario.Namespace, usual)
		}
		d, err := l.DialInfo(counted, to)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { bursts(stop, d, who, time.Duration(scale)) })
	}
	time.Sleep(500 * time.Millisecond)
	for _, s := range steps {
		s(&c)
		next, err := c.Topology()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Apply(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := l.WaitDeployed(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	time.Sleep(500 * time.Millisecond)
	end()
	return mesh, front
}

// bursts sends more requests at a time from burst to burst, so that agents need
// connections that they do not have yet.
func bursts(stop chan struct{}, d lab.DialInfo, count *tally, scale time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tr := &http.Transport{DisableKeepAlives: true}
	for n := 2; ; n = min(n+1, 12) {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
		for range n {
			wg.Go(func() {
				req, err := http.NewRequest("GET", d.URL, nil)
				if err != nil {
					return
				}
				req.URL.Host = d.Dial // the Host header stays
				begun := time.Now()
				resp, err := tr.RoundTrip(req)
				if resp != nil {
					resp.Body.Close()
				}
				count.add(time.Since(begun)*scale, err == nil && resp.StatusCode == 200)
			})
		}
	}
}

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
		change step
		how    string
		tasks  int
	}{
		{func(*scenario.Config) {}, "", 2},
		{opens(usual, override), "", 2},
		{overrides, "deployed", 2},
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
