package alb

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// tlsListener takes the connections of an HTTPS listener and gives them to the
// listener in the protocol that the handshake chose.
type tlsListener struct {
	listener *listener
	config   *tls.Config
	codec    *h2.DownstreamCodec
	wg       sync.WaitGroup
}

func newTLSListener(l *listener) (*tlsListener, error) {
	if l.cfg.Certificate == nil {
		return nil, fmt.Errorf("an HTTPS listener needs a certificate")
	}
	config, err := l.cfg.Certificate.Server("h2", "http/1.1")
	if err != nil {
		return nil, err
	}
	return &tlsListener{listener: l, config: config, codec: h2.NewDownstreamCodec(l.server.Take, l.node.idle)}, nil
}

func (t *tlsListener) serve(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		t.wg.Go(func() { t.handshake(c) })
	}
}

func (t *tlsListener) handshake(c net.Conn) {
	conn := tls.Server(c, t.config)
	ctx, cancel := context.WithTimeout(context.Background(), t.listener.node.clock.Real(tlsTimeout))
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		c.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		t.codec.Serve(conn)
		return
	}
	t.listener.server.Take(conn, c.RemoteAddr(), c.LocalAddr())
}

func (t *tlsListener) close() {
	t.wg.Wait() // the listener is closed; handshakes end within their timeout
	t.codec.Close()
}

// http2 reports whether the group's targets are spoken to in HTTP/2.
func (g *group) http2() bool { return g.cfg.Version == "HTTP2" || g.cfg.Version == "GRPC" }

// tls returns the configuration towards the group's targets, nil for plain
// HTTP. The load balancer does not verify its targets' certificates.
func (g *group) tls() *tls.Config {
	if g.cfg.Protocol != "HTTPS" {
		return nil
	}
	return certs.Unverified("", tls.VersionTLS12)
}

// fits reports whether a request's protocol suits the group's protocol
// version; one that does not is answered with 464.
func (g *group) fits(x *relay.Exchange) bool {
	if !g.http2() {
		return true
	}
	_, two := x.Peer.(h2.Peer)
	return two && (g.cfg.Version != "GRPC" || h2.IsGRPC(string(x.Req.Get(h1.ContentType))))
}

// probeHTTP2 is the health check of a group with protocol version HTTP2.
func probeHTTP2(ctx context.Context, c net.Conn, config *tls.Config, host, path string) (int, error) {
	resp, _, err := roundTrip2(ctx, c, config, http.MethodGet, host, path, nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// probeGRPC calls the method that the path names with an empty message and
// returns its grpc-status.
func probeGRPC(ctx context.Context, c net.Conn, config *tls.Config, host, path string) (int, error) {
	emptyMessage := []byte{0, 0, 0, 0, 0} // not compressed, length 0
	resp, trailer, err := roundTrip2(ctx, c, config, http.MethodPost, host, path, emptyMessage)
	if err != nil {
		return 0, err
	}
	status := trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status")
	}
	n, err := strconv.Atoi(status)
	if err != nil {
		return 0, fmt.Errorf("no grpc-status in the answer (HTTP status %d)", resp.StatusCode)
	}
	return n, nil
}

func roundTrip2(ctx context.Context, c net.Conn, config *tls.Config, method, host, path string,
	body []byte) (*http.Response, http.Header, error) {
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	cc, err := h2.NewTransport(func(time.Duration) (net.Conn, error) { return c, nil }, config).NewClientConn(ctx, scheme, host)
	if err != nil {
		return nil, nil, err
	}
	defer cc.Close()
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	if body != nil {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
	}
	resp, err := cc.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, nil, err
	}
	return resp, resp.Trailer, nil
}

// defaultHealthPath is what a GRPC group checks unless told otherwise.
const defaultHealthPath = "/AWS.ALB/healthcheck"

// WithDefaults fills in the health check's defaults, section 6 of the semantics.
func (h Health) WithDefaults(version string) Health {
	set := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	set(&h.Protocol, "HTTP")
	if version == "GRPC" {
		set(&h.Path, defaultHealthPath)
		set(&h.Matcher, "12")
	}
	set(&h.Path, "/")
	set(&h.Matcher, "200")
	h.Interval = orDefault(h.Interval, 30*time.Second)
	h.Timeout = orDefault(h.Timeout, 5*time.Second)
	h.Healthy = orDefault(h.Healthy, 5)
	h.Unhealthy = orDefault(h.Unhealthy, 2)
	return h
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
