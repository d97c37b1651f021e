package lab_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// article reads the Terraform file of the article about health checks.
func article(t *testing.T, egress string) *topology.Topology {
	t.Helper()
	topo, err := terraform.Load("../source/terraform/testdata/seed-health-check", terraform.Options{Vars: map[string]string{"enable_alb_egress": egress}})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// target returns the one target that the lab has.
func target(t *testing.T, l *lab.Lab) alb.TargetStatus {
	t.Helper()
	st := l.Status()
	if len(st.LoadBalancers) != 1 || len(st.LoadBalancers[0].Groups) != 1 || len(st.LoadBalancers[0].Groups[0].Targets) != 1 {
		t.Fatalf("%+v; want one target", st.LoadBalancers)
	}
	return st.LoadBalancers[0].Groups[0].Targets[0]
}

// await waits until the target is in a state.
func await(t *testing.T, l *lab.Lab, want alb.State) alb.TargetStatus {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := target(t, l)
		if got.State == want {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("the target is %s (%s); want %s", got.State, got.Reason, want)
		}
	}
}

// accessLog returns the lines of an app's access log.
func accessLog(t *testing.T, path string) (out []map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			continue // being written
		}
		if m["msg"] == "access" {
			out = append(out, m)
		}
	}
	return out
}

// The article's first half: no egress, no healthy target, no line in the log.
func TestArticleWithoutEgress(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: article(t, "false"), Scale: 100})
	got := await(t, l, alb.Unhealthy)
	if got.Reason != alb.ReasonTimeout || got.Probes < 2 {
		t.Errorf("%s after %d probes; want %s after 2", got.Reason, got.Probes, alb.ReasonTimeout)
	}
	in := l.Status().Instances[0]
	if lines := accessLog(t, in.Apps[0].Log); len(lines) != 0 {
		t.Errorf("the app logged %v; no probe can have reached it", lines)
	}
	// The app itself is fine, as a shell on the instance shows.
	o, err := l.Curl(context.Background(), lab.Caller{Service: in.ID}, "http://localhost/")
	if err != nil || o.Status != 200 || o.Body != "OK" {
		t.Errorf("from the instance itself: %+v, %v; want 200 OK", o, err)
	}
	// With every target unhealthy the load balancer sends requests all the same, and they time out.
	o, err = l.Curl(context.Background(), lab.Caller{}, listenerURL(t, l))
	if err != nil || o.Status != 504 {
		t.Errorf("through the load balancer: %+v, %v; want 504", o, err)
	}
}

func listenerURL(t *testing.T, l *lab.Lab) string {
	t.Helper()
	u, err := l.LoadBalancerURL("aws_lb.main", 80)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The second half: one success is enough for a new target, and the log has
// the probe with every field that the article prints.
func TestArticleWithEgress(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: article(t, "true")})
	if got := await(t, l, alb.Healthy); got.Probes != 1 {
		t.Errorf("healthy after %d probes; want 1 on the first registration", got.Probes)
	}
	st := l.Status()
	in := st.Instances[0]
	if ip := netip.MustParseAddr(in.IP); !ip.IsPrivate() || in.Name != "alb-hc-test-nginx" || !strings.HasPrefix(in.Instance, "i-") {
		t.Errorf("instance %+v; want a private address, its Name tag and an id", in)
	}
	var lines []map[string]any
	for end := time.Now().Add(5 * time.Second); len(lines) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		lines = accessLog(t, in.Apps[0].Log)
	}
	if len(lines) != 1 {
		t.Fatalf("%d lines in the log; want the probe's", len(lines))
	}
	got := lines[0]
	for field, want := range map[string]any{
		"x_forwarded_for": "", "x_forwarded_port": "", "x_forwarded_proto": "", "host": in.IP,
		"request": "GET / HTTP/1.1", "request_method": "GET", "request_uri": "/", "status": 200.0, "body_bytes_sent": 2.0,
		"user_agent": "ELB-HealthChecker/2.0", "http_connection": "close", "http_accept": "", "connection_requests": "1",
	} {
		if got[field] != want {
			t.Errorf("%s is %v; want %v", field, got[field], want)
		}
	}
	for _, field := range strings.Fields("time msec remote_addr server_addr server_port request_length bytes_sent request_time connection tcpinfo_rtt tcpinfo_rttvar") {
		if _, ok := got[field]; !ok {
			t.Errorf("the line has no %s", field)
		}
	}
	if from := st.Addresses[got["remote_addr"].(string)]; len(st.Addresses) > 0 && from != st.LoadBalancers[0].IP {
		t.Errorf("the probe came from %v, which is %s; want the load balancer's %s", got["remote_addr"], from, st.LoadBalancers[0].IP)
	}
}

// An instance has no service that would replace what ends there.
func TestInstanceAppEnds(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: article(t, "true"), Scale: 100})
	await(t, l, alb.Healthy)
	if err := syscall.Kill(l.Status().Instances[0].Apps[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := await(t, l, alb.Unhealthy); got.Reason != alb.ReasonFailed {
		t.Errorf("reason %s; want %s", got.Reason, alb.ReasonFailed)
	}
	if !slices.ContainsFunc(l.Status().Notes, func(n string) bool { return strings.Contains(n, "nothing starts it again") }) {
		t.Errorf("notes %q; want one that says that the app ended", l.Status().Notes)
	}
}

// The attachment may name a port on which, by its user data, nothing listens.
func TestAttachmentOfAnotherPort(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := article(t, "true")
	topo.TargetGroups[0].Targets[0].Port = topology.Known(8080)
	all := []topology.Rule{{Protocol: "-1", Peer: topology.Peer{CIDR: netip.MustParsePrefix("0.0.0.0/0")}}}
	for _, g := range topo.SecurityGroups {
		g.Ingress, g.Egress = all, all
	}
	l := start(t, lab.Options{Topology: topo, Scale: 100})
	if got := await(t, l, alb.Unhealthy); got.Reason != alb.ReasonFailed || !strings.HasSuffix(got.Address, ":8080") {
		t.Errorf("%+v; want %s on port 8080", got, alb.ReasonFailed)
	}
}

// The same experiment from the project's own stacks.
func TestHostStack(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: labtest.Deployment(t, "host")})
	if got := await(t, l, alb.Healthy); got.Probes != 1 {
		t.Errorf("healthy after %d probes; want 1", got.Probes)
	}
	o, err := l.Curl(context.Background(), lab.Caller{}, plainURL(t, l))
	if err != nil || o.Status != 200 || o.Body != "OK\n" || o.Header.Get("X-Hoplab-App") != l.Status().Instances[0].Instance {
		t.Errorf("%+v, %v; want the instance's answer", o, err)
	}
}

func plainURL(t *testing.T, l *lab.Lab) string {
	t.Helper()
	return "http://" + l.Status().LoadBalancers[0].DNSName + "/"
}

// The stacks' own template with albEgress=none gives what the article saw.
func TestStacksWithoutEgress(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: labtest.Deployment(t, "no-egress"), Scale: 100, KeepUnhealthy: true})
	if got := await(t, l, alb.Unhealthy); got.Reason != alb.ReasonTimeout {
		t.Errorf("reason %s; want %s", got.Reason, alb.ReasonTimeout)
	}
	for _, s := range l.Status().Services {
		for _, task := range s.Tasks {
			for _, a := range task.Apps {
				if a.HealthChecks != 0 {
					t.Errorf("%s logged %d probes; none can have reached it", s.Name, a.HealthChecks)
				}
			}
		}
	}
}
