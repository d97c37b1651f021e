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
	// Opened and Closed, if set, are told of connections.
	Opened, Closed func()

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
		if s.Opened != nil {
			s.Opened()
		}
		s.serve(sc, peer, local)
		sc.Close()
		sc.Release()
		s.mu.Lock()
		delete(s.conns, sc)
		s.mu.Unlock()
		if s.Closed != nil {
			s.Closed()
		}
	}()
}

func (s *Server) serve(c *serverConn, peer, local net.Addr) {
	x := &Exchange{Down: c.Conn, Peer: peer, Local: local, server: s}
	for {
		if c.Buffered() == 0 {
			c.ReadWithin(time.Now(), s.Idle, min(s.Idle/64, time.Second))
		}
		err := c.ReadRequest(&x.Req, s.Limits)
		if err != nil {
			var perr *h1.ParseError
			if errors.As(err, &perr) && c.state.CompareAndSwap(stateIdle, stateBusy) {
				x.begin()
				s.Handler.Refuse(x, perr)
				x.linger()
			}
			return
		}
		if !c.state.CompareAndSwap(stateIdle, stateBusy) {
			return
		}
		x.begin()
		keep := s.Handler.Serve(x)
		x.end()
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
