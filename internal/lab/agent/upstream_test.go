package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
)

func TestRoundRobin(t *testing.T) {
	w := newTestNetwork()
	var hosts []netip.AddrPort
	for i := range 3 {
		hosts = append(hosts, w.task(i+1, app(t, func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, i) })))
	}
	a, addr := client(t, w, 1, DefaultTimeouts(HTTP), hosts...)
	var got string
	for range 6 {
		_, _, body := get(t, addr, "")
		got += body
	}
	if got != "012012" {
		t.Errorf("tasks answered in the order %s, want 012012", got)
	}
	st := a.Status().Egress[0]
	if st.Requests != 6 || st.PerTarget["10.0.0.2:80"] != 2 || st.Codes["2xx"] != 6 {
		t.Errorf("counted %+v", st)
	}
}

// unfriendly replies for tasks that cannot be reached; the texts are Envoy's.
func TestUnreachable(t *testing.T) {
	const retried = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
	long := Timeouts{PerRequest: time.Minute, Idle: 5 * time.Minute}
	for name, c := range map[string]struct {
		timeouts Timeouts
		hosts    func(w *testNetwork) []netip.AddrPort
		status   int
		body     string
		after    time.Duration // modelled, at least
	}{
		"refused":                {DefaultTimeouts(HTTP), func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{w.task(1, "")} }, 503, retried + reasonRefused, 0},
		"dropped":                {DefaultTimeouts(HTTP), func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 504, "upstream request timeout", 15 * time.Second},
		"dropped, long timeout":  {long, func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 503, retried + "connection timeout", 15 * time.Second},
		"no task":                {DefaultTimeouts(HTTP), func(w *testNetwork) []netip.AddrPort { return nil }, 503, "no healthy upstream", 0},
		"dropped, no time limit": {Timeouts{Idle: time.Minute}, func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 503, retried + "connection timeout", 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const scale = 20
			w := newTestNetwork()
			_, addr := client(t, w, scale, c.timeouts, c.hosts(w)...)
			start := time.Now()
			status, h, body := get(t, addr, "")
			if status != c.status || body != c.body {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
			}
			if h.Get("Server") != "envoy" || h.Get("Content-Type") != "text/plain" || h.Get("X-Envoy-Upstream-Service-Time") != "" {
				t.Errorf("header %v", h)
			}
			if took := time.Since(start) * scale; took < c.after || took > c.after+2*time.Minute {
				t.Errorf("it took %s of modelled time, want about %s", took, c.after)
			}
		})
	}
}

// TestIngressRefused: situation 14, the app does not listen on loopback.
func TestIngressRefused(t *testing.T) {
	_, addr := server(t, Config{}, nil)
	status, _, body := get(t, addr, "")
	if want := "upstream connect error or disconnect/reset before headers. reset reason: " + reasonRefused; status != 503 || body != want {
		t.Errorf("got %d %q, want 503 %q", status, body, want)
	}
}

// TestRetryElsewhere: a task that refuses is avoided by the next try, and
// after five failures by everybody.
func TestRetryElsewhere(t *testing.T) {
	w := newTestNetwork()
	good := w.task(1, app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "good") }))
	also := w.task(2, app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "good") }))
	bad := w.task(3, "")
	a, addr := client(t, w, 20, DefaultTimeouts(HTTP), bad, good, also)
	for i := range 30 {
		if status, _, body := get(t, addr, ""); status != 200 || body != "good" {
			t.Fatalf("request %d: %d %q", i, status, body)
		}
	}
	st := a.Status().Egress[0]
	if len(st.Ejected) != 1 || st.Ejected[0] != bad.String() {
		t.Errorf("ejected: %v, want %s", st.Ejected, bad)
	}
	// Ejected for 30 s, which are 1.5 s here.
	for limit := time.Now().Add(5 * time.Second); len(a.Status().Egress[0].Ejected) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the task stays ejected")
		}
	}
}

func TestEjectionPanic(t *testing.T) {
	w := newTestNetwork()
	c := newCluster(clock.New(100), w.net(t), 0, false)
	c.setHosts([]netip.AddrPort{w.task(1, ""), w.task(2, ""), w.task(3, "")})
	now := time.Now()
	hosts := *c.hosts.Load()
	eject := func(h *host) {
		for range outlierFailures {
			h.failed(c.clock, now)
		}
	}
	eject(hosts[0])
	for range 6 {
		if h := c.pick(now, nil); h == hosts[0] {
			t.Error("an ejected host was picked while two of three are in use")
		}
	}
	eject(hosts[1])
	seen := map[*host]bool{}
	for range 6 {
		seen[c.pick(now, nil)] = true
	}
	if len(seen) != 3 {
		t.Errorf("with one of three in use, %d hosts are picked, want all (panic)", len(seen))
	}
	if hosts[0].ejected(now.Add(310 * time.Millisecond)) {
		t.Error("the first ejection lasts longer than 30 s")
	}
	now = now.Add(310 * time.Millisecond)
	eject(hosts[0])
	if !hosts[0].ejected(now.Add(550 * time.Millisecond)) {
		t.Error("the second ejection is not twice as long")
	}
}
