package h1

import (
	"time"

	"golang.org/x/sys/unix"
)

// Ended reports whether the peer has ended its side of the connection, even
// if bytes that it sent before are still unread.
func (c *Conn) Ended() bool {
	if c.finished.Load() {
		return true // of a TLS connection the socket does not tell: its end is a message
	}
	raw := c.socket()
	if raw == nil {
		return c.Gone()
	}
	var ended bool
	err := raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		ended = err == nil && n > 0
	})
	return err != nil || ended
}

// Discard throws away what has come and was not read.
func (c *Conn) Discard() {
	c.r, c.w, c.seen = 0, 0, 0
	if c.secured() {
		c.discardRecords()
	}
	raw := c.socket()
	if raw == nil {
		return
	}
	raw.Control(func(fd uintptr) {
		buf := largeBuffers.Get().(*[]byte)
		defer largeBuffers.Put(buf)
		for range discardReads {
			n, _, err := unix.Recvfrom(int(fd), *buf, unix.MSG_DONTWAIT)
			if c.Received += int64(max(n, 0)); n <= 0 || err != nil {
				return
			}
		}
	})
}

// discardRecords is Discard for what a TLS connection holds beyond its socket, or
// can decrypt of what has come.
func (c *Conn) discardRecords() {
	buf := largeBuffers.Get().(*[]byte)
	defer largeBuffers.Put(buf)
	c.ReadBy(time.Now().Add(time.Millisecond))
	for range discardReads {
		n, err := c.Conn.Read(*buf)
		c.Received += int64(n)
		if err != nil {
			return
		}
	}
}

// discardReads bounds what Discard reads to 1 MiB, the limit of Envoy's buffers.
const discardReads = 16
