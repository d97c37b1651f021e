// Package h2 lets the HTTP/1.1 hops of the lab carry HTTP/2 and gRPC: an
// HTTP/2 connection on either side is turned into HTTP/1.1 connections in
// memory, so that what a hop decides (routes, retries, timeouts, header
// fields, local replies) is written once. Streams stay streams and trailers
// are carried over, which is all that gRPC needs. It costs more per request
// than HTTP/1.1 does; the lab's measurements are of HTTP/1.1.
package h2

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/relay"
)

// Taker serves an HTTP/1.1 connection, as relay.Server.Take does.
type Taker func(c net.Conn, peer, local net.Addr)

// Peer is the address of a client that speaks HTTP/2 with the hop.
type Peer struct{ net.Addr }

// preface opens every HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Front is the downstream side: it accepts HTTP/2 and hands each request to
// an HTTP/1.1 Taker. The zero value with Take set is ready to use.
type Front struct {
	Take Taker
	// Idle closes a connection without streams (real time; 0: never).
	Idle time.Duration

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup
}

// Sniff serves a connection in either protocol, told by its first bytes.
func (f *Front) Sniff(c net.Conn) {
	if !f.enter(c) {
		return
	}
	go func() {
		defer f.leave(c)
		b := &buffered{Conn: c, r: bufio.NewReaderSize(c, 64)}
		for n := 1; n <= len(preface); n++ {
			p, err := b.r.Peek(n)
			if len(p) < n {
				if err != nil && n == 1 {
					c.Close()
					return
				}
				break
			}
			if p[n-1] != preface[n-1] {
				f.Take(b, c.RemoteAddr(), c.LocalAddr())
				return
			}
		}
		f.serve(b, c)
	}()
}

// Serve serves a connection that speaks HTTP/2, after TLS has said so.
func (f *Front) Serve(c net.Conn) {
	if !f.enter(c) {
		return
	}
	go func() {
		defer f.leave(c)
		f.serve(c, c)
	}()
}

func (f *Front) enter(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Close()
		return false
	}
	if f.conns == nil {
		f.conns = map[net.Conn]struct{}{}
	}
	f.conns[c] = struct{}{}
	f.wg.Add(1)
	return true
}

func (f *Front) leave(c net.Conn) {
	f.mu.Lock()
	delete(f.conns, c)
	f.mu.Unlock()
	f.wg.Done()
}

// Close closes all HTTP/2 connections and waits for their goroutines.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *Front) serve(c net.Conn, outer net.Conn) {
	defer outer.Close()
	peer, local := Peer{outer.RemoteAddr()}, outer.LocalAddr()
	tr := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 256, IdleConnTimeout: f.Idle,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			f.Take(far, peer, local)
			return near, nil
		},
	}
	defer tr.CloseIdleConnections()
	srv := &http2.Server{IdleTimeout: f.Idle}
	srv.ServeConn(c, &http2.ServeConnOpts{
		BaseConfig: &http.Server{},
		Handler:    http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward(w, r, tr, "http") }),
	})
}

// buffered is a connection of which some bytes were read already.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func (b *buffered) CloseWrite() error {
	if w, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Back is the upstream side: a relay.Dialer whose connections speak HTTP/1.1
// with the hop and HTTP/2 with the upstream, over one connection as long as
// it has streams to give.
type Back struct {
	dial relay.Dialer
	tls  *tls.Config
	tr   *http2.Transport
	srv  *http.Server
	in   *pipes

	mu sync.Mutex
	cc *http2.ClientConn
}

// NewBack returns a Back whose upstream is reached by dial. With a TLS
// configuration the connections are TLS.
func NewBack(dial relay.Dialer, config *tls.Config) *Back {
	b := &Back{dial: dial, in: &pipes{accept: make(chan net.Conn), done: make(chan struct{})}}
	if config != nil {
		b.tls = config.Clone()
		b.tls.NextProtos = []string{"h2"}
	}
	b.tr = &http2.Transport{AllowHTTP: true, DisableCompression: true}
	b.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		cc, err := b.conn(time.Minute)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		forward(w, r, cc, "http")
	})}
	go b.srv.Serve(b.in)
	return b
}

// conn returns the connection to the upstream, a new one when the present one
// takes no more streams.
func (b *Back) conn(timeout time.Duration) (*http2.ClientConn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cc != nil && b.cc.CanTakeNewRequest() {
		return b.cc, nil
	}
	c, err := b.dial(timeout)
	if err != nil {
		return nil, err
	}
	if b.tls != nil {
		t := tls.Client(c, b.tls)
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		c = t
	}
	cc, err := b.tr.NewClientConn(c)
	if err != nil {
		c.Close()
		return nil, err
	}
	b.cc = cc
	return cc, nil
}

// Dial returns a connection for one request after another. It connects to the
// upstream first, so that the hop sees a failure to connect as one.
func (b *Back) Dial(timeout time.Duration) (net.Conn, error) {
	if _, err := b.conn(timeout); err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	select {
	case b.in.accept <- far:
		return near, nil
	case <-b.in.done:
		return nil, net.ErrClosed
	}
}

// Close ends all connections.
func (b *Back) Close() {
	b.in.Close()
	b.srv.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cc != nil {
		b.cc.Close()
		b.cc = nil
	}
}

// pipes is a listener whose connections are made in memory.
type pipes struct {
	accept chan net.Conn
	once   sync.Once
	done   chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "in memory", Net: "unix"} }

// forward sends r through tr and the response back, streaming both ways, with
// trailers. An upstream that fails before its response aborts the exchange.
func forward(w http.ResponseWriter, r *http.Request, tr http.RoundTripper, scheme string) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme = "", scheme
	if out.URL.Host = r.Host; out.URL.Host == "" {
		out.URL.Host = "unnamed"
	}
	if r.ContentLength == 0 {
		out.Body = nil
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // or the transport would name itself
	}
	for _, h := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		out.Header.Del(h)
	}
	if IsGRPC(out.Header.Get("Content-Type")) {
		out.Header.Set("Te", "trailers") // the hop between has dropped it with the other connection fields
	}
	resp, err := tr.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	h := w.Header()
	for k, v := range resp.Header {
		switch k {
		case "Connection", "Keep-Alive", "Transfer-Encoding":
			continue
		}
		h[k] = v
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = nil // the next hop's business
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	w.WriteHeader(resp.StatusCode)
	flusher := http.NewResponseController(w)
	if resp.ContentLength != 0 {
		flusher.Flush() // a stream's client waits for the head
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			flusher.Flush()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	for k, v := range resp.Trailer {
		h[http.TrailerPrefix+k] = v
	}
}

// IsGRPC reports whether a content type is gRPC's.
func IsGRPC(contentType string) bool {
	return contentType == "application/grpc" || strings.HasPrefix(contentType, "application/grpc+") || strings.HasPrefix(contentType, "application/grpc;")
}
