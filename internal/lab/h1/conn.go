// Package h1 reads and writes HTTP/1.1 messages for a proxy: it parses a head
// once, keeps its fields as slices of the connection's buffer, tracks where a
// body ends, and refuses everything on which two implementations might
// disagree (RFC 9112 section 11.2, request smuggling).
//
// It is not net/http because a hop must forward header fields as they came
// and must not cost a goroutine switch per message.
package h1

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10
)

var smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

// Conn is a connection with a read buffer. Reading is for one goroutine at a
// time, and so is writing; the two may differ.
type Conn struct {
	net.Conn
	buf   []byte
	pool  *[]byte // what buf came from; nil when grown beyond the pools
	r, w  int     // buf[r:w] is read but not consumed
	lines []int   // ends of the head's lines, offsets from r; see scanHead
	seen  int     // how much of buf[r:w] scanHead has looked at

	readDeadline time.Time
	// Served counts the messages that the owner finished on this connection.
	Served int
	// IdleSince is set by the pool that keeps the connection.
	IdleSince time.Time
	// Era is for who made the connection, to tell when.
	Era int
	// Since is when the first bytes of a head were read that came in pieces.
	Since time.Time
	// Received and Sent count the bytes so far. Each is for the side of the
	// connection that reads or writes.
	Received, Sent int64
	// OnClose, if set, is called by the first Close or Reset, before it.
	OnClose func()

	once     sync.Once // of OnClose
	peek     peeker
	finished atomic.Bool // of a TLS connection: a read came to the end of what the peer sends
}

// NewConn wraps c.
func NewConn(c net.Conn) *Conn { return &Conn{Conn: c} }

// inMemory is a connection without a socket to look at, which knows itself
// whether its peer has closed it.
type inMemory interface{ PeerGone() bool }

// InMemory reports whether the peer is in this process.
func (c *Conn) InMemory() bool {
	_, ok := c.Conn.(inMemory)
	return ok
}

// Buffered returns the number of bytes that were read but not consumed.
func (c *Conn) Buffered() int { return c.w - c.r }

// Write writes to the connection.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.Sent += int64(n)
	return n, err
}

// Close closes the connection. The buffer goes back with Release, which the
// reading goroutine calls, since Close may come from another one.
func (c *Conn) Close() error {
	if c.OnClose != nil {
		c.once.Do(c.OnClose)
	}
	return c.Conn.Close()
}

// Reset closes the connection with a RST, as a peer does that drops it.
func (c *Conn) Reset() error {
	if t, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
	return c.Close()
}

// Release returns the read buffer to the pool. No slice of a message read
// from c may be used afterwards.
func (c *Conn) Release() {
	if c.pool != nil {
		if len(*c.pool) == smallBuffer {
			smallBuffers.Put(c.pool)
		} else {
			largeBuffers.Put(c.pool)
		}
	}
	c.buf, c.pool, c.r, c.w, c.seen = nil, nil, 0, 0, 0
}

// ReadBy makes reads fail from t on; the zero time lifts the limit.
func (c *Conn) ReadBy(t time.Time) {
	if t.Equal(c.readDeadline) {
		return
	}
	c.readDeadline = t
	c.SetReadDeadline(t)
}

// ReadWithin makes reads fail after d from now, or earlier by at most slack: a
// deadline in that range that is set already stays, which saves a timer
// change on most messages. A d of 0 or less lifts the limit.
func (c *Conn) ReadWithin(now time.Time, d, slack time.Duration) {
	if d <= 0 {
		c.ReadBy(time.Time{})
		return
	}
	if left := c.readDeadline.Sub(now); left < d-slack || left > d {
		c.ReadBy(now.Add(d))
	}
}

// fill reads more bytes into the buffer, making room first.
func (c *Conn) fill() error {
	switch {
	case c.buf == nil:
		c.pool = smallBuffers.Get().(*[]byte)
		c.buf = *c.pool
	case c.r == c.w:
		c.r, c.w, c.seen = 0, 0, 0
	case c.w == len(c.buf) && c.r > 0:
		copy(c.buf, c.buf[c.r:c.w])
		c.w -= c.r
		c.r = 0
	case c.w == len(c.buf):
		c.grow()
	}
	n, err := c.Conn.Read(c.buf[c.w:])
	c.w += n
	c.Received += int64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	if c.secured() && errors.Is(err, io.EOF) {
		c.finished.Store(true)
	}
	return err
}

// secured reports whether this is a TLS connection.
func (c *Conn) secured() bool {
	_, ok := c.Conn.(interface{ NetConn() net.Conn })
	return ok
}

// grow doubles the buffer at least; the head limits bound it.
func (c *Conn) grow() {
	old, pool := c.buf[c.r:c.w], c.pool
	if len(c.buf) < largeBuffer {
		c.pool = largeBuffers.Get().(*[]byte)
		c.buf = *c.pool
	} else {
		c.pool = nil
		c.buf = make([]byte, 2*len(c.buf))
	}
	c.w = copy(c.buf, old)
	c.r = 0
	if pool != nil {
		if len(*pool) == smallBuffer {
			smallBuffers.Put(pool)
		} else {
			largeBuffers.Put(pool)
		}
	}
}

// widen gives an empty small buffer's place to a large one, before a long
// body is copied through it.
func (c *Conn) widen() {
	if c.r == c.w && len(c.buf) < largeBuffer {
		c.Release()
		c.pool = largeBuffers.Get().(*[]byte)
		c.buf = *c.pool
	}
}

// IsTimeout reports whether err is a deadline that passed.
func IsTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// FirstLine reads until a line is there, or what cannot begin one, and consumes
// nothing. It fails on a line longer than 64 KiB, as Envoy's http_inspector does.
func (c *Conn) FirstLine() error {
	for {
		b := c.buf[c.r:c.w]
		none := len(b) > 0 && b[0] <= ' ' && b[0] != '\r' && b[0] != '\n'
		if none || indexLF(b[:min(len(b), largeBuffer)]) >= 0 {
			return nil
		}
		if len(b) >= largeBuffer {
			return &ParseError{Status: 431, Text: "first line too long"}
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// Begins reports whether the connection's first bytes are those. It reads as
// many as it needs to know, and consumes none.
func (c *Conn) Begins(with string) (bool, error) {
	for {
		b := c.buf[c.r:c.w]
		n := min(len(b), len(with))
		if string(b[:n]) != with[:n] {
			return false, nil
		}
		if n == len(with) {
			return true, nil
		}
		if err := c.fill(); err != nil {
			return false, err
		}
	}
}

// Take consumes and returns whatever bytes come next, buffered ones first.
// The slice is valid until the next read from c.
func (c *Conn) Take() ([]byte, error) {
	if c.r == c.w {
		c.widen()
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	p := c.buf[c.r:c.w]
	c.r = c.w
	return p, nil
}
