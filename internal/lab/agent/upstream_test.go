package agent

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/test/layer"
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
	if !strings.Contains("01201201", got) { // it begins anywhere
		t.Errorf("tasks answered in the order %s, want 012 again and again", got)
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
		"refused": {DefaultTimeouts(HTTP),
			func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{w.task(1, "")} }, 503, retried + reasonConnect, 0},
		"dropped": {DefaultTimeouts(HTTP),
			func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 504,
			"upstream request timeout", 15 * time.Second},
		"dropped, long timeout": {long,
			func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 503,
			retried + "connection timeout", 15 * time.Second},
		"no task": {DefaultTimeouts(HTTP), func(w *testNetwork) []netip.AddrPort { return nil }, 503, "no healthy upstream", 0},
		"dropped, no time limit": {Timeouts{Idle: time.Minute},
			func(w *testNetwork) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:80")} }, 503,
			retried + "connection timeout", 15 * time.Second},
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
	if want := "upstream connect error or disconnect/reset before headers. reset reason: " + reasonConnect; status != 503 || body != want {
		t.Errorf("got %d %q, want 503 %q", status, body, want)
	}
}

// TestRetryElsewhere: a task that refuses is avoided by the next try, and
// after five failures by everybody.
func TestRetryElsewhere(t *testing.T) {
	layer.Full(t, "waits for seconds")
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
	c := newCluster(clock.New(100), w.net(t), newStats(), 1)
	c.setHosts([]netip.AddrPort{w.task(1, ""), w.task(2, ""), w.task(3, "")})
	start := c.detection.since
	at := func(modelled time.Duration) time.Time { return start.Add(modelled / 100) }
	hosts := *c.hosts.Load()
	eject := func(h *host, now time.Time) {
		for range outlierFailures {
			h.failed(now)
		}
	}
	seen := func(now time.Time) int {
		seen := map[*host]bool{}
		for range 6 {
			seen[c.pick(0, now, nil)] = true
		}
		return len(seen)
	}
	eject(hosts[0], at(5*time.Second))
	if n := seen(at(5 * time.Second)); n != 2 {
		t.Errorf("with one of three ejected %d are picked, want 2", n)
	}
	eject(hosts[1], at(5500*time.Millisecond))
	if n := seen(at(5900 * time.Millisecond)); n != 2 {
		t.Errorf("a second ejection within a second changes who is picked: %d, want 2", n)
	}
	if n := seen(at(6100 * time.Millisecond)); n != 3 {
		t.Errorf("with one of three in use %d are picked, want all (panic)", n)
	}
	// Both come back at the end of the second interval of 30 s.
	if n := seen(at(59 * time.Second)); n != 3 || !hosts[0].ejected(at(59*time.Second)) {
		t.Errorf("ejected for 30 s after 5 s, a host is back before 60 s")
	}
	if hosts[0].ejected(at(61 * time.Second)) {
		t.Error("ejected for 30 s after 5 s, a host is not back after 60 s")
	}
	seen(at(62 * time.Second))
	eject(hosts[0], at(70*time.Second))
	if !hosts[0].ejected(at(149*time.Second)) || hosts[0].ejected(at(151*time.Second)) {
		t.Error("ejected a second time after 70 s, a host is not back between 149 and 151 s")
	}
}

// TestWorkersApart: each worker has a turn and connections of its own.
func TestWorkersApart(t *testing.T) {
	w := newTestNetwork()
	c := newCluster(clock.New(1), w.net(t), newStats(), 2)
	c.setHosts([]netip.AddrPort{w.task(1, ""), w.task(2, ""), w.task(3, "")})
	hosts := *c.hosts.Load()
	place := func(h *host) int { return slices.Index(hosts, h) }
	now := time.Now()
	for range 5 {
		before := place(c.pick(0, now, nil))
		c.pick(1, now, nil)
		if after := place(c.pick(0, now, nil)); after != (before+1)%3 {
			t.Errorf("after host %d it is the turn of %d, though only the other worker took one in between", before, after)
		}
	}
	for _, h := range hosts {
		if len(h.pools) != 2 || h.pools[0] == h.pools[1] {
			t.Errorf("host %s has %d pools, want one for each of 2 workers", h.name, len(h.pools))
		}
	}
}

// TestConnectionIsBackBeforeTheAnswer: who has an answer and asks again on
// another connection finds the agent's connection to the task free, as behind an
// Envoy (TestWorkers of internal/test/parity).
func TestConnectionIsBackBeforeTheAnswer(t *testing.T) {
	w := newTestNetwork()
	parts := func(rw http.ResponseWriter, r *http.Request) {
		for range 3 {
			fmt.Fprint(rw, "part")
			rw.(http.Flusher).Flush()
		}
		time.Sleep(2 * time.Millisecond) // the last chunk comes alone
	}
	sized := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", "12")
		parts(rw, r)
	}
	whole := func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "hello") }
	for name, h := range map[string]http.HandlerFunc{"whole": whole, "in chunks": parts, "in parts": sized} {
		a, addr := client(t, w, 1, DefaultTimeouts(HTTP), w.task(1, app(t, h)))
		for range 40 {
			if status, _, body := get(t, addr, ""); status != 200 || body == "" {
				t.Fatal(status, body)
			}
		}
		if n := a.Status().Egress[0].UpstreamConnections; n != 1 {
			t.Errorf("%s: %d connections for 40 requests one after the other, want 1", name, n)
		}
	}
}

// TestRefusedWithBody: who has sent all of a request that goes nowhere can send
// another one on the connection, even if a part of it is there already.
func TestRefusedWithBody(t *testing.T) {
	_, addr := server(t, Config{}, nil)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	for _, part := range []string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST / HT",
		"TP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"} {
		io.WriteString(c, part)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 503 || resp.Close {
			t.Errorf("%d, close %v, %v; want 503 and the connection kept", resp.StatusCode, resp.Close, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
