package h1

import "syscall"

// peeker looks at a socket without reading from it.
type peeker struct {
	raw  syscall.RawConn
	f    func(fd uintptr) bool
	n    int
	err  error
	one  [1]byte
	none bool
}

// socket finds the socket under the connection, once; nil without one.
func (c *Conn) socket() syscall.RawConn {
	p := &c.peek
	if p.raw != nil || p.none {
		return p.raw
	}
	p.none = true
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	p.raw, p.none = raw, false
	p.f = func(fd uintptr) bool {
		p.n, _, p.err = syscall.Recvfrom(int(fd), p.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
	return raw
}

// Quiet reports whether the connection is open with nothing to read: an idle
// connection that is not quiet was closed by its peer or holds bytes that
// nobody asked for. It costs one system call and never blocks.
func (c *Conn) Quiet() bool {
	if c.r < c.w {
		return false
	}
	if m, ok := c.Conn.(inMemory); ok {
		return !m.PeerGone()
	}
	raw, p := c.socket(), &c.peek
	if raw == nil {
		return true
	}
	if err := raw.Control(func(fd uintptr) { p.f(fd) }); err != nil {
		return false
	}
	return p.err == syscall.EAGAIN
}

// Gone reports whether the peer has closed the connection, as far as this
// side can see without reading: nothing is left to read but the end.
func (c *Conn) Gone() bool {
	if m, ok := c.Conn.(inMemory); ok {
		return c.r == c.w && m.PeerGone()
	}
	if c.r < c.w || c.Quiet() {
		return false
	}
	return !c.peek.none && (c.peek.n == 0 || c.peek.err != nil && c.peek.err != syscall.EAGAIN)
}
