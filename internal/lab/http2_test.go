package lab_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestHTTP2App: an endpoint of appProtocol http2 with the measured app behind
// it, called by name and through the load balancer; the app sees HTTP/2.
func TestHTTP2App(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	id := appID(t, topo)
	s := topology.NewIndex(topo).Service(id)
	port, _ := s.Connect.Endpoints[0].PortName.Get()
	_, m := s.PortMapping(port)
	m.AppProtocol = topology.Known("http2")
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	if err != nil {
		t.Fatal(err)
	}
	for c, url := range map[lab.Caller]string{{}: url, {Service: clientID(t, topo)}: "http://app.sample-namespace:80/"} {
		o, err := l.Curl(context.Background(), c, url)
		if err != nil || o.Status != 200 || o.Body != "Hello World" || o.Header.Get("Server") != "envoy" || o.Header.Get("X-Hoplab-Peer") != "127.0.0.1" {
			t.Errorf("%s: %+v %v", url, o, err)
		}
	}
	task := tasksOf(l, id)[0]
	if n := task.Agent.Ingress[0].Requests - task.Agent.Ingress[0].HealthChecks; n != 2 {
		t.Errorf("the agent counted %d requests, want 2", n)
	}
	waitFor(t, func() bool {
		a := tasksOf(l, id)[0].Apps[0]
		return a.Requests-a.HealthChecks == 2
	})
	log, err := os.ReadFile(task.Apps[0].Log)
	if err != nil || !strings.Contains(string(log), `"request":"GET / HTTP/2.0"`) || strings.Contains(string(log), "HTTP/1") {
		t.Errorf("the app saw %s %v, want nothing but HTTP/2", log, err)
	}
}
