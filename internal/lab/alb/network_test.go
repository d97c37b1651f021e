package alb

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/loopback"
)

var everything = []fabric.Range{{From: 1, To: 65535}}

// testNetwork is a network with targets at 10.0.0.n:80, as the node sees it.
type testNetwork struct {
	view    loopback.View
	targets []netip.AddrPort
}

func newTestNetwork() *testNetwork {
	return &testNetwork{view: loopback.View{
		IP: netip.MustParseAddr("10.0.9.9"), Real: netip.MustParseAddr("127.0.0.1"),
		Peers:   map[netip.Addr]loopback.Peer{},
		Callers: map[netip.Addr]netip.Addr{netip.MustParseAddr("127.0.0.1"): netip.MustParseAddr("10.0.7.7")},
	}}
}

// target adds a target that really listens at real ("" refuses).
func (w *testNetwork) target(real string) netip.AddrPort {
	a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(w.targets) + 1)}), 80)
	p := loopback.Peer{Open: everything, Bound: map[uint16]netip.AddrPort{}}
	if real != "" {
		p.Bound[80] = netip.MustParseAddrPort(real)
	}
	w.view.Peers[a.Addr()] = p
	w.targets = append(w.targets, a)
	return a
}

// silent adds a target behind a closed security group.
func (w *testNetwork) silent() {
	w.targets = append(w.targets, netip.MustParseAddrPort(fmt.Sprintf("10.0.8.%d:80", len(w.targets)+1)))
}

// serve adds a target with an HTTP server.
func (w *testNetwork) serve(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return w.target(s.Listener.Addr().String())
}

// health is a check of the defaults of section 6.
var health = Health{Enabled: true, Protocol: "HTTP", Path: "/", Interval: 30 * time.Second, Timeout: 5 * time.Second,
	Healthy: 5, Unhealthy: 2, Matcher: "200"}

func forward(groups ...string) []Action {
	a := Action{Type: "forward"}
	for _, g := range groups {
		a.Forward = append(a.Forward, Weighted{g, 1})
	}
	return []Action{a}
}

// config is a node with one listener that forwards to one group without health checks.
func config() Config {
	return Config{Name: "test", DNSName: "test.elb.lab.test", Scale: 1, Idle: time.Minute,
		Listeners: []Listener{{Port: 80, Protocol: "HTTP", Default: forward("g")}},
		Groups:    []Group{{ID: "g", Name: "g", Protocol: "HTTP", Version: "HTTP1", DeregistrationDelay: 5 * time.Minute}},
	}
}

// start starts a node with the network's targets in group g and returns the
// address of its listener on port 80.
func (w *testNetwork) start(t *testing.T, cfg Config) (*Node, string) {
	t.Helper()
	raw, err := json.Marshal(w.view)
	if err != nil {
		t.Fatal(err)
	}
	n, err := loopback.NewNet(raw)
	if err != nil {
		t.Fatal(err)
	}
	a, b, err := Start(cfg, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	a.Update(Update{Targets: map[string][]netip.AddrPort{"g": w.targets}})
	return a, b.Listeners[80].String()
}

// answer is a response as a client sees it.
type answer struct {
	status int
	header http.Header
	body   string
	close  bool
}

// ask sends one request on a connection of its own.
func ask(t *testing.T, addr, request string) answer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b), resp.Close}
}

func get(t *testing.T, addr, path string) answer {
	t.Helper()
	return ask(t, addr, "GET "+path+" HTTP/1.1\r\nHost: example.test\r\n\r\n")
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(8 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within 8 s: %s", what)
		}
	}
}

// within waits for ch to close.
func within(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(8 * time.Second):
		t.Fatalf("not within 8 s: %s", what)
	}
}
