package alb

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHealthStates(t *testing.T) {
	for name, c := range map[string]struct {
		target              func(t *testing.T, w *testNetwork)
		state               State
		reason, description string
	}{
		"good": {func(t *testing.T, w *testNetwork) { w.serve(t, func(w http.ResponseWriter, r *http.Request) {}) },
			Healthy, "", ""},
		"wrong code": {func(t *testing.T, w *testNetwork) { w.serve(t, http.NotFound) },
			Unhealthy, ReasonMismatch, "Health checks failed with these codes: [404]"},
		"redirect": {func(t *testing.T, w *testNetwork) {
			w.serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })
		}, Unhealthy, ReasonMismatch, "Health checks failed with these codes: [302]"},
		"refused": {func(t *testing.T, w *testNetwork) { w.target("") },
			Unhealthy, ReasonFailed, "Health checks failed"},
		"dropped": {func(t *testing.T, w *testNetwork) { w.silent() },
			Unhealthy, ReasonTimeout, "Request timed out"},
		"too slow": {func(t *testing.T, w *testNetwork) {
			w.serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, Unhealthy, ReasonTimeout, "Request timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTestNetwork()
			c.target(t, w)
			cfg := config()
			cfg.Scale = 100
			cfg.Groups[0].Health = health
			n, _ := w.start(t, cfg)
			if s := n.Status().Groups[0].Targets[0]; s.State == Unhealthy || s.State == Initial && s.Reason != ReasonInitial {
				t.Errorf("at first: %+v", s)
			}
			waitFor(t, name, func() bool { return n.Status().Groups[0].Targets[0].State == c.state })
			s := n.Status().Groups[0].Targets[0]
			if s.Reason != c.reason || s.Description != c.description {
				t.Errorf("got %+v, want reason %q, %q", s, c.reason, c.description)
			}
			if c.state == Unhealthy && s.Probes < 2 {
				t.Errorf("unhealthy after %d checks, want the threshold of 2", s.Probes)
			}
			if c.state == Healthy && s.Probes != 1 {
				t.Errorf("healthy after %d checks, want 1 on first registration", s.Probes)
			}
		})
	}
}

// TestHealthThresholds: after the first success a state changes only after
// as many results in a row as its threshold says.
func TestHealthThresholds(t *testing.T) {
	tg := &target{group: &group{node: &Node{}, cfg: Group{Health: Health{Healthy: 3, Unhealthy: 2}}}, state: Initial}
	good := func() { tg.judge("", "") }
	bad := func() { tg.judge(ReasonTimeout, "") }
	for i, step := range []struct {
		do   func()
		want State
	}{
		{bad, Initial}, {good, Healthy}, {bad, Healthy}, {good, Healthy}, {bad, Healthy}, {bad, Unhealthy},
		{good, Unhealthy}, {good, Unhealthy}, {bad, Unhealthy}, {good, Unhealthy}, {good, Unhealthy}, {good, Healthy},
	} {
		step.do()
		if tg.state != step.want {
			t.Fatalf("after step %d: %s, want %s", i, tg.state, step.want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		matcher string
		status  int
		want    bool
	}{{"200", 200, true}, {"200", 201, false}, {"200,302", 302, true}, {"200-299", 204, true}, {"200-299", 300, false},
		{"200-299, 404", 404, true}, {"", 200, false}, {"x", 200, false}} {
		if got := matches(c.matcher, c.status); got != c.want {
			t.Errorf("%q with %d: %v", c.matcher, c.status, got)
		}
	}
}

// TestProbe checks what a health check sends, byte by byte.
func TestProbe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			n, _ := c.Read(buf)
			seen <- string(buf[:n])
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		}
	}()
	w := newTestNetwork()
	w.target(l.Addr().String())
	cfg := config()
	cfg.Scale = 1000
	cfg.Groups[0].Health = health
	cfg.Groups[0].Health.Path = "/healthz?x"
	w.start(t, cfg)
	want := "GET /healthz?x HTTP/1.1\r\nHost: 10.0.0.1:80\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n"
	for range 2 {
		select {
		case got := <-seen:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no check came")
		}
	}
}

// TestHealthPort: a check on a port of its own.
func TestHealthPort(t *testing.T) {
	w := newTestNetwork()
	a := w.target("")
	s, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Host != "10.0.0.1:9000" {
			http.Error(rw, r.Host, 400)
		}
	})}
	go srv.Serve(s)
	defer srv.Close()
	w.view.Peers[a.Addr()].Bound[9000] = netip.MustParseAddrPort(s.Addr().String())
	cfg := config()
	cfg.Groups[0].Health = health
	cfg.Groups[0].Health.Port = 9000
	n, _ := w.start(t, cfg)
	waitFor(t, "healthy", func() bool { return n.Status().Groups[0].Targets[0].State == Healthy })
}

// TestFailOpen: with one healthy target the others get nothing; with none, all do.
func TestFailOpen(t *testing.T) {
	var sick atomic.Bool
	w := newTestNetwork()
	for i := range 3 {
		w.serve(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("User-Agent") == "ELB-HealthChecker/2.0" && (i > 0 || sick.Load()) {
				http.Error(rw, "", 500)
				return
			}
			io.WriteString(rw, string(rune('a'+i)))
		})
	}
	cfg := config()
	cfg.Scale = 1000
	cfg.Groups[0].Health = health
	n, addr := w.start(t, cfg)
	states := func(want string) func() bool {
		return func() bool {
			var s string
			for _, t := range n.Status().Groups[0].Targets {
				s += string(t.State) + " "
			}
			return s == want
		}
	}
	six := func() (s string) {
		for range 6 {
			s += get(t, addr, "/").body
		}
		return s
	}
	waitFor(t, "one healthy", states("healthy unhealthy unhealthy "))
	if got := six(); got != "aaaaaa" {
		t.Errorf("with one healthy target: %s", got)
	}
	sick.Store(true)
	waitFor(t, "none healthy", states("unhealthy unhealthy unhealthy "))
	if got := six(); strings.Count(got, "a") != 2 || strings.Count(got, "b") != 2 || strings.Count(got, "c") != 2 {
		t.Errorf("with no healthy target: %s, want all in turn", got)
	}
}

func TestUnusedAndDisabled(t *testing.T) {
	w := newTestNetwork()
	w.target("")
	cfg := config()
	cfg.Groups = append(cfg.Groups, Group{ID: "h", Health: health})
	n, _ := w.start(t, cfg)
	n.Update(Update{Targets: map[string][]netip.AddrPort{"h": w.targets}})
	st := n.Status()
	if s := st.Groups[0].Targets[0]; s.State != Unavailable || s.Reason != ReasonDisabled {
		t.Errorf("without health checks: %+v", s)
	}
	if s := st.Groups[1].Targets[0]; s.State != Unused || s.Reason != ReasonNotInUse || s.Probes != 0 {
		t.Errorf("in a group that no listener uses: %+v", s)
	}
}
