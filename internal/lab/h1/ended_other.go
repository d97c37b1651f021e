//go:build !linux

package h1

// Ended reports whether the peer has ended its side of the connection. On this
// platform it is false while bytes that it sent before are still unread.
func (c *Conn) Ended() bool { return c.finished.Load() || c.Gone() }

// Discard throws away what was read and not consumed.
func (c *Conn) Discard() { c.r, c.w, c.seen = 0, 0, 0 }
