//go:build linux

package netns_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// namespaces lists the network namespaces that threads of the processes are in.
func namespaces(pids ...int) map[string]bool {
	out := map[string]bool{}
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/ns/net", pid))
		for _, p := range threads {
			if ns, err := os.Readlink(p); err == nil {
				out[ns] = true
			}
		}
	}
	return out
}

// TestNothingLeft: after Close this process has the namespaces, goroutines
// and files that it had before.
func TestNothingLeft(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	possible(t)
	self := os.Getpid()
	files := func() int { list, _ := os.ReadDir("/proc/self/fd"); return len(list) }
	links := func() int { list, _ := os.ReadDir("/sys/class/net"); return len(list) }
	if n := len(namespaces(self)); n != 1 {
		t.Fatalf("this process is in %d namespaces before the test", n)
	}
	topo := labtest.Deployment(t, "both")
	var open, net int
	for range 2 { // the first lab makes what the runtime keeps
		open, net = files(), links()
		l := startLab(t, lab.Options{Topology: topo})
		shell(t, l, client(t, topo), "curl", "-sS", "http://app.sample-namespace:80")
		if n := len(namespaces(self)); n < 4 {
			t.Fatalf("the lab has %d namespaces", n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one namespace again", func() bool { return len(namespaces(self)) == 1 })
	eventually(t, "the files of before", func() bool { return files() <= open })
	if n := links(); n != net {
		t.Errorf("the machine has %d links, before it had %d", n, net)
	}
	var b strings.Builder
	eventually(t, "no goroutine", func() bool {
		b.Reset()
		pprof.Lookup("goroutine").WriteTo(&b, 1)
		return !strings.Contains(b.String(), "internal/lab/netns.(") && !strings.Contains(b.String(), "internal/lab.(")
	})
}

// hold runs a lab on the fabric until it is killed.
func hold(app, agent, envoy string) int {
	return labtest.Hold(lab.Options{Fabric: netns.Name, Agent: agent, Envoy: envoy, App: lab.App{Command: []string{app}}})
}

// TestKilledParent: a lab whose process is killed takes its processes and its
// namespaces along.
func TestKilledParent(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	possible(t)
	envoy := standIn(t)
	for _, agent := range []string{lab.AgentLab, lab.AgentEnvoy} {
		t.Run(agent, func(t *testing.T) { killParent(t, agent, envoy) })
	}
}

func killParent(t *testing.T, agent, envoy string) {
	app, err := service()
	if err != nil {
		t.Fatal(err)
	}
	want := 5
	if agent == lab.AgentEnvoy {
		want += 2
	}
	holder, pids := labtest.Held(t, want, "hold", app, agent, envoy)
	held := pinned(t, append(pids, holder.Pid)...)
	for ns := range namespaces(os.Getpid()) {
		delete(held, ns)
	}
	if len(held) < 3 {
		t.Fatalf("the lab has the namespaces %v besides ours", held)
	}
	holder.Kill()
	eventually(t, "all processes end", func() bool { return !slices.ContainsFunc(pids, labtest.Alive) })
	eventually(t, "nobody is in the lab's namespaces", func() bool {
		for ns := range namespaces(everybody()...) {
			if held[ns] {
				return false
			}
		}
		return true
	})
}

// pinned is namespaces, each held open until the test ends: the kernel gives
// the number of a namespace that is gone to the next one, which may be another
// test's.
func pinned(t *testing.T, pids ...int) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/ns/net", pid))
		for _, p := range threads {
			f, err := os.Open(p)
			if err != nil {
				continue // a thread that ended
			}
			t.Cleanup(func() { f.Close() })
			ns, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			out[ns] = true
		}
	}
	return out
}

// everybody lists the processes that can be seen.
func everybody() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		var pid int
		if n, _ := fmt.Sscan(filepath.Base(d), &pid); n == 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}
