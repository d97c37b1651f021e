package labtest

import (
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
)

// EnvoyHop starts a real Envoy before an origin, with what the lab configures
// an agent's ingress with and so many worker threads.
func EnvoyHop(t testing.TB, origin string, workers int) *Program {
	t.Helper()
	to := netip.MustParseAddrPort(origin)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close() // Envoy binds it again at once
	cfg := agent.Config{Task: "hop", Workers: workers, Ingress: []agent.Ingress{{Discovery: "app", Protocol: agent.HTTP, App: to.Port()}}}
	boot, err := envoy.Bootstrap(cfg, agent.Update{}, envoy.Addresses{Ingress: []netip.AddrPort{at}})
	if err != nil {
		t.Fatal(err)
	}
	// An agent calls the app of its own task, and the lab's other hops this one.
	app := boot.StaticResources.Clusters[0].LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint()
	app.Address.Address.(*corev3.Address_SocketAddress).SocketAddress.Address = to.Addr().String()
	text, err := envoy.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	Write(t, file, string(text))
	cmd := exec.Command(Envoy(t), envoy.Args(file, workers)...)
	if err := StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(stop)
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", at.String())
		if err == nil {
			c.Close()
			return &Program{Addr: at.String(), PID: cmd.Process.Pid, Stop: stop}
		}
		if time.Now().After(limit) {
			t.Fatalf("an Envoy of %d workers does not listen on %s: %v", workers, at, err)
		}
	}
}
