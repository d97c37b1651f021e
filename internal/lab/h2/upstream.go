package h2

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/relay"
)

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
