package trial

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// path is one path to the origin.
type path struct {
	name string
	to   lab.DialInfo
	pid  int // of the hop; 0 for none
	// Of each round: the latency's quantiles in µs, requests/s, and µs of the
	// hop's CPU per request in the closed loop.
	p50, p99, rate, cpu []float64
}

const (
	latencyBlock = rate // requests at rate, of which the first cut are dropped
	cut          = rate / 5
	loopBlock    = time.Second
	connections  = 8  // of the open loop
	closedLoop   = 32 // connections
)

// BenchmarkHop measures what one hop adds in front of the same app: a real Envoy
// configured as an agent's ingress, with one worker and with two (as AWS starts
// it), the lab's agent and load balancer, beside HAProxy, nginx and net/http's
// ReverseProxy, all with kept connections to the app. One iteration is a round: each path in random order first has a second
// of 500 requests/s over 8 connections, then a second of a closed loop over 32
// connections. Cores are kept awake. A figure is the median over rounds; what
// is added is the median of the rounds' own differences to the direct path.
//
//	go test ./internal/test/trial -run '^$' -bench Hop -benchtime 10x -timeout 20m
//
// The app is the cheapest there is, so that the closed loop measures the hop.
// HAProxy and nginx run with one thread, the lab's hops with Go's default.
func BenchmarkHop(b *testing.B) {
	paths := allPaths(b)
	stop, status := quiet.KeepAwake([]string{os.Args[0], "spin"})
	defer stop()
	for b.Loop() {
		for _, i := range rand.Perm(len(paths)) {
			paths[i].openLoop(b)
		}
		for _, i := range rand.Perm(len(paths)) {
			paths[i].closedLoop(b)
		}
	}
	b.StopTimer()
	ref := paths[slices.IndexFunc(paths, func(p *path) bool { return p.name == "HAProxy" })]
	var t strings.Builder
	fmt.Fprintf(&t, "%d rounds on %d cores, kept awake: %s.\n\n", len(ref.rate), runtime.NumCPU(), status)
	fmt.Fprintf(&t, "| hop | p50, µs | p50 added, µs | range over rounds | of HAProxy's | p99 added, µs | closed loop, req/s | of HAProxy's | its CPU, µs/req |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, p := range paths {
		added, tail := diff(p.p50, paths[0].p50), diff(p.p99, paths[0].p99)
		refAdded := middle(diff(ref.p50, paths[0].p50))
		if p == paths[0] {
			fmt.Fprintf(&t, "| %s | %.1f | | | | | %.0f | | |\n", p.name, middle(p.p50), middle(p.rate))
			continue
		}
		fmt.Fprintf(&t, "| %s | %.1f | %.1f | %.1f to %.1f | %.2f | %.0f | %.0f | %.2f | %.1f |\n", p.name, middle(p.p50), middle(added),
			slices.Min(added), slices.Max(added), middle(added)/refAdded, middle(tail), middle(p.rate), middle(p.rate)/middle(ref.rate), middle(p.cpu))
		unit := strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(p.name))
		b.ReportMetric(middle(added), unit+"-added-µs")
		b.ReportMetric(middle(p.rate), unit+"-req/s")
	}
	b.ReportMetric(0, "ns/op")     // a round's length says nothing
	fmt.Printf("\n%s", t.String()) // a benchmark's log is cut after ten lines
	document().Write(b, "cost", t.String())
}

// allPaths starts a lab in override mode, where one app can be reached
// directly, through its agent, through the load balancer and by name, and the
// other hops in front of the same app.
func allPaths(t testing.TB) []*path {
	r := start(t, labtest.Deployment(t, "bypass"), lab.Options{App: lab.App{Command: []string{os.Args[0], "origin"}}})
	st := r.Status()
	app := st.Service(r.app, "").Tasks[0]
	processes := pids(st)
	override := 0
	for _, s := range labtest.Deployment(t, "bypass").Services {
		if s.ID == r.app {
			override, _ = s.Connect.Endpoints[0].IngressPortOverride.Get()
		}
	}
	dialInfo := func(c lab.Caller, url string) lab.DialInfo {
		d, err := r.DialInfo(c, url)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	balanced, err := r.LoadBalancerURL(r.balancer, 80)
	if err != nil {
		t.Fatal(err)
	}
	origin := app.Apps[0].Address
	paths := []*path{{name: "direct", to: lab.DialInfo{Dial: origin}}}
	add := func(name string, d lab.DialInfo, pid int) { paths = append(paths, &path{name: name, to: d, pid: pid}) }
	p := labtest.HAProxy(t, origin, "", "")
	add("HAProxy", lab.DialInfo{Dial: p.Addr}, p.PID)
	p = labtest.Nginx(t, nginxProxy(origin))
	add("nginx", lab.DialInfo{Dial: p.Addr}, p.PID)
	p = labtest.EnvoyHop(t, origin, 1)
	add("Envoy, 1 worker", lab.DialInfo{Dial: p.Addr}, p.PID)
	p = labtest.EnvoyHop(t, origin, 2)
	add("Envoy, 2 workers", lab.DialInfo{Dial: p.Addr}, p.PID)
	agent := dialInfo(lab.Caller{Service: r.client}, fmt.Sprintf("http://%s:%d/", app.IP, override))
	add("lab agent", agent, app.PIDs[0])
	add("lab ALB", dialInfo(lab.Caller{}, balanced), processes["alb"])
	addr, pid := ourselves(t, "reverseproxy", origin)
	add("net/http ReverseProxy", lab.DialInfo{Dial: addr}, pid)
	return paths
}

func diff(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func middle(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// wire is a connection that sends one request after the other.
type wire struct {
	net.Conn
	buf []byte
}

var ask = []byte("GET / HTTP/1.1\r\nHost: internal-app-0123456789.elb.lab.test\r\nUser-Agent: cost\r\n\r\n")

func (p *path) dial(t testing.TB) *wire {
	var d net.Dialer
	if p.to.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(p.to.From)}
	}
	c, err := d.Dial("tcp", p.to.Dial)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return &wire{c, make([]byte, 4096)}
}

// once sends a request and reads the response, which ends in the app's text.
func (c *wire) once() error {
	if _, err := c.Write(ask); err != nil {
		return err
	}
	for n := 0; ; {
		k, err := c.Read(c.buf[n:])
		if n += k; n >= 6 && string(c.buf[n-6:n]) == "World\n" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w after %.80q", err, c.buf[:n])
		}
	}
}

// openLoop sends at the rate; a request that is late is sent at once.
func (p *path) openLoop(t testing.TB) {
	conns := make([]*wire, connections)
	for i := range conns {
		conns[i] = p.dial(t)
		defer conns[i].Close()
	}
	var us []float64
	begin := time.Now()
	for n := range latencyBlock {
		due := time.Duration(n) * time.Second / rate
		for time.Since(begin) < due {
			time.Sleep(20 * time.Microsecond)
		}
		sent := time.Now()
		if err := conns[n%len(conns)].once(); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if n >= cut {
			us = append(us, float64(time.Since(sent).Nanoseconds())/1e3)
		}
	}
	slices.Sort(us)
	p.p50 = append(p.p50, us[len(us)/2])
	p.p99 = append(p.p99, us[len(us)*99/100])
}

// closedLoop keeps all connections busy.
func (p *path) closedLoop(t testing.TB) {
	conns := make([]*wire, closedLoop)
	for i := range conns {
		conns[i] = p.dial(t)
		defer conns[i].Close()
		if err := conns[i].once(); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	var wg sync.WaitGroup
	counts := make([]int, len(conns))
	before, begin := cpuOf(p.pid), time.Now()
	for i, c := range conns {
		wg.Go(func() {
			for time.Since(begin) < loopBlock {
				if err := c.once(); err != nil {
					t.Errorf("%s: %v", p.name, err)
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
	p.rate = append(p.rate, float64(total)/time.Since(begin).Seconds())
	p.cpu = append(p.cpu, float64((cpuOf(p.pid)-before).Microseconds())/float64(total))
}

// cpuOf returns the CPU time of a process and its children so far; 0 where
// /proc does not exist. Its steps are 10 ms (USER_HZ is 100).
func cpuOf(pid int) (d time.Duration) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, p := range append(strings.Fields(string(children)), strconv.Itoa(pid)) {
		b, err := os.ReadFile("/proc/" + p + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		d += time.Duration(user+system) * 10 * time.Millisecond
	}
	return d
}
