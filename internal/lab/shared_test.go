package lab_test

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestSharedAgents: agents that share a process live and die one by one, as
// agents in processes of their own do, and all of them with the process.
func TestSharedAgents(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	app, client := appID(t, topo), clientID(t, topo)
	l := start(t, lab.Options{Topology: topo, Scale: 10, ShareAgents: true})
	healthy(t, l)
	caller, url := lab.Caller{Service: client}, "http://app.sample-namespace"
	who(t, l, caller, url, 2)
	agentOf := func(s lab.TaskStatus) int { return s.PIDs[0] } // the agent stands first
	shared := agentOf(tasksOf(l, app)[0])
	if other := agentOf(tasksOf(l, client)[0]); other != shared {
		t.Fatalf("the agents are processes %d and %d", shared, other)
	}
	replaced := func(was lab.TaskStatus) {
		t.Helper()
		waitFor(t, func() bool {
			now := tasksOf(l, app)
			return len(now) == 1 && now[0].ID != was.ID && now[0].Agent != nil
		})
		healthy(t, l)
		who(t, l, caller, url, 2)
	}

	// Killed: its connections break, and nobody else's.
	mine := tasksOf(l, client)[0]
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	kept, err := l.Dial(ctx, caller, url)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	for _, part := range []lab.Part{lab.AgentPart, lab.AppPart, lab.WholeTask} {
		was := tasksOf(l, app)[0]
		if err := l.Kill(lab.TaskRef{Service: app}, part); err != nil {
			t.Fatal(err)
		}
		replaced(was)
	}
	if e := events(l, app); !strings.Contains(e, "the Service Connect agent ended: signal: killed") {
		t.Errorf("events:\n%s", e)
	}
	if now := tasksOf(l, client)[0]; now.ID != mine.ID || !labtest.Alive(shared) {
		t.Errorf("the client's task %s became %s; process %d alive: %v", mine.ID, now.ID, shared, labtest.Alive(shared))
	}
	kept.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(kept, "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"); err != nil {
		t.Errorf("a connection through another agent broke: %v", err)
	} else if answer, err := io.ReadAll(kept); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("a connection through another agent: %.80q, %v", answer, err)
	}

	// The client's own agent: a connection through it ends.
	open, err := l.Dial(ctx, caller, url)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := l.Kill(lab.TaskRef{Service: client}, lab.AgentPart); err != nil {
		t.Fatal(err)
	}
	open.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := open.Read(make([]byte, 1)); err == nil || n > 0 || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection through an agent that was killed: %d bytes, %v", n, err)
	}
	waitFor(t, func() bool {
		now := tasksOf(l, client)
		return len(now) == 1 && now[0].ID != mine.ID
	})

	// Stopped in good order, and scaled.
	was := tasksOf(l, app)[0]
	if err := l.Drain(lab.TaskRef{Service: app}); err != nil {
		t.Fatal(err)
	}
	replaced(was)
	if err := l.Scale(lab.TaskRef{Service: app}, 3); err != nil {
		t.Fatal(err)
	}
	healthy(t, l)
	seen := map[string]bool{}
	for _, id := range who(t, l, caller, url, 12) {
		seen[id] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d of 3 tasks answer", len(seen))
	}

	// With the process all its agents are gone, and every task is replaced.
	gone := map[string]bool{}
	for _, s := range tasksOf(l, app) {
		gone[s.ID] = true
	}
	if err := syscall.Kill(shared, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		now := tasksOf(l, app)
		for _, s := range now {
			if gone[s.ID] || s.Agent == nil {
				return false
			}
		}
		return len(now) == 3
	})
	healthy(t, l)
	waitFor(t, func() bool {
		o, err := l.Curl(ctx, caller, url)
		return err == nil && o.Status == 200
	})
}

// TestOnly: the services that are asked for run, and notes say what does not.
func TestOnly(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Mesh(t, cfntest.Uniform(5, 2))
	labtest.AllKnown(topo)
	first, second := topo.Services[1], topo.Services[3]
	l := start(t, lab.Options{Topology: topo, TasksPerService: 1, Only: []topology.ID{first.ID, second.ID}})
	st := l.Status()
	if len(st.Services) != 2 || len(st.Services[0].Tasks) != 1 || len(st.Services[1].Tasks) != 1 {
		t.Errorf("%d services run: %+v", len(st.Services), st.Services)
	}
	notes := strings.Join(st.Notes, "\n")
	for _, want := range []string{
		"2 of 5 services run; left out, with nobody behind their names: s0, s2, s4", "at most 1 tasks of each service run",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not among the notes:\n%s", want, notes)
		}
	}
	for _, c := range []struct {
		url    string
		status int
	}{
		{"http://" + second.Name.Or("") + ".mesh", 200},
		{"http://" + topo.Services[4].Name.Or("") + ".mesh", 503},
	} {
		o, err := l.Curl(context.Background(), lab.Caller{Service: first.ID}, c.url)
		if err != nil || o.Status != c.status {
			t.Errorf("%s: %d %q, %v; want %d", c.url, o.Status, o.Body, err, c.status)
		}
	}
	app := lab.App{Command: []string{service}}
	_, err := lab.Start(context.Background(), lab.Options{Topology: topo, App: app, Only: []topology.ID{"none"}})
	if err == nil {
		t.Error("a service that does not exist was taken")
	}
}

// TestNoRoom: a deployment that the machine has no room for is refused before
// anything starts, with the number that fits and how to have more.
func TestNoRoom(t *testing.T) {
	topo := labtest.Mesh(t, cfntest.Uniform(40, 5))
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = 400
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	_, err := lab.Start(context.Background(), lab.Options{Topology: topo, App: lab.App{Command: []string{"none"}}})
	if err == nil {
		t.Fatal("it was not refused")
	}
	for _, want := range []string{"has 200 tasks", "room for", "open files"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if hint := fail.HintOf(err); !strings.Contains(hint, "ulimit -n") || !strings.Contains(hint, "--tasks-per-service 1") {
		t.Errorf("hint %q", hint)
	}
}
