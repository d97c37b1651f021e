package trial

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

var sizes = flag.String("sizes", "", "for TestScale: FABRIC/AGENT/SERVICESxTASKS[,...] instead of those of the table")

// size is one deployment to start: so many services of so many tasks.
type size struct {
	fabric, agent   string
	services, tasks int
}

func (s size) all() int { return s.services * s.tasks }

// table lists what docs/trials.md has a line of.
func table() (out []size) {
	for _, fabric := range []string{"loopback", "netns"} {
		for _, n := range []size{{services: 10, tasks: 1}, {services: 25, tasks: 2}, {services: 50, tasks: 2}, {services: 50, tasks: 4}} {
			n.fabric, n.agent = fabric, lab.AgentLab
			out = append(out, n)
		}
		for _, n := range []int{10, 50} {
			out = append(out, size{fabric, lab.AgentEnvoy, n, 1})
		}
	}
	return out
}

// asked parses -sizes.
func asked(t *testing.T) (out []size) {
	for word := range strings.SplitSeq(*sizes, ",") {
		f := strings.Split(word, "/")
		if len(f) != 3 {
			t.Fatalf("-sizes: %q is not FABRIC/AGENT/SERVICESxTASKS", word)
		}
		s := size{fabric: f[0], agent: f[1]}
		if _, err := fmt.Sscanf(f[2], "%dx%d", &s.services, &s.tasks); err != nil {
			t.Fatalf("-sizes: %q: %v", word, err)
		}
		out = append(out, s)
	}
	return out
}

// cost is what a deployment took.
type cost struct {
	start, stop time.Duration
	more        time.Duration // what a scale-out takes; 0 for one that was not tried
	processes   int
	pss         int64   // bytes, of the lab's process and all below it
	idle        float64 // share of one core, of all of them, while nobody calls
}

// TestScale starts deployments of several sizes and measures what each takes.
// With -update it writes the table into docs/trials.md, which should be done on
// a machine that does nothing else:
//
//	go test ./internal/test/trial -run 'TestScale$' -update -timeout 20m
func TestScale(t *testing.T) {
	layer.Full(t, "starts labs of many processes")
	list := []size{{"loopback", lab.AgentLab, 10, 1}}
	switch {
	case *sizes != "":
		list = asked(t)
	case *update:
		list = table()
	}
	app, err := labtest.BuildService(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d cores.\n\n| tasks | services | network | agent | start, s | per task, ms | memory (PSS), MB | per task, MB | processes | idle, %% of a core | %d more tasks, s | stop, s |\n", runtime.NumCPU(), moreTasks)
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, s := range list {
		c := s.measure(t, app)
		more := ""
		if c.more > 0 {
			more = fmt.Sprintf("%.1f", c.more.Seconds())
		}
		row := fmt.Sprintf("| %d | %d | %s | %s | %.1f | %.0f | %d | %.1f | %d | %.1f | %s | %.1f |\n", s.all(), s.services, s.fabric, s.agent,
			c.start.Seconds(), float64(c.start.Milliseconds())/float64(s.all()), c.pss/1e6, float64(c.pss)/1e6/float64(s.all()), c.processes,
			c.idle*100, more, c.stop.Seconds())
		t.Log(row)
		b.WriteString(row)
	}
	if *update && *sizes == "" {
		document().Write(t, "scale", b.String())
	}
}

// measure starts the deployment in a process of its own, so that the memory
// of the one who measures is not counted.
func (s size) measure(t *testing.T, app string) cost {
	t.Helper()
	template := filepath.Join(t.TempDir(), "mesh.json")
	if err := os.WriteFile(template, cfntest.Uniform(s.services, s.tasks).Template(), 0o644); err != nil {
		t.Fatal(err)
	}
	envoy := ""
	if s.agent == lab.AgentEnvoy {
		envoy = labtest.Envoy(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "scale", template, app, s.fabric, envoy)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	told := func() time.Duration {
		var ns int64
		if _, err := fmt.Fscan(out, &ns); err != nil {
			t.Fatalf("%+v: the lab did not say how long it took: %v", s, err)
		}
		return time.Duration(ns)
	}
	c := cost{start: told()}
	pids := below(cmd.Process.Pid)
	time.Sleep(settleFor)
	before, begin := cpuOfAll(pids), time.Now()
	time.Sleep(idleFor)
	c.idle = (cpuOfAll(pids) - before).Seconds() / time.Since(begin).Seconds()
	c.processes, c.pss = len(pids)-1, pssOf(pids)
	if s.agent == lab.AgentLab {
		fmt.Fprintln(in, "more")
		c.more = told()
		pids = below(cmd.Process.Pid)
	}
	fmt.Fprintln(in, "stop")
	c.stop = told()
	for _, pid := range pids[1:] { // whatever the lab said, they are gone
		if labtest.Alive(pid) {
			t.Errorf("%+v: process %d is left after the stop", s, pid)
		}
	}
	return c
}

// settleFor is how long a lab is left alone before it counts as idle, idleFor
// how long its idle time is measured.
const (
	settleFor = time.Second
	idleFor   = 3 * time.Second
)

// below lists a process and all that it has started, itself first.
func below(pid int) []int {
	out := []int{pid}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range threads {
		text, _ := os.ReadFile(path) // a thread that has ended has no children
		for _, word := range strings.Fields(string(text)) {
			child, _ := strconv.Atoi(word)
			out = append(out, below(child)...)
		}
	}
	return out
}

// pssOf adds up the proportional set size of processes, in bytes.
func pssOf(pids []int) (sum int64) {
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(text)) {
			if kb, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.Fields(kb)[0], 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// cpuOfAll adds up the CPU time of processes, without their children.
func cpuOfAll(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		sum += time.Duration(user+system) * 10 * time.Millisecond
	}
	return sum
}
