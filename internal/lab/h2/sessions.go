package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// Sessions are the HTTP/2 connections to one upstream, for a hop that decides
// itself when to make another one. What it takes of them are connections in
// memory that speak HTTP/1.1: while one is out, it is a stream. Use NewSessions.
// It is safe for concurrent use.
type Sessions struct {
	codec *UpstreamCodec
	idle  time.Duration

	mu     sync.Mutex
	open   []*session // the newest last
	ending bool       // set by Close
	gone   func()     // set by Close
}

// session is one HTTP/2 connection. Its fields from streams on are under
// Sessions.mu.
type session struct {
	*http.ClientConn
	of       *Sessions
	heard    *heard
	ended    func()      // told of its end, once
	answered atomic.Bool // a response has come, and so have the upstream's settings

	streams int  // that are out
	leaving bool // no more of them begin; see Drain
	spare   []*h1.Conn
	since   time.Time // when the last stream ended
}

// Streams is how many streams of a connection a hop uses at most: Envoy's
// max_concurrent_streams where nothing is configured.
const Streams = 1024

// maxHead is how large the head of a response may be: Envoy's 60 KiB.
const maxHead = 60 << 10

// NewSessions returns no connections to the upstream that is reached by dial; with a
// TLS configuration they are TLS. Their responses say what HTTP/1.1 cannot, as
// after UpstreamCodec.Explain. A connection without streams ends after idle (real
// time; 0: never).
func NewSessions(dial relay.Dialer, config *tls.Config, idle time.Duration) *Sessions {
	s := &Sessions{codec: NewUpstreamCodec(dial, nil), idle: idle}
	s.codec.Explain()
	s.codec.tr.MaxResponseHeaderBytes = maxHead
	connect := s.codec.tr.DialContext
	s.codec.tr.DialContext = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		c, err = connect(ctx, network, addr)
		if err == nil && config != nil {
			c, err = secure(ctx, c, config)
		}
		if err != nil {
			return nil, err
		}
		h := ctx.Value(heardKey{}).(*heard)
		h.Conn = c
		return &edited{Conn: h, out: toUpstream()}, nil
	}
	return s
}

// secure puts TLS over a connection, for HTTP/2. It is not left to net/http: what is
// edited is what TLS carries.
func secure(ctx context.Context, c net.Conn, config *tls.Config) (net.Conn, error) {
	t := tls.Client(c, config)
	err := t.HandshakeContext(ctx)
	if err == nil && t.ConnectionState().NegotiatedProtocol != "h2" {
		err = errNoHTTP2
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

var errNoHTTP2 = errors.New("the upstream does not speak HTTP/2")

// Open makes a connection within timeout (real time). next returns streams of it,
// as many as the upstream can be thought to take before it has said how many, then
// nil; it is for one goroutine, before any other use. ended is called, from any
// goroutine and once, when the connection is not one of the Sessions any more.
func (s *Sessions) Open(timeout time.Duration, ended func()) (next func() *h1.Conn, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn := &heard{}
	cc, err := s.codec.tr.NewClientConn(context.WithValue(ctx, heardKey{}, conn), s.codec.scheme, "upstream:0")
	if err != nil {
		return nil, err
	}
	n := &session{ClientConn: cc, of: s, heard: conn, ended: ended, since: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, n)
	return func() *h1.Conn {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n.streams >= Streams {
			return nil
		}
		return n.take()
	}, nil
}

// Take returns a stream of a connection that has room for one, or nil.
func (s *Sessions) Take(time.Time) *h1.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Backward(s.open) {
		if n.room() {
			if c := n.take(); c != nil {
				return c
			}
		}
	}
	return nil
}

// room reports whether the connection takes another stream.
func (n *session) room() bool {
	left := n.Available()
	if n.leaving || n.Err() != nil || left == 0 || n.streams >= Streams {
		return false
	}
	return !n.answered.Load() || n.streams < left+n.InFlight()
}

// take returns a stream, nil after Close.
func (n *session) take() *h1.Conn {
	if last := len(n.spare) - 1; last >= 0 {
		c := n.spare[last]
		n.spare = n.spare[:last]
		c.Conn.(*end).out = true
		n.streams++
		return c
	}
	near, far := pipe()
	near.session, far.session = n, n
	near.closing = func() { n.of.closed(near) }
	if !n.of.codec.in.give(far) {
		return nil
	}
	near.out = true
	n.streams++
	return h1.NewConn(near)
}

// closed notes that a connection in memory was closed, and with it its stream.
func (s *Sessions) closed(near *end) {
	s.mu.Lock()
	if near.out {
		near.out = false
		near.session.streams--
		near.session.since = time.Now()
	}
	s.mu.Unlock()
	s.tidy(func(n *session) bool { return n == near.session && n.Err() != nil })
}

// Put takes a stream back after a complete exchange.
func (s *Sessions) Put(c *h1.Conn, now time.Time) {
	near := c.Conn.(*end)
	n := near.session
	s.mu.Lock()
	c.Served++
	near.out = false
	n.streams--
	n.since = now
	keep := !s.ending && !n.leaving && n.Err() == nil && c.Buffered() == 0
	if keep {
		n.spare = append(n.spare, c)
	}
	s.mu.Unlock()
	if !keep {
		c.Close()
		c.Release()
		s.tidy(func(n *session) bool { return n.Err() != nil })
	}
}

// Sweep ends connections that have been idle too long, and forgets those that
// the upstream has ended. Whoever owns the Sessions calls it now and then.
func (s *Sessions) Sweep(now time.Time) {
	s.tidy(func(n *session) bool { return n.Err() != nil || s.idle > 0 && now.Sub(n.since) >= s.idle })
}

// Drain lets no more streams begin on the connections that there are.
func (s *Sessions) Drain() {
	s.mu.Lock()
	for _, n := range s.open {
		n.leaving = true
	}
	s.mu.Unlock()
	s.tidy(func(*session) bool { return false })
}

// tidy ends connections without streams that are old or leaving, and all of those
// after Close.
func (s *Sessions) tidy(old func(*session) bool) {
	var over []*session
	s.mu.Lock()
	s.open = slices.DeleteFunc(s.open, func(n *session) bool {
		if n.streams > 0 || !s.ending && !n.leaving && !old(n) {
			return false
		}
		over = append(over, n)
		return true
	})
	gone := s.gone
	if !s.ending || len(s.open) > 0 {
		gone = nil
	} else {
		s.gone = nil
	}
	s.mu.Unlock()
	for _, n := range over {
		n.end()
	}
	if gone != nil {
		go func() { // the last stream may be closed by what the codec waits for
			s.codec.Close()
			gone()
		}()
	}
}

// end closes a connection that is not one of the Sessions any more.
func (n *session) end() {
	for _, c := range n.spare {
		c.Close()
		c.Release()
	}
	n.Close()
	n.ended()
}

// Close lets no more streams begin. The connections end with their last streams,
// and then gone is called, from a goroutine of its own. Shut may be called
// meanwhile.
func (s *Sessions) Close(gone func()) {
	s.mu.Lock()
	s.ending, s.gone = true, gone
	s.mu.Unlock()
	s.tidy(func(*session) bool { return true })
}

// Shut cuts all streams and ends all connections.
func (s *Sessions) Shut() {
	s.codec.Close()
	s.mu.Lock()
	over := s.open
	s.open, s.ending = nil, true
	s.mu.Unlock()
	for _, n := range over {
		n.end()
	}
}
