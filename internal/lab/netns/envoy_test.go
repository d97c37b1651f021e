//go:build linux

package netns_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// standIn makes this binary an Envoy, a stand-in (see its package), and returns its path.
func standIn(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "envoy")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEnvoy: an Envoy in the place of every agent. The paths are those of the
// lab's own agents, the counters are Envoy's, and a task ends with its Envoy.
func TestEnvoy(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	possible(t)
	testEnvoy(t, standIn(t))
}

// TestRealEnvoy is TestEnvoy with the Envoy that this machine has or can get.
func TestRealEnvoy(t *testing.T) {
	layer.Full(t, "needs network namespaces, and a network once")
	possible(t)
	testEnvoy(t, labtest.Envoy(t))
}

func testEnvoy(t *testing.T, path string) {
	topo := labtest.Deployment(t, "agent")
	l := startLab(t, lab.Options{Topology: topo, Agent: lab.AgentEnvoy, Envoy: path})
	url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		caller lab.Caller
		url    string
	}{"ALB": {lab.Caller{}, url}, "mesh": {client(t, topo), "http://app.sample-namespace:80"}} {
		out, code := shell(t, l, c.caller, "curl", "-sSi", c.url)
		if head := strings.ToLower(out); code != 0 || !strings.HasSuffix(out, "Hello World") || !strings.Contains(head, "\r\nserver: envoy\r\n") || !strings.Contains(head, "\r\nx-hoplab-peer: 127.0.0.1\r\n") {
			t.Errorf("%s: exit %d, %q", name, code, out)
		}
	}
	if out, code := shell(t, l, client(t, topo), "curl", "-sS", "-4", "http://app.sample-namespace:8080"); code != 56 {
		t.Errorf("curl to a port without an alias: exit %d, %q, want a reset (56)", code, out)
	}
	// A task with IPv4 alone: the name has an IPv6 address, and nothing leads there.
	if out, code := shell(t, l, client(t, topo), "curl", "-sS", "-6", "http://app.sample-namespace:80"); code != 7 {
		t.Errorf("curl -6: exit %d, %q, want that it cannot connect (7)", code, out)
	}
	st := l.Status()
	for _, s := range st.Services {
		agent := s.Tasks[0].Agent
		if agent == nil || agent.PID == 0 {
			t.Fatalf("service %s has no Envoy: %+v", s.Name, agent)
		}
		for _, e := range append(agent.Ingress, agent.Egress...) {
			if client := len(agent.Ingress) == 0; (e.Requests > 0) != (client || e.Name == "") {
				t.Errorf("%s counted %d requests to %s%s", s.Name, e.Requests, e.Discovery, e.Name)
			}
		}
	}
	id := client(t, topo).Service
	before := st.Service(id, "").Tasks[0]
	if err := syscall.Kill(before.Agent.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Envoy is started again in the same task", func() bool {
		now := l.Status()
		ts := now.Service(id, "").Tasks
		return len(ts) == 1 && ts[0].ID == before.ID && ts[0].Agent != nil && ts[0].Agent.PID != before.Agent.PID
	})
	eventually(t, "it carries requests", func() bool {
		_, code := shell(t, l, client(t, topo), "curl", "-sS", "http://app.sample-namespace:80")
		return code == 0
	})
	if err := l.Kill(lab.TaskRef{Service: id}, lab.AgentPart); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the task is replaced", func() bool {
		now := l.Status()
		ts := now.Service(id, "").Tasks
		return len(ts) == 1 && ts[0].ID != before.ID && ts[0].Agent != nil
	})
	now := l.Status()
	if e := now.Service(id, "").Events; !labtest.Told(e, "the Service Connect agent ended: signal: killed") {
		t.Errorf("events %v", e)
	}
	if out, code := shell(t, l, client(t, topo), "curl", "-sS", "http://app.sample-namespace:80"); code != 0 {
		t.Errorf("after the replacement: exit %d, %q", code, out)
	}
}

// TestEnvoyRefused: what Envoy cannot be used for is said before anything starts.
func TestEnvoyRefused(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	topo := labtest.Deployment(t, "agent")
	for _, c := range []struct {
		name string
		opts lab.Options
		code fail.Code
		want string
	}{
		{"fast clock", lab.Options{Fabric: netns.Name, Scale: 2}, fail.Usage, "timers cannot be scaled"},
		{"no Envoy", lab.Options{Fabric: netns.Name}, fail.Usage, "no Envoy is named"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Topology, c.opts.App.Command, c.opts.Agent = topo, []string{"none"}, lab.AgentEnvoy
			_, err := lab.Start(context.Background(), c.opts)
			if fail.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := (&lab.Options{Agent: "nginx"}).CheckAgent(); fail.CodeOf(err) != fail.Usage {
		t.Errorf("an agent that does not exist: %v", err)
	}
}
