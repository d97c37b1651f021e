package trial

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestEnvoyHop: what BenchmarkHop calls a hop of Envoy is one. It passes the
// origin's answer with Envoy's headers, and has the workers it was given.
func TestEnvoyHop(t *testing.T) {
	layer.Full(t, "starts an Envoy")
	labtest.Envoy(t)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the origin") }))
	t.Cleanup(origin.Close)
	for _, workers := range []int{1, 2} {
		p := labtest.EnvoyHop(t, origin.Listener.Addr().String(), workers)
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
