// Package edge holds no code of its own: its tests send what HTTP/1.1 allows
// and few clients do through the lab's hops and, where they are installed,
// through HAProxy and nginx, and make one table of it, which stands in
// docs/trials.md. With -update they write it there.
package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// hop is a running hop in front of an origin.
type hop struct {
	name string
	addr string
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
	if labtest.Find("haproxy") == "" {
		return nil
	}
	p := labtest.HAProxy(t, origin, "", "")
	return &hop{name: "haproxy", addr: p.Addr, stop: p.Stop}
}

func startNginx(t testing.TB, origin string) *hop {
	if labtest.Find("nginx") == "" {
		return nil
	}
	p := labtest.Nginx(t, fmt.Sprintf(`  upstream o { server %s; keepalive 256; keepalive_requests 100000000; }
  map $http_upgrade $c { default upgrade; '' ''; }
  server { listen 127.0.0.1:$PORT; client_max_body_size 0; location / {
    proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection $c; proxy_set_header Upgrade $http_upgrade; proxy_set_header Host $http_host; } }`, origin))
	return &hop{name: "nginx", addr: p.Addr, stop: p.Stop}
}

// startEnvoy starts a real Envoy with what the lab configures an agent's ingress
// with, where one is installed.
func startEnvoy(t testing.TB, origin string) *hop {
	if _, err := envoybin.Get(context.Background(), envoybin.Wanted{}); envoybin.IsMissing(err) && os.Getenv("CI") != "true" {
		return nil
	}
	p := labtest.EnvoyHop(t, origin, 1)
	return &hop{name: "envoy", addr: p.Addr, stop: p.Stop}
}
