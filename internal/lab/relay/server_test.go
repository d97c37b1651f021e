package relay_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// TestDrain: idle connections end at once, a busy one after its exchange, and
// a new one is served once.
func TestDrain(t *testing.T) {
	slow, release := make(chan struct{}), make(chan struct{})
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := headOf(r)
			if err != nil {
				return
			}
			if strings.HasPrefix(head, "GET /slow") {
				close(slow)
				<-release
			}
			io.WriteString(c, two)
		}
	})
	s := startHop(t, u, nil)
	idle, busy := dial(t, s.addr), dial(t, s.addr)
	io.WriteString(idle, get)
	if _, err := io.ReadFull(idle, make([]byte, len(two))); err != nil {
		t.Fatal(err)
	}
	s.next(t)
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	select {
	case <-slow:
	case <-time.After(patience):
		t.Fatal("the upstream does not get the request")
	}
	s.server.Drain()
	if !s.server.Draining() {
		t.Error("the server does not say that it drains")
	}
	if got, err := io.ReadAll(idle); err != nil || len(got) > 0 {
		t.Errorf("the idle connection: %q, %v; want its end", got, err)
	}
	close(release)
	if got, err := io.ReadAll(busy); err != nil || string(got) != two {
		t.Errorf("the busy connection: %q, %v; want its response and its end", got, err)
	}
	if got := s.call(t, get, true); got != two {
		t.Errorf("a new connection: %q", got)
	}
}

// TestClose: all connections end and are waited for, and none is taken any more.
func TestClose(t *testing.T) {
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	var opened, closed atomic.Int32
	s := startHop(t, u, func(s *served) {
		s.server.Opened = func() { opened.Add(1) }
		s.server.Closed = func() { closed.Add(1) }
	})
	idle, busy := dial(t, s.addr), dial(t, s.addr)
	io.WriteString(busy, get)
	waitFor(t, "two connections are open, one of them to the upstream too", func() bool { return opened.Load() == 2 && u.accepted() == 1 })
	if closed.Load() != 0 {
		t.Errorf("%d connections were closed before Close", closed.Load())
	}
	s.server.Close()
	if closed.Load() != 2 {
		t.Errorf("%d of 2 connections had ended when Close returned", closed.Load())
	}
	for _, c := range []net.Conn{idle, busy} {
		if _, err := io.ReadAll(c); isTimeout(err) {
			t.Errorf("a client still waits: %v", err)
		}
	}
	near, far := net.Pipe()
	s.server.Take(far, far.RemoteAddr(), far.LocalAddr())
	near.SetDeadline(time.Now().Add(patience))
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection that comes later: %v, want its end", err)
	}
}

func isTimeout(err error) bool { return h1.IsTimeout(err) }

// TestAddresses: an exchange knows who its client is as Take was told.
func TestAddresses(t *testing.T) {
	peer, local := &net.UnixAddr{Name: "peer"}, &net.UnixAddr{Name: "local"}
	seen := make(chan bool, 1)
	s := startHop(t, nil, func(s *served) {
		s.instead = func(x *relay.Exchange) bool {
			seen <- x.Peer == peer && x.Local == local && x.IsHead() && string(x.Req.Target) == "/x" && !x.Start.IsZero() && x.Sent.IsZero()
			return false
		}
	})
	near, far := net.Pipe()
	defer near.Close()
	s.server.Take(far, peer, local)
	go io.WriteString(near, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
	if !<-seen {
		t.Error("the exchange's peer, local address, method, target or times are not what Take and the client gave")
	}
}

// pooled makes a pool over an upstream that never says anything.
func pooled(t *testing.T, idle time.Duration) (*relay.Pool, *upstream) {
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	p := relay.NewPool(u.dial, idle)
	t.Cleanup(p.Close)
	return p, u
}

func take(t *testing.T, p *relay.Pool, now time.Time) *h1.Conn {
	t.Helper()
	c, err := p.Get(now, patience)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// gone waits until the peer of c has closed it.
func gone(t *testing.T, c *h1.Conn) {
	t.Helper()
	waitFor(t, "the connection is closed", func() bool {
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := c.Conn.Read(make([]byte, 1))
		return err != nil && !isTimeout(err)
	})
}

// TestPool: the connection that was used last comes first, one that the peer
// has closed or that was idle for too long does not come at all.
func TestPool(t *testing.T) {
	const idle = time.Minute
	p, u := pooled(t, idle)
	now := time.Now()
	a, b := take(t, p, now), take(t, p, now)
	if a.Served != 0 || u.accepted() > 2 {
		t.Errorf("a new connection has served %d", a.Served)
	}
	p.Put(a, now)
	p.Put(b, now.Add(time.Second))
	if c := take(t, p, now.Add(time.Second)); c != b || c.Served != 1 {
		t.Errorf("got a connection that served %d, want the one used last", c.Served)
	}
	if c := take(t, p, now.Add(idle-time.Millisecond)); c != a {
		t.Error("a connection that was idle for less than its time is not used")
	}
	p.Put(a, now)
	if c := take(t, p, now.Add(idle)); c == a {
		t.Error("a connection that was idle for its whole time is used")
	}
	gone(t, a)

	// One that the peer has closed.
	waitFor(t, "three connections", func() bool { return u.accepted() == 3 })
	p.Put(b, now)
	u.mu.Lock()
	for _, c := range u.conns {
		c.Close()
	}
	u.mu.Unlock()
	waitFor(t, "the pool sees that the peer has closed it", func() bool { return !b.Quiet() })
	if c := take(t, p, now); c == b || c.Served != 0 {
		t.Error("a connection that the peer has closed is used")
	}
}

// TestSweep closes what was idle for too long, and nothing else.
func TestSweep(t *testing.T) {
	p, _ := pooled(t, time.Minute)
	now := time.Now()
	old, young := take(t, p, now), take(t, p, now)
	p.Put(old, now)
	p.Put(young, now.Add(30*time.Second))
	p.Sweep(now.Add(time.Minute - time.Nanosecond))
	if !old.Quiet() {
		t.Fatal("closed too early")
	}
	p.Sweep(now.Add(time.Minute))
	gone(t, old)
	if c := take(t, p, now.Add(time.Minute)); c != young {
		t.Error("the younger one was swept")
	}
	forever, _ := pooled(t, 0)
	c := take(t, forever, now)
	forever.Put(c, now)
	forever.Sweep(now.Add(1000 * time.Hour))
	if got := take(t, forever, now.Add(1000*time.Hour)); got != c {
		t.Error("a pool without a limit closed a connection")
	}
}

// TestPoolClose: idle connections end, and nothing is given out or kept any more.
func TestPoolClose(t *testing.T) {
	p, _ := pooled(t, 0)
	idle, out := take(t, p, time.Now()), take(t, p, time.Now())
	p.Put(idle, time.Now())
	p.Close()
	gone(t, idle)
	if c, err := p.Get(time.Now(), patience); err == nil {
		t.Errorf("got %v of a closed pool", c)
	}
	p.Put(out, time.Now())
	gone(t, out)
}

// TestPoolPutUnread: a connection with bytes nobody asked for is not used again.
func TestPoolPutUnread(t *testing.T) {
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, two+"more")
		io.Copy(io.Discard, r)
	})
	p := relay.NewPool(u.dial, 0)
	defer p.Close()
	c := take(t, p, time.Now())
	var resp h1.Response
	if err := c.ReadResponse(&resp, limits); err != nil {
		t.Fatal(err)
	}
	p.Put(c, time.Now())
	gone(t, c)
}

// TestDialError: who cannot connect gets the dialer's own error.
func TestDialError(t *testing.T) {
	why := errors.New("no route")
	var limit time.Duration
	p := relay.NewPool(func(d time.Duration) (net.Conn, error) { limit = d; return nil, why }, 0)
	if _, err := p.Get(time.Now(), 3*time.Second); err != why || limit != 3*time.Second {
		t.Errorf("%v with a limit of %s", err, limit)
	}
}

// TestTunnel: bytes go both ways, an orderly end of one way leaves the other
// open, and the bytes are counted.
func TestTunnel(t *testing.T) {
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		headOf(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello ")
		got, _ := io.ReadAll(r) // until the client's end, and then a last word
		io.WriteString(c, string(got)+" bye")
	})
	s := startHop(t, u, nil)
	c := dial(t, s.addr)
	const upgrade = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	io.WriteString(c, upgrade)
	const head = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	got := make([]byte, len(head)+len("hello "))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != head+"hello " {
		t.Fatalf("%q, %v", got, err)
	}
	io.WriteString(c, "client")
	c.CloseWrite()
	rest, err := io.ReadAll(c)
	if err != nil || string(rest) != "client bye" {
		t.Errorf("%q, %v", rest, err)
	}
	if o := s.next(t); o.err != nil || o.in != int64(len(upgrade)+len("client")) || o.out != int64(len(head)+len("hello client bye")) {
		t.Errorf("%+v", o)
	}
}

// TestTunnelIdle: a tunnel in which neither side says anything ends; one in
// which one side does stays.
func TestTunnelIdle(t *testing.T) {
	t.Parallel()
	const idle = 400 * time.Millisecond
	clientNear, clientFar := net.Pipe()
	serverNear, serverFar := net.Pipe()
	go func() { // one way only, for longer than the limit
		for range 12 {
			time.Sleep(idle / 8)
			io.WriteString(serverFar, ".")
		}
		io.Copy(io.Discard, serverFar)
	}()
	dots := make(chan int, 1)
	go func() {
		got, _ := io.ReadAll(clientFar)
		dots <- len(got)
	}()
	began := time.Now()
	ab, ba := relay.Tunnel(h1.NewConn(clientNear), h1.NewConn(serverNear), idle)
	if took := time.Since(began); ab != 0 || ba != 12 || took < 5*idle/2 {
		t.Errorf("%d bytes up, %d down, after %s; want 0 and 12, and %s at least", ab, ba, took, 5*idle/2)
	}
	if n := <-dots; n != 12 {
		t.Errorf("the client has %d bytes, want 12", n)
	}
}

// TestWithTLS: connections are TLS; a peer that does not answer the handshake
// costs no more than the time-out.
func TestWithTLS(t *testing.T) {
	config, err := certs.Throwaway("task")
	if err != nil {
		t.Fatal(err)
	}
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		s := tls.Server(readFirst{c, r}, config)
		answers(two)(s, bufio.NewReader(s))
	})
	s := startHop(t, nil, func(s *served) {
		s.pool = relay.NewPool(relay.WithTLS(u.dial, certs.Unverified("task", tls.VersionTLS12)), 0)
	})
	if got := s.call(t, get, false); got != two {
		t.Errorf("got %q", got)
	}

	mute := startUpstream(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	began := time.Now()
	_, err = relay.WithTLS(mute.dial, certs.Unverified("task", tls.VersionTLS12))(50 * time.Millisecond)
	if took := time.Since(began); err == nil || !isTimeout(err) || took > patience {
		t.Errorf("%v after %s, want a time-out", err, took)
	}
	verify := &tls.Config{ServerName: "task"}
	if c, err := relay.WithTLS(u.dial, verify)(patience); err == nil {
		c.Close()
		t.Error("a certificate that nobody can verify was taken")
	}
	why := errors.New("no route")
	if _, err := relay.WithTLS(func(time.Duration) (net.Conn, error) { return nil, why }, verify)(patience); err != why {
		t.Errorf("%v, want the dialer's error", err)
	}
}

// readFirst is a connection of which r has read the beginning.
type readFirst struct {
	net.Conn
	r *bufio.Reader
}

func (f readFirst) Read(p []byte) (int, error) { return f.r.Read(p) }
