package lab_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// appID is the service behind the load balancer.
func appID(t *testing.T, topo *topology.Topology) topology.ID {
	t.Helper()
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			return s.ID
		}
	}
	t.Fatal("no service behind a load balancer")
	return ""
}

func tasksOf(l *lab.Lab, id topology.ID) []lab.TaskStatus {
	st := l.Status()
	return st.Service(id, "").Tasks
}

func events(l *lab.Lab, id topology.ID) string {
	st := l.Status()
	var b strings.Builder
	for _, e := range st.Service(id, "").Events {
		b.WriteString(e.Text + "\n")
	}
	return b.String()
}

// who returns the instances that answer n requests of the caller.
func who(t *testing.T, l *lab.Lab, c lab.Caller, url string, n int) (out []string) {
	t.Helper()
	for range n {
		o, err := l.Curl(context.Background(), c, url)
		if err != nil || o.Status != 200 {
			t.Fatal(o, err)
		}
		out = append(out, o.Header.Get("X-Hoplab-App"))
	}
	return out
}

func TestKill(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	l := start(t, lab.Options{Topology: topo, Scale: 10})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	for _, part := range []lab.Part{lab.AppPart, lab.AgentPart, lab.WholeTask} {
		before := tasksOf(l, id)[0]
		if err := l.Kill(lab.TaskRef{Service: id}, part); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool {
			ts := tasksOf(l, id)
			return len(ts) == 1 && ts[0].ID != before.ID
		})
		for _, pid := range before.PIDs {
			if labtest.Alive(pid) {
				t.Errorf("after killing the %s, process %d of the task still runs", part, pid)
			}
		}
		healthy(t, l)
		who(t, l, lab.Caller{}, url, 2)
		who(t, l, lab.Caller{Service: clientID(t, topo)}, "http://app.sample-namespace", 2)
	}
	if e := events(l, id); !strings.Contains(e, "Essential container in task exited") || !strings.Contains(e, "the Service Connect agent ended: signal: killed") {
		t.Errorf("events:\n%s", e)
	}
}

// TestKillLoadBalancer: another node takes its place at the same address.
func TestKillLoadBalancer(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	lb := topo.LoadBalancers[0].ID
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(lb, 80)
	before, err := l.DialInfo(lab.Caller{}, url)
	if err != nil {
		t.Fatal(err)
	}
	pid := l.Status().LoadBalancers[0].PID
	if err := l.KillLoadBalancer(lb, ""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { b := l.Status().LoadBalancers[0]; return b.PID != pid && b.Error == "" })
	healthy(t, l)
	after, err := l.DialInfo(lab.Caller{}, url)
	if err != nil || after != before {
		t.Errorf("what to dial changed from %v to %v: %v", before, after, err)
	}
	who(t, l, lab.Caller{}, url, 1)
}

func TestScale(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	if err := l.Scale(lab.TaskRef{Service: id}, 3); err != nil {
		t.Fatal(err)
	}
	healthy(t, l)
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	// A load balancer's node has one order; each of an agent's two workers has its
	// own, so that a task may get one request more or less of each.
	for name, c := range map[string]struct {
		caller lab.Caller
		url    string
		apart  int
	}{
		"load balancer": {lab.Caller{}, url, 0},
		"mesh":          {lab.Caller{Service: clientID(t, topo)}, "http://app.sample-namespace", 2},
	} {
		got := map[string]int{}
		for _, instance := range who(t, l, c.caller, c.url, 12) {
			got[instance]++
		}
		counts := slices.Collect(maps.Values(got))
		if len(counts) != 3 || slices.Max(counts)-slices.Min(counts) > c.apart {
			t.Errorf("%s: twelve requests went to %v, want three tasks in turn", name, got)
		}
	}
	if err := l.Scale(lab.TaskRef{Service: id}, 1); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(tasksOf(l, id)) == 1 })
	if got := who(t, l, lab.Caller{}, url, 3); len(slices.Compact(got)) != 1 {
		t.Errorf("after scaling in: %v", got)
	}
	if err := l.Scale(lab.TaskRef{Service: id}, 0); err != nil {
		t.Fatal(err)
	}
	o, err := l.Curl(context.Background(), lab.Caller{}, url)
	if err != nil || o.Status != 503 || o.Header.Get("Server") != "awselb/2.0" {
		t.Errorf("without tasks: %+v %v, want the load balancer's 503", o, err)
	}
	o, err = l.Curl(context.Background(), lab.Caller{Service: clientID(t, topo)}, "http://app.sample-namespace")
	if err != nil || o.Status != 503 || o.Body != "no healthy upstream" {
		t.Errorf("without tasks, mesh: %+v %v", o, err)
	}
}

// TestRedeployUnderLoad: a rolling deployment loses no request and none is
// answered by two tasks.
func TestRedeployUnderLoad(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	topology.NewIndex(topo).Service(id).DesiredCount = topology.Known(2)
	l := start(t, lab.Options{Topology: topo, Scale: 20})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	d, err := l.DialInfo(lab.Caller{}, url)
	if err != nil {
		t.Fatal(err)
	}
	old := tasksOf(l, id)
	var sent, failed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		wg.Wait()
	})
	defer end()
	for range 4 {
		wg.Go(func() {
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				req, _ := http.NewRequest("GET", "http://"+d.Dial+"/", nil)
				resp, err := tr.RoundTrip(req)
				sent.Add(1)
				if err != nil || resp.StatusCode != 200 {
					failed.Add(1)
					t.Logf("%v %v", resp, err)
				}
				if resp != nil {
					resp.Body.Close()
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Redeploy(ctx, lab.TaskRef{Service: id}); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return len(tasksOf(l, id)) == 2 })
	for range 20 { // load on the new tasks alone
		time.Sleep(5 * time.Millisecond)
	}
	end()
	if failed.Load() > 0 || sent.Load() < 50 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
	for _, now := range tasksOf(l, id) {
		if slices.ContainsFunc(old, func(o lab.TaskStatus) bool { return o.ID == now.ID }) {
			t.Errorf("task %s is still the old one", now.ID)
		}
	}
}

// TestFrozenNames: a task resolves what existed when its deployment was
// created, also one that replaces another or scales out inside it.
func TestFrozenNames(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	client := topology.NewIndex(topo).Service(clientID(t, topo))
	client.After = nil
	l := start(t, lab.Options{Topology: topo, Scale: 50})
	healthy(t, l)
	c := lab.Caller{Service: client.ID}
	o, err := l.Curl(context.Background(), c, "http://app.sample-namespace")
	if err != nil || o.Exit != 6 {
		t.Errorf("before a redeployment: %+v %v, want curl's 6", o, err)
	}
	if err := l.Scale(lab.TaskRef{Service: client.ID}, 2); err != nil {
		t.Fatal(err)
	}
	first := tasksOf(l, client.ID)[0].ID
	if err := l.Drain(lab.TaskRef{Service: client.ID}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		ts := tasksOf(l, client.ID)
		return len(ts) == 2 && ts[0].ID != first && ts[1].ID != first
	})
	for _, task := range tasksOf(l, client.ID) {
		o, err := l.Curl(context.Background(), lab.Caller{Service: client.ID, Task: task.ID}, "http://app.sample-namespace")
		if err != nil || o.Exit != 6 || len(task.Names) != 0 {
			t.Errorf("task %s that came later inside the deployment: %+v %v with names %v, want curl's 6 and none", task.ID, o, err, task.Names)
		}
	}
	if err := l.Scale(lab.TaskRef{Service: client.ID}, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Redeploy(context.Background(), lab.TaskRef{Service: client.ID}); err != nil {
		t.Fatal(err)
	}
	who(t, l, c, "http://app.sample-namespace", 1)
}

// TestReplacementLoop: a target that fails its check is replaced after the
// grace period, again and again, until the circuit breaker stops it.
func TestReplacementLoop(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	g, _ := topology.NewIndex(topo).Service(id).LoadBalancers[0].Group.Get()
	topology.NewIndex(topo).TargetGroup(g).Health.Path = topology.Known("/missing")
	topology.NewIndex(topo).Service(id).GraceSeconds = topology.Known(60)
	topology.NewIndex(topo).Service(id).CircuitBreaker = topology.Known(true)
	l := start(t, lab.Options{Topology: topo, Scale: 500})
	waitFor(t, func() bool {
		return strings.Contains(events(l, id), "deployment failed: tasks failed to start.")
	})
	e := events(l, id)
	if n := strings.Count(e, "has started 1 tasks"); n != 3 {
		t.Errorf("%d tasks were started, want 3:\n%s", n, e)
	}
	if !strings.Contains(e, "is unhealthy in target-group ") || !strings.Contains(e, "due to (reason Health checks failed with these codes: [404])") {
		t.Errorf("events:\n%s", e)
	}
	st := l.Status()
	for _, ev := range st.Service(id, "").Events {
		if strings.Contains(ev.Text, "begun draining") && ev.At < 60*time.Second {
			t.Errorf("replaced after %s, within the grace period: %s", ev.At, ev.Text)
		}
	}
}

// TestContainerHealth: the check runs inside the task, so it passes where the
// target's fails, and a failing one replaces the task.
func TestContainerHealth(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	svc := topology.NewIndex(topo).Service(id)
	svc.GraceSeconds = topology.Known(0)
	check := func(path string) *topology.ContainerHealth {
		return &topology.ContainerHealth{
			Command: []topology.Opt[string]{topology.Known("CMD-SHELL"), topology.Known("curl -f http://localhost" + path + " || exit 1")},
			Retries: topology.Known(2),
		}
	}
	svc.Task.Containers[0].Health = check("/healthz")
	lbID, _ := topo.LoadBalancers[0].Groups[0].Get()
	egress := topology.NewIndex(topo).SecurityGroup(lbID).Egress
	topology.NewIndex(topo).SecurityGroup(lbID).Egress = nil
	l := start(t, lab.Options{Topology: topo, Scale: 200, KeepUnhealthy: true})
	waitFor(t, func() bool {
		st := l.Status()
		return tasksOf(l, id)[0].Health == "HEALTHY" && st.LoadBalancers[0].Groups[0].Targets[0].Reason == "Target.Timeout"
	})

	svc.Task.Containers[0].Health = check("/missing")
	topology.NewIndex(topo).SecurityGroup(lbID).Egress = egress
	l = start(t, lab.Options{Topology: topo, Scale: 200})
	first := tasksOf(l, id)[0].ID
	waitFor(t, func() bool { return tasksOf(l, id)[0].ID != first })
	if e := events(l, id); !strings.Contains(e, "failed container health checks") || !strings.Contains(e, "replaced 1 tasks due to an unhealthy status") {
		t.Errorf("events:\n%s", e)
	}
}
