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
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/loopback"
)

var everything = []fabric.Range{{From: 1, To: 65535}}

// testNetwork is a network with tasks at 10.0.0.n:80, as the agent of one task sees it.
type testNetwork struct {
	view loopback.View
}

func newTestNetwork() *testNetwork {
	return &testNetwork{loopback.View{
		IP: netip.MustParseAddr("10.0.1.1"), Real: netip.MustParseAddr("127.0.0.1"),
		Peers: map[netip.Addr]loopback.Peer{}, Self: loopback.Self{Local: map[uint16]netip.AddrPort{}},
	}}
}

// task adds a task and returns its address. real is where it listens; empty
// for a task that refuses connections.
func (w *testNetwork) task(n int, real string) netip.AddrPort {
	a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 80)
	p := loopback.Peer{Open: everything, Bound: map[uint16]netip.AddrPort{}}
	if real != "" {
		p.Bound[80] = netip.MustParseAddrPort(real)
	}
	w.view.Peers[a.Addr()] = p
	return a
}

func (w *testNetwork) net(t *testing.T) *loopback.Net {
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

func (w *testNetwork) start(t *testing.T, cfg Config) (*Agent, Bound) {
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
func client(t *testing.T, w *testNetwork, scale float64, timeouts Timeouts, hosts ...netip.AddrPort) (*Agent, string) {
	t.Helper()
	a, b := w.start(t, Config{Scale: scale, Egress: []Egress{{Name: "app.ns", Discovery: "app", Protocol: HTTP, At: at, Timeouts: timeouts}}})
	a.Update(Update{Hosts: map[string][]netip.AddrPort{"app.ns:80": hosts}})
	return a, b.Outbound[at].String()
}

// server starts an agent with one ingress endpoint in front of an app.
func server(t *testing.T, cfg Config, h http.HandlerFunc) (*Agent, string) {
	t.Helper()
	w := newTestNetwork()
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

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("not within 5 s")
		}
	}
}

// within waits for ch to close and fails with what it means when it does not.
func within(t *testing.T, ch <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(5 * time.Second):
		t.Fatal(otherwise)
	}
}
