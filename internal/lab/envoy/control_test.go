package envoy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// table is a network of this machine's own addresses with a table, as
// fabric loopback has it: what it does not list is refused.
type table struct {
	fabric.Net
	mu      sync.Mutex
	real    map[netip.AddrPort]netip.AddrPort
	dropped map[netip.AddrPort]bool
}

func (*table) Listen(uint16) (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:0") }
func (*table) From() netip.Addr                    { return netip.Addr{} }

func (n *table) Lookup(dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dropped[dst] {
		return netip.AddrPort{}, fabric.Dropped
	}
	if real, ok := n.real[dst]; ok {
		return real, fabric.Passed
	}
	return netip.AddrPort{}, fabric.Refused
}

// task starts an app that answers with its name, at the logical address.
func (n *table) task(t *testing.T, name string, logical string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(3 * time.Second) // longer than a test takes to cut it off
		}
		io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.real[addr(logical)] = netip.MustParseAddrPort(s.Listener.Addr().String())
}

// realClient is a real Envoy with one endpoint to call, and where it is called.
func realClient(t *testing.T, n *table) (*envoy.Proxy, string) {
	t.Helper()
	layer.Full(t, "starts Envoy")
	bin := labtest.Envoy(t)
	cfg := agent.Config{Task: "t", ConnectTimeout: 300 * time.Millisecond, Egress: []agent.Egress{{
		Name: "app.ns", Discovery: "app", Protocol: agent.HTTP, At: addr("127.255.0.1:80"), Timeouts: agent.DefaultTimeouts(agent.HTTP)}}}
	p, b, err := envoy.Start(cfg, n, bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, "http://" + b.Outbound[addr("127.255.0.1:80")].String()
}

func hosts(at ...string) agent.Update {
	u := agent.Update{Hosts: map[string][]netip.AddrPort{"app.ns:80": {}}}
	for _, a := range at {
		u.Hosts["app.ns:80"] = append(u.Hosts["app.ns:80"], addr(a))
	}
	return u
}

// load calls the URL from several connections until stop, which returns how
// many requests got which answer.
func load(url string, connections int) (stop func() map[string]int) {
	var wg sync.WaitGroup
	var end atomic.Bool
	var mu sync.Mutex
	seen := map[string]int{}
	for range connections {
		wg.Go(func() {
			c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for !end.Load() {
				_, got := fetch(c, url)
				mu.Lock()
				seen[got]++
				mu.Unlock()
			}
		})
	}
	return func() map[string]int {
		end.Store(true)
		wg.Wait()
		return seen
	}
}

func fetch(c *http.Client, url string) (status int, body string) {
	resp, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// TestUpdatesUnderLoad: tasks come and go while requests flow, and every
// request is answered by a task.
func TestUpdatesUnderLoad(t *testing.T) {
	n := &table{real: map[netip.AddrPort]netip.AddrPort{}}
	tasks := []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"}
	for i, at := range tasks {
		n.task(t, fmt.Sprint("task ", i), at)
	}
	p, url := realClient(t, n)
	if status, body := fetch(http.DefaultClient, url); status != 503 || body != "no healthy upstream" {
		t.Errorf("without tasks: %d %q", status, body)
	}
	if err := p.Update(hosts(tasks[0])); err != nil {
		t.Fatal(err)
	}
	stop := load(url, 8)
	const updates = 200
	for i := range updates {
		// One to three tasks, never the same ones twice in a row.
		set := slices.Concat(tasks, tasks)[i%4 : i%4+1+i%3]
		if err := p.Update(hosts(set...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	seen := stop()
	total := 0
	for body, n := range seen {
		total += n
		if !strings.HasPrefix(body, "task ") {
			t.Errorf("%d requests were answered %q", n, body)
		}
	}
	t.Logf("%d updates, %d requests: %v", updates, total, seen)
	if len(seen) < 4 {
		t.Errorf("not every task was reached: %v", seen)
	}
	v, err := p.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if got := v["cluster.egress_app_ns_80.update_success"]; got < updates {
		t.Errorf("Envoy took %d updates of %d", got, updates)
	}
	if v["listener_manager.lds.update_success"] != 1 || v["cluster_manager.cds.update_success"] != 1 || v["listener_manager.listener_modified"] != 0 {
		t.Errorf("updates of endpoints touched listeners or clusters: %d, %d, %d", v["listener_manager.lds.update_success"], v["cluster_manager.cds.update_success"], v["listener_manager.listener_modified"])
	}
	st, err := p.Status()
	if err != nil || len(st.Egress) != 1 {
		t.Fatalf("%+v %v", st, err)
	}
	// One more than the load's: the request without tasks.
	if e := st.Egress[0]; e.Requests != int64(total)+1 || e.Codes["2xx"] != int64(total) || e.Codes["5xx"] != 1 {
		t.Errorf("Envoy counted %d requests with %v, and %d were made", e.Requests, e.Codes, total+1)
	}
}

// TestControlPlaneDies: what runs goes on without it, and takes what changed
// when it is back.
func TestControlPlaneDies(t *testing.T) {
	n := &table{real: map[netip.AddrPort]netip.AddrPort{}}
	n.task(t, "task 0", "10.0.0.1:80")
	n.task(t, "task 1", "10.0.0.2:80")
	p, url := realClient(t, n)
	if err := p.Update(hosts("10.0.0.1:80")); err != nil {
		t.Fatal(err)
	}
	stop := load(url, 4)
	var slow sync.WaitGroup
	slow.Go(func() {
		if status, body := fetch(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, url+"/slow"); status != 200 || body != "task 0" {
			t.Errorf("a request that ran when the control plane died: %d %q", status, body)
		}
	})
	connections := func() [2]int64 {
		st, err := p.Status()
		if err != nil || len(st.Egress) != 1 {
			t.Fatalf("%+v %v", st, err)
		}
		return [2]int64{st.Egress[0].NewConnections, st.Egress[0].UpstreamConnections}
	}
	before := connections()
	for range 20 { // until all are there
		time.Sleep(100 * time.Millisecond)
		now := connections()
		if now == before && now[0] >= 5 {
			break
		}
		before = now
	}
	p.StopControl()
	time.Sleep(time.Second)
	if after := connections(); after != before {
		t.Errorf("connections from callers and to tasks, before and after: %v, %v", before, after)
	}
	slow.Wait()
	if seen := stop(); len(seen) != 1 || seen["task 0"] == 0 {
		t.Errorf("without a control plane: %v", seen)
	}
	if v, err := p.Counters(); err != nil || v["control_plane.connected_state"] != 0 || v["listener_manager.total_listeners_active"] != 1 {
		t.Errorf("connected %d, listeners %d, %v", v["control_plane.connected_state"], v["listener_manager.total_listeners_active"], err)
	}
	if err := p.StartControl(); err != nil {
		t.Fatal(err)
	}
	if err := p.Update(hosts("10.0.0.2:80")); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, body := fetch(http.DefaultClient, url); body == "task 1" {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("the new tasks did not arrive")
		}
	}
}

// TestDeadEnds: a table that refuses or drops shows at Envoy's client as the
// kernel's refusal and silence would.
func TestDeadEnds(t *testing.T) {
	n := &table{
		real:    map[netip.AddrPort]netip.AddrPort{},
		dropped: map[netip.AddrPort]bool{addr("10.0.0.8:80"): true, addr("10.0.0.9:80"): true},
	}
	n.task(t, "task 0", "10.0.0.1:80")
	p, url := realClient(t, n)
	for _, c := range []struct {
		to      []string
		status  int
		body    string
		atLeast time.Duration
	}{
		{[]string{"10.0.0.7:80"}, 503, "retried and the latest reset reason: remote connection failure", 0},
		// Three tries of 300 ms.
		{[]string{"10.0.0.8:80"}, 503, "retried and the latest reset reason: connection timeout", 900 * time.Millisecond},
		{[]string{"10.0.0.8:80", "10.0.0.9:80", "10.0.0.1:80"}, 200, "task 0", 0},
	} {
		if err := p.Update(hosts(c.to...)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		status, body := fetch(http.DefaultClient, url)
		if took := time.Since(start); status != c.status || !strings.Contains(body, c.body) || took < c.atLeast {
			t.Errorf("%v: %d %q after %s, want %d %q", c.to, status, body, took, c.status, c.body)
		}
	}
	// The network opens: the same logical address, now elsewhere.
	if err := p.Update(hosts("10.0.0.7:80")); err != nil {
		t.Fatal(err)
	}
	n.task(t, "task 7", "10.0.0.7:80")
	if err := p.Moved(); err != nil {
		t.Fatal(err)
	}
	if status, body := fetch(http.DefaultClient, url); status != 200 || body != "task 7" {
		t.Errorf("after the network changed: %d %q", status, body)
	}
}

// TestPortWithoutAlias: what arrives at a virtual address that no alias has is reset.
func TestPortWithoutAlias(t *testing.T) {
	p, _ := realClient(t, &table{real: map[netip.AddrPort]netip.AddrPort{}})
	c, err := net.Dial("tcp", p.Outbound().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "connection reset by peer") {
		t.Errorf("%v, want a reset", err)
	}
}

// TestRestart: an Envoy that dies is started again with what it knew, three
// times, as AWS's agent does it; after that the agent has ended.
func TestRestart(t *testing.T) {
	n := &table{real: map[netip.AddrPort]netip.AddrPort{}}
	n.task(t, "task 0", "10.0.0.1:80")
	p, url := realClient(t, n)
	if err := p.Update(hosts("10.0.0.1:80")); err != nil {
		t.Fatal(err)
	}
	for i := range envoy.MaxRestarts + 1 {
		st, err := p.Status()
		if err != nil {
			t.Fatal(err)
		}
		if status, body := fetch(http.DefaultClient, url); status != 200 || body != "task 0" {
			t.Errorf("after %d restarts: %d %q", i, status, body)
		}
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if i == envoy.MaxRestarts {
			break
		}
		for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if now, err := p.Status(); err == nil && now.PID != st.PID {
				if status, _ := fetch(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, url); status == 200 {
					break
				}
			}
			if time.Now().After(limit) {
				t.Fatalf("it did not come back after its end number %d", i+1)
			}
		}
	}
	select {
	case <-p.Ended():
		if why := p.Why(); !strings.HasPrefix(why, "signal: killed") {
			t.Error(why)
		}
	case <-time.After(5 * time.Second):
		t.Error("the agent did not end")
	}
}

// TestRefusedListener: what Envoy refuses is the error of the start.
func TestRefusedListener(t *testing.T) {
	layer.Full(t, "starts Envoy")
	bin := labtest.Envoy(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := agent.Config{Task: "t", Ingress: []agent.Ingress{{Discovery: "app", Protocol: agent.HTTP, App: 80}}}
	_, _, err = envoy.Start(cfg, taken{at: l}, bin, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "envoy refuses type.googleapis.com/envoy.config.listener.v3.Listener") || !strings.Contains(err.Error(), "ingress-app") {
		t.Errorf("%v", err)
	}
}

// TestNothingToDo: the agent of the first client of a namespace has neither
// listeners nor clusters, and is ready.
func TestNothingToDo(t *testing.T) {
	layer.Full(t, "starts Envoy")
	p, b, err := envoy.Start(agent.Config{Task: "t"}, &table{}, labtest.Envoy(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(b.Ingress)+len(b.Outbound) != 0 {
		t.Errorf("it listens at %+v", b)
	}
	if _, err := p.Status(); err != nil {
		t.Error(err)
	}
}

// TestMany: more Envoys than a user has inotify instances for. Files of
// endpoints cost one for each endpoint and Envoy, and the 16th Envoy ended.
func TestMany(t *testing.T) {
	layer.Full(t, "starts 20 Envoys")
	bin := labtest.Envoy(t)
	n := &table{real: map[netip.AddrPort]netip.AddrPort{}}
	n.task(t, "app", "10.0.0.1:80")
	cfg := agent.Config{Task: "t"}
	for i := range 10 {
		cfg.Egress = append(cfg.Egress, agent.Egress{Name: fmt.Sprintf("app%d.ns", i), Discovery: "app", Protocol: agent.HTTP,
			At: addr(fmt.Sprintf("127.255.0.%d:80", i+1)), Timeouts: agent.DefaultTimeouts(agent.HTTP)})
	}
	for i := range 20 {
		p, b, err := envoy.Start(cfg, n, bin, t.TempDir())
		if err != nil {
			t.Fatalf("Envoy %d: %v", i+1, err)
		}
		defer p.Close()
		if err := p.Update(agent.Update{Hosts: map[string][]netip.AddrPort{"app9.ns:80": {addr("10.0.0.1:80")}}}); err != nil {
			t.Fatal(err)
		}
		if status, body := fetch(http.DefaultClient, "http://"+b.Outbound[cfg.Egress[9].At].String()); status != 200 {
			t.Errorf("Envoy %d: %d %q", i+1, status, body)
		}
	}
}

// taken is a network that gives out an address that somebody listens on.
type taken struct {
	fabric.Net
	at net.Listener
}

func (n taken) Listen(uint16) (net.Listener, error) { return unclosed{n.at}, nil }

type unclosed struct{ net.Listener }

func (unclosed) Close() error { return nil }
