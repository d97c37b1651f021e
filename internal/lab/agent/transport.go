package agent

import (
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// exclusive carries one request at a time on a connection: HTTP/1.1, and TCP,
// whose connections do not come back.
type exclusive struct {
	*relay.Pool
	dial relay.Dialer
	era  atomic.Int32 // connections of an earlier one are not used again
}

func newExclusive(dial relay.Dialer, idle time.Duration) *exclusive {
	return &exclusive{Pool: relay.NewPool(dial, idle), dial: dial}
}

func (e *exclusive) Open(timeout time.Duration, ended func()) (func() *h1.Conn, error) {
	conn, err := e.dial(timeout)
	if err != nil {
		return nil, err
	}
	c := h1.NewConn(conn)
	c.OnClose, c.Era = ended, int(e.era.Load())
	return func() (next *h1.Conn) {
		next, c = c, nil
		return next
	}, nil
}

func (e *exclusive) Put(c *h1.Conn, now time.Time) {
	if c.Era != int(e.era.Load()) {
		c.Close()
		c.Release()
		return
	}
	e.Pool.Put(c, now)
}

func (e *exclusive) Drain() {
	e.era.Add(1)
	e.Clear()
}

// Sweep also ends what the host has closed, which Envoy sees at once.
func (e *exclusive) Sweep(now time.Time) {
	e.Pool.Sweep(now)
	e.Prune()
}

func (e *exclusive) Close(gone func()) {
	e.Shut()
	go gone()
}

// Shut ends what is idle. What is out ends with its exchange.
func (e *exclusive) Shut() { e.Pool.Close() }

func (*exclusive) each() int { return 1 }

// shared carries many requests at a time on a connection: HTTP/2.
type shared struct{ *h2.Sessions }

func (shared) each() int { return h2.Streams }
