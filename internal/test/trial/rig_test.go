package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// rig is a running lab of the article's deployment: an app behind a load
// balancer, and a client that calls it by its Service Connect name.
type rig struct {
	*lab.Lab
	balancer    topology.ID
	app, client topology.ID
	ledger      string
	ended       bool
}

func start(t testing.TB, topo *topology.Topology, o lab.Options) *rig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{balancer: topo.LoadBalancers[0].ID, ledger: filepath.Join(t.TempDir(), "ledger")}
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			r.app = s.ID
		} else {
			r.client = s.ID
		}
	}
	o.Topology = topo
	if o.App.Command == nil {
		o.App.Command = []string{self, "ledger"}
	}
	o.App.Env = append(o.App.Env, "LEDGER="+r.ledger)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if r.Lab, err = lab.Start(ctx, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end(t) })
	r.healthy(t)
	return r
}

func (r *rig) end(t testing.TB) {
	if r.ended {
		return
	}
	r.ended = true
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func (r *rig) healthy(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		err := r.WaitHealthy(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // a load balancer that was killed is being replaced
	}
}

// throughALB is what to dial for a caller of the load balancer.
func (r *rig) throughALB() (lab.DialInfo, error) {
	url, err := r.LoadBalancerURL(r.balancer, 80)
	if err != nil {
		return lab.DialInfo{}, err
	}
	return r.DialInfo(lab.Caller{}, url)
}

// throughMesh is what to dial for a Service Connect client.
func (r *rig) throughMesh() (lab.DialInfo, error) {
	return r.DialInfo(lab.Caller{Service: r.client}, "http://app.sample-namespace:80/")
}

// pids lists the lab's processes by what they are.
func pids(st lab.Status) map[string]int {
	out := map[string]int{}
	for _, b := range st.LoadBalancers {
		out["alb"] = b.PID
	}
	for _, s := range st.Services {
		short := string(s.ID[strings.LastIndexByte(string(s.ID), '/')+1:])
		for i, t := range s.Tasks {
			apps := map[int]bool{}
			for _, a := range t.Apps {
				apps[a.PID] = true
				out[fmt.Sprintf("app %s %d", short, i+1)] = a.PID
			}
			for _, p := range t.PIDs {
				if !apps[p] {
					out[fmt.Sprintf("agent %s %d", short, i+1)] = p
				}
			}
		}
	}
	return out
}

// traces is what this process owns that a lab could leave behind.
type traces struct {
	goroutines string // of the lab, by stack
	children   []int
	files      int
}

func look() (tr traces) {
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	for _, g := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(g, "hoplab/internal/lab.") || strings.Contains(g, "hoplab/internal/lab/") {
			tr.goroutines += g + "\n\n"
		}
	}
	self := os.Getpid()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // state, parent, ...
		if ppid, _ := strconv.Atoi(f[1]); ppid == self {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			tr.children = append(tr.children, pid)
		}
	}
	files, _ := os.ReadDir("/proc/self/fd")
	tr.files = len(files)
	return tr
}

// nothingLeft checks that the process is as it was before the lab. The fd
// count may differ by what the runtime opens once (its poller).
func nothingLeft(t testing.TB, before traces) {
	t.Helper()
	var now traces
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		now = look()
		if now.goroutines == before.goroutines && len(now.children) <= len(before.children) && now.files <= before.files {
			return
		}
	}
	if now.goroutines != before.goroutines {
		t.Errorf("goroutines of the lab are left:\n%s", now.goroutines)
	}
	if len(now.children) > len(before.children) {
		t.Errorf("child processes %v are left; before there were %v", now.children, before.children)
	}
	if now.files > before.files {
		links, _ := filepath.Glob("/proc/self/fd/*")
		var open []string
		for _, l := range links {
			to, _ := os.Readlink(l)
			open = append(open, to)
		}
		t.Errorf("%d files are open, %d before the lab: %v", now.files, before.files, open)
	}
}
