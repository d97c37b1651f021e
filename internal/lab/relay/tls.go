package relay

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

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
		return t, nil
	}
}
