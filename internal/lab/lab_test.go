package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// service is the measured app, built once for all tests.
var service string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[1] == "hold" {
		os.Exit(hold(os.Args[2]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hoplab-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if layer.Fast() {
		return m.Run()
	}
	if service, err = labtest.BuildService(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts a lab that ends with the test.
func start(t *testing.T, opts lab.Options) *lab.Lab {
	t.Helper()
	if len(opts.App.Command) == 0 {
		opts.App.Command = []string{service}
	}
	opts.Log = testLog{t}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	l, err := lab.Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func healthy(t *testing.T, l *lab.Lab) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.WaitHealthy(ctx); err != nil {
		t.Fatal(err)
	}
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("child: %s", p)
	return len(p), nil
}

// raw sends one request over a connection of its own and returns the whole response.
func raw(t *testing.T, d lab.DialInfo) string {
	t.Helper()
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if d.From != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(d.From)}
	}
	c, err := dialer.Dial("tcp", d.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	req, _ := http.NewRequest("GET", d.URL, nil)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", req.URL.Host)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// without removes header fields whose names begin with prefix, in any case.
func without(response, prefix string) string {
	head, body, _ := strings.Cut(response, "\r\n\r\n")
	var keep []string
	for _, line := range strings.Split(head, "\r\n") {
		if !strings.HasPrefix(strings.ToLower(line), prefix) {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "\r\n") + "\r\n\r\n" + body
}

// TestBothArms runs the deployment of both arms and checks what each request
// proves: the agent's headers, the peer that the app saw, 49 bytes.
func TestBothArms(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "both")
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	lb := topo.LoadBalancers[0].ID
	size := map[string]int{}
	for _, arm := range []struct {
		name     string
		port     int
		loopback bool
	}{{"agent", 80, true}, {"bypass", 81, false}} {
		url, err := l.LoadBalancerURL(lb, arm.port)
		if err != nil {
			t.Fatal(err)
		}
		d, err := l.DialInfo(lab.Caller{}, url)
		if err != nil {
			t.Fatal(err)
		}
		r := raw(t, d)
		if !strings.HasPrefix(r, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(r, "\r\n\r\nHello World") {
			t.Errorf("%s: %q", arm.name, r)
		}
		if got := strings.Contains(r, "\r\nserver: envoy\r\n"); got != arm.loopback {
			t.Errorf("%s: agent's header present: %v\n%s", arm.name, got, r)
		}
		if got := strings.Contains(strings.ToLower(r), "x-hoplab-peer: 127.0.0.1\r\n"); got != arm.loopback {
			t.Errorf("%s: app saw its agent: %v\n%s", arm.name, got, r)
		}
		size[arm.name] = len(without(r, "x-hoplab-"))
	}
	if d := size["agent"] - size["bypass"]; d != 49 {
		t.Errorf("responses of agent are %d bytes longer than those of bypass, want 49", d)
	}
}

// TestHostWithTheBalancersGroups: it reaches the app's container port by itself,
// the app sees its own address, and no other caller gets there.
func TestHostWithTheBalancersGroups(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "bypass")
	l := start(t, lab.Options{Topology: topo})
	healthy(t, l)
	var app topology.ID
	for _, s := range topo.Services {
		if len(s.LoadBalancers) > 0 {
			app = s.ID
		}
	}
	url, err := l.TaskURL(app, "", 80)
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.DialInfo(lab.Caller{LoadBalancer: topo.LoadBalancers[0].ID}, url)
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.DialInfo(lab.Caller{LoadBalancer: topo.LoadBalancers[0].ID}, url)
	if err != nil || again != d {
		t.Errorf("the second call dials %+v, %v; want the same host's %+v", again, err, d)
	}
	r := raw(t, d)
	if !strings.HasPrefix(r, "HTTP/1.1 200 OK\r\n") || strings.Contains(r, "envoy") {
		t.Errorf("%q; want the app's own answer", r)
	}
	if d.From == "" || !strings.Contains(strings.ToLower(r), "x-hoplab-peer: "+d.From+"\r\n") {
		t.Errorf("the app was not called from %q: %q", d.From, r)
	}
	for _, c := range []lab.Caller{{}, {Service: clientID(t, topo)}} {
		var none *lab.DialError
		if _, err := l.DialInfo(c, url); !errors.As(err, &none) || none.Reason != lab.TimedOut {
			t.Errorf("%+v: %v; want a call that no rule lets in", c, err)
		}
	}
	if _, err := l.DialInfo(lab.Caller{LoadBalancer: "nothing"}, url); err == nil {
		t.Error("a caller with the groups of no load balancer can dial")
	}
}

// TestArticle runs the article's calls in both port modes.
func TestArticle(t *testing.T) {
	layer.Full(t, "starts a lab")
	for _, variant := range []string{"agent", "bypass"} {
		t.Run(variant, func(t *testing.T) {
			topo := labtest.Deployment(t, variant)
			l := start(t, lab.Options{Topology: topo})
			healthy(t, l)
			client := lab.Caller{Service: clientID(t, topo)}
			url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				caller lab.Caller
				url    string
				status int
				err    string
			}{
				{lab.Caller{}, url, 200, ""},
				{client, "http://app.sample-namespace:80", 200, ""},
				{client, "http://app.sample-namespace:8080", 0, "curl: (56) Recv failure: Connection reset by peer"},
				{lab.Caller{}, "http://app.sample-namespace", 0, "curl: (6) Could not resolve host: app.sample-namespace"},
				{client, "http://nobody.sample-namespace", 0, "curl: (6) Could not resolve host: nobody.sample-namespace"},
			} {
				o, err := l.Curl(context.Background(), c.caller, c.url)
				if err != nil {
					t.Fatal(err)
				}
				if o.Status != c.status || o.Error != c.err {
					t.Errorf("%v %s: got %+v, want status %d, error %q", c.caller, c.url, o, c.status, c.err)
				}
			}
		})
	}
}

// TestForgottenRule: the override is set and the client's rule still names
// the container port; the caller waits for the agent's 15 s.
func TestForgottenRule(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "bypass")
	for _, g := range topo.SecurityGroups {
		for i := range g.Ingress {
			if r := &g.Ingress[i]; r.From == 8080 {
				r.From, r.To = 80, 80
			}
		}
	}
	l := start(t, lab.Options{Topology: topo, Scale: 50})
	healthy(t, l)
	o, err := l.Curl(context.Background(), lab.Caller{Service: clientID(t, topo)}, "http://app.sample-namespace:80")
	if err != nil {
		t.Fatal(err)
	}
	if o.Status != 504 || o.Body != "upstream request timeout" || o.Header.Get("Server") != "envoy" {
		t.Errorf("got %+v, want Envoy's 504 upstream request timeout", o)
	}
	if o.Elapsed < 14*time.Second || o.Elapsed > 20*time.Second {
		t.Errorf("it took %s, want about 15 s on the lab's clock", o.Elapsed)
	}
}

// TestClosedEgress: the load balancer's group lets nothing out, so the target
// times out and requests are still sent to it (fail-open) until 10 s are over.
func TestClosedEgress(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "agent")
	lb := topo.LoadBalancers[0]
	id, _ := lb.Groups[0].Get()
	topology.NewIndex(topo).SecurityGroup(id).Egress = nil
	l := start(t, lab.Options{Topology: topo, Scale: 100})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.WaitSettled(ctx); err != nil {
		t.Fatal(err)
	}
	target := l.Status().LoadBalancers[0].Groups[0].Targets[0]
	if target.State != "unhealthy" || target.Reason != "Target.Timeout" {
		t.Errorf("target is %s %s, want unhealthy Target.Timeout", target.State, target.Reason)
	}
	for _, s := range l.Status().Services {
		for _, task := range s.Tasks {
			for _, a := range task.Apps {
				if a.Requests != 0 {
					t.Errorf("the app has logged %d requests, want none", a.Requests)
				}
			}
		}
	}
	url, _ := l.LoadBalancerURL(lb.ID, 80)
	o, err := l.Curl(context.Background(), lab.Caller{}, url)
	if err != nil {
		t.Fatal(err)
	}
	if o.Status != 504 || o.Header.Get("Server") != "awselb/2.0" {
		t.Errorf("got %+v, want the load balancer's 504", o)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("not within 5 s")
		}
	}
}

func clientID(t *testing.T, topo *topology.Topology) topology.ID {
	t.Helper()
	for _, s := range topo.Services {
		if s.Connect != nil && len(s.Connect.Endpoints) == 0 {
			return s.ID
		}
	}
	t.Fatal("no client service")
	return ""
}
