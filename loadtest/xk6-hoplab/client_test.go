package hoplab

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// script is a server that answers the n-th request of each connection with
// the n-th text, and closes the connection after the last one.
func script(t *testing.T, answers ...string) (addr string, requests <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	seen := make(chan string, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for _, answer := range answers {
					var head strings.Builder
					for {
						line, err := br.ReadString('\n')
						if err != nil {
							return
						}
						if line == "\r\n" {
							break
						}
						head.WriteString(line)
					}
					seen <- head.String()
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String(), seen
}

func clientFor(t *testing.T, arm samplefile.LoadArm, change func(*samplefile.Load)) (*client, *atomic.Int64) {
	t.Helper()
	load := &samplefile.Load{Arms: []samplefile.LoadArm{arm}, TimeoutS: 5, KeepAlive: true}
	if change != nil {
		change(load)
	}
	opened := new(atomic.Int64)
	c, err := newClient(load, (&net.Dialer{}).DialContext, nil, opened)
	if err != nil {
		t.Fatal(err)
	}
	return c, opened
}

const (
	plain   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Hoplab-Peer: 10.0.0.9\r\nX-Hoplab-App: a1\r\n\r\nok"
	agent   = "HTTP/1.1 200 OK\r\nserver: envoy\r\nx-envoy-upstream-service-time: 12\r\ncontent-length: 2\r\n\r\nok"
	half    = "HTTP/1.1 200 OK\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n"
	chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
	toEnd   = "HTTP/1.0 200 OK\r\n\r\nuntil the end"
	empty   = "HTTP/1.1 204 No Content\r\n\r\n"
	closing = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	early   = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
)

// Each kind of response is measured to the byte and leaves the connection in
// the right state.
func TestResponsesOnTheWire(t *testing.T) {
	head := func(s string) int { return strings.Index(s, "\r\n\r\n") + 4 }
	for _, c := range []struct {
		name   string
		answer string
		want   samplefile.Outcome
		kept   bool
	}{
		{"plain", plain,
			samplefile.Outcome{Status: 200, Peer: "10.0.0.9", Via: "a1", HeaderBytes: head(plain), BodyBytes: 2, ServiceMs: -1}, true},
		{"agent", agent, samplefile.Outcome{Status: 200, AgentHeaders: 1, HeaderBytes: head(agent), BodyBytes: 2, ServiceMs: 12}, true},
		{"only one agent header", half, samplefile.Outcome{Status: 200, AgentHeaders: -1, HeaderBytes: head(half), ServiceMs: -1}, true},
		{"chunked", chunked, samplefile.Outcome{Status: 200, HeaderBytes: head(chunked), BodyBytes: 5, ServiceMs: -1}, true},
		{"to the end", toEnd, samplefile.Outcome{Status: 200, HeaderBytes: head(toEnd), BodyBytes: 13, ServiceMs: -1}, false},
		{"no content", empty, samplefile.Outcome{Status: 204, HeaderBytes: head(empty), ServiceMs: -1}, true},
		{"closing", closing, samplefile.Outcome{Status: 503, HeaderBytes: head(closing), ServiceMs: -1}, false},
		{"early hints", early + plain,
			samplefile.Outcome{Status: 200, Peer: "10.0.0.9", Via: "a1", HeaderBytes: len(early) + head(plain), BodyBytes: 2, ServiceMs: -1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := []string{c.answer, c.answer}
			if c.name == "to the end" {
				answers = answers[:1]
			}
			addr, _ := script(t, answers...)
			cl, opened := clientFor(t, samplefile.LoadArm{URL: "http://name.example/", Dial: addr}, nil)
			for i := range 2 {
				began := time.Now()
				ex := cl.do(t.Context(), 0, began)
				took := time.Since(began)
				want := c.want
				want.Reused = i == 1 && c.kept
				if ex.outcome != want {
					t.Errorf("request %d: %+v, want %+v", i, ex.outcome, want)
				}
				if ex.latency <= 0 || ex.blocked < 0 || ex.latency+ex.blocked > took {
					t.Errorf("request %d: latency %v and blocked %v of %v", i, ex.latency, ex.blocked, took)
				}
			}
			if want := map[bool]int64{true: 1, false: 2}[c.kept]; opened.Load() != want {
				t.Errorf("%d connections, want %d", opened.Load(), want)
			}
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	addr, requests := script(t, plain)
	cl, _ := clientFor(t, samplefile.LoadArm{URL: "http://app.example:8080/a?b=c", Dial: addr}, nil)
	cl.do(t.Context(), 0, time.Now())
	if got, want := <-requests, "GET /a?b=c HTTP/1.1\r\nHost: app.example:8080\r\nUser-Agent: hoplab\r\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	cl, _ = clientFor(t, samplefile.LoadArm{URL: "http://" + addr}, func(l *samplefile.Load) { l.KeepAlive = false })
	cl.do(t.Context(), 0, time.Now())
	if got := <-requests; !strings.Contains(got, "Connection: close\r\n") || !strings.HasPrefix(got, "GET / HTTP/1.1") {
		t.Errorf("sent %q without keep-alive", got)
	}
}

// TestRequestBodyOnTheWire: the body arrives whole, on one connection.
func TestRequestBodyOnTheWire(t *testing.T) {
	type seen struct {
		method, kind string
		length       int64
		body         int
	}
	got := make(chan seen, 2)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, r.Header.Get("Content-Type"), r.ContentLength, len(b)}
	}))
	t.Cleanup(s.Close)
	cl, opened := clientFor(t, samplefile.LoadArm{URL: s.URL}, func(l *samplefile.Load) { l.RequestBytes = 16 << 10 })
	for range 2 {
		if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Status != 200 {
			t.Fatalf("%+v", ex.outcome)
		}
		if s, want := <-got, (seen{"POST", "text/plain", 16 << 10, 16 << 10}); s != want {
			t.Errorf("the server saw %+v, want %+v", s, want)
		}
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections, want 1", opened.Load())
	}
}

// A kept connection that the server has closed is replaced without a failure;
// a fresh one that closes is a failure.
func TestStaleConnectionIsReplaced(t *testing.T) {
	addr, _ := script(t, plain) // one answer on each connection, then it closes
	cl, opened := clientFor(t, samplefile.LoadArm{URL: "http://" + addr}, nil)
	for i := range 3 {
		if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Status != 200 || ex.outcome.Error != "" || ex.outcome.Reused {
			t.Errorf("request %d: %+v", i, ex.outcome)
		}
	}
	if opened.Load() != 3 {
		t.Errorf("%d connections, want 3", opened.Load())
	}
	silent, _ := script(t, "")
	cl, _ = clientFor(t, samplefile.LoadArm{URL: "http://" + silent}, nil)
	if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Error != "eof" {
		t.Errorf("closed at once: %+v", ex.outcome)
	}
}

// An answer that breaks off is a failure even on a kept connection: the server
// has seen the request, and sending it again would hide that.
func TestBrokenAnswerIsAFailure(t *testing.T) {
	for _, broken := range []string{"HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"} {
		addr, _ := script(t, plain, broken)
		cl, opened := clientFor(t, samplefile.LoadArm{URL: "http://" + addr}, nil)
		cl.do(t.Context(), 0, time.Now())
		ex := cl.do(t.Context(), 0, time.Now())
		if ex.outcome.Error != "eof" || !ex.outcome.Reused || opened.Load() != 1 {
			t.Errorf("%q: %+v with %d connections", broken, ex.outcome, opened.Load())
		}
	}
}

// Bytes that nobody asked for must not be taken for the next answer.
func TestUnaskedBytesEndTheConnection(t *testing.T) {
	addr, _ := script(t, plain+plain)
	cl, opened := clientFor(t, samplefile.LoadArm{URL: "http://" + addr}, nil)
	for range 2 {
		if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Status != 200 || ex.outcome.Reused {
			t.Errorf("%+v", ex.outcome)
		}
	}
	if opened.Load() != 2 {
		t.Errorf("%d connections, want 2", opened.Load())
	}
}

func TestNotHTTP(t *testing.T) {
	addr, _ := script(t, "SSH-2.0-server\r\n\r\n")
	cl, _ := clientFor(t, samplefile.LoadArm{URL: "http://" + addr}, nil)
	if ex := cl.do(t.Context(), 0, time.Now()); !strings.HasPrefix(ex.outcome.Error, "other: ") || ex.outcome.Status != 0 {
		t.Errorf("%+v", ex.outcome)
	}
}

func TestAnArmCallsFromItsOwnAddress(t *testing.T) {
	const from = "127.18.0.2"
	if l, err := net.Listen("tcp", from+":0"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("this system has one loopback address: " + err.Error())
	} else {
		l.Close()
	}
	peer := func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.Header().Set(peerHeader, host)
	}
	srv := httptest.NewServer(http.HandlerFunc(peer))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	for _, want := range []string{from, "127.0.0.1"} {
		arm := samplefile.LoadArm{URL: "http://10.0.0.10/", Dial: addr}
		if want == from {
			arm.From = from
		}
		cl, opened := clientFor(t, arm, nil)
		for range 2 {
			if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Status != 200 || ex.outcome.Peer != want {
				t.Errorf("from %q: %+v; want peer %s", arm.From, ex.outcome, want)
			}
		}
		if opened.Load() != 1 {
			t.Errorf("from %q: %d connections, want 1", arm.From, opened.Load())
		}
		cl.drop(0)
	}
}

func TestTimeoutCountsFromTheStart(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, by the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cl, _ := clientFor(t, samplefile.LoadArm{URL: "http://" + ln.Addr().String()}, func(l *samplefile.Load) { l.TimeoutS = 0.1 })
	began := time.Now()
	ex := cl.do(t.Context(), 0, began)
	if took := time.Since(began); ex.outcome.Error != "timeout" || took < 90*time.Millisecond || took > 5*time.Second {
		t.Errorf("%+v after %v", ex.outcome, took)
	}
}

// The end of the run ends a request that is under way.
func TestContextCutsTheRequest(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := ln.Accept(); err == nil {
			defer c.Close()
			_, _ = c.Read(make([]byte, 1)) // the request is under way
			cancel()
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	cl, _ := clientFor(t, samplefile.LoadArm{URL: "http://" + ln.Addr().String()}, nil)
	began := time.Now()
	ex := cl.do(ctx, 0, began)
	if took := time.Since(began); ex.outcome.Error == "" || took > 4*time.Second {
		t.Errorf("%+v after %v", ex.outcome, took)
	}
}

func TestTLSVerifiesTheName(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is wanted
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	dial := strings.TrimPrefix(s.URL, "https://")
	for host, want := range map[string]string{"example.com": "", "wrong.test": "other: "} {
		load := &samplefile.Load{Arms: []samplefile.LoadArm{{URL: "https://" + host + "/", Dial: dial}}, TimeoutS: 5, KeepAlive: true}
		cl, err := newClient(load, (&net.Dialer{}).DialContext, &tls.Config{RootCAs: pool}, new(atomic.Int64))
		if err != nil {
			t.Fatal(err)
		}
		ex := cl.do(t.Context(), 0, time.Now())
		if want == "" && (ex.outcome.Status != 200 || ex.outcome.BodyBytes != len(host)) {
			t.Errorf("%s: %+v", host, ex.outcome)
		}
		if want != "" && (!strings.HasPrefix(ex.outcome.Error, want) || ex.outcome.Status != 0) {
			t.Errorf("%s: %+v, want the certificate refused", host, ex.outcome)
		}
	}
}

// Connections that were opened ahead are used, and an arm that is down does
// not hold the user up.
func TestWarm(t *testing.T) {
	one, _ := script(t, plain)
	two, requests := script(t, agent)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	load := &samplefile.Load{TimeoutS: 5, KeepAlive: true, Arms: []samplefile.LoadArm{
		{URL: "http://" + one}, {URL: "http://" + two}, {URL: "http://" + gone.Addr().String()}}}
	opened := new(atomic.Int64)
	cl, err := newClient(load, (&net.Dialer{}).DialContext, nil, opened)
	if err != nil {
		t.Fatal(err)
	}
	cl.do(t.Context(), 0, time.Now())
	cl.warm(t.Context())
	if opened.Load() != 2 || len(requests) != 0 {
		t.Errorf("%d connections and %d requests sent; want 2 and none", opened.Load(), len(requests))
	}
	if ex := cl.do(t.Context(), 1, time.Now()); ex.outcome.Status != 200 || !ex.outcome.Reused || opened.Load() != 2 {
		t.Errorf("%+v with %d connections", ex.outcome, opened.Load())
	}
	if ex := cl.do(t.Context(), 2, time.Now()); ex.outcome.Error != "refused" {
		t.Errorf("%+v", ex.outcome)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ url, dial, address, server string }{
		{"http://app.test/", "", "app.test:80", ""},
		{"https://app.test/x", "", "app.test:443", "app.test"},
		{"http://[::1]:8080/", "", "[::1]:8080", ""},
		{"https://app.test/", "127.0.0.1:9", "127.0.0.1:9", "app.test"},
	} {
		got, err := newTarget(samplefile.LoadArm{URL: c.url, Dial: c.dial}, &samplefile.Load{KeepAlive: true})
		if err != nil || got.address != c.address || got.server != c.server {
			t.Errorf("%s: %+v, %v", c.url, got, err)
		}
	}
}

// BenchmarkExchange is the native client's cost for one request over a kept
// connection, server included.
func BenchmarkExchange(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Hello World") }))
	defer s.Close()
	load := &samplefile.Load{Arms: []samplefile.LoadArm{{URL: s.URL}}, TimeoutS: 5, KeepAlive: true}
	cl, err := newClient(load, (&net.Dialer{}).DialContext, nil, new(atomic.Int64))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if ex := cl.do(ctx, 0, time.Now()); ex.outcome.Status != 200 {
			b.Fatal(ex.outcome)
		}
	}
}
