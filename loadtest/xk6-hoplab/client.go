package hoplab

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	"go.k6.io/k6/lib/netext"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// dialFunc opens a TCP connection. k6's dialer is one; it knows k6's options
// for names and addresses.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// client sends the requests of one virtual user, one at a time, over one
// connection per arm, in HTTP/1.1 or as the load says in HTTP/2. It follows no redirect, as no load balancer
// would. It is not safe for concurrent use.
type client struct {
	load      *samplefile.Load
	dial      dialFunc
	tls       *tls.Config // nil means the defaults
	timeout   time.Duration
	keepAlive bool
	opened    *atomic.Int64 // counts connections
	arms      []target
	conns     []*persistent // by arm; nil when there is none
}

// target is an arm, prepared: what to dial and the bytes to send.
type target struct {
	address string
	dial    dialFunc                // nil for the client's own
	inside  func(dialFunc) dialFunc // makes a dialer's sockets in the arm's network namespace; nil for the process's own
	server  string                  // TLS server name; "" for plain HTTP
	request []byte                  // of HTTP/1.1
	model   *http.Request           // of HTTP/2
}

// dialFrom returns a dialer that connects from a local address. It is k6's, so
// that the arm's connections cost what the other arms' do; it resolves no
// names, and an arm with a local address has none to resolve.
func dialFrom(ip net.IP) dialFunc {
	return netext.NewDialer(net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}, nil).DialContext
}

// exchange is the result of one request.
type exchange struct {
	latency, blocked time.Duration
	outcome          samplefile.Outcome
}

func newTarget(arm samplefile.LoadArm, load *samplefile.Load) (target, error) {
	u, err := url.Parse(arm.URL)
	if err != nil {
		return target{}, err
	}
	t := target{address: arm.Dial}
	if arm.From != "" {
		t.dial = dialFrom(net.ParseIP(arm.From))
	}
	if arm.Namespace != 0 {
		if t.inside, err = inNamespace(arm.Namespace); err != nil {
			return target{}, err
		}
	}
	if t.address == "" {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		t.address = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Scheme == "https" {
		t.server = cmp.Or(arm.ServerName, u.Hostname())
	}
	fields, err := fieldsOf(load, u)
	if err != nil {
		return target{}, err
	}
	if load.Request != nil && load.Request.HTTP2 {
		t.model = h2Request(load, u, fields)
		return t, nil
	}
	t.request = h1Request(load, u, fields)
	return t, nil
}

func newClient(load *samplefile.Load, dial dialFunc, tlsConfig *tls.Config, opened *atomic.Int64) (*client, error) {
	tlsConfig, err := trusting(load, tlsConfig)
	if err != nil {
		return nil, err
	}
	c := &client{
		load: load, dial: dial, tls: tlsConfig, timeout: samplefile.Seconds(load.TimeoutS),
		keepAlive: load.KeepAlive, opened: opened, conns: make([]*persistent, len(load.Arms)),
	}
	for _, arm := range load.Arms {
		t, err := newTarget(arm, load)
		if err != nil {
			return nil, err
		}
		c.arms = append(c.arms, t)
	}
	return c, nil
}

// do sends one request to an arm. began is when the request was due to start
// its work: blocked and the timeout count from it. A failure is an outcome
// like any other. A kept connection that the server closed before the first
// byte of the answer is replaced once, as RFC 9112 section 9.3.1 allows for a
// GET, and for another request of a measurement, which may be sent any number of
// times; its time is then part of blocked.
func (c *client) do(ctx context.Context, arm int, began time.Time) exchange {
	for {
		conn, reused := c.conns[arm], true
		if conn != nil && !conn.usable() {
			c.drop(arm)
			conn = nil
		}
		if conn == nil {
			var err error
			if conn, err = c.connect(ctx, arm, began); err != nil {
				return exchange{blocked: time.Since(began), outcome: samplefile.Outcome{Error: errorKind(err), ServiceMs: -1}}
			}
			c.conns[arm], reused = conn, false
		}
		bounded, release := conn.bound(ctx, began.Add(c.timeout))
		sent := time.Now()
		outcome, err := conn.roundTrip(bounded, &c.arms[arm], c.load)
		done := time.Now()
		cut := !release()
		if err != nil && reused && conn.stale(err) && ctx.Err() == nil {
			c.drop(arm)
			continue
		}
		if err != nil {
			outcome.Error = errorKind(err)
		}
		if err != nil || cut || conn.closing || !c.keepAlive {
			c.drop(arm)
		}
		outcome.Reused = reused
		return exchange{latency: done.Sub(sent), blocked: sent.Sub(began), outcome: outcome}
	}
}

// warmTimeout bounds the dialling ahead: an arm that does not answer must not
// keep a user from its requests.
const warmTimeout = time.Second

// warm opens the connections that the user does not have yet, so that the
// measured time is not spent on them: a user comes round so seldom that it may
// not have met every arm when the warm-up ends. It sends nothing. An arm that
// cannot be reached is left to the requests, which record why.
func (c *client) warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(warmTimeout, c.timeout))
	defer cancel()
	for arm, conn := range c.conns {
		if conn == nil {
			if opened, err := c.connect(ctx, arm, time.Now()); err == nil {
				c.conns[arm] = opened
			}
		}
	}
}

func (c *client) connect(ctx context.Context, arm int, began time.Time) (*persistent, error) {
	dialCtx, cancel := context.WithDeadline(ctx, began.Add(c.timeout))
	defer cancel()
	t := c.arms[arm]
	dial := c.dial
	if t.dial != nil {
		dial = t.dial
	}
	if t.inside != nil {
		dial = t.inside(dial)
	}
	raw, err := dial(dialCtx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	c.opened.Add(1)
	p := &persistent{Conn: raw}
	if t.server != "" {
		cfg := c.tls.Clone()
		if cfg == nil {
			cfg = &tls.Config{}
		}
		cfg.ServerName, cfg.NextProtos = t.server, []string{"http/1.1"}
		if t.model != nil {
			cfg.NextProtos = []string{protoHTTP2}
		}
		secure := tls.Client(raw, cfg)
		if err := secure.HandshakeContext(dialCtx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		p.Conn = secure
		if t.model != nil && secure.ConnectionState().NegotiatedProtocol != protoHTTP2 {
			_ = raw.Close()
			return nil, errors.New("the server does not speak HTTP/2")
		}
	}
	p.in.r = p.Conn
	if t.model != nil {
		return p, p.multiplex()
	}
	p.br = bufio.NewReaderSize(&p.in, 4<<10)
	return p, nil
}

func (c *client) drop(arm int) {
	if p := c.conns[arm]; p != nil {
		_ = p.Close()
		c.conns[arm] = nil
	}
}

// protoHTTP2 is the name of HTTP/2 in a TLS handshake.
const protoHTTP2 = "h2"

// persistent is a connection and what was read from it.
type persistent struct {
	net.Conn
	in      counter
	br      *bufio.Reader    // of HTTP/1.1
	h2      *http.ClientConn // nil for HTTP/1.1
	before  int64            // bytes consumed before the current response
	closing bool             // the server will close after the last response
}

// counter counts the bytes read, which HTTP/2 does from a goroutine of its own.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// consumed is the number of bytes taken from the connection's stream so far.
func (p *persistent) consumed() int64 {
	n := p.in.n.Load()
	if p.br != nil {
		n -= int64(p.br.Buffered())
	}
	return n
}

// bound gives the next request its end: at the deadline, or when ctx ends. release
// takes that back and reports whether ctx had not ended. HTTP/2 reads between
// requests too, so that there the end is the request's and not the connection's.
func (p *persistent) bound(ctx context.Context, deadline time.Time) (bounded context.Context, release func() bool) {
	if p.h2 != nil {
		bounded, cancel := context.WithDeadline(ctx, deadline)
		return bounded, func() bool { cancel(); return ctx.Err() == nil }
	}
	_ = p.SetDeadline(deadline)
	return ctx, context.AfterFunc(ctx, func() { _ = p.SetDeadline(time.Unix(1, 0)) }) // the run ends: so does the request
}

// usable reports whether a kept connection can take a request: nothing arrived
// that nobody asked for, and the server has not said that it goes away.
func (p *persistent) usable() bool {
	if p.h2 != nil {
		return p.h2.Available() > 0
	}
	return p.br.Buffered() == 0
}

// roundTrip writes the request and reads the whole response. On an error the
// outcome holds what had arrived.
func (p *persistent) roundTrip(ctx context.Context, t *target, load *samplefile.Load) (samplefile.Outcome, error) {
	p.before = p.consumed()
	if p.h2 != nil {
		return p.stream(ctx, t, load)
	}
	o := samplefile.Outcome{ServiceMs: -1}
	if _, err := p.Write(t.request); err != nil {
		return o, err
	}
	sent := &http.Request{Method: load.SendMethod()}
	resp, err := http.ReadResponse(p.br, sent)
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(p.br, sent) // interim responses say nothing
	}
	if err != nil {
		return o, err
	}
	o.Status = resp.StatusCode
	o.HeaderBytes = int(p.consumed() - p.before)
	p.closing = resp.Close
	evidence(&o, resp.Header.Values, load)
	n, err := io.Copy(io.Discard, resp.Body)
	o.BodyBytes = int(n)
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	return o, err
}

// stale reports whether err means that the server had given the connection up
// before it saw the request: it ended without one byte of an answer.
func (p *persistent) stale(err error) bool {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	return ended && p.in.n.Load() == p.before
}
