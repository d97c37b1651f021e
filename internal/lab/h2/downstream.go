package h2

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

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
