package envoy_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestInject: a share of the requests waits as long as was asked, and Envoy's
// log says how many and how long; health checks are counted apart.
func TestInject(t *testing.T) {
	layer.Full(t, "starts Envoy")
	n := &table{real: map[netip.AddrPort]netip.AddrPort{}}
	n.task(t, "app", "127.0.0.1:80")
	const delay, requests, checks = 20 * time.Millisecond, 60, 7
	for _, share := range []float64{1, 0.5} {
		cfg := agent.Config{Task: "t",
			Ingress: []agent.Ingress{{Discovery: "app", Protocol: agent.HTTP, App: 80, Timeouts: agent.DefaultTimeouts(agent.HTTP)}},
			Inject:  &inject.Spec{Delay: call.Delay{Spin: delay, Share: share}, Seed: 1}}
		p, b, err := envoy.Start(cfg, n, labtest.Envoy(t), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		slow := 0
		for i := range requests {
			req, err := http.NewRequest("GET", "http://"+b.Ingress[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if i < checks {
				req.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
			}
			start := time.Now()
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
			if time.Since(start) >= delay {
				slow++
			}
		}
		// A worker counts a request as it ends it, which may be after its client has the answer.
		var st agent.Status
		for limit := time.Now().Add(10 * time.Second); st.Inject.Requests < requests && time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
			if st, err = p.Status(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("share %g: %d slow, %+v", share, slow, st.Inject)
		switch in := st.Inject; {
		case in.Requests != requests:
			t.Errorf("%d requests are in the log, want %d", in.Requests, requests)
		case share == 1 && in.Delayed != requests, share < 1 && (in.Delayed < requests/4 || in.Delayed > requests*3/4):
			t.Errorf("share %g: %d of %d were delayed", share, in.Delayed, requests)
		case in.Realised < time.Duration(in.Delayed)*delay:
			t.Errorf("%d delays took %s, want %s each", in.Delayed, in.Realised, delay)
		case int64(slow) < in.Delayed:
			t.Errorf("%d were delayed, and only %d took as long", in.Delayed, slow)
		}
		if e := st.Ingress[0]; e.Requests != requests || e.HealthChecks != checks || e.Codes["2xx"] != requests {
			t.Errorf("counted %+v", e)
		}
	}
}
