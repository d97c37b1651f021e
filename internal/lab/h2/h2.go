// Package h2 lets the HTTP/1.1 hops of the lab carry HTTP/2 and gRPC: an
// HTTP/2 connection on either side is turned into HTTP/1.1 connections in
// memory, so that what a hop decides (routes, retries, timeouts, header
// fields, local replies) is written once. Streams stay streams and trailers
// are carried over, which is all that gRPC needs. It costs more per request
// than HTTP/1.1 does; the lab's measurements are of HTTP/1.1.
package h2

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// ConnHandler serves an HTTP/1.1 connection, as relay.Server.Take does, and
// returns at once.
type ConnHandler func(c net.Conn, peer, local net.Addr)

// Peer is the address of a client that speaks HTTP/2 with the hop.
type Peer struct{ net.Addr }

// DownstreamCodec accepts HTTP/2 connections and gives each request to an
// HTTP/1.1 ConnHandler. Use NewDownstreamCodec or NewEnvoyCodec. It is safe for
// concurrent use.
type DownstreamCodec struct {
	take ConnHandler
	idle time.Duration
	in   *memListener
	srv  *http.Server
	// envoy makes it read requests as an Envoy does; see NewEnvoyCodec.
	envoy bool

	mu         sync.Mutex
	transports map[net.Conn]*http.Transport // by HTTP/2 connection
	wg         sync.WaitGroup
}

// NewDownstreamCodec returns a running codec. It closes a connection that had
// no stream for idle (real time; 0: never).
func NewDownstreamCodec(take ConnHandler, idle time.Duration) *DownstreamCodec {
	return startDownstream(&DownstreamCodec{take: take, idle: idle}, idle)
}

// NewEnvoyCodec returns a running codec that takes requests as an Envoy does, and hides
// from net/http what that would change of them: the hop must read them with
// h1.Limits.Escaped. A connection that has had no stream for idle is told so, and closed
// when it has none for drain longer (real time; 0 for idle: never).
func NewEnvoyCodec(take ConnHandler, idle, drain time.Duration) *DownstreamCodec {
	end := idle
	if idle > 0 {
		end += drain
	}
	return startDownstream(&DownstreamCodec{take: take, idle: idle, envoy: true}, end)
}

func startDownstream(d *DownstreamCodec, idle time.Duration) *DownstreamCodec {
	d.in = newMemListener()
	d.srv = &http.Server{
		Protocols: &http.Protocols{}, IdleTimeout: idle, ErrorLog: quiet,
		Handler:     http.HandlerFunc(d.forward),
		ConnContext: d.open,
		ConnState:   d.track,
	}
	d.srv.Protocols.SetHTTP2(true)
	d.srv.Protocols.SetUnencryptedHTTP2(true)
	d.wg.Go(func() { d.srv.Serve(d.in) })
	return d
}

// Serve serves a connection that speaks HTTP/2: with prior knowledge, or a
// *tls.Conn whose handshake has settled on it.
func (d *DownstreamCodec) Serve(c net.Conn) {
	if d.envoy {
		c = &edited{Conn: c, in: fromClient()}
	}
	d.in.give(c)
}

// Close closes all HTTP/2 connections.
func (d *DownstreamCodec) Close() {
	d.in.Close()
	d.srv.Close()
	d.wg.Wait()
}

type transportKey struct{}

// open gives each HTTP/2 connection its own HTTP/1.1 connections, so that the
// hop sees who the client is.
func (d *DownstreamCodec) open(ctx context.Context, c net.Conn) context.Context {
	peer, local := Peer{c.RemoteAddr()}, c.LocalAddr()
	tr := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 256, IdleConnTimeout: d.idle,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := pipe()
			near.client = true
			d.take(far, peer, local)
			return near, nil
		},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.transports == nil {
		d.transports = map[net.Conn]*http.Transport{}
	}
	d.transports[c] = tr
	return context.WithValue(ctx, transportKey{}, tr)
}

func (d *DownstreamCodec) track(c net.Conn, s http.ConnState) {
	if e, ok := c.(*edited); ok && d.idle > 0 {
		e.idle(s == http.StateIdle || s == http.StateNew, d.idle)
	}
	if s != http.StateClosed && s != http.StateHijacked {
		return
	}
	d.mu.Lock()
	tr := d.transports[c]
	delete(d.transports, c)
	d.mu.Unlock()
	if tr != nil {
		tr.CloseIdleConnections()
	}
}

func (d *DownstreamCodec) forward(w http.ResponseWriter, r *http.Request) {
	trip := r.Context().Value(transportKey{}).(*http.Transport).RoundTrip
	if d.envoy {
		frameAsCame(r)
		if r.Header.Get(h1.Escape+"expect") != "" {
			trip = continuing(w, trip)
		}
	} else {
		wantTrailers(r)
	}
	forward(w, r, trip, false)
}

// UpstreamCodec dials connections that speak HTTP/1.1 with the hop and HTTP/2
// with the upstream, over one connection as long as that takes streams. Use
// NewUpstreamCodec. It is safe for concurrent use.
type UpstreamCodec struct {
	tr     *http.Transport
	scheme string
	srv    *http.Server
	in     *memListener
	wg     sync.WaitGroup
	// explain makes responses say what HTTP/1.1 cannot; see Explain.
	explain bool

	mu  sync.Mutex
	cc  *http.ClientConn
	old []*http.ClientConn // that take no more streams and may still have some open
}

// NewUpstreamCodec returns a running codec whose upstream is reached by dial.
// With a TLS configuration the connections are TLS.
func NewUpstreamCodec(dial relay.Dialer, config *tls.Config) *UpstreamCodec {
	u := &UpstreamCodec{in: newMemListener(), tr: NewTransport(dial, config), scheme: schemeOf(config)}
	u.srv = &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(u.forward)}
	u.srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, sessionKey{}, c.(*end).session)
	}
	u.wg.Go(func() { u.srv.Serve(u.in) })
	return u
}

type sessionKey struct{}

// forward sends a request over the session of its connection, or the connection
// that the codec has made for itself.
func (u *UpstreamCodec) forward(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	if s := r.Context().Value(sessionKey{}).(*session); s != nil {
		if r.Header.Get("Upgrade") != "" {
			tunnel(w, r, s.roundTrip)
		} else {
			forward(w, r, s.roundTrip, u.explain)
		}
		return
	}
	cc, err := u.conn(time.Minute)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	wantTrailers(r)
	forward(w, r, cc.RoundTrip, u.explain)
}

// Explain makes the codec's responses carry fields for the hop alone:
// h1.StreamLength, and h1.StreamError in a response of its own when a stream
// ended without one. Call it before the codec is used.
func (u *UpstreamCodec) Explain() { u.explain = true }

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
func (u *UpstreamCodec) conn(timeout time.Duration) (*http.ClientConn, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cc != nil && u.cc.Err() == nil && u.cc.Available() > 0 {
		return u.cc, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cc, err := u.tr.NewClientConn(ctx, u.scheme, "upstream:0")
	if err != nil {
		return nil, err
	}
	if u.cc != nil {
		u.old = append(u.old, u.cc)
	}
	u.old = slices.DeleteFunc(u.old, func(o *http.ClientConn) bool {
		idle := o.InFlight() == 0
		if idle {
			o.Close()
		}
		return idle
	})
	u.cc = cc
	return cc, nil
}

// Dial returns a connection for one request after another. It connects to the
// upstream first, so that the hop sees a failure to connect as one.
func (u *UpstreamCodec) Dial(timeout time.Duration) (net.Conn, error) {
	if _, err := u.conn(timeout); err != nil {
		return nil, err
	}
	near, far := pipe()
	if !u.in.give(far) {
		near.Close()
		u.disconnect() // or what was just connected would stay
		return nil, relay.ErrClosed
	}
	return near, nil
}

// Close ends all connections.
func (u *UpstreamCodec) Close() {
	u.in.Close()
	u.srv.Close()
	u.wg.Wait()
	u.disconnect()
}

// disconnect ends the connections to the upstream.
func (u *UpstreamCodec) disconnect() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, cc := range append(u.old, u.cc) {
		if cc != nil {
			cc.Close()
		}
	}
	u.cc, u.old = nil, nil
}

// end is one end of a connection in memory. It can tell whether the other one
// was closed without reading from it: that is how a hop notices a stream that
// its client has cancelled.
type end struct {
	net.Conn
	closed, peerClosed *atomic.Bool
	closing            func() // called by the first Close; may be nil
	// client is the end of an HTTP client. What it writes after the other end was
	// closed is lost, as in a socket's buffer: it may have its answer already, and
	// must read it before it learns of the end.
	client bool

	session *session // that the connection is a stream of; nil for the codec's own
	out     bool     // it was taken of the session and not given back
}

func pipe() (near, far *end) {
	a, b := net.Pipe()
	var aClosed, bClosed atomic.Bool
	return &end{Conn: a, closed: &aClosed, peerClosed: &bClosed}, &end{Conn: b, closed: &bClosed, peerClosed: &aClosed}
}

func (e *end) Write(p []byte) (int, error) {
	n, err := e.Conn.Write(p)
	if err != nil && e.client && e.peerClosed.Load() && !e.closed.Load() {
		return len(p), nil
	}
	return n, err
}

func (e *end) Close() error {
	first := !e.closed.Swap(true)
	err := e.Conn.Close()
	if first && e.closing != nil {
		e.closing()
	}
	return err
}

// PeerGone reports whether the other end was closed.
func (e *end) PeerGone() bool { return e.peerClosed.Load() }

// memListener is a listener of connections from within the process.
type memListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give passes a connection to Accept; it closes it and reports false when the
// listener is closed.
func (l *memListener) give(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		c.Close()
		return false
	}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "in memory", Net: "unix"} }

// quiet discards net/http's log: a lab breaks connections on purpose.
var quiet = log.New(io.Discard, "", 0)

// roundTrip carries out a request.
type roundTrip func(*http.Request) (*http.Response, error)

// wantTrailers says so in a gRPC request that has come through a hop which has dropped
// that with the other connection fields.
func wantTrailers(r *http.Request) {
	if IsGRPC(r.Header.Get("Content-Type")) {
		r.Header.Set("Te", "trailers")
	}
}

// forward sends r on and the response back, streaming both ways, with the
// response's trailers and those of the request that its Trailer field
// announces; net/http shows no others. An upstream that fails before its
// response aborts the exchange.
func forward(w http.ResponseWriter, r *http.Request, trip roundTrip, explain bool) {
	out := outgoing(r)
	if len(r.Trailer) > 0 {
		out.Trailer = r.Trailer // filled in when the body has been read
		out.ContentLength = -1  // HTTP/1.1 has trailers in chunked bodies only
		out.Header.Del("Content-Length")
	} else if r.ContentLength == 0 {
		out.Body = nil
	}
	resp, err := trip(out)
	if err != nil {
		fail(w, err, explain)
		return
	}
	deliver(w, resp, explain)
}

// outgoing returns r as a request to send, without what concerns its connection.
func outgoing(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme = "", "http"
	if out.URL.Host = r.Host; out.URL.Host == "" {
		out.URL.Host = "unnamed"
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // or the transport would name itself
	}
	for _, h := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		out.Header.Del(h)
	}
	return out
}

// fail tells the hop of an upstream that failed before its response.
func fail(w http.ResponseWriter, err error, explain bool) {
	text, _ := streamError(err)
	if !explain || text == "" {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set(h1.StreamErrorName, text)
	w.WriteHeader(http.StatusBadGateway)
}

// deliver sends a response back.
func deliver(w http.ResponseWriter, resp *http.Response, explain bool) {
	// Closing waits for a request that is not complete, and this response is.
	defer func() { go resp.Body.Close() }()
	h := w.Header()
	for k, v := range resp.Header {
		switch k {
		case "Connection", "Keep-Alive", "Transfer-Encoding":
			continue
		}
		if own, hidden := strings.CutPrefix(strings.ToLower(k), h1.Escape); hidden && !explain {
			k = http.CanonicalHeaderKey(own)
			h.Del(k) // which net/http may have made of it
		}
		h[k] = v
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = nil // left to the next hop
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	announced := slices.Sorted(maps.Keys(resp.Trailer))
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ",")}
	}
	switch length := h.Get(h1.StreamLengthName); {
	case length == h1.NoLength:
		h.Del(h1.StreamLengthName)
		h["Content-Length"] = nil // and net/http says none
	case length != "":
		h.Del(h1.StreamLengthName)
		h.Set("Content-Length", length) // said again, in HTTP/2
	case len(resp.Trailer) > 0 && h.Get("Content-Length") != "":
		if explain {
			h.Set(h1.StreamLengthName, h.Get("Content-Length"))
		}
		h.Del("Content-Length") // HTTP/1.1 has trailers in chunked bodies only
	case explain && resp.ContentLength == 0 && h.Get("Content-Length") == "":
		h.Set(h1.StreamLengthName, h1.NoLength)
	}
	w.WriteHeader(resp.StatusCode)
	flusher := http.NewResponseController(w)
	if resp.ContentLength != 0 {
		flusher.Flush() // a stream's client waits for the head
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 && (err == nil || err == io.EOF) { // with any other error they are not the response's
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
		switch {
		case len(v) == 0: // announced, and not there
		case slices.Contains(announced, k):
			h[k] = v
		default:
			h[http.TrailerPrefix+k] = v
		}
	}
}

// IsGRPC reports whether a content type is gRPC's.
func IsGRPC(contentType string) bool {
	return contentType == "application/grpc" || strings.HasPrefix(contentType, "application/grpc+") || strings.HasPrefix(contentType, "application/grpc;")
}
