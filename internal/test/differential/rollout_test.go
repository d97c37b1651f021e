package differential_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// atMost is the calls a second that a busy machine carries.
const atMost = 120

var calls = flag.Int("calls", atMost, "calls a second of each caller during an update, at most")

// toggles are updates that turn ingressPortOverride on or off.
var toggles = []struct {
	name   string
	steps  func(t *testing.T) []*topology.Topology
	envoys bool // also with Envoys on the kernel's network at every commit
}{
	{"the rule stands in its group and moves with the override", moved(true), true},
	{"the rule is a resource of its own", moved(false), false},
	{"both ports are open for one deployment, the rules in their group", opened, false},
	{"hoplab's own stacks, -c ingressPortOverride=8080", stacks("agent", "bypass"), true},
	{"hoplab's own stacks, and back", stacks("bypass", "agent"), false},
}

// scenarioWith is a deployment whose app lets its client in on the ports.
func scenarioWith(t *testing.T, inline, override bool, ports ...int) *topology.Topology {
	t.Helper()
	c := scenario.Default()
	c.Name, c.ContainerPort, c.AliasPort = "rollout", 80, 80
	c.AppFromClient, c.AppFromALB, c.InlineRules = ports, []int{80}, inline
	if override {
		c.Override = new(8080)
	}
	topo, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func moved(inline bool) func(*testing.T) []*topology.Topology {
	return func(t *testing.T) []*topology.Topology {
		return []*topology.Topology{scenarioWith(t, inline, false, 80), scenarioWith(t, inline, true, 8080)}
	}
}

func opened(t *testing.T) []*topology.Topology {
	return []*topology.Topology{
		scenarioWith(t, true, false, 80), scenarioWith(t, true, false, 80, 8080),
		scenarioWith(t, true, true, 80, 8080), scenarioWith(t, true, true, 8080),
	}
}

func stacks(variants ...string) func(*testing.T) []*topology.Topology {
	return func(t *testing.T) (out []*topology.Topology) {
		for _, v := range variants {
			out = append(out, labtest.Deployment(t, v))
		}
		return out
	}
}

// TestRollout carries updates out in a running lab, phase by phase and under
// load, with tasks that take 20 s to start, and holds what callers see against
// what is predicted: an outage where there is to be one, and nowhere else a call
// that fails or waits for an agent's connect timeout. With -calls above the
// default, for a quiet machine, none of those may take longer than a second. The
// table in docs/lab.md: go test ./internal/test/differential -run 'TestRollout$' -calls 500 -scale 1 -v
func TestRollout(t *testing.T) {
	layer.Full(t, "starts labs")
	speed := min(*scale, 4)
	if *agent == lab.AgentEnvoy {
		speed = 1
	}
	strict := *calls > atMost
	for _, c := range toggles {
		if *agent == lab.AgentEnvoy && !c.envoys {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if !strict {
				t.Parallel()
			}
			steps := c.steps(t)
			want := outage(t, steps)
			mesh, front := update(t, steps, speed, want)
			if front.noticed() || mesh.noticed() != want { // a busy machine is late too
				mesh, front = update(t, steps, 1, want)
			}
			t.Logf("by name: %s; through the load balancer: %s", mesh, front)
			if front.noticed() || strict && front.late > 0 {
				t.Errorf("the load balancer's requests do not go through the agent's port, and yet: %s", front)
			}
			if mesh.noticed() != want || strict && !want && mesh.late > 0 {
				t.Errorf("an outage is predicted: %v, and callers saw: %s", want, mesh)
			}
		})
	}
}

// TestRolloutWithEnvoy is TestRollout with real Envoys on the kernel's network.
func TestRolloutWithEnvoy(t *testing.T) {
	layer.Full(t, "starts Envoys")
	t.Parallel()
	if *agent == lab.AgentEnvoy {
		t.Log("TestRollout is with Envoy already")
		return
	}
	labtest.Envoy(t)
	labtest.Again(t, "TestRollout", "-agent=envoy", "-fabric=netns")
}

// outage predicts whether a call by name that works before and after an update
// fails in one of its phases.
func outage(t *testing.T, steps []*topology.Topology) bool {
	t.Helper()
	found := false
	for i := range steps[1:] {
		tl, err := rollout.Follow(steps[i], steps[i+1], reach.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range tl.Paths {
			_, out := w.Outage()
			if p := w.Last(); out && p.Kind != reach.KindMesh {
				t.Errorf("%s is predicted to fail on the way", p.ID)
			}
			found = found || out
		}
	}
	return found
}

// tally counts calls by what became of them.
type tally struct {
	mu               sync.Mutex
	ok, late, failed int
	longest          time.Duration  // modelled
	how              map[string]int // they failed: by status and body, or by error
}

func (x *tally) String() string {
	return fmt.Sprintf("%d answered within a second, %d later, %d failed; the longest took %s %v", x.ok, x.late, x.failed,
		x.longest.Round(10*time.Millisecond), x.how)
}

// noticed reports whether calls failed, or waited for as long as only an agent
// that cannot connect makes them: its connect timeout is 5 s.
func (x *tally) noticed() bool { return x.failed > 0 || x.longest > 4500*time.Millisecond }

func (x *tally) add(d time.Duration, ok bool, how string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.longest = max(x.longest, d)
	switch {
	case !ok:
		x.failed++
		if x.how == nil {
			x.how = map[string]int{}
		}
		x.how[how]++
	case d > time.Second:
		x.late++
	default:
		x.ok++
	}
}

// update starts a lab of the first deployment in which tasks take 20 s to start,
// carries the updates to the others out and counts what callers see meanwhile. With
// anew, those by name come once the first phase has begun: an agent that has
// connections to the old tasks may need no more of them, since requests wait for one
// that becomes free.
func update(t *testing.T, steps []*topology.Topology, speed float64, anew bool) (mesh, front *tally) {
	t.Helper()
	l := rolling(t, steps[0], speed)
	mesh, front = &tally{}, &tally{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		wg.Wait()
	})
	defer end()
	byName, byBalancer := callers(t, l, steps[0])
	come := sync.OnceFunc(func() { wg.Go(func() { byName.bursts(stop, mesh, speed) }) })
	if !anew {
		come()
	}
	wg.Go(func() { byBalancer.bursts(stop, front, speed) })
	time.Sleep(500 * time.Millisecond)
	for i := range steps[1:] {
		for _, phase := range rollout.Phases(steps[i], steps[i+1])[1:] {
			if _, err := l.Apply(t.Context(), phase.Topology); err != nil {
				t.Fatal(err)
			}
			come()
			time.Sleep(300 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			if err := l.WaitDeployed(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
	}
	time.Sleep(500 * time.Millisecond)
	end()
	return mesh, front
}

func rolling(t *testing.T, topo *topology.Topology, speed float64) *lab.Lab {
	t.Helper()
	app, self := labtest.Programs(t)
	opts := lab.Options{
		Topology: topo, App: lab.App{Command: []string{app}}, Node: []string{self, "node"}, Dir: filepath.Join(t.TempDir(), "lab"),
		Fabric: *fabric, Scale: speed, Timing: lab.Timing{TaskStart: 20 * time.Second},
	}
	if *agent == lab.AgentEnvoy {
		opts.Agent, opts.Envoy = lab.AgentEnvoy, labtest.Envoy(t)
	}
	l, err := lab.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.WaitHealthy(ctx); err != nil {
		t.Fatal(err)
	}
	return l
}

// caller is who calls a URL, and where that leads on this machine.
type caller struct {
	lab *lab.Lab
	who lab.Caller
	to  lab.DialInfo
}

func newCaller(t *testing.T, l *lab.Lab, who lab.Caller, url string) *caller {
	t.Helper()
	to, err := l.DialInfo(who, url)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{l, who, to}
}

// connect connects from the caller's network. On loopback that is this
// machine's, and the lab need not be asked, which waits while it changes.
func (c *caller) connect(ctx context.Context, network, _ string) (net.Conn, error) {
	if *fabric == "loopback" {
		var d net.Dialer
		return d.DialContext(ctx, network, c.to.Dial)
	}
	return c.lab.Dial(ctx, c.who, c.to.URL)
}

// callers returns the client, who calls by name, and somebody outside, who calls
// the load balancer.
func callers(t *testing.T, l *lab.Lab, topo *topology.Topology) (byName, byBalancer *caller) {
	t.Helper()
	var client topology.ID
	for _, s := range topo.Services {
		if len(s.LoadBalancers) == 0 {
			client = s.ID
		}
	}
	lb := topo.LoadBalancers[0]
	url, err := l.LoadBalancerURL(lb.ID, lb.Listeners[0].Port.Or(80))
	if err != nil {
		t.Fatal(err)
	}
	for p := range predicted(t, topo).All() {
		if p.Kind == reach.KindMesh && p.Caller.Service == client {
			return newCaller(t, l, lab.Caller{Service: client}, p.URL), newCaller(t, l, lab.Caller{}, url)
		}
	}
	t.Fatal("no call by name is predicted")
	return nil, nil
}

func predicted(t *testing.T, topo *topology.Topology) *reach.Predictor {
	t.Helper()
	p, err := reach.New(topo, reach.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bursts sends more requests at a time from burst to burst, ten bursts a second,
// so that agents need connections that they do not have yet.
func (c *caller) bursts(stop chan struct{}, count *tally, speed float64) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: c.connect}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 2; ; n = min(n+1, *calls/10) {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		for range n {
			wg.Go(func() {
				req, err := http.NewRequest(http.MethodGet, c.to.URL, http.NoBody)
				if err != nil {
					return
				}
				begun := time.Now()
				resp, err := tr.RoundTrip(req)
				how := fmt.Sprint(err)
				if err == nil {
					body, _ := io.ReadAll(io.LimitReader(resp.Body, 60))
					resp.Body.Close()
					how = fmt.Sprintf("%d %s", resp.StatusCode, body)
				}
				count.add(time.Duration(float64(time.Since(begun))*speed), err == nil && resp.StatusCode == http.StatusOK, how)
			})
		}
	}
}
