package trial

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// fault is something that is killed under load, and what its callers may see
// of it (section 10 of the semantics: a hop whose next one is gone answers
// 502, 503 or 504; a hop that is gone itself breaks its connections).
type fault struct {
	name  string
	tasks int
	kill  func(r *rig) error
	// seen lists what callers may see besides 200, by way.
	seen map[string][]string
	// must be seen by that way, or the fault has not hit anything.
	must string
}

var (
	gateway = []string{"502", "503", "504"}
	broken  = []string{"reset", "closed", "refused", "timed out", "no task"}
)

var faults = []fault{
	{"app of one of two tasks", 2, func(r *rig) error { return r.Kill(lab.TaskRef{Service: r.app}, lab.AppPart) },
		map[string][]string{"alb": gateway, "mesh": gateway}, ""},
	{"agent of one of two tasks", 2, func(r *rig) error { return r.Kill(lab.TaskRef{Service: r.app}, lab.AgentPart) },
		map[string][]string{"alb": gateway, "mesh": gateway}, ""},
	{"one of two tasks", 2, func(r *rig) error { return r.Kill(lab.TaskRef{Service: r.app}, lab.WholeTask) },
		map[string][]string{"alb": gateway, "mesh": gateway}, ""},
	{"the only task", 1, func(r *rig) error { return r.Kill(lab.TaskRef{Service: r.app}, lab.WholeTask) },
		map[string][]string{"alb": gateway, "mesh": gateway}, ""},
	{"load balancer", 2, func(r *rig) error { return r.KillLoadBalancer(r.balancer, "") },
		map[string][]string{"alb": append(slices.Clone(gateway), broken...)}, "alb"},
	{"agent of the client", 2, func(r *rig) error { return r.Kill(lab.TaskRef{Service: r.client}, lab.AgentPart) },
		map[string][]string{"mesh": append(slices.Clone(gateway), broken...)}, "mesh"},
}

const (
	// scale of the clock on which health checks and timeouts run here.
	scale = 10
	// recovery is the documented bound, modelled time: what is dead is noticed
	// at once (ECS sees the process end), a new task is in service after its
	// first health check, at most one interval (30 s) and one timeout (5 s)
	// later, and a connect that nobody answers ends after 10 s at most.
	recovery = 45 * time.Second
	rate     = 500
)

// TestFaults kills each part under 500 requests/s, half of them through the
// load balancer and half by Service Connect name.
func TestFaults(t *testing.T) {
	layer.Full(t, "starts labs and other people's programs")
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "looks for processes and files in /proc")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| killed | caller | requests | not 200 | what they saw | bad for |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { underFault(t, f, &table) })
	}
	t.Logf("clock %d times as fast\n%s", scale, table.String())
	document().Write(t, "faults", table.String())
}

func underFault(t *testing.T, f fault, table *strings.Builder) {
	before := look()
	topo := labtest.Deployment(t, "agent")
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			s.DesiredCount = topology.Known(f.tasks)
		}
	}
	r := start(t, topo, lab.Options{Scale: scale, App: lab.App{Env: []string{"LEDGER_DELAY=4ms"}}})
	was := pids(r.Status())
	var ids counter
	ways := map[string]*load{
		"alb":  {rate: rate / 2, dial: r.throughALB, ids: &ids, keep: true},
		"mesh": {rate: rate / 2, dial: r.throughMesh, ids: &ids, keep: true},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range ways {
		wg.Go(func() { l.run(ctx) })
	}
	begin := time.Now()
	atWork := func() { // a second's requests of each way, as far as the machine keeps up
		for _, l := range ways {
			l.sent(t, l.rate)
		}
	}
	atWork()
	hit := time.Since(begin)
	if err := f.kill(r); err != nil {
		t.Fatal(err)
	}
	r.healthy(t)
	back := time.Since(begin) - hit
	atWork()
	cancel()
	wg.Wait()
	if limit := recovery / scale; back > limit {
		t.Errorf("all targets are healthy again after %s, documented are %s on this clock", back, limit)
	}
	now := pids(r.Status())
	replaced := 0
	for name, pid := range was {
		if now[name] != pid && gone(pid) {
			replaced++
		}
	}
	if replaced == 0 {
		t.Error("no process was replaced: nothing was killed")
	}
	done := readLedger(t, r.ledger)
	for _, name := range []string{"alb", "mesh"} {
		judge(t, f, name, ways[name], hit, done, table)
	}
	for id, n := range done {
		if n > 1 {
			t.Errorf("request %d was carried out %d times", id, n)
		}
	}
	r.end(t)
	for name, pid := range now {
		if !gone(pid) {
			t.Errorf("%s, process %d, outlives the lab", name, pid)
		}
	}
	nothingLeft(t, before)
}

// judge checks one way's outcomes and adds its line to the table.
func judge(t *testing.T, f fault, name string, l *load, hit time.Duration, done map[int]int, table *strings.Builder) {
	t.Helper()
	l.end(t)
	bad := map[string]int{}
	var last time.Duration
	answered := map[int]int{}
	for _, o := range l.out {
		answered[o.id]++
		if o.class == "200" {
			if done[o.id] != 1 {
				t.Errorf("%s: request %d has a 200 and was carried out %d times", name, o.id, done[o.id])
			}
			continue
		}
		bad[o.class]++
		last = max(last, o.at+o.took)
		if !slices.Contains(f.seen[name], o.class) {
			t.Errorf("%s: request %d at %s (%s after the kill) saw %s %q", name, o.id, o.at, o.at-hit, o.class, o.body)
		}
		if o.at+o.took < hit-100*time.Millisecond {
			t.Errorf("%s: request %d at %s saw %s before the kill at %s", name, o.id, o.at, o.class, hit)
		}
		if why := wording(o); why != "" {
			t.Errorf("%s: request %d: %s", name, o.id, why)
		}
	}
	for id, n := range answered {
		if n != 1 {
			t.Errorf("%s: request %d has %d outcomes", name, id, n)
		}
	}
	total := 0
	var words []string
	for class, n := range bad {
		total += n
		words = append(words, fmt.Sprintf("%s ×%d", class, n))
	}
	slices.Sort(words)
	outage := max(last-hit, 0)
	if limit := recovery / scale; outage > limit {
		t.Errorf("%s: the last failure is %s after the kill, documented are %s on this clock", name, outage, limit)
	}
	if f.must == name && total == 0 {
		t.Errorf("%s: nobody noticed: the kill hit nothing", name)
	}
	if len(l.out) < int(float64(l.rate)*1.9) {
		t.Errorf("%s: %d requests were sent, an open loop sends %d/s", name, len(l.out), l.rate)
	}
	fmt.Fprintf(table, "| %s | %s | %d | %d | %s | %.0f ms |\n", f.name, name, len(l.out), total, strings.Join(words, ", "), outage.Seconds()*1000)
}

// wording checks an error response's text: a hop's own words, not a stranger's.
func wording(o outcome) string {
	envoy := strings.HasPrefix(o.body, "upstream connect error or disconnect/reset before headers. ") ||
		o.body == "no healthy upstream" || o.body == "upstream request timeout"
	page := strings.Contains(o.body, "<center><h1>"+o.class)
	if slices.Contains(gateway, o.class) && !envoy && !page {
		return fmt.Sprintf("%s with the body %q: neither the agent's nor the load balancer's", o.class, o.body)
	}
	return ""
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }
