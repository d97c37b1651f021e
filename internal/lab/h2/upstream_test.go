package h2_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/h2"
)

// upstream is an app that speaks HTTP/2; it counts its connections.
type upstream struct {
	addr  string
	conns atomic.Int32
	ended chan struct{} // a token for each connection that has ended
	srv   *http.Server
}

func startUpstream(t *testing.T, config *tls.Config, answer http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{srv: &http.Server{Handler: answer, Protocols: &http.Protocols{}}, ended: make(chan struct{}, 100)}
	u.srv.Protocols.SetHTTP2(true)
	u.srv.Protocols.SetUnencryptedHTTP2(true)
	u.srv.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			u.conns.Add(1)
		case http.StateClosed:
			u.ended <- struct{}{}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.addr = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	go u.srv.Serve(l)
	t.Cleanup(func() { u.srv.Close() })
	return u
}

// exchange sends one HTTP/1.1 request over c and returns the response with its body read.
func exchange(t *testing.T, c net.Conn, r *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	go io.WriteString(c, request) // a connection in memory holds nothing
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body(t, resp)
}

// TestUpstream: HTTP/1.1 requests on several connections become streams of
// one HTTP/2 connection.
func TestUpstream(t *testing.T) {
	config, err := certs.Throwaway("app", "h2")
	if err != nil {
		t.Fatal(err)
	}
	unverified := certs.Unverified("app", tls.VersionTLS12)
	for name, c := range map[string]struct{ server, client *tls.Config }{"plain": {nil, nil}, "TLS": {config, unverified}} {
		t.Run(name, func(t *testing.T) {
			app := startUpstream(t, c.server, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				w.Header().Set("Trailer", "X-Sum")
				fmt.Fprintf(w, "%s %s %s %q %s", r.Proto, r.Host, r.URL, b, r.Trailer.Get("X-T"))
				w.Header().Set("X-Sum", "7")
			})
			u := h2.NewUpstreamCodec(dialer(app.addr), c.client)
			defer u.Close()
			for range 3 {
				conn, err := u.Dial(patience)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				r := bufio.NewReader(conn)
				for range 2 {
					resp, got := exchange(t, conn, r,
						"POST /p?q HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nab\r\n0\r\nX-T: end\r\n\r\n")
					if want := `HTTP/2.0 app.test /p?q "ab" end`; got != want || resp.Trailer.Get("X-Sum") != "7" {
						t.Errorf("%q with trailers %v, want %q", got, resp.Trailer, want)
					}
				}
			}
			if n := app.conns.Load(); n != 1 {
				t.Errorf("%d connections to the upstream, want 1", n)
			}
		})
	}
}

// TestUpstreamComesBack: after the upstream's connection has ended a new one
// is made, and while there is no upstream, dialing fails as itself.
func TestUpstreamComesBack(t *testing.T) {
	app := startUpstream(t, nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	var down atomic.Bool
	why := errors.New("no route")
	var mu sync.Mutex
	var last net.Conn
	u := h2.NewUpstreamCodec(func(d time.Duration) (net.Conn, error) {
		if down.Load() {
			return nil, why
		}
		c, err := dialer(app.addr)(d)
		mu.Lock()
		defer mu.Unlock()
		last = c
		return c, err
	}, nil)
	defer u.Close()
	ask := func() (string, error) {
		c, err := u.Dial(patience)
		if err != nil {
			return "", err
		}
		defer c.Close()
		_, got := exchange(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		return got, nil
	}
	if got, err := ask(); got != "ok" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	orphan, err := u.Dial(patience)
	if err != nil {
		t.Fatal(err)
	}
	defer orphan.Close()
	mu.Lock()
	last.Close()
	mu.Unlock()
	down.Store(true)
	waitFor(t, "dialing fails", func() bool {
		_, err := u.Dial(patience)
		return errors.Is(err, why)
	})
	// A connection that was dialed before fails as one whose upstream has gone.
	orphan.SetDeadline(time.Now().Add(patience))
	go io.WriteString(orphan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got, err := io.ReadAll(orphan); err != nil || len(got) > 0 {
		t.Errorf("without an upstream: %q, %v; want the connection's end", got, err)
	}
	down.Store(false)
	if got, err := ask(); got != "ok" || err != nil {
		t.Errorf("after it came back: %q, %v", got, err)
	}
	if n := app.conns.Load(); n != 2 {
		t.Errorf("%d connections to the upstream, want 2", n)
	}
}

// TestUpstreamFails: an upstream that breaks a stream off before its response
// ends the hop's connection, as one that speaks HTTP/1.1 would.
func TestUpstreamFails(t *testing.T) {
	app := startUpstream(t, nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	u := h2.NewUpstreamCodec(dialer(app.addr), nil)
	defer u.Close()
	c, err := u.Dial(patience)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	if got, err := io.ReadAll(c); err != nil || len(got) > 0 {
		t.Errorf("%q, %v; want the connection's end", got, err)
	}
}

// TestUpstreamClose ends what is open and dials no more.
func TestUpstreamClose(t *testing.T) {
	app := startUpstream(t, nil, func(http.ResponseWriter, *http.Request) {})
	u := h2.NewUpstreamCodec(dialer(app.addr), nil)
	c, err := u.Dial(patience)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	u.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("an open connection after Close: %v", err)
	}
	if c, err := u.Dial(patience); err == nil {
		c.Close()
		t.Error("dialed after Close")
	}
}
