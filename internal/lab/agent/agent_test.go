package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/loopback"
)

var everything = []fabric.Range{{From: 1, To: 65535}}

// world is a network with tasks at 10.0.0.n:80, as the agent of one task sees it.
type world struct {
	view loopback.View
}

func newWorld() *world {
	return &world{loopback.View{
		IP: netip.MustParseAddr("10.0.1.1"), Real: netip.MustParseAddr("127.0.0.1"),
		Peers: map[netip.Addr]loopback.Peer{}, Local: map[uint16]netip.AddrPort{},
	}}
}

// task adds a task and returns its address. real is where it listens; empty
// for a task that refuses connections.
func (w *world) task(n int, real string) netip.AddrPort {
	a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 80)
	p := loopback.Peer{Open: everything, Bound: map[uint16]netip.AddrPort{}}
	if real != "" {
		p.Bound[80] = netip.MustParseAddrPort(real)
	}
	w.view.Peers[a.Addr()] = p
	return a
}

func (w *world) net(t *testing.T) *loopback.Net {
	raw, err := json.Marshal(w.view)
	if err != nil {
		t.Fatal(err)
	}
	n, err := loopback.NewNet(raw)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) start(t *testing.T, cfg Config) (*Agent, Bound) {
	t.Helper()
	cfg.Task = "test"
	a, b, err := Start(cfg, w.net(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, b
}

// app starts an HTTP server that stands for an app or another task's agent.
func app(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

var at = netip.MustParseAddrPort("127.255.0.1:80")

// client starts an agent with one egress endpoint that has the given hosts,
// and returns it with the real address behind the virtual one.
func client(t *testing.T, w *world, scale float64, timeouts Timeouts, hosts ...netip.AddrPort) (*Agent, string) {
	t.Helper()
	a, b := w.start(t, Config{Scale: scale, Egress: []Egress{{Name: "app.ns", Discovery: "app", Protocol: HTTP, At: at, Timeouts: timeouts}}})
	a.Update(Update{Hosts: map[string][]netip.AddrPort{"app.ns:80": hosts}})
	return a, b.Outbound[at].String()
}

// server starts an agent with one ingress endpoint in front of an app.
func server(t *testing.T, cfg Config, h http.HandlerFunc) (*Agent, string) {
	t.Helper()
	w := newWorld()
	if h != nil {
		w.view.Local[80] = netip.MustParseAddrPort(app(t, h))
	}
	if cfg.Ingress == nil {
		cfg.Ingress = []Ingress{{Discovery: "app", Protocol: HTTP, App: 80, Timeouts: DefaultTimeouts(HTTP)}}
	}
	a, b := w.start(t, cfg)
	return a, b.Ingress[0].String()
}

// get sends one request and returns what came back.
func get(t *testing.T, addr, header string) (status int, h http.Header, body string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET /path?q=1 HTTP/1.1\r\nHost: app.ns\r\n%s\r\n", header)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Close { // net/http has taken the field away
		resp.Header.Set("Connection", "close")
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestRequestHead(t *testing.T) {
	seen := make(chan string, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		seen <- string(buf[:n])
		io.WriteString(c, "HTTP/1.1 200 Fine\r\nServer: Express\r\nDate: Tue, 01 Dec 2026 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
	}()
	w := newWorld()
	w.view.Local[80] = netip.MustParseAddrPort(l.Addr().String())
	_, b := w.start(t, Config{Ingress: []Ingress{{Protocol: HTTP, App: 80, Timeouts: DefaultTimeouts(HTTP)}}})
	c, err := net.Dial("tcp", b.Ingress[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /a?b HTTP/1.1\r\nX-Forwarded-For: 10.0.0.9\r\nHost: Gelbo-80\r\nKeep-Alive: 3\r\nConnection: keep-alive\r\nAccept: */*\r\nX-Request-Id: mine\r\n\r\n")
	want := "GET /a?b HTTP/1.1\r\nhost: Gelbo-80\r\nx-forwarded-for: 10.0.0.9\r\naccept: */*\r\nx-request-id: mine\r\nx-forwarded-proto: http\r\nx-envoy-expected-rq-timeout-ms: 15000\r\n\r\n"
	if got := <-seen; got != want {
		t.Errorf("the app got\n%q, want\n%q", got, want)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	want = "HTTP/1.1 200 OK\r\ndate: Tue, 01 Dec 2026 00:00:00 GMT\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: N\r\nserver: envoy\r\n\r\nok"
	if got := regexp.MustCompile(`time: \d+`).ReplaceAllString(string(buf[:n]), "time: N"); got != want {
		t.Errorf("the client got\n%q, want\n%q", got, want)
	}
}

func TestUUID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := string(appendUUID(nil))
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || seen[id] {
			t.Fatalf("%q is no new version 4 UUID", id)
		}
		seen[id] = true
	}
}

func TestRoundRobin(t *testing.T) {
	w := newWorld()
	var hosts []netip.AddrPort
	for i := range 3 {
		hosts = append(hosts, w.task(i+1, app(t, func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, i) })))
	}
	a, addr := client(t, w, 1, DefaultTimeouts(HTTP), hosts...)
	var got string
	for range 6 {
		_, _, body := get(t, addr, "")
		got += body
	}
	if got != "012012" {
		t.Errorf("tasks answered in the order %s, want 012012", got)
	}
	st := a.Status().Egress[0]
	if st.Requests != 6 || st.PerTarget["10.0.0.2:80"] != 2 || st.Codes["2xx"] != 6 {
		t.Errorf("counted %+v", st)
	}
}

// unfriendly replies for tasks that cannot be reached; the texts are Envoy's.
func TestUnreachable(t *testing.T) {
	const retried = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
	long := Timeouts{PerRequest: time.Minute, Idle: 5 * time.Minute}
	for name, c := range map[string]struct {
		timeouts Timeouts
		hosts    func(w *world) []netip.AddrPort
		status   int
		body     string
		after    time.Duration // modelled, at least
	}{
		"refused":                {DefaultTimeouts(HTTP), func(w *world) []netip.AddrPort { return []netip.AddrPort{w.task(1, "")} }, 503, retried + reasonRefused, 0},
		"dropped":                {DefaultTimeouts(HTTP), func(w *world) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 504, "upstream request timeout", 15 * time.Second},
		"dropped, long timeout":  {long, func(w *world) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 503, retried + "connection timeout", 15 * time.Second},
		"no task":                {DefaultTimeouts(HTTP), func(w *world) []netip.AddrPort { return nil }, 503, "no healthy upstream", 0},
		"dropped, no time limit": {Timeouts{Idle: time.Minute}, func(w *world) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 503, retried + "connection timeout", 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const scale = 20
			w := newWorld()
			_, addr := client(t, w, scale, c.timeouts, c.hosts(w)...)
			start := time.Now()
			status, h, body := get(t, addr, "")
			if status != c.status || body != c.body {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
			}
			if h.Get("Server") != "envoy" || h.Get("Content-Type") != "text/plain" || h.Get("X-Envoy-Upstream-Service-Time") != "" {
				t.Errorf("header %v", h)
			}
			if took := time.Since(start) * scale; took < c.after || took > c.after+2*time.Minute {
				t.Errorf("it took %s of modelled time, want about %s", took, c.after)
			}
		})
	}
}

// TestIngressRefused: situation 14, the app does not listen on loopback.
func TestIngressRefused(t *testing.T) {
	_, addr := server(t, Config{}, nil)
	status, _, body := get(t, addr, "")
	if want := "upstream connect error or disconnect/reset before headers. reset reason: " + reasonRefused; status != 503 || body != want {
		t.Errorf("got %d %q, want 503 %q", status, body, want)
	}
}

// TestRetryElsewhere: a task that refuses is avoided by the next try, and
// after five failures by everybody.
func TestRetryElsewhere(t *testing.T) {
	w := newWorld()
	good := w.task(1, app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "good") }))
	also := w.task(2, app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "good") }))
	bad := w.task(3, "")
	a, addr := client(t, w, 20, DefaultTimeouts(HTTP), bad, good, also)
	for i := range 30 {
		if status, _, body := get(t, addr, ""); status != 200 || body != "good" {
			t.Fatalf("request %d: %d %q", i, status, body)
		}
	}
	st := a.Status().Egress[0]
	if len(st.Ejected) != 1 || st.Ejected[0] != bad.String() {
		t.Errorf("ejected: %v, want %s", st.Ejected, bad)
	}
	// Ejected for 30 s, which are 1.5 s here.
	for limit := time.Now().Add(5 * time.Second); len(a.Status().Egress[0].Ejected) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the task stays ejected")
		}
	}
}

func TestEjectionPanic(t *testing.T) {
	w := newWorld()
	c := newCluster(clock.New(100), w.net(t), 0, false)
	c.setHosts([]netip.AddrPort{w.task(1, ""), w.task(2, ""), w.task(3, "")})
	now := time.Now()
	hosts := *c.hosts.Load()
	eject := func(h *host) {
		for range outlierFailures {
			h.failed(c.clock, now)
		}
	}
	eject(hosts[0])
	for range 6 {
		if h := c.pick(now, nil); h == hosts[0] {
			t.Error("an ejected host was picked while two of three are in use")
		}
	}
	eject(hosts[1])
	seen := map[*host]bool{}
	for range 6 {
		seen[c.pick(now, nil)] = true
	}
	if len(seen) != 3 {
		t.Errorf("with one of three in use, %d hosts are picked, want all (panic)", len(seen))
	}
	if hosts[0].ejected(now.Add(310 * time.Millisecond)) {
		t.Error("the first ejection lasts longer than 30 s")
	}
	now = now.Add(310 * time.Millisecond)
	eject(hosts[0])
	if !hosts[0].ejected(now.Add(550 * time.Millisecond)) {
		t.Error("the second ejection is not twice as long")
	}
}

func TestSlowApp(t *testing.T) {
	for name, c := range map[string]struct {
		timeouts Timeouts
		status   int
		body     string
	}{
		"request timeout": {DefaultTimeouts(HTTP), 504, "upstream request timeout"},
		"idle wins":       {Timeouts{PerRequest: 15 * time.Second, Idle: 5 * time.Second}, 504, "stream timeout"},
		"switched off":    {Timeouts{}, 200, "late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, addr := server(t, Config{Scale: 100, Ingress: []Ingress{{Protocol: HTTP, App: 80, Timeouts: c.timeouts}}},
				func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-r.Context().Done():
					case <-time.After(400 * time.Millisecond):
					}
					io.WriteString(w, "late")
				})
			if status, _, body := get(t, addr, ""); status != c.status || body != c.body {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
			}
		})
	}
}

// TestClientGone: the agent gives up a request whose client has left.
func TestClientGone(t *testing.T) {
	given := make(chan struct{})
	a, addr := server(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(given)
	})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	time.Sleep(20 * time.Millisecond)
	c.Close()
	select {
	case <-given:
	case <-time.After(5 * time.Second):
		t.Fatal("the app still works for a client that has gone")
	}
	waitFor(t, func() bool { return a.Status().Ingress[0].Codes["none"] == 1 })
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("not within 5 s")
		}
	}
}

// TestNoAlias: a port of a virtual address that no alias has.
func TestNoAlias(t *testing.T) {
	w := newWorld()
	_, b := w.start(t, Config{Egress: []Egress{{Name: "app.ns", Protocol: HTTP, At: at}}})
	for range 20 {
		c, err := net.Dial("tcp", b.Outbound[netip.AddrPort{}].String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1))
		if err == nil || !strings.Contains(err.Error(), "reset by peer") {
			t.Fatalf("got %v, want a reset", err)
		}
		c.Close()
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	w := newWorld()
	w.view.Local[80] = netip.MustParseAddrPort(l.Addr().String())
	a, b := w.start(t, Config{Ingress: []Ingress{
		{Discovery: "db", Protocol: TCP, App: 80, Timeouts: DefaultTimeouts(TCP)},
		{Discovery: "dead", Protocol: TCP, App: 81, Timeouts: DefaultTimeouts(TCP)},
	}})
	c, err := net.Dial("tcp", b.Ingress[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "anything")
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "anything" {
		t.Errorf("%q %v", got, err)
	}
	waitFor(t, func() bool {
		s := a.Status().Ingress[0]
		return s.BytesIn == 8 && s.BytesOut == 8 && s.NewConnections == 1 && s.ActiveConnections == 0 && s.Requests == 0
	})
	d, err := net.Dial("tcp", b.Ingress[1].String())
	if err == nil {
		defer d.Close()
		d.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = d.Read(make([]byte, 1))
	}
	if err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("an app that refuses: %v, want a reset", err)
	}
}

// TestDrain: no new connections, idle ones closed, the open exchange finished.
func TestDrain(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	a, addr := server(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish
		io.WriteString(w, "done")
	})
	idle, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		status, h, body := get(t, addr, "")
		if status != 200 || body != "done" || h.Get("Connection") != "close" {
			t.Errorf("got %d %v %q", status, h, body)
		}
	})
	<-begun
	a.Drain()
	if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		c.Close()
		t.Error("a draining agent takes new connections")
	}
	idle.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection: %v, want its end", err)
	}
	close(finish)
	wg.Wait()
}

func TestAccessLog(t *testing.T) {
	for _, format := range []string{"JSON", "TEXT"} {
		t.Run(format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.log")
			a, addr := server(t, Config{AccessLog: &AccessLog{Path: path, Format: format}},
				func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
			get(t, addr, "User-Agent: test\r\n")
			a.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if format == "TEXT" {
				if !strings.Contains(string(b), `"GET /path HTTP/1.1" 200 0 5 `) || !strings.HasSuffix(string(b), `"app.ns" "127.0.0.1:80"`+"\n") || strings.Contains(string(b), "q=1") {
					t.Errorf("line %q", b)
				}
				return
			}
			var line map[string]any
			if err := json.Unmarshal(b, &line); err != nil {
				t.Fatal(err)
			}
			for k, want := range map[string]any{"method": "GET", "path": "/path", "response_code": 200.0, "bytes_sent": 5.0, "bytes_received": 0.0,
				"user_agent": "test", "forwarded_for": nil, "authority": "app.ns", "upstream_host": "127.0.0.1:80"} {
				if got, ok := line[k]; !ok || got != want {
					t.Errorf("%s: %v, want %v", k, got, want)
				}
			}
			if id, _ := line["request_id"].(string); len(id) != 36 {
				t.Errorf("request id %q", id)
			}
		})
	}
}

// TestHealthChecksApart: requests of load balancers' checks are told apart.
func TestHealthChecksApart(t *testing.T) {
	a, addr := server(t, Config{}, func(w http.ResponseWriter, r *http.Request) {})
	get(t, addr, "User-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n")
	get(t, addr, "")
	if s := a.Status().Ingress[0]; s.Requests != 2 || s.HealthChecks != 1 {
		t.Errorf("counted %+v", s)
	}
}
