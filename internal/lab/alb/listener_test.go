package alb

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pageOf is the load balancer's own error page.
func pageOf(title string) string {
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
}

// TestOwnErrors: the errors of section 6's table.
func TestOwnErrors(t *testing.T) {
	const simple = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	raw := func(f func(net.Conn)) func(*testing.T, *testNetwork) {
		return func(t *testing.T, w *testNetwork) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						c.Read(make([]byte, 4096))
						f(c)
						c.Close()
					}()
				}
			}()
			w.target(l.Addr().String())
		}
	}
	good := func(t *testing.T, w *testNetwork) { w.serve(t, func(http.ResponseWriter, *http.Request) {}) }
	for name, c := range map[string]struct {
		target  func(*testing.T, *testNetwork)
		request string
		status  int
		title   string
	}{
		"no target":         {func(*testing.T, *testNetwork) {}, simple, 503, "503 Service Temporarily Unavailable"},
		"refused":           {func(t *testing.T, w *testNetwork) { w.target("") }, simple, 502, "502 Bad Gateway"},
		"dropped":           {func(t *testing.T, w *testNetwork) { w.silent() }, simple, 504, "504 Gateway Time-out"},
		"closed early":      {raw(func(net.Conn) {}), simple, 502, "502 Bad Gateway"},
		"reset":             {raw(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), simple, 502, "502 Bad Gateway"},
		"garbage":           {raw(func(c net.Conn) { io.WriteString(c, "no HTTP\r\n\r\n") }), simple, 502, "502 Bad Gateway"},
		"silent":            {raw(func(c net.Conn) { io.Copy(io.Discard, c) }), simple, 504, "504 Gateway Time-out"},
		"malformed":         {good, "GET /\r\n\r\n", 400, "400 Bad Request"},
		"no host":           {good, "GET / HTTP/1.1\r\n\r\n", 400, "400 Bad Request"},
		"long request line": {good, "GET /" + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "414 Request-URI Too Large"},
		"long field":        {good, "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", 400, "400 Bad Request"},
		"TRACE":             {good, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "405 Method Not Allowed"},
		"31 addresses in X-F-F": {good,
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + strings.Repeat("1.1.1.1, ", 30) + "1.1.1.1\r\n\r\n", 463, "463"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTestNetwork()
			c.target(t, w)
			cfg := config()
			cfg.Scale = 100
			n, addr := w.start(t, cfg)
			a := ask(t, addr, c.request)
			if a.status != c.status || a.body != pageOf(c.title) || a.header.Get("Server") != "awselb/2.0" || a.header.Get("Content-Type") != "text/html" {
				t.Errorf("got %+v, want %d and its page", a, c.status)
			}
			if got := n.Status().Listeners[0].ELB[c.status]; got != 1 {
				t.Errorf("counted %d responses with %d", got, c.status)
			}
		})
	}
}

// TestClientGone: 460 is counted when the client closes before the target answers.
func TestClientGone(t *testing.T) {
	taken, given := make(chan struct{}), make(chan struct{})
	w := newTestNetwork()
	w.serve(t, func(rw http.ResponseWriter, r *http.Request) {
		close(taken)
		<-r.Context().Done()
		close(given)
	})
	n, addr := w.start(t, config())
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	within(t, taken, "the target gets the request")
	c.Close()
	waitFor(t, "460", func() bool { return n.Status().Listeners[0].ELB[460] == 1 })
	within(t, given, "the target sees the client's end")
}

// TestForwardedHead checks the request that a target gets and the response
// that comes back, byte by byte where it is not random.
func TestForwardedHead(t *testing.T) {
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
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				n, _ := c.Read(buf)
				seen <- string(buf[:n])
				io.WriteString(c, "HTTP/1.1 200 Fine\r\nServer: App\r\nX-Odd:  kept \r\nConnection: close, x\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
			}()
		}
	}()
	trace := regexp.MustCompile(`1-[0-9a-f]{8}-[0-9a-f]{24}`)
	for name, c := range map[string]struct {
		change  func(*Config)
		request string
		want    string
	}{
		"plain": {nil, "GET /a HTTP/1.1\r\nHost: Example.test:81\r\nconnection: keep-alive\r\nx-LOWER: v\r\n\r\n",
			"GET /a HTTP/1.1\r\nX-Forwarded-For: 10.0.7.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: Example.test:81\r\nX-Amzn-Trace-Id: Root=ID\r\nx-LOWER: v\r\n\r\n"},
		"appends": {nil,
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Amzn-Trace-Id: Root=1-00000000-000000000000000000000000;Self=1-1-1;Lineage=x\r\n\r\n",
			"GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4, 10.0.7.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: a\r\nX-Amzn-Trace-Id: Self=ID;Root=ID;Lineage=x\r\n\r\n"},
		"preserves": {func(c *Config) { c.XFF = "preserve" }, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
			"GET / HTTP/1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: a\r\nX-Amzn-Trace-Id: Root=ID\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"},
		"removes": {func(c *Config) { c.XFF = "remove" }, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
			"GET / HTTP/1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: a\r\nX-Amzn-Trace-Id: Root=ID\r\n\r\n"},
		"drops invalid names": {func(c *Config) { c.DropInvalid = true; c.XFF = "remove" },
			"GET / HTTP/1.1\r\nHost: a\r\nX_Under: v\r\nX-Fine: v\r\n\r\n",
			"GET / HTTP/1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: a\r\nX-Amzn-Trace-Id: Root=ID\r\nX-Fine: v\r\n\r\n"},
		"HTTP/1.0 without Host": {func(c *Config) { c.XFF = "remove" }, "GET / HTTP/1.0\r\n\r\n",
			"GET / HTTP/1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: test.elb.lab.test\r\nX-Amzn-Trace-Id: Root=ID\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestNetwork()
			w.target(l.Addr().String())
			cfg := config()
			if c.change != nil {
				c.change(&cfg)
			}
			_, addr := w.start(t, cfg)
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(conn, c.request)
			if got := trace.ReplaceAllString(<-seen, "ID"); got != c.want {
				t.Errorf("the target got\n%q, want\n%q", got, c.want)
			}
			buf := make([]byte, 4096)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			state := "keep-alive"
			if strings.Contains(c.request, "HTTP/1.0") {
				state = "close"
			}
			if got, want := string(buf[:n]), "HTTP/1.1 200 Fine\r\nServer: App\r\nX-Odd:  kept \r\nContent-Length: 2\r\nConnection: "+state+"\r\n\r\nok"; got != want {
				t.Errorf("the client got\n%q, want\n%q", got, want)
			}
		})
	}
}

// TestRules: one listener with a rule for each kind of condition.
func TestRules(t *testing.T) {
	w := newTestNetwork()
	cfg := config()
	fixed := func(body string) []Action {
		return []Action{{Type: "fixed-response", Fixed: &Fixed{Status: 299, ContentType: "text/plain", Body: body}}}
	}
	rule := func(name string, cs ...Condition) Rule { return Rule{Conditions: cs, Actions: fixed(name)} }
	cfg.Listeners[0].Default = fixed("default")
	cfg.Listeners[0].Rules = []Rule{
		rule("both", Condition{Field: "path-pattern", Values: []string{"/both/*"}}, Condition{Field: "http-request-method", Values: []string{"POST"}}),
		rule("path", Condition{Field: "path-pattern", Values: []string{"/img/*.p?g", "/exact"}}),
		rule("host", Condition{Field: "host-header", Values: []string{"*.Example.com"}}),
		rule("method", Condition{Field: "http-request-method", Values: []string{"PUT"}}),
		rule("header", Condition{Field: "http-header", Name: "X-Kind", Values: []string{"blue*"}}),
		rule("query", Condition{Field: "query-string", Query: []KeyValue{{"version", "v1"}, {"", "any*"}}}),
		rule("ip", Condition{Field: "source-ip", Values: []string{"10.0.7.0/24"}}, Condition{Field: "path-pattern", Values: []string{"/ip"}}),
		rule("never", Condition{Field: "source-ip", Values: []string{"192.168.0.0/16"}}),
	}
	_, addr := w.start(t, cfg)
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a":                             "default",
		"POST /both/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0": "both",
		"GET /both/x HTTP/1.1\r\nHost: a":                       "default",
		"GET /img/a/b.png?x HTTP/1.1\r\nHost: a":                "path",
		"GET /img/a.peng HTTP/1.1\r\nHost: a":                   "default",
		"GET /exact HTTP/1.1\r\nHost: a":                        "path",
		"GET /Exact HTTP/1.1\r\nHost: a":                        "default", // paths are case-sensitive
		"GET / HTTP/1.1\r\nHost: www.EXAMPLE.com:80":            "host",
		"GET / HTTP/1.1\r\nHost: example.com":                   "default",
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0":        "method",
		"GET / HTTP/1.1\r\nHost: a\r\nx-kind: BlueGreen":        "header",
		"GET /?a=b&version=V1 HTTP/1.1\r\nHost: a":              "query",
		"GET /?whatever=anything HTTP/1.1\r\nHost: a":           "query",
		"GET /?version=v2 HTTP/1.1\r\nHost: a":                  "default",
		"GET /ip HTTP/1.1\r\nHost: a":                           "ip",
	} {
		if a := ask(t, addr, request+"\r\n\r\n"); a.status != 299 || a.body != want {
			t.Errorf("%q: %d %q, want %q", request, a.status, a.body, want)
		}
	}
}

func TestRedirect(t *testing.T) {
	w := newTestNetwork()
	for _, c := range []struct {
		r    Redirect
		want string
	}{
		{Redirect{Protocol: "HTTPS", Port: "443", Host: "#{host}", Path: "/#{path}", Query: "#{query}", Status: 301},
			"https://example.test:443/a/b?c=d"},
		{Redirect{Protocol: "HTTPS", Port: "443", Status: 302}, "https://example.test:443/a/b?c=d"},
		{Redirect{Host: "www.#{host}", Path: "/new/#{path}", Query: "from=old&#{query}", Status: 301},
			"http://www.example.test:80/new/a/b?from=old&c=d"},
	} {
		cfg := config()
		cfg.Listeners[0].Default = []Action{{Type: "redirect", Redirect: &c.r}}
		_, addr := w.start(t, cfg)
		a := get(t, addr, "/a/b?c=d")
		if a.status != c.r.Status || a.header.Get("Location") != c.want {
			t.Errorf("%+v: %d %s, want %s", c.r, a.status, a.header.Get("Location"), c.want)
		}
	}
}

func TestWeights(t *testing.T) {
	w := newTestNetwork()
	cfg := config()
	cfg.Groups = append(cfg.Groups, Group{ID: "h"}, Group{ID: "none"})
	cfg.Listeners[0].Default = []Action{{Type: "forward", Forward: []Weighted{{"g", 1}, {"h", 3}, {"none", 0}}}}
	a := w.serve(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "g") })
	b := w.serve(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "h") })
	n, addr := w.start(t, cfg)
	n.Update(Update{Targets: map[string][]netip.AddrPort{"g": {a}, "h": {b}}})
	count := map[string]int{}
	for range 200 {
		count[get(t, addr, "/").body]++
	}
	if count["g"]+count["h"] != 200 || count["g"] < 25 || count["g"] > 80 { // 50 expected; 4 standard deviations
		t.Errorf("weights 1 and 3 gave %v", count)
	}
}

func TestLeastOutstanding(t *testing.T) {
	busy := make(chan struct{})
	w := newTestNetwork()
	for i := range 2 {
		w.serve(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				<-busy
			}
			fmt.Fprint(rw, i)
		})
	}
	cfg := config()
	cfg.Groups[0].Algorithm = "least_outstanding_requests"
	n, addr := w.start(t, cfg)
	waiting := make(chan string)
	go func() { waiting <- get(t, addr, "/wait").body }()
	waitFor(t, "a request in progress", func() bool { return n.Status().Groups[0].Requests == 1 })
	var others string
	for range 5 {
		others += get(t, addr, "/").body
		waitFor(t, "one request in progress", func() bool { // a client has its answer a little before it is counted off
			open := int64(0)
			for _, tg := range *n.setup.Load().groups["g"].targets.Load() {
				open += tg.outstanding.Load()
			}
			return open == 1
		})
	}
	close(busy)
	if first := <-waiting; others != strings.Repeat(map[string]string{"0": "1", "1": "0"}[first], 5) {
		t.Errorf("while target %s was busy, the others went to %s", first, others)
	}
}

func TestSlowStart(t *testing.T) {
	w := newTestNetwork()
	w.serve(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "a") })
	cfg := config()
	cfg.Groups[0].Health, cfg.Groups[0].SlowStart = health, 900*time.Second
	n, addr := w.start(t, cfg)
	waitFor(t, "healthy", func() bool { return n.Status().Groups[0].Targets[0].State == Healthy })
	if got := get(t, addr, "/").body; got != "a" {
		t.Errorf("a lone target in slow start: %q", got)
	}
	w.serve(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "b") })
	all := *n.setup.Load().groups["g"].targets.Load()
	all[0].mu.Lock()
	all[0].healthySince = time.Now().Add(-time.Hour)
	all[0].mu.Unlock()
	second := &target{group: n.setup.Load().groups["g"], state: Healthy, healthySince: time.Now()}
	second.healthy.Store(true)
	both := append(append([]*target{}, all...), second)
	n.setup.Load().groups["g"].targets.Store(&both)
	share := func(age time.Duration) float64 {
		second.mu.Lock()
		second.healthySince = time.Now().Add(-age)
		second.mu.Unlock()
		hits := 0
		for range 2000 {
			if n.setup.Load().groups["g"].pick(time.Now()) == second {
				hits++
			}
		}
		return float64(hits) / 1000 // of its fair half
	}
	for age, want := range map[time.Duration]float64{0: 0, 450 * time.Second: 0.5, 900 * time.Second: 1} {
		if got := share(age); got < want-0.15 || got > want+0.15 {
			t.Errorf("after %s the new target got %.2f of its share, want %.2f", age, got, want)
		}
	}
	n.setup.Load().groups["g"].targets.Store(&all)
}

// TestDeregistration: a target that leaves gets no new requests, finishes its
// open ones, and is cut off after the delay.
func TestDeregistration(t *testing.T) {
	finish := make(chan struct{})
	w := newTestNetwork()
	a := w.serve(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-finish
		}
		io.WriteString(rw, "a")
	})
	b := w.serve(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "b") })
	n, addr := w.start(t, config())
	n.Update(Update{Targets: map[string][]netip.AddrPort{"g": {a}}})
	waiting := make(chan string)
	go func() { waiting <- get(t, addr, "/wait").body }()
	waitFor(t, "a request in progress", func() bool { return n.Status().Groups[0].Requests == 1 })
	n.Update(Update{Targets: map[string][]netip.AddrPort{"g": {b}}})
	var left TargetStatus
	for _, ts := range n.Status().Groups[0].Targets {
		if ts.Address == a.String() {
			left = ts
		}
	}
	if left.State != Draining || left.Reason != ReasonDeregistration {
		t.Errorf("the target that left: %+v", left)
	}
	if got := get(t, addr, "/").body; got != "b" {
		t.Errorf("a new request went to %s", got)
	}
	close(finish)
	if got := <-waiting; got != "a" {
		t.Errorf("the open request got %q", got)
	}
	waitFor(t, "drained", func() bool { return len(n.Status().Groups[0].Targets) == 1 })
}

// TestIdleTimeout: a connection without requests is closed.
func TestIdleTimeout(t *testing.T) {
	w := newTestNetwork()
	w.serve(t, func(rw http.ResponseWriter, r *http.Request) {})
	cfg := config()
	cfg.Scale = 600 // 60 s are 100 ms
	_, addr := w.start(t, cfg)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	c.SetDeadline(start.Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("%v, want the end", err)
	}
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("closed after %s, want 100 ms", took)
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"/a*", "/a", true}, {"/a*c", "/abc", true}, {"/a*c", "/abcd", false}, {"?", "", false}, {"a?c", "abc", true},
		{"*b*", "abc", true}, {"**", "x", true}, {"a*b*c", "aXbYbZc", true}, {"", "", true}, {"", "x", false},
	} {
		if got := wildcard(c.pattern, c.s); got != c.want {
			t.Errorf("%q against %q: %v", c.pattern, c.s, got)
		}
	}
}
