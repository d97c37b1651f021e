package envoy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/lab/envoy/standin"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary stand in for envoy.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "-c" {
		os.Exit(standin.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// plain is a network of this machine's own addresses.
type plain struct{ fabric.Net }

func (plain) Listen(port uint16) (net.Listener, error) {
	return net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
}

// task is an agent with an endpoint of each kind on both sides; app is behind its ingress.
func task(app uint16) agent.Config {
	cfg := agent.Config{Task: "t"}
	for i, p := range []agent.Protocol{agent.HTTP, agent.TCP} {
		cfg.Ingress = append(cfg.Ingress, agent.Ingress{Discovery: string(p), Protocol: p, App: app, Timeouts: agent.DefaultTimeouts(p)})
		cfg.Egress = append(cfg.Egress, agent.Egress{Name: string(p) + ".ns", Discovery: string(p), Protocol: p,
			Timeouts: agent.DefaultTimeouts(p),
			At:       netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 0, byte(i + 1)}), 80)})
	}
	return cfg
}

func TestProxy(t *testing.T) {
	layer.Full(t, "starts a stand-in for Envoy")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer app.Close()
	dir := t.TempDir()
	p, b, err := envoy.Start(task(netip.MustParseAddrPort(app.Listener.Addr().String()).Port()), plain{}, os.Args[0], dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(b.Ingress) != 2 || b.Ingress[0].Port() == 0 || len(b.Outbound) != 1 || b.Outbound[netip.AddrPort{}].Port() == 0 {
		t.Fatalf("it listens at %+v", b)
	}
	for i, server := range []string{"envoy", ""} { // of HTTP, and of TCP, where the app speaks for itself
		resp, err := http.Get("http://" + b.Ingress[i].String())
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "hello" || resp.Header.Get("Server") != server {
			t.Errorf("endpoint %d answers %q with %v", i, body, resp.Header)
		}
	}
	st, err := p.Status()
	if err != nil || len(st.Ingress) != 2 || len(st.Egress) != 2 {
		t.Fatalf("status %+v %v", st, err)
	}
	if h, tcp := st.Ingress[0], st.Ingress[1]; h.Requests != 1 || h.Codes["2xx"] != 1 || h.UpstreamConnections != 1 || tcp.NewConnections != 1 || tcp.Requests != 0 {
		t.Errorf("counters %+v and %+v", h, tcp)
	}
	if err := p.Drain(); err != nil {
		t.Error(err)
	}
	if c, err := p.Counters(); err != nil || c["drained"] != 1 {
		t.Errorf("counters %v %v, want drained 1", c, err)
	}
	if c, err := net.Dial("tcp", b.Ingress[0].String()); err == nil {
		c.Close()
		t.Error("a drained listener still takes connections")
	}
	p.Close()
	<-p.Ended()
	if syscall.Kill(st.PID, 0) == nil {
		t.Errorf("process %d is still there", st.PID)
	}
}

func TestProxyThatEnds(t *testing.T) {
	layer.Full(t, "starts a stand-in for Envoy")
	cfg := task(80)
	cfg.Task = standin.Broken
	_, _, err := envoy.Start(cfg, plain{}, os.Args[0], t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready (exit status 3: told to be broken)") {
		t.Errorf("%v", err)
	}
}

// TestGone: Drain and Counters of an Envoy that has gone are errors, not waits.
func TestGone(t *testing.T) {
	layer.Full(t, "starts a stand-in for Envoy")
	p, _, err := envoy.Start(task(80), plain{}, os.Args[0], t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	if err := p.Drain(); err == nil {
		t.Error("an Envoy that has ended was drained")
	}
	if _, err := p.Status(); err == nil {
		t.Error("an Envoy that has ended has counters")
	}
}
