package hoplab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.k6.io/k6/lib/netext"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// dialFunc opens a TCP connection. k6's dialer is one; it knows k6's options
// for names and addresses.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// client sends the requests of one virtual user: HTTP/1.1 GETs or POSTs, one at
// a time, over one connection per arm. It follows no redirect, as no load balancer
// would. It is not safe for concurrent use.
type client struct {
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
	request []byte
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
		t.server = u.Hostname()
	}
	// Host and User-Agent are what k6/http sends; both clients cost the path the same.
	text := method(load) + " " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nUser-Agent: hoplab\r\n"
	body := bodyOf(load)
	if body != "" {
		text += "Content-Length: " + strconv.Itoa(len(body)) + "\r\nContent-Type: text/plain\r\n"
	}
	if !load.KeepAlive {
		text += "Connection: close\r\n"
	}
	t.request = []byte(text + "\r\n" + body)
	return t, nil
}

// method is that of every request of a load.
func method(load *samplefile.Load) string {
	if load.RequestBytes > 0 {
		return http.MethodPost
	}
	return http.MethodGet
}

// bodyOf is what every request of a load carries.
func bodyOf(load *samplefile.Load) string { return strings.Repeat("x", load.RequestBytes) }

func newClient(load *samplefile.Load, dial dialFunc, tlsConfig *tls.Config, opened *atomic.Int64) (*client, error) {
	c := &client{
		dial: dial, tls: tlsConfig, timeout: samplefile.Seconds(load.TimeoutS),
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
// GET, and for a POST of which the client knows that it changes nothing, as the
// measured app's; its time is then part of blocked.
func (c *client) do(ctx context.Context, arm int, began time.Time) exchange {
	for {
		conn, reused := c.conns[arm], true
		if conn != nil && conn.br.Buffered() > 0 { // bytes that nobody asked for
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
		_ = conn.SetDeadline(began.Add(c.timeout))
		release := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // the run ends: so does the request
		sent := time.Now()
		outcome, err := conn.roundTrip(c.arms[arm].request)
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
		secure := tls.Client(raw, cfg)
		if err := secure.HandshakeContext(dialCtx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		p.Conn = secure
	}
	p.br = bufio.NewReaderSize(&p.in, 4<<10)
	p.in.r = p.Conn
	return p, nil
}

func (c *client) drop(arm int) {
	if p := c.conns[arm]; p != nil {
		_ = p.Close()
		c.conns[arm] = nil
	}
}

// persistent is a connection and what was read from it.
type persistent struct {
	net.Conn
	in      counter
	br      *bufio.Reader
	before  int64 // bytes consumed before the current response
	closing bool  // the server will close after the last response
}

// counter counts the bytes read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// consumed is the number of bytes taken from the connection's stream so far.
func (p *persistent) consumed() int64 { return p.in.n - int64(p.br.Buffered()) }

var getRequest = &http.Request{Method: http.MethodGet}

// roundTrip writes the request and reads the whole response. On an error the
// outcome holds what had arrived.
func (p *persistent) roundTrip(request []byte) (samplefile.Outcome, error) {
	o := samplefile.Outcome{ServiceMs: -1}
	p.before = p.consumed()
	if _, err := p.Write(request); err != nil {
		return o, err
	}
	resp, err := http.ReadResponse(p.br, getRequest)
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(p.br, getRequest) // interim responses say nothing
	}
	if err != nil {
		return o, err
	}
	o.Status = resp.StatusCode
	o.HeaderBytes = int(p.consumed() - p.before)
	p.closing = resp.Close
	h := resp.Header
	evidence(&o, h.Get, func(k string) bool { _, ok := h[k]; return ok })
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
	return ended && p.in.n == p.before
}
