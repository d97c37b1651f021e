package h2_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h2"
)

// patience is how long a test waits for what should come at once.
const patience = 5 * time.Second

// hop stands in for a hop: it takes HTTP/1.1 connections and answers on them.
type hop struct {
	answer http.HandlerFunc
	conns  chan net.Conn // with the codec's end of each

	mu    sync.Mutex
	peers []net.Addr
}

// take is a h2.ConnHandler.
func (h *hop) take(c net.Conn, peer, _ net.Addr) {
	h.mu.Lock()
	h.peers = append(h.peers, peer)
	h.mu.Unlock()
	if h.answer == nil {
		h.conns <- c
		return
	}
	l := &one{conn: c, done: make(chan struct{})}
	go (&http.Server{Handler: h.answer}).Serve(l)
}

func (h *hop) taken() []net.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]net.Addr(nil), h.peers...)
}

// one is a listener with a single connection.
type one struct {
	conn net.Conn
	done chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *one) Close() error   { return nil }
func (l *one) Addr() net.Addr { return &net.UnixAddr{Name: "one"} }

// listen calls serve for each connection to the address that it returns, until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
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
			serve(c)
		}
	}()
	return l.Addr().String()
}

func dialer(addr string) func(time.Duration) (net.Conn, error) {
	return func(d time.Duration) (net.Conn, error) { return net.DialTimeout("tcp", addr, d) }
}

// downstream starts a codec before the hop and returns where it listens.
func downstream(t *testing.T, h *hop, idle time.Duration) (*h2.DownstreamCodec, string) {
	t.Helper()
	h.conns = make(chan net.Conn, 10)
	d := h2.NewDownstreamCodec(h.take, idle)
	addr := listen(t, d.Serve)
	t.Cleanup(d.Close)
	return d, addr
}

// client speaks nothing but HTTP/2 with addr.
func client(t *testing.T, addr string) *http.Client {
	t.Helper()
	tr := h2.NewTransport(dialer(addr), nil)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// body reads a response to its end.
func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// TestConnectionsOfAClient: what one HTTP/2 connection asks for goes over
// HTTP/1.1 connections of its own, used again for one request after another.
func TestConnectionsOfAClient(t *testing.T) {
	h := &hop{answer: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }}
	_, addr := downstream(t, h, 0)
	a, b := client(t, addr), client(t, addr)
	for _, c := range []*http.Client{a, a, a, b} {
		resp, err := c.Get("http://app.test/")
		if err != nil {
			t.Fatal(err)
		}
		body(t, resp)
	}
	peers := h.taken()
	if len(peers) != 2 || peers[0].String() == peers[1].String() {
		t.Errorf("connections from %v, want one of each of two clients", peers)
	}
}

// TestHeads: what a hop gets of an HTTP/2 request and a client of the
// response, field by field: nothing is made up, and connection fields go.
func TestHeads(t *testing.T) {
	seen := make(chan string, 1)
	h := &hop{}
	_, addr := downstream(t, h, 0)
	go func() {
		c := <-h.conns
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			seen <- err.Error()
			return
		}
		dump, _ := httputil.DumpRequest(r, true)
		seen <- string(dump)
		io.WriteString(c, "HTTP/1.1 203 Other\r\nKeep-Alive: timeout=5\r\nX-Two: a\r\nX-Two: b\r\nContent-Length: 4\r\n\r\nbody")
	}()
	req, _ := http.NewRequest("PUT", "http://app.test:81/p?q=1", strings.NewReader("text"))
	req.Header = http.Header{"X-One": {"1", "2"}, "User-Agent": {""}}
	resp, err := client(t, addr).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, "PUT /p?q=1 HTTP/1.1\r\nHost: app.test:81\r\nContent-Length: 4\r\nX-One: 1\r\nX-One: 2\r\n\r\ntext"; got != want {
		t.Errorf("the hop got\n%q, want\n%q", got, want)
	}
	b := body(t, resp)
	if resp.StatusCode != 203 || b != "body" || resp.ContentLength != 4 {
		t.Errorf("status %d, %q of %d bytes", resp.StatusCode, b, resp.ContentLength)
	}
	if got, want := fmt.Sprint(resp.Header), "map[Content-Length:[4] X-Two:[a b]]"; got != want {
		t.Errorf("fields %s, want %s", got, want)
	}
}

// TestStream: both directions go on as bytes come, and end in trailers: all
// that gRPC needs.
func TestStream(t *testing.T) {
	h := &hop{answer: func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("X-Te", r.Header.Get("Te"))
		w.Header().Set("Trailer", "Grpc-Status, X-Request-Trailer")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintf(w, "got %s\n", lines.Text())
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("X-Request-Trailer", r.Trailer.Get("X-Sum"))
	}}
	_, addr := downstream(t, h, 0)
	in, out := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://app.test/s", in)
	req.Header.Set("Content-Type", "application/grpc+proto")
	req.Trailer = http.Header{"X-Sum": nil}
	resp, err := client(t, addr).Do(req) // the head comes before the body is sent
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if te := resp.Header.Get("X-Te"); te != "trailers" {
		t.Errorf("the hop got TE %q for gRPC", te)
	}
	lines := bufio.NewReader(resp.Body)
	for _, word := range []string{"one", "two"} {
		io.WriteString(out, word+"\n")
		if got, err := lines.ReadString('\n'); err != nil || got != "got "+word+"\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	req.Trailer.Set("X-Sum", "2")
	out.Close()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
	if got := fmt.Sprint(resp.Trailer); got != "map[Grpc-Status:[0] X-Request-Trailer:[2]]" {
		t.Errorf("trailers %s", got)
	}
}

// TestBrokenOff: a hop that ends the connection before or in its response
// ends the stream, and the client sees no made-up answer.
func TestBrokenOff(t *testing.T) {
	for name, text := range map[string]string{"before": "", "in": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"} {
		t.Run(name, func(t *testing.T) {
			h := &hop{}
			_, addr := downstream(t, h, 0)
			go func() {
				c := <-h.conns
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, text)
				c.Close()
			}()
			req, _ := http.NewRequest("POST", "http://app.test/", strings.NewReader("x")) // no second try
			resp, err := client(t, addr).Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "stream error") {
				t.Errorf("got %v, want a stream error", err)
			}
		})
	}
}

// TestCancel: a stream that its client cancels can be told from the hop's
// connection without reading from it.
func TestCancel(t *testing.T) {
	h := &hop{}
	_, addr := downstream(t, h, 0)
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://app.test/", nil)
	failed := make(chan error, 1)
	cl := client(t, addr)
	go func() {
		_, err := cl.Do(req)
		failed <- err
	}()
	c := <-h.conns
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		t.Fatal(err)
	}
	gone := c.(interface{ PeerGone() bool })
	if gone.PeerGone() {
		t.Error("the client is gone before it cancels")
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the client: %v", err)
	}
	waitFor(t, "the hop sees that the client has gone", gone.PeerGone)
}

// TestDownstreamIdle: a connection without a stream for the idle time ends.
func TestDownstreamIdle(t *testing.T) {
	h := &hop{answer: func(w http.ResponseWriter, r *http.Request) {}}
	_, addr := downstream(t, h, 100*time.Millisecond)
	var ended atomic.Bool
	tr := h2.NewTransport(func(d time.Duration) (net.Conn, error) {
		c, err := dialer(addr)(d)
		return watched{c, &ended}, err
	}, nil)
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("http://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	body(t, resp)
	waitFor(t, "the idle connection ends", ended.Load)
}

// watched tells when its peer has ended the connection.
type watched struct {
	net.Conn
	ended *atomic.Bool
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.ended.Store(true)
	}
	return n, err
}

// TestDownstreamClose ends connections of either kind, those of which the
// protocol is not known yet too, and takes no more.
func TestDownstreamClose(t *testing.T) {
	h := &hop{answer: func(w http.ResponseWriter, r *http.Request) {}}
	d, addr := downstream(t, h, 0)
	undecided, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer undecided.Close()
	io.WriteString(undecided, "PRI * HT")
	resp, err := client(t, addr).Get("http://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	body(t, resp)
	d.Close()
	late, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	for name, c := range map[string]net.Conn{"undecided": undecided, "late": late} {
		c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%s: %v, want its end", name, err)
		}
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func TestIsGRPC(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc;charset=utf-8": true,
		"application/grpc-web": false, "application/grpcx": false, "text/plain": false, "": false,
	} {
		if got := h2.IsGRPC(contentType); got != want {
			t.Errorf("%q: %v, want %v", contentType, got, want)
		}
	}
}
