// Package edge holds no code of its own: its tests send what HTTP/1.1 allows
// and few clients do through the lab's hops and, where they are installed,
// through HAProxy and nginx, and print one table.
package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// hop is a running hop in front of an origin.
type hop struct {
	name string
	addr string
	pid  int // of a program of its own
	stop func()
}

// hops are the ways to start one; each returns nil when its program is not
// installed.
var hops = []struct {
	name  string
	start func(t testing.TB, origin string) *hop
}{
	{"agent", startAgent}, {"alb", startALB}, {"haproxy", startHAProxy}, {"nginx", startNginx},
}

// wire is a network on which every logical address is the origin.
type wire struct{ origin string }

func (w wire) Listen(uint16) (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:0") }
func (w wire) Dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp4", w.origin)
}
func (w wire) DialLocal(ctx context.Context, _ uint16) (net.Conn, error) {
	return w.Dial(ctx, netip.AddrPort{})
}
func (w wire) Outbound([]netip.AddrPort) (fabric.Outbound, error) {
	return nil, fmt.Errorf("not needed here")
}
func (w wire) Logical(a netip.Addr) netip.Addr { return a }
func (w wire) Update(json.RawMessage) error    { return nil }

func startAgent(t testing.TB, origin string) *hop {
	a, b, err := agent.Start(agent.Config{Task: "edge", Ingress: []agent.Ingress{
		{Discovery: "app", Protocol: agent.HTTP, App: 80, Timeouts: agent.DefaultTimeouts(agent.HTTP)},
	}}, wire{origin})
	if err != nil {
		t.Fatal(err)
	}
	return &hop{name: "agent", addr: b.Ingress[0].String(), stop: a.Close}
}

func startALB(t testing.TB, origin string) *hop {
	forward := []alb.Action{{Type: "forward", Forward: []alb.Weighted{{Group: "g", Weight: 1}}}}
	n, b, err := alb.Start(alb.Config{
		Name: "edge", DNSName: "edge.elb.lab.test", Idle: time.Minute,
		Listeners: []alb.Listener{{Port: 80, Protocol: "HTTP", Default: forward}},
		Groups:    []alb.Group{{ID: "g", Protocol: "HTTP", Version: "HTTP1"}},
	}, wire{origin}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.Update(alb.Update{Targets: map[string][]netip.AddrPort{"g": {netip.MustParseAddrPort("10.0.0.1:80")}}})
	return &hop{name: "alb", addr: b.Listeners[80].String(), stop: n.Close}
}

func startHAProxy(t testing.TB, origin string) *hop {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return nil
	}
	port := freePort(t)
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	write(t, cfg, fmt.Sprintf(`global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:%d
  default_backend b
backend b
  server s %s
`, port, origin))
	return external(t, "haproxy", port, path, "-db", "-q", "-f", cfg)
}

func startNginx(t testing.TB, origin string) *hop {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil
	}
	port := freePort(t)
	dir := t.TempDir()
	cfg := filepath.Join(dir, "nginx.conf")
	write(t, cfg, fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  keepalive_requests 100000000;
  upstream o { server %[2]s; keepalive 256; keepalive_requests 100000000; }
  map $http_upgrade $c { default upgrade; '' ''; }
  server { listen 127.0.0.1:%[3]d; client_max_body_size 0; location / {
    proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection $c; proxy_set_header Upgrade $http_upgrade; proxy_set_header Host $http_host; } }
}
`, dir, origin, port))
	return external(t, "nginx", port, path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", cfg)
}

func external(t testing.TB, name string, port int, path string, args ...string) *hop {
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for limit := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(limit) {
			cmd.Process.Kill()
			t.Fatalf("%s does not listen on %s: %v", name, addr, err)
		}
	}
	return &hop{name: name, addr: addr, pid: cmd.Process.Pid, stop: func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}}
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t testing.TB, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
