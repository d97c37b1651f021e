package h2

import (
	"net"
	"sync"
	"sync/atomic"
)

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
