package lab_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// hold runs a lab until it is killed.
func hold(app string) int {
	return labtest.Hold(lab.Options{App: lab.App{Command: []string{app}}})
}

// TestKilledParent kills the process that runs a lab, and its children must
// go with it.
func TestKilledParent(t *testing.T) {
	layer.Full(t, "starts a lab")
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "looks for processes in /proc")
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			holder, pids := labtest.Held(t, 6, "hold", service)
			holder.Signal(sig)
			waitFor(t, func() bool { return !slices.ContainsFunc(pids, labtest.Alive) })
		})
	}
}

// TestNoGoroutineLeft checks that Close ends everything in this process too.
func TestNoGoroutineLeft(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: labtest.Deployment(t, "both")})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(labtest.Deployment(t, "both").LoadBalancers[0].ID, 80)
	if o, err := l.Curl(context.Background(), lab.Caller{}, url); err != nil || o.Status != 200 {
		t.Fatal(o, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var left string
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		var b strings.Builder
		pprof.Lookup("goroutine").WriteTo(&b, 1)
		left = ""
		for _, g := range strings.Split(b.String(), "\n\n") {
			if strings.Contains(g, "hoplab/internal/lab.") || strings.Contains(g, "hoplab/internal/lab/") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			return
		}
	}
	t.Errorf("after Close there is still:\n%s", left)
}

// TestGuardedApps runs the way in which apps are started where the kernel
// does not end a dead parent's children.
func TestGuardedApps(t *testing.T) {
	layer.Full(t, "starts a lab")
	defer lab.GuardApps(true)()
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	who(t, l, lab.Caller{}, url, 1)
	before := tasksOf(l, id)[0]
	if err := l.Kill(lab.TaskRef{Service: id}, lab.AppPart); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		ts := tasksOf(l, id)
		return len(ts) == 1 && ts[0].ID != before.ID
	})
	healthy(t, l)
	who(t, l, lab.Caller{}, url, 1)
	pids := labtest.PIDs(l.Status())
	pids = append(pids, childrenOf(pids)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if labtest.Alive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func childrenOf(pids []int) (out []int) {
	for _, pid := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		for _, f := range strings.Fields(string(b)) {
			var n int
			if _, err := fmt.Sscan(f, &n); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// TestNothingLeft checks that Close ends every process.
func TestNothingLeft(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "both")
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	pids := labtest.PIDs(l.Status())
	if len(pids) < 6 {
		t.Fatalf("only %d processes: %v", len(pids), pids)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if labtest.Alive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}
