package lab_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// withEachAgent runs a test with the lab's own agents and with real Envoys.
func withEachAgent(t *testing.T, test func(*testing.T, lab.Options)) {
	layer.Full(t, "starts a lab")
	t.Run("lab", func(t *testing.T) { test(t, lab.Options{}) })
	t.Run("envoy", func(t *testing.T) { test(t, lab.Options{Agent: lab.AgentEnvoy, Envoy: labtest.Envoy(t)}) })
}

// TestAgents: what callers see, who the app sees, and what becomes of a port
// without alias and of an address that security groups close, on a fabric
// without privileges.
func TestAgents(t *testing.T) { withEachAgent(t, testAgents) }

func testAgents(t *testing.T, opts lab.Options) {
	topo := labtest.Deployment(t, "agent")
	opts.Topology, opts.ConnectTimeout = topo, 200*time.Millisecond
	l := start(t, opts)
	healthy(t, l)
	url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	if err != nil {
		t.Fatal(err)
	}
	inside := lab.Caller{Service: clientID(t, topo)}
	for _, c := range []struct {
		caller     lab.Caller
		url        string
		status     int
		body, text string
	}{
		{lab.Caller{}, url, 200, "Hello World", ""},
		{inside, "http://app.sample-namespace:80", 200, "Hello World", ""},
		{inside, "http://app.sample-namespace:8080", 0, "", "curl: (56) Recv failure: Connection reset by peer"},
	} {
		o, err := l.Curl(context.Background(), c.caller, c.url)
		if err != nil || o.Status != c.status || o.Body != c.body || o.Error != c.text {
			t.Errorf("%s: %d %q %q %v", c.url, o.Status, o.Body, o.Error, err)
		}
		if c.status == 200 && (o.Header.Get("Server") != "envoy" || o.Header.Get("X-Hoplab-Peer") != "127.0.0.1") {
			t.Errorf("%s: %v", c.url, o.Header)
		}
	}
	st := l.Status()
	client := st.Service(inside.Service, "").Tasks[0]
	if e := client.Agent.Egress[0]; e.Requests != 1 || e.Codes["2xx"] != 1 || e.Name != "app.sample-namespace:80" {
		t.Errorf("the client's agent counted %+v", e)
	}
	if (client.Agent.PID != 0) != (opts.Agent == lab.AgentEnvoy) {
		t.Errorf("process %d", client.Agent.PID)
	}
	if err := l.Kill(lab.TaskRef{Service: inside.Service}, lab.AgentPart); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		st := l.Status()
		ts := st.Service(inside.Service, "").Tasks
		return len(ts) == 1 && ts[0].ID != client.ID && ts[0].Agent != nil
	})
	waitFor(t, func() bool {
		o, err := l.Curl(context.Background(), inside, "http://app.sample-namespace:80")
		return err == nil && o.Status == 200
	})
	if pid := client.Agent.PID; pid != 0 {
		waitFor(t, func() bool { return syscall.Kill(pid, 0) != nil })
	}
	// No task of the service is left: its name answers at once.
	if err := l.Scale(lab.TaskRef{Service: serverID(t, topo)}, 0); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		o, err := l.Curl(context.Background(), inside, "http://app.sample-namespace:80")
		return err == nil && o.Status == 503 && o.Body == "no healthy upstream"
	})
}

// serverID is the service behind the load balancer.
func serverID(t *testing.T, topo *topology.Topology) topology.ID {
	t.Helper()
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			return s.ID
		}
	}
	t.Fatal("no service has a load balancer")
	return ""
}

// TestTerm: an Envoy whose agent gets SIGTERM drains, and its task ends with it.
func TestTerm(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	dir := t.TempDir()
	l := start(t, lab.Options{Topology: topo, Agent: lab.AgentEnvoy, Envoy: labtest.Envoy(t), Dir: dir})
	inside := lab.Caller{Service: clientID(t, topo)}
	st := l.Status()
	before := st.Service(inside.Service, "").Tasks[0]
	if err := syscall.Kill(parent(t, before.Agent.PID), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*", before.ID, "envoy", "envoy.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %q %v", logs, err)
	}
	time.Sleep(time.Second) // it drains for 20 s, and still serves
	now := l.Status()
	if ts := now.Service(inside.Service, "").Tasks; len(ts) != 1 || ts[0].ID != before.ID || ts[0].Agent == nil {
		t.Errorf("a second after SIGTERM there is %+v", ts)
	}
	if o, err := l.Curl(context.Background(), inside, "http://app.sample-namespace:80"); err != nil || o.Status != 200 {
		t.Errorf("while it drains: %d %v", o.Status, err)
	}
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		now := l.Status()
		if ts := now.Service(inside.Service, "").Tasks; len(ts) == 1 && ts[0].ID != before.ID {
			e := now.Service(inside.Service, "").Events
			if !labtest.Told(e, "the Service Connect agent ended: exit status 0") {
				t.Errorf("events %v", e)
			}
			return
		}
		if time.Now().After(limit) {
			t.Fatal("the task was not replaced")
		}
	}
}

// parent is the process that started the process (Linux).
func parent(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if os.IsNotExist(err) {
		layer.Lacking(t, "this system does not tell a process's parent")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	ppid, err := strconv.Atoi(strings.Fields(rest)[1])
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}
