package lab_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestTLS: a twin with TLS, of a deployment without, is the deployment with TLS:
// its callers are served, its load balancer too, in HTTPS, and who calls the
// agent in plain text gets no answer. The deployment itself is as it was.
func TestTLS(t *testing.T) { withEachAgent(t, testTLS) }

func testTLS(t *testing.T, opts lab.Options) {
	topo := labtest.Deployment(t, "agent")
	var app topology.ID
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			app = s.ID
		}
	}
	opts.Topology, opts.Twins = topo, []lab.Twin{{Of: app, Name: "secure", TLS: true}}
	l := start(t, opts)
	healthy(t, l)
	balancer, _ := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	for _, twin := range []string{"", "secure"} {
		for _, c := range []struct {
			caller lab.Caller
			url    string
		}{{lab.Caller{Twin: twin}, balancer}, {lab.Caller{Twin: twin, Service: clientID(t, topo)}, "http://app.sample-namespace"}} {
			o, err := l.Curl(context.Background(), c.caller, c.url)
			if err != nil || o.Status != 200 || o.Header.Get("Server") != "envoy" || o.Header.Get("X-Hoplab-Peer") != "127.0.0.1" {
				t.Errorf("twin %q: %s: %+v %v", twin, c.url, o, err)
			}
		}
		direct, err := l.TaskURL(app, twin, 80)
		if err != nil {
			t.Fatal(err)
		}
		o, err := l.Curl(context.Background(), lab.Caller{LoadBalancer: topo.LoadBalancers[0].ID, Twin: twin}, direct)
		if twin == "" && (err != nil || o.Status != 200) || twin != "" && !strings.HasPrefix(o.Error, "curl: (52)") {
			t.Errorf("twin %q: a plain request to the agent: %+v %v", twin, o, err)
		}
		st := l.Status()
		in := st.Service(app, twin).Tasks[0].Agent.Ingress[0]
		if (in.Handshakes > 0) != (twin != "") {
			t.Errorf("twin %q: %d TLS handshakes on %d connections", twin, in.Handshakes, in.NewConnections)
		}
	}
}
