package lab_test

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestTemplateDoesNotSetTheAppsLoader gives the app's container every variable
// that would run code in a process of this machine, or write a file of it. The
// app must start without them, and the lab say so.
func TestTemplateDoesNotSetTheAppsLoader(t *testing.T) {
	layer.Full(t, "starts a lab")
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "reads the app's environment in /proc") // the list of variables is the same everywhere
	}
	topo := labtest.Deployment(t, "bypass")
	socket := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(socket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	hostile := map[string]string{
		"LD_PRELOAD": "./evil.so", "LD_LIBRARY_PATH": ".", "LD_AUDIT": "./evil.so", "PATH": "/evil", "HOME": "/evil", "TMPDIR": "/evil",
		"GOCOVERDIR": "/evil", "GODEBUG": "http2debug=2", "GOTRACEBACK": "crash", "SSL_CERT_FILE": "/evil", "HTTP_PROXY": "http://evil",
		"SOCKET": socket,
	}
	app := -1
	for i, s := range topo.Services {
		if s.Connect == nil || len(s.Connect.Endpoints) == 0 {
			continue
		}
		app = i
		c := &s.Task.Containers[0]
		c.Environment = map[string]topology.Opt[string]{"HELLO": topology.Known("changed")}
		for k, v := range hostile {
			c.Environment[k] = topology.Known(v)
		}
	}
	if app < 0 {
		t.Fatal("the deployment has no app")
	}
	l := start(t, lab.Options{Topology: topo})
	st := l.Status()
	sv := st.Service(topo.Services[app].ID, "")
	seen := false
	for pid, env := range environments(t) {
		if !slices.Contains(env, "INSTANCE="+sv.Tasks[0].ID) {
			continue
		}
		seen = true
		for k, v := range hostile {
			if slices.Contains(env, k+"="+v) {
				t.Errorf("the app (process %d) has the template's %s=%s", pid, k, v)
			}
		}
		if !slices.Contains(env, "HELLO=changed") {
			t.Errorf("the app does not have the template's HELLO: %q", env)
		}
	}
	if !seen {
		t.Error("no process is the app of the task")
	}
	if !slices.ContainsFunc(st.Notes, func(n string) bool { return strings.Contains(n, `"GOCOVERDIR"`) && strings.Contains(n, "left out") }) {
		t.Errorf("notes %q; want one that names what was left out", st.Notes)
	}
	if data, err := os.ReadFile(socket); err != nil || string(data) != "precious" {
		t.Errorf("the file that SOCKET names holds %q, %v", data, err)
	}
}

// environments maps the processes of this user to their environments.
func environments(t *testing.T) map[int][]string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int][]string{}
	for _, d := range dirs {
		var pid int
		fmt.Sscanf(d, "/proc/%d/", &pid)
		if !ours(pid) {
			continue // another lab of this machine may have a task of the same id
		}
		if data, err := os.ReadFile(d); err == nil {
			out[pid] = strings.Split(string(data), "\x00")
		}
	}
	return out
}

// TestAppIsLinkedStatically: no loader runs before the app.
func TestAppIsLinkedStatically(t *testing.T) {
	layer.Full(t, "builds the app")
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "reads an ELF file")
	}
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	path, err := r.BuildService(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the app names a loader")
		}
	}
}

// TestCountsOfASourceAreBounded: a count that no lab runs is refused with its place.
func TestCountsOfASourceAreBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		ok   bool
	}{{"none", 0, true}, {"a billion", 1_000_000_000, false}, {"one too many", lab.MaxTasks + 1, false}, {"fewer than none", -5, false}} {
		t.Run(c.name, func(t *testing.T) {
			topo := labtest.Deployment(t, "bypass")
			if c.ok {
				layer.Full(t, "starts a lab")
			}
			s := topo.Services[0]
			s.DesiredCount = topology.Known(c.n)
			l, err := lab.Start(context.Background(), lab.Options{Topology: topo, App: lab.App{Command: []string{service}}})
			if err == nil {
				l.Close()
			}
			if c.ok != (err == nil) {
				t.Fatalf("got %v", err)
			}
			if c.ok {
				return
			}
			if want := fmt.Sprintf("%s:%d: AWS::ECS::Service %s", s.File, s.Line, s.ID); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), want) || fail.HintOf(err) == "" {
				t.Errorf("got %v (hint %q); want a usage error with the place %q and a hint", err, fail.HintOf(err), want)
			}
		})
	}
	topo := labtest.Deployment(t, "bypass")
	s := topo.Services[0]
	for i := range 20 {
		more := *s
		more.ID = topology.ID(fmt.Sprintf("More/%d", i))
		more.DesiredCount = topology.Known(lab.MaxTasks)
		topo.Services = append(topo.Services, &more)
	}
	if _, err := lab.Start(context.Background(), lab.Options{Topology: topo, App: lab.App{Command: []string{service}}}); fail.CodeOf(err) != fail.Usage {
		t.Errorf("twenty services of %d tasks each: %v; want a usage error", lab.MaxTasks, err)
	}
}

// TestStartEndsWithItsContext interrupts the start of a lab: between tasks, and
// while it waits for an app that says nothing.
func TestStartEndsWithItsContext(t *testing.T) {
	layer.Full(t, "starts a lab")
	for name, app := range map[string][]string{"many tasks": {service}, "a silent app": {"sleep", "60"}} {
		t.Run(name, func(t *testing.T) {
			topo := labtest.Deployment(t, "bypass")
			topo.Services[0].DesiredCount = topology.Known(lab.MaxTasks)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			time.AfterFunc(200*time.Millisecond, cancel)
			began := time.Now()
			l, err := lab.Start(ctx, lab.Options{Topology: topo, App: lab.App{Command: app}})
			if err == nil {
				l.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v; want that it was cancelled", err)
			}
			if took := time.Since(began); took > 5*time.Second { // an idle machine: 0.3 s
				t.Errorf("the start ended after %s", took)
			}
		})
	}
}

// TestPortsOfASourceAreTCPs: a port number that would wrap around is refused
// with its place, wherever the source has it.
func TestPortsOfASourceAreTCPs(t *testing.T) {
	places := map[string]func(*topology.Topology, topology.Opt[int]) topology.Origin{
		"listener": func(x *topology.Topology, n topology.Opt[int]) topology.Origin {
			l := x.LoadBalancers[0].Listeners[0]
			l.Port = n
			return l.Origin
		},
		"target group": func(x *topology.Topology, n topology.Opt[int]) topology.Origin {
			x.TargetGroups[0].Port = n
			return x.TargetGroups[0].Origin
		},
		"health check": func(x *topology.Topology, n topology.Opt[int]) topology.Origin {
			x.TargetGroups[0].Health.Port = topology.Known(fmt.Sprint(n.Or(0)))
			return x.TargetGroups[0].Origin
		},
		"container": func(x *topology.Topology, n topology.Opt[int]) topology.Origin {
			s := endpointService(x)
			s.Task.Containers[0].Ports[0].Port = n
			return s.Task.Origin
		},
		"alias": func(x *topology.Topology, n topology.Opt[int]) topology.Origin {
			s := endpointService(x)
			s.Connect.Endpoints[0].Aliases[0].Port = n
			return s.Origin
		},
		"override": func(x *topology.Topology, n topology.Opt[int]) topology.Origin {
			s := endpointService(x)
			s.Connect.Endpoints[0].IngressPortOverride = n
			return s.Origin
		},
	}
	for name, set := range places {
		for _, n := range []int{65536, 0, -1, 1_000_000_000} {
			topo := labtest.Deployment(t, "bypass")
			at := set(topo, topology.Known(n))
			l, err := lab.Start(context.Background(), lab.Options{Topology: topo, App: lab.App{Command: []string{"true"}}})
			if err == nil {
				l.Close()
			}
			if want := fmt.Sprintf("%s:%d", at.File, at.Line); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf(" %d is no TCP port", n)) {
				t.Errorf("%s %d: got %v; want it refused with the place %s", name, n, err, want)
			}
		}
	}
}

func endpointService(t *topology.Topology) *topology.Service {
	for _, s := range t.Services {
		if s.Connect != nil && len(s.Connect.Endpoints) > 0 {
			return s
		}
	}
	return nil
}

// ours reports whether this process is an ancestor of the one with the id.
func ours(pid int) bool {
	for pid > 1 && pid != os.Getpid() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		// The name in brackets may hold anything: what counts stands behind its last one.
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
		var state string
		if _, err := fmt.Sscan(rest, &state, &pid); err != nil {
			return false
		}
	}
	return pid == os.Getpid()
}
