package edge

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/quiet"
)

// TestMain lets the test binary be a hop or the origin in a process of its
// own, as hops are in the lab.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "spin" {
		cpu, _ := strconv.Atoi(os.Args[2])
		if err := quiet.Spin(cpu, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	switch kind := os.Getenv("EDGE_PROCESS"); kind {
	case "":
		os.Exit(m.Run())
	case "origin":
		serveOrigin()
	default:
		for _, h := range hops {
			if h.name == kind {
				hp := h.start(&testing.B{}, os.Getenv("EDGE_ORIGIN"))
				fmt.Println(hp.addr)
				io.Copy(io.Discard, os.Stdin)
				hp.stop()
			}
		}
	}
}

// serveOrigin answers as fast as the standard library does.
func serveOrigin() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go http.Serve(l, http.HandlerFunc(hello))
	io.Copy(io.Discard, os.Stdin)
}

// TestCost measures what each hop adds, beside HAProxy and nginx:
//
//	HOPLAB_COST=10s go test -run TestCost -v ./internal/lab/edge
//
// The duration is that of each phase: latency at 500 requests/s, dealt at
// random to all hops and to the origin itself over keep-alive connections on
// cores that are kept awake, then a closed loop of 32 connections per hop.
// The figures mean something on a machine that does nothing else.
func TestCost(t *testing.T) {
	phase, err := time.ParseDuration(os.Getenv("HOPLAB_COST"))
	if err != nil {
		t.Skip("a measurement, not a test: set HOPLAB_COST=10s on a quiet machine")
	}
	origin := launch(t, "origin", "")
	ways := []*way{{name: "direct", addr: origin.addr, pid: origin.pid}}
	for _, h := range hops {
		if w := launch(t, h.name, origin.addr); w != nil {
			ways = append(ways, w)
		}
	}
	stop, status := quiet.KeepAwake([]string{os.Args[0], "spin"})
	defer stop()
	openLoop(t, ways, phase)
	for _, w := range ways {
		w.closedLoop(t, phase)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %9s %9s %9s %9s %11s %11s\n", "", "p50 µs", "added", "p99 µs", "added", "req/s", "CPU µs/req")
	d := ways[0]
	for _, w := range ways {
		fmt.Fprintf(&b, "%-8s %9.1f %9.1f %9.1f %9.1f %11.0f %11.1f\n", w.name, w.q(0.5), w.q(0.5)-d.q(0.5), w.q(0.99), w.q(0.99)-d.q(0.99), w.rate, w.cpu)
	}
	t.Logf("%d CPUs, kept awake: %s, %s per phase\n%s", runtime.NumCPU(), status, phase, b.String())
}

// way is one way to the origin.
type way struct {
	name, addr string
	pid        int
	sorted     []float64
	rate, cpu  float64
}

func (w *way) q(p float64) float64 { return w.sorted[int(p*float64(len(w.sorted)-1))] }

// launch starts a hop or the origin as a process of its own.
func launch(t *testing.T, kind, origin string) *way {
	if kind == "haproxy" || kind == "nginx" {
		for _, h := range hops {
			if h.name == kind {
				hp := h.start(t, origin)
				if hp == nil {
					return nil
				}
				t.Cleanup(hp.stop)
				return &way{name: kind, addr: hp.addr, pid: hp.pid}
			}
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EDGE_PROCESS="+kind, "EDGE_ORIGIN="+origin)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = dieWithParent()
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v", kind, err)
	}
	return &way{name: kind, addr: strings.TrimSpace(addr), pid: cmd.Process.Pid}
}

// client sends requests over one connection.
type client struct {
	net.Conn
	buf []byte
}

func dial(t *testing.T, addr string) *client {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &client{c, make([]byte, 4096)}
}

var request = []byte("GET / HTTP/1.1\r\nHost: internal-app-0123456789.elb.lab.test\r\nUser-Agent: cost\r\n\r\n")

// once sends a request and reads the response, which ends in "hello".
func (c *client) once() error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	for n := 0; ; {
		k, err := c.Read(c.buf[n:])
		if n += k; n >= 5 && string(c.buf[n-5:n]) == "hello" {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// openLoop sends 500 requests/s, each to a way drawn at random.
func openLoop(t *testing.T, ways []*way, d time.Duration) {
	clients := make([]*client, len(ways))
	for i, w := range ways {
		clients[i] = dial(t, w.addr)
		defer clients[i].Close()
	}
	const rate = 500
	begin := time.Now()
	for n := 0; time.Since(begin) < d; n++ {
		for time.Until(begin.Add(time.Duration(n)*time.Second/rate)) > 0 {
			time.Sleep(50 * time.Microsecond)
		}
		i := rand.IntN(len(ways))
		start := time.Now()
		if err := clients[i].once(); err != nil {
			t.Fatalf("%s: %v", ways[i].name, err)
		}
		ways[i].sorted = append(ways[i].sorted, float64(time.Since(start).Nanoseconds())/1000)
	}
	for _, w := range ways {
		slices.Sort(w.sorted)
	}
}

// closedLoop measures throughput and the hop's CPU time per request.
func (w *way) closedLoop(t *testing.T, d time.Duration) {
	const connections = 32
	var wg sync.WaitGroup
	counts := make([]int, connections)
	before, begin := cpuOf(w.pid), time.Now()
	for i := range connections {
		wg.Go(func() {
			c := dial(t, w.addr)
			defer c.Close()
			for time.Since(begin) < d {
				if err := c.once(); err != nil {
					t.Errorf("%s: %v", w.name, err)
					return
				}
				counts[i]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	w.rate = float64(total) / time.Since(begin).Seconds()
	w.cpu = (cpuOf(w.pid) - before).Seconds() * 1e6 / float64(total)
}

// cpuOf returns the CPU time of a process and its children that still run; 0 where
// /proc does not exist.
func cpuOf(pid int) (d time.Duration) {
	for _, p := range append(childrenOf(pid), pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		d += time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
	}
	return d
}

func childrenOf(pid int) (pids []int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}
