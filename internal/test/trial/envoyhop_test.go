package trial

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// envoyHop starts a real Envoy before an origin, with what the lab configures
// an agent's ingress with and so many worker threads.
func envoyHop(t testing.TB, origin string, workers int) *labtest.Program {
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
	labtest.Write(t, file, string(text))
	cmd := exec.Command(labtest.Envoy(t), envoy.Args(file, workers)...)
	cmd.SysProcAttr = labtest.DieWithParent()
	if err := cmd.Start(); err != nil {
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
			return &labtest.Program{Addr: at.String(), PID: cmd.Process.Pid, Stop: stop}
		}
		if time.Now().After(limit) {
			t.Fatalf("an Envoy of %d workers does not listen on %s: %v", workers, at, err)
		}
	}
}

// TestEnvoyHop: what BenchmarkHop calls a hop of Envoy is one. It passes the
// origin's answer with Envoy's headers, and has the workers it was given.
func TestEnvoyHop(t *testing.T) {
	layer.Full(t, "starts an Envoy")
	labtest.Envoy(t)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the origin") }))
	t.Cleanup(origin.Close)
	for _, workers := range []int{1, 2} {
		p := envoyHop(t, origin.Listener.Addr().String(), workers)
		resp, err := http.Get("http://" + p.Addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "the origin" || resp.Header.Get("Server") != "envoy" || resp.Header.Get("X-Envoy-Upstream-Service-Time") == "" {
			t.Errorf("%d workers: %q with %v: %v", workers, body, resp.Header, err)
		}
		if names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", p.PID)); runtime.GOOS == "linux" {
			if n := workersAmong(names); n != workers {
				t.Errorf("Envoy has %d workers, want %d", n, workers)
			}
		}
		p.Stop()
	}
}

// workersAmong counts the threads that Envoy names workers.
func workersAmong(comms []string) (n int) {
	for _, file := range comms {
		if name, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(name), "wrk:worker_") {
			n++
		}
	}
	return n
}
