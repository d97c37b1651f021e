package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Handler is a hop's part of serving requests.
type Handler interface {
	// Serve answers the request in x and reports whether the downstream
	// connection may carry another one.
	Serve(x *Exchange) (keep bool)
	// Refuse answers a request that could not be read; the connection is closed after it.
	Refuse(x *Exchange, err *h1.ParseError)
}

// Server serves HTTP/1.1 connections. Configure it before Serve; it must not
// be copied.
type Server struct {
	Handler Handler
	Limits  h1.Limits
	// DropTrailers drops the trailers of chunked messages, both ways.
	DropTrailers bool
	// Idle closes a connection without a request for that long (real time; 0: never).
	Idle time.Duration
	// DelayedClose, if set, ends connections as Envoy does: at once after an
	// exchange that both sides completed and of which the client said that it
	// is the last, else when the client has closed its side, and after that long
	// (real time) whether it has or not.
	DelayedClose time.Duration
	// Drained is how much longer than Idle a connection stays that has served
	// requests (real time).
	Drained time.Duration
	// Slow, if set, answers a request whose head has begun and did not go on for
	// Idle; the connection is closed after it.
	Slow func(*Exchange)
	// Inspect, if set, is how long a connection may take to send its first line
	// (real time). One that does not is none of the server's: it is reset, or
	// closed when it has sent nothing, and nobody is told of it.
	Inspect time.Duration
	// HTTP2, if set, takes over connections that begin as HTTP/2 does. They begin
	// so for it too.
	HTTP2 func(net.Conn)
	// Opened and Closed, if set, are told of connections.
	Opened, Closed func()
	// Partial, if set, is told of requests whose head has begun and never ended.
	Partial func(*Exchange)
	// Counted, if set, is told how many bytes connections have received and
	// sent, after each exchange and at the end.
	Counted func(in, out int64)
	// Tap, if set, keeps the heads of requests that are watched for; Part names
	// the server in what it keeps.
	Tap  *Tap
	Part string

	mu       sync.Mutex
	conns    map[*serverConn]struct{}
	draining atomic.Bool
	closed   bool
	wg       sync.WaitGroup
}

type serverConn struct {
	*h1.Conn
	state atomic.Int32
}

const (
	stateIdle int32 = iota
	stateBusy
	stateEnded
)

// Serve accepts connections until the listener closes.
func (s *Server) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			if isTemporary(err) {
				time.Sleep(5 * time.Millisecond) // out of file descriptors: wait for some to close
				continue
			}
			return err
		}
		s.Take(c, c.RemoteAddr(), c.LocalAddr())
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// Take serves one connection in a goroutine of its own. peer and local are
// the addresses that the hop reports for it.
func (s *Server) Take(c net.Conn, peer, local net.Addr) {
	sc := &serverConn{Conn: h1.NewConn(c)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.Close()
		return
	}
	if s.conns == nil {
		s.conns = map[*serverConn]struct{}{}
	}
	s.conns[sc] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		if s.Inspect > 0 && !s.inspect(sc) {
			return
		}
		if s.Opened != nil {
			s.Opened()
		}
		handed, err := s.handOver(sc)
		if !handed {
			if err == nil || sc.Buffered() > 0 {
				s.serve(sc, peer, local)
			}
			sc.Close()
		}
		s.forget(sc)
		if s.Closed != nil && !handed {
			s.Closed()
		}
	}()
}

// inspect waits for a connection's first line, as Envoy's http_inspector does.
func (s *Server) inspect(c *serverConn) bool {
	c.ReadWithin(time.Now(), s.Inspect, 0)
	if c.FirstLine() == nil {
		return true
	}
	if c.Buffered() > 0 {
		c.Reset()
	} else {
		c.Close()
	}
	s.forget(c)
	return false
}

func (s *Server) forget(c *serverConn) {
	c.Release()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// preface opens every HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// handOver gives a connection that speaks HTTP/2 to who speaks it.
func (s *Server) handOver(c *serverConn) (handed bool, err error) {
	if s.HTTP2 == nil {
		return false, nil
	}
	c.ReadWithin(time.Now(), s.Idle, 0)
	if begins, err := c.Begins(preface); !begins {
		return false, err
	}
	c.ReadBy(time.Time{})
	read, _ := c.Take()
	s.HTTP2(&handedOver{Conn: c.Conn.Conn, server: s, read: append([]byte(nil), read...)})
	return true, nil
}

// handedOver is a connection of which some bytes were read already. Its bytes
// and its end are the server's to count.
type handedOver struct {
	net.Conn
	server *Server
	read   []byte
	once   sync.Once
}

func (h *handedOver) Read(p []byte) (n int, err error) {
	if len(h.read) > 0 {
		n = copy(p, h.read)
		h.read = h.read[n:]
	} else {
		n, err = h.Conn.Read(p)
	}
	if h.server.Counted != nil {
		h.server.Counted(int64(n), 0)
	}
	return n, err
}

func (h *handedOver) Write(p []byte) (int, error) {
	n, err := h.Conn.Write(p)
	if h.server.Counted != nil {
		h.server.Counted(0, int64(n))
	}
	return n, err
}

func (h *handedOver) Close() error {
	h.once.Do(func() {
		if h.server.Closed != nil {
			h.server.Closed()
		}
	})
	return h.Conn.Close()
}

func (s *Server) serve(c *serverConn, peer, local net.Addr) {
	x := &Exchange{Down: c.Conn, Peer: peer, Local: local, server: s}
	defer s.count(c.Conn, &x.counted)
	for {
		if c.Buffered() == 0 {
			idle := s.Idle
			if idle > 0 && c.Served > 0 {
				idle += s.Drained
			}
			c.ReadWithin(time.Now(), idle, min(idle/64, time.Second))
		}
		before := c.Received - int64(c.Buffered())
		c.Since = time.Time{}
		err := c.ReadRequest(&x.Req, s.Limits)
		if err != nil {
			var perr *h1.ParseError
			if errors.As(err, &perr) && c.state.CompareAndSwap(stateIdle, stateBusy) {
				x.begin()
				if x.bare() {
					c.Discard() // Envoy has read it by now
				}
				s.Handler.Refuse(x, perr)
				x.linger()
			} else if c.Received > before && h1.IsTimeout(err) && s.Slow != nil {
				x.begin()
				s.Slow(x)
				x.linger()
			} else if c.Received > before && s.Partial != nil {
				x.begin()
				s.Partial(x)
			} else if h1.IsTimeout(err) && c.Served > 0 && s.DelayedClose > 0 && !c.InMemory() {
				x.awaitClose(s.DelayedClose)
			}
			return
		}
		if !c.state.CompareAndSwap(stateIdle, stateBusy) {
			return
		}
		x.begin()
		keep := s.Handler.Serve(x)
		x.end()
		x.orderly = !x.broken && !x.later
		s.count(c.Conn, &x.counted)
		c.Served++
		if !keep || x.broken {
			x.linger()
			return
		}
		c.state.Store(stateIdle)
		if s.draining.Load() && c.Buffered() == 0 {
			return
		}
	}
}

// count tells Counted of what was not counted yet.
func (s *Server) count(c *h1.Conn, counted *[2]int64) {
	if s.Counted == nil {
		return
	}
	now := [2]int64{c.Received, c.Sent}
	if now != *counted {
		s.Counted(now[0]-counted[0], now[1]-counted[1])
		*counted = now
	}
}

// Draining reports whether connections are to be closed after their current exchange.
func (s *Server) Draining() bool { return s.draining.Load() }

// Drain closes idle connections and lets busy ones finish their exchange.
// New connections are still served, one exchange each.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.state.CompareAndSwap(stateIdle, stateEnded) {
			c.Conn.Close()
		}
	}
}

// Close closes all connections and waits for their goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// linger ends a connection so that the peer still reads what was sent to it:
// closing with unread input would reset the connection under the response.
func (x *Exchange) linger() {
	if x.reset {
		x.Down.Reset()
		return
	}
	if x.OfStream() {
		return // all that was written has been read
	}
	if d := x.server.DelayedClose; d > 0 {
		if !x.orderly || !x.Req.Close {
			x.awaitClose(d)
		}
		return
	}
	if w, ok := x.Down.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
		return
	}
	x.Down.ReadBy(time.Now().Add(lingerFor))
	io.CopyN(io.Discard, x.Down.Conn, lingerBytes)
}

const (
	lingerFor   = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// awaitClose waits until the client has ended its side, at most for d. It reads
// nothing: what the client still sends is lost, and resets the connection when
// that is closed.
func (x *Exchange) awaitClose(d time.Duration) {
	for limit := time.Now().Add(d); !x.Down.Ended(); time.Sleep(closeTick) {
		if time.Now().After(limit) {
			return
		}
	}
}

const closeTick = 20 * time.Millisecond
