package lab_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
)

// hold is the body of a process that starts a lab, says which processes it
// has, and waits to be killed.
func hold(app string) int {
	topo, err := load("both")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	l, err := lab.Start(context.Background(), lab.Options{Topology: topo, App: lab.App{Command: []string{app}}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	json.NewEncoder(os.Stdout).Encode(allPIDs(l.Status()))
	select {}
}

// TestKilledParent kills the process that runs a lab, and its children must
// go with it.
func TestKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("looks for processes in /proc")
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "hold", service)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal("the lab did not start")
			}
			var pids []int
			if err := json.Unmarshal([]byte(line), &pids); err != nil || len(pids) < 6 {
				t.Fatalf("processes %s: %v", line, err)
			}
			cmd.Process.Signal(sig)
			waitFor(t, func() bool {
				for _, pid := range pids {
					if alive(pid) {
						return false
					}
				}
				return true
			})
		})
	}
}

// TestNoGoroutineLeft checks that Close ends everything in this process too.
func TestNoGoroutineLeft(t *testing.T) {
	l := start(t, lab.Options{Topology: golden(t, "both")})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(golden(t, "both").LoadBalancers[0].ID, 80)
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
	defer lab.GuardApps(true)()
	topo := golden(t, "agent")
	id := appID(t, topo)
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	who(t, l, lab.Caller{}, url, 1)
	before := tasksOf(l, id)[0]
	if err := l.Kill(lab.Place{Service: id}, lab.AppPart); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		ts := tasksOf(l, id)
		return len(ts) == 1 && ts[0].ID != before.ID
	})
	healthy(t, l)
	who(t, l, lab.Caller{}, url, 1)
	pids := allPIDs(l.Status())
	pids = append(pids, childrenOf(pids)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if alive(pid) {
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
