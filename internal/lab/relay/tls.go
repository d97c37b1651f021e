package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// Secured is a TLS connection that can be looked at, half closed and reset as
// the TCP connection under it. What a look at its socket finds is still
// encrypted: after a handshake and outside of an exchange, anything there but
// the end is a message that nobody asked for.
type Secured struct{ *tls.Conn }

// SyscallConn returns the socket under the connection.
func (s Secured) SyscallConn() (syscall.RawConn, error) {
	if c, ok := s.NetConn().(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.New("no socket under a TLS connection")
}

// SetLinger is that of the TCP connection under it; with 0, Close is a reset.
func (s Secured) SetLinger(seconds int) error {
	if c, ok := s.NetConn().(interface{ SetLinger(int) error }); ok {
		return c.SetLinger(seconds)
	}
	return nil
}

// WithTLS returns a Dialer that speaks TLS over the connections of another one.
func WithTLS(dial Dialer, config *tls.Config) Dialer {
	return func(timeout time.Duration) (net.Conn, error) {
		limit := time.Now().Add(timeout)
		c, err := dial(timeout)
		if err != nil {
			return nil, err
		}
		t := tls.Client(c, config)
		ctx, cancel := context.WithDeadline(context.Background(), limit)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return Secured{t}, nil
	}
}
