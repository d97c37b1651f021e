package lab_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestTwin checks that a twin is reached under the same name through
// processes of its own.
func TestTwin(t *testing.T) { withEachAgent(t, testTwin) }

func testTwin(t *testing.T, opts lab.Options) {
	topo := labtest.Deployment(t, "agent")
	var app topology.ID
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			app = s.ID
		}
	}
	opts.Topology, opts.Twins = topo, []lab.Twin{{Of: app, Name: "agent-twin"}}
	l := start(t, opts)
	healthy(t, l)
	url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	via := map[string]string{}
	for _, twin := range []string{"", "agent-twin"} {
		for _, c := range []struct {
			caller lab.Caller
			url    string
		}{{lab.Caller{Twin: twin}, url}, {lab.Caller{Twin: twin, Service: clientID(t, topo)}, "http://app.sample-namespace"}} {
			o, err := l.Curl(context.Background(), c.caller, c.url)
			if err != nil || o.Status != 200 {
				t.Fatal(o, err)
			}
			if was := via[twin]; was != "" && was != o.Header.Get("X-Hoplab-App") {
				t.Errorf("twin %q: two instances answered", twin)
			}
			via[twin] = o.Header.Get("X-Hoplab-App")
		}
	}
	if via[""] == via["agent-twin"] {
		t.Errorf("the twin's requests were answered by %s as well", via[""])
	}
}

// TestInjection checks that a delay arrives and is counted where it was asked for.
func TestInjection(t *testing.T) { withEachAgent(t, testInjection) }

func testInjection(t *testing.T, opts lab.Options) {
	for _, hop := range []string{"alb", "agent", "app"} {
		t.Run(hop, func(t *testing.T) {
			topo := labtest.Deployment(t, "agent")
			const spin = 20 * time.Millisecond
			opts.Topology, opts.Inject = topo, []lab.Injection{{Hop: hop, Delay: call.Delay{Spin: spin}}}
			l := start(t, opts)
			healthy(t, l)
			url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
			o, err := l.Curl(context.Background(), lab.Caller{}, url)
			if err != nil || o.Status != 200 {
				t.Fatal(o, err)
			}
			if o.Elapsed < spin {
				t.Errorf("the request took %s, want at least %s", o.Elapsed, spin)
			}
			st := l.Status()
			switch hop {
			case "alb":
				if c := st.LoadBalancers[0].Groups[0].Inject; c.Delayed != 1 || c.Realised < spin {
					t.Errorf("counted %+v", c)
				}
			case "agent":
				for _, s := range st.Services {
					if a := s.Tasks[0].Agent; len(a.Ingress) > 0 && (a.Inject.Delayed == 0 || a.Inject.Realised < spin) {
						t.Errorf("counted %+v", a.Inject)
					}
				}
			case "app":
				if us, _ := strconv.ParseFloat(o.Header.Get("X-Hoplab-Spin-Us"), 64); us < float64(spin.Microseconds()) {
					t.Errorf("the app says it spun for %v µs", us)
				}
			}
		})
	}
}

// TestStatusCounts compares counters with the requests that were sent.
func TestStatusCounts(t *testing.T) { withEachAgent(t, testStatusCounts) }

func testStatusCounts(t *testing.T, opts lab.Options) {
	topo := labtest.Deployment(t, "both")
	opts.Topology = topo
	l := start(t, opts)
	healthy(t, l)
	const n = 20
	for _, port := range []int{80, 81} {
		url, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, port)
		for range n {
			if o, err := l.Curl(context.Background(), lab.Caller{}, url); err != nil || o.Status != 200 {
				t.Fatal(o, err)
			}
		}
	}
	st := l.Status()
	for _, ln := range st.LoadBalancers[0].Listeners {
		if ln.Requests != n || ln.Target["2xx"] != n {
			t.Errorf("listener %d counted %+v, want %d requests", ln.Port, ln, n)
		}
	}
	for _, s := range st.Services {
		for _, task := range s.Tasks {
			if task.Agent == nil || len(task.Agent.Ingress) == 0 {
				continue
			}
			in := task.Agent.Ingress[0]
			want := int64(n)
			if strings.Contains(in.Discovery, "bypass") {
				want = 0
			}
			if got := in.Requests - in.HealthChecks; got != want {
				t.Errorf("agent %s counted %d requests, want %d", in.Discovery, got, want)
			}
			if want > 0 && in.HealthChecks == 0 {
				t.Errorf("agent %s saw no health check", in.Discovery)
			}
			// The app writes a line when the connection is idle again.
			waitFor(t, func() bool {
				st := l.Status()
				a := st.Service(s.ID, "").Tasks[0].Apps[0]
				return a.Requests-a.HealthChecks == n
			})
		}
	}
}
