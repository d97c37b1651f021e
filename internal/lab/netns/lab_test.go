//go:build linux

package netns_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// service builds the measured app once.
var service = sync.OnceValues(func() (string, error) { return labtest.BuildService(scratch) })

func startLab(t *testing.T, opts lab.Options) *lab.Lab {
	t.Helper()
	possible(t)
	app, err := service()
	if err != nil {
		t.Fatal(err)
	}
	opts.Fabric, opts.App.Command = netns.Name, []string{app}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := lab.Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.WaitSettled(ctx); err != nil {
		t.Fatal(err)
	}
	return l
}

// client is the caller that uses Service Connect and serves nothing.
func client(t *testing.T, topo *topology.Topology) lab.Caller {
	t.Helper()
	for _, s := range topo.Services {
		if len(s.LoadBalancers) == 0 {
			return lab.Caller{Service: s.ID}
		}
	}
	t.Fatal("no client in the deployment")
	return lab.Caller{}
}

// shell runs a program of this machine where the caller is and returns all
// that it printed.
func shell(t *testing.T, l *lab.Lab, c lab.Caller, argv ...string) (string, int) {
	t.Helper()
	labtest.Need(t, argv[0])
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	code, err := l.Exec(ctx, c, argv, os.Environ(), t.TempDir(), []*os.File{null, w, w})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), code
}

// TestArticle: the three calls of the article, by curl itself, inside the
// client's task.
func TestArticle(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	closed := labtest.Deployment(t, "bypass")
	for _, g := range closed.SecurityGroups {
		for i := range g.Ingress {
			if r := &g.Ingress[i]; r.From == 8080 {
				r.From, r.To = 80, 80
			}
		}
	}
	for _, c := range []struct {
		name, url, output string
		code              int
		topo              *topology.Topology
	}{
		{"rule forgotten", "http://app.sample-namespace:80", "upstream request timeout", 0, closed},
		{"override as client port", "http://app.sample-namespace:8080",
			"curl: (56) Recv failure: Connection reset by peer\n", 56, labtest.Deployment(t, "bypass")},
		{"client port", "http://app.sample-namespace:80", "Hello World", 0, labtest.Deployment(t, "bypass")},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := startLab(t, lab.Options{Topology: c.topo, Scale: 50})
			out, code := shell(t, l, client(t, c.topo), "curl", "-sS", c.url)
			if out != c.output || code != c.code {
				t.Errorf("curl %s: %q, exit %d; want %q, exit %d", c.url, out, code, c.output, c.code)
			}
			server, caller := packets(t, l, true), packets(t, l, false)
			if caller[netns.ToAgentOut] != 1 {
				t.Errorf("the redirect of virtual addresses counted %d connections, want 1", caller[netns.ToAgentOut])
			}
			if n := server[netns.DroppedIn]; (n > 0) != (c.topo == closed) {
				t.Errorf("the server's security group dropped %d packets", n)
			}
		})
	}
}

var long = flag.Bool("long", os.Getenv("CI") == "true", "run what takes its time too")

// TestUnscaled runs the forgotten rule on real time: fifteen seconds.
func TestUnscaled(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	if !*long {
		t.Skip("takes 15 s; run it with -args -long")
	}
	topo := labtest.Deployment(t, "bypass")
	for _, g := range topo.SecurityGroups {
		for i := range g.Ingress {
			if r := &g.Ingress[i]; r.From == 8080 {
				r.From, r.To = 80, 80
			}
		}
	}
	l := startLab(t, lab.Options{Topology: topo})
	begun := time.Now()
	out, _ := shell(t, l, client(t, topo), "curl", "-sS", "http://app.sample-namespace:80")
	if d := time.Since(begun); out != "upstream request timeout" || d < 14900*time.Millisecond || d > 17*time.Second {
		t.Errorf("curl printed %q after %s, want upstream request timeout after 15 s", out, d)
	}
}

// packets returns the counts of the server's task, or of the client's.
func packets(t *testing.T, l *lab.Lab, server bool) map[string]uint64 {
	t.Helper()
	for _, s := range l.Status().Services {
		if len(s.Tasks) > 0 && (s.Tasks[0].Agent != nil && len(s.Tasks[0].Agent.Ingress) > 0) == server {
			return s.Tasks[0].Packets
		}
	}
	t.Fatal("no such task")
	return nil
}

// TestModes: what an ALB caller's request proves of its way, in both modes.
func TestModes(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	for _, variant := range []string{"agent", "bypass"} {
		t.Run(variant, func(t *testing.T) {
			topo := labtest.Deployment(t, variant)
			l := startLab(t, lab.Options{Topology: topo})
			url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
			if err != nil {
				t.Fatal(err)
			}
			before := packets(t, l, true)[netns.ToAgentIn]
			out, _ := shell(t, l, lab.Caller{}, "curl", "-sSi", url)
			head := strings.ToLower(out)
			agent := variant == "agent"
			if !strings.HasPrefix(out, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(out, "\r\n\r\nHello World") {
				t.Errorf("got %q", out)
			}
			if strings.Contains(head, "\r\nserver: envoy\r\n") != agent || strings.Contains(head, "\r\nx-hoplab-peer: 127.0.0.1\r\n") != agent {
				t.Errorf("evidence does not fit mode %s: %q", variant, out)
			}
			if !agent && !strings.Contains(head, "\r\nx-hoplab-peer: "+l.Status().LoadBalancers[0].IP+"\r\n") {
				t.Errorf("the app did not see the load balancer: %q", out)
			}
			if n := packets(t, l, true)[netns.ToAgentIn] - before; n > 0 && !agent {
				t.Errorf("the redirect counted %d connections in mode %s", n, variant)
			}
			inside := lab.Caller{Service: topo.Services[0].ID}
			for _, s := range topo.Services {
				if len(s.LoadBalancers) > 0 {
					inside.Service = s.ID
				}
			}
			if out, _ := shell(t, l, inside, "curl", "-sSi", "http://localhost:80/"); strings.Contains(strings.ToLower(out), "envoy") || !strings.Contains(out, "Hello World") {
				t.Errorf("from inside the task: %q", out)
			}
		})
	}
}

// TestClosedEgress: the load balancer's group lets nothing out, so no packet
// comes to the app and its target times out.
func TestClosedEgress(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	topo := labtest.Deployment(t, "agent")
	id, _ := topo.LoadBalancers[0].Groups[0].Get()
	topology.NewIndex(topo).SecurityGroup(id).Egress = nil
	l := startLab(t, lab.Options{Topology: topo, Scale: 50, KeepUnhealthy: true})
	target := l.Status().LoadBalancers[0].Groups[0].Targets[0]
	if got := fmt.Sprintf("%s %s", target.State, target.Reason); got != "unhealthy Target.Timeout" {
		t.Errorf("target is %s", got)
	}
	if n := packets(t, l, true); n[netns.AcceptedIn]+n[netns.DroppedIn]+n[netns.ToAgentIn] != 0 {
		t.Errorf("packets came to the app: %v", n)
	}
	for _, s := range l.Status().Services {
		for _, task := range s.Tasks {
			for _, a := range task.Apps {
				if a.Requests != 0 {
					t.Errorf("the app has %d requests in its log", a.Requests)
				}
			}
		}
	}
}

// TestExec: exit codes, input, a program that is stopped with its children.
func TestExec(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	topo := labtest.Deployment(t, "agent")
	l := startLab(t, lab.Options{Topology: topo})
	c := client(t, topo)
	if out, code := shell(t, l, c, "sh", "-c", "echo $0; exit 7"); out != "sh\n" || code != 7 {
		t.Errorf("got %q, exit %d", out, code)
	}
	if _, code := shell(t, l, c, "sh", "-c", "kill -TERM $$"); code != 128+15 {
		t.Errorf("a program that a signal ended: exit %d", code)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	files := []*os.File{null, null, null}
	if _, err := l.Exec(context.Background(), c, []string{"no-such-program"}, os.Environ(), "/", files); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("a program that does not exist: %v", err)
	}
	mark := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		code, _ := l.Exec(ctx, c, []string{"sh", "-c", "sleep 60 & echo $! > " + mark + "; wait"}, os.Environ(), "/", files)
		ended <- code
	}()
	var pid int
	eventually(t, "the program starts", func() bool {
		data, _ := os.ReadFile(mark)
		n, _ := fmt.Sscan(string(data), &pid)
		return n == 1
	})
	cancel()
	<-ended
	eventually(t, "its child ends", func() bool { return syscall.Kill(pid, 0) != nil })
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 10 s: ", what)
		}
	}
}

// TestSharedAgents: agents of several tasks run in one process, each with its
// sockets in its own task's network, and one can be killed without the others.
func TestSharedAgents(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	topo := labtest.Deployment(t, "bypass")
	l := startLab(t, lab.Options{Topology: topo, Scale: 10, ShareAgents: true})
	c := client(t, topo)
	call := func() string {
		out, _ := shell(t, l, c, "curl", "-sS", "-m", "10", "http://app.sample-namespace:80")
		return out
	}
	if out := call(); out != "Hello World" {
		t.Fatalf("before: %q", out)
	}
	st := l.Status()
	agents, tasks := map[int]bool{}, map[string]bool{}
	for _, s := range st.Services {
		for _, task := range s.Tasks {
			agents[task.PIDs[0]], tasks[task.ID] = true, true
		}
	}
	if len(agents) != 1 || len(tasks) < 2 {
		t.Fatalf("%d processes have the agents of %d tasks", len(agents), len(tasks))
	}
	if err := l.Kill(lab.TaskRef{Service: c.Service}, lab.AgentPart); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		st = l.Status()
		mine := st.Service(c.Service, "").Tasks
		if len(mine) == 1 && !tasks[mine[0].ID] && mine[0].Agent != nil {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("the client's task was not replaced: %+v", mine)
		}
	}
	for _, s := range st.Services {
		for _, task := range s.Tasks {
			if s.ID != c.Service && !tasks[task.ID] {
				t.Errorf("task %s of %s was replaced too", task.ID, s.Name)
			}
		}
	}
	if out := call(); out != "Hello World" {
		t.Errorf("after: %q", out)
	}
}
