package alb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestConfigure: rules change between two requests of one connection, a port
// more is open and one less, and a group that stayed as it was keeps its
// target's health.
func TestConfigure(t *testing.T) {
	w := newTestNetwork()
	w.serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "app") })
	cfg, fixed := config(), []Action{{Type: "fixed-response", Fixed: &Fixed{Status: 418}}}
	cfg.Scale, cfg.Groups[0].Health, cfg.Groups[0].MinimumHealthy = 100, health, 1
	cfg.Listeners = append(cfg.Listeners, Listener{Port: 81, Protocol: "HTTP", Default: fixed})
	n, front := w.start(t, cfg)
	state := func() State { return n.Status().Groups[0].Targets[0].State }
	for begun := time.Now(); state() != Healthy; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("the target is %s", state())
		}
	}
	before := n.addresses()
	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	ask := func() int {
		t.Helper()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := ask(); got != 200 {
		t.Fatalf("%d before", got)
	}
	cfg.Listeners = []Listener{{Port: 80, Protocol: "HTTP", Default: fixed}, {Port: 82, Protocol: "HTTP", Default: forward("g")}}
	after, err := n.Configure(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if after.Listeners[80] != before[80] || len(after.Listeners) != 2 {
		t.Errorf("listeners %v, before %v", after.Listeners, before)
	}
	if got := ask(); got != 418 {
		t.Errorf("%d by the new rule on the old connection, want 418", got)
	}
	resp, err := http.Get("http://" + after.Listeners[82].String())
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("the new listener: %v %v", resp, err)
	}
	if c, err := net.DialTimeout("tcp", before[81].String(), time.Second); err == nil {
		c.Close()
		t.Error("the listener that was left out still accepts")
	}
	if got := state(); got != Healthy {
		t.Errorf("the target is %s after a change that does not concern its group", got)
	}
	cfg.Groups = []Group{cfg.Groups[0]}
	cfg.Groups[0].Health.Path = "/other"
	if _, err := n.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	if got := n.Status().Groups[0].Targets; len(got) != 1 || got[0].State != Initial {
		t.Errorf("targets %+v of a group with another health check, want the same one in its initial checks", got)
	}
}
