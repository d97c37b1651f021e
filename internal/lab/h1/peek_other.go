//go:build !unix

package h1

// peeker is empty where sockets cannot be peeked at.
type peeker struct{}

// Quiet reports whether the connection holds no unread bytes. On this
// platform a connection closed by its peer looks quiet until it is used.
func (c *Conn) Quiet() bool { return c.r == c.w }

// Gone is false for sockets on this platform: a peer's end is seen on reading.
func (c *Conn) Gone() bool {
	m, ok := c.Conn.(inMemory)
	return ok && c.r == c.w && m.PeerGone()
}
