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
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/relay"
)

// Taker serves an HTTP/1.1 connection, as relay.Server.Take does.
type Taker func(c net.Conn, peer, local net.Addr)

// Peer is the address of a client that speaks HTTP/2 with the hop.
type Peer struct{ net.Addr }

// preface opens every HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Front is the downstream side: it accepts HTTP/2 and hands each request to
// an HTTP/1.1 Taker. Use NewFront.
type Front struct {
	take Taker
	idle time.Duration
	in   *feed
	srv  *http.Server

	mu         sync.Mutex
	sniffing   map[net.Conn]struct{}
	transports map[net.Conn]*http.Transport // by HTTP/2 connection
	closed     bool
	wg         sync.WaitGroup
}

// NewFront returns a running Front. idle closes a connection without streams
// (real time; 0: never).
func NewFront(take Taker, idle time.Duration) *Front {
	f := &Front{take: take, idle: idle, in: newFeed(), sniffing: map[net.Conn]struct{}{}}
	f.srv = &http.Server{
		Protocols: &http.Protocols{}, IdleTimeout: idle, ErrorLog: quiet,
		Handler:     http.HandlerFunc(f.forward),
		ConnContext: f.open,
		ConnState:   f.track,
	}
	f.srv.Protocols.SetHTTP2(true)
	f.srv.Protocols.SetUnencryptedHTTP2(true)
	f.wg.Go(func() { f.srv.Serve(f.in) })
	return f
}

// Sniff serves a connection in either protocol, told by its first bytes.
func (f *Front) Sniff(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Close()
		return
	}
	f.sniffing[c] = struct{}{}
	f.wg.Go(func() {
		b, two := sniff(c)
		f.mu.Lock()
		delete(f.sniffing, c)
		f.mu.Unlock()
		if two {
			f.Serve(b)
		} else {
			f.take(b, c.RemoteAddr(), c.LocalAddr())
		}
	})
}

// sniff reads until the bytes differ from the preface or complete it. What
// was read is still to be read from the connection that it returns.
func sniff(c net.Conn) (b *buffered, two bool) {
	b = &buffered{Conn: c, r: bufio.NewReaderSize(c, 64)}
	for n := 1; n <= len(preface); n++ {
		p, err := b.r.Peek(n)
		if err != nil || p[n-1] != preface[n-1] {
			return b, false // an end or an error comes again on reading
		}
	}
	return b, true
}

// Serve serves a connection that speaks HTTP/2: with prior knowledge, or a
// *tls.Conn whose handshake has settled on it.
func (f *Front) Serve(c net.Conn) { f.in.give(c) }

// Close closes all HTTP/2 connections.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	for c := range f.sniffing {
		c.Close()
	}
	f.mu.Unlock()
	f.in.Close()
	f.srv.Close()
	f.wg.Wait()
}

type transportKey struct{}

// open gives each HTTP/2 connection its own HTTP/1.1 connections, so that the
// hop sees who the client is.
func (f *Front) open(ctx context.Context, c net.Conn) context.Context {
	peer, local := Peer{c.RemoteAddr()}, c.LocalAddr()
	tr := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 256, IdleConnTimeout: f.idle,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := pipe()
			f.take(far, peer, local)
			return near, nil
		},
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.transports == nil {
		f.transports = map[net.Conn]*http.Transport{}
	}
	f.transports[c] = tr
	return context.WithValue(ctx, transportKey{}, tr)
}

func (f *Front) track(c net.Conn, s http.ConnState) {
	if s != http.StateClosed && s != http.StateHijacked {
		return
	}
	f.mu.Lock()
	tr := f.transports[c]
	delete(f.transports, c)
	f.mu.Unlock()
	if tr != nil {
		tr.CloseIdleConnections()
	}
}

func (f *Front) forward(w http.ResponseWriter, r *http.Request) {
	forward(w, r, r.Context().Value(transportKey{}).(*http.Transport).RoundTrip)
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
// it has streams to give. Use NewBack.
type Back struct {
	tr     *http.Transport
	scheme string
	srv    *http.Server
	in     *feed
	wg     sync.WaitGroup

	mu  sync.Mutex
	cc  *http.ClientConn
	old []*http.ClientConn // that take no more streams and may still have some open
}

// NewBack returns a running Back whose upstream is reached by dial. With a
// TLS configuration the connections are TLS.
func NewBack(dial relay.Dialer, config *tls.Config) *Back {
	b := &Back{in: newFeed(), tr: NewTransport(dial, config), scheme: schemeOf(config)}
	b.srv = &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		cc, err := b.conn(time.Minute)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		forward(w, r, cc.RoundTrip)
	})}
	b.wg.Go(func() { b.srv.Serve(b.in) })
	return b
}

// NewTransport returns a transport that speaks nothing but HTTP/2 over
// connections from dial.
func NewTransport(dial relay.Dialer, config *tls.Config) *http.Transport {
	tr := &http.Transport{
		Protocols: &http.Protocols{}, DisableCompression: true, TLSClientConfig: config,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			limit := time.Minute
			if t, ok := ctx.Deadline(); ok {
				limit = time.Until(t)
			}
			return dial(limit)
		},
	}
	tr.Protocols.SetHTTP2(config != nil)
	tr.Protocols.SetUnencryptedHTTP2(config == nil)
	return tr
}

func schemeOf(config *tls.Config) string {
	if config != nil {
		return "https"
	}
	return "http"
}

// conn returns the connection to the upstream, a new one when the present one
// takes no more streams.
func (b *Back) conn(timeout time.Duration) (*http.ClientConn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cc != nil && b.cc.Err() == nil && b.cc.Available() > 0 {
		return b.cc, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cc, err := b.tr.NewClientConn(ctx, b.scheme, "upstream:0")
	if err != nil {
		return nil, err
	}
	if b.cc != nil {
		b.old = append(b.old, b.cc)
	}
	b.old = slices.DeleteFunc(b.old, func(o *http.ClientConn) bool {
		idle := o.InFlight() == 0
		if idle {
			o.Close()
		}
		return idle
	})
	b.cc = cc
	return cc, nil
}

// Dial returns a connection for one request after another. It connects to the
// upstream first, so that the hop sees a failure to connect as one.
func (b *Back) Dial(timeout time.Duration) (net.Conn, error) {
	if _, err := b.conn(timeout); err != nil {
		return nil, err
	}
	near, far := pipe()
	if !b.in.give(far) {
		return nil, net.ErrClosed
	}
	return near, nil
}

// Close ends all connections.
func (b *Back) Close() {
	b.in.Close()
	b.srv.Close()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cc := range append(b.old, b.cc) {
		if cc != nil {
			cc.Close()
		}
	}
	b.cc, b.old = nil, nil
}

// end is one end of a connection in memory. It can tell whether the other one
// was closed without reading from it: that is how a hop notices a stream that
// its client has cancelled.
type end struct {
	net.Conn
	closed, peerClosed *atomic.Bool
}

func pipe() (near, far net.Conn) {
	a, b := net.Pipe()
	var aClosed, bClosed atomic.Bool
	return &end{a, &aClosed, &bClosed}, &end{b, &bClosed, &aClosed}
}

func (e *end) Close() error {
	e.closed.Store(true)
	return e.Conn.Close()
}

// PeerGone reports whether the other end was closed.
func (e *end) PeerGone() bool { return e.peerClosed.Load() }

// feed is a listener whose connections come from elsewhere in the process.
type feed struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

// give hands a connection to whoever accepts; it closes it and reports false
// when nobody does any more.
func (f *feed) give(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		c.Close()
		return false
	}
}

func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

func (f *feed) Addr() net.Addr { return &net.UnixAddr{Name: "in memory", Net: "unix"} }

// quiet takes what net/http would log: broken connections are what a hop is for.
var quiet = log.New(io.Discard, "", 0)

// forward sends r on and the response back, streaming both ways, with the
// response's trailers and those of the request that its Trailer field
// announces; net/http shows no others. An upstream that fails before its
// response aborts the exchange.
func forward(w http.ResponseWriter, r *http.Request, roundTrip func(*http.Request) (*http.Response, error)) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme = "", "http"
	if out.URL.Host = r.Host; out.URL.Host == "" {
		out.URL.Host = "unnamed"
	}
	if len(r.Trailer) > 0 {
		out.Trailer = r.Trailer // filled in when the body has been read
		out.ContentLength = -1  // HTTP/1.1 has trailers in chunked bodies only
		out.Header.Del("Content-Length")
	} else if r.ContentLength == 0 {
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
	resp, err := roundTrip(out)
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
	if len(resp.Trailer) > 0 {
		h.Del("Content-Length") // HTTP/1.1 has trailers in chunked bodies only
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
