// Package relay is what every hop of the lab does with HTTP/1.1: accept a
// connection, read a request head, pick an upstream connection, stream both
// messages through and keep both connections for the next request. What a
// hop decides (routes, retries, headers, error pages) stays with the hop.
//
// One goroutine serves one downstream connection and does all of its work,
// since every switch between goroutines costs what is to be measured.
package relay

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Dialer opens a connection within the timeout (real time). An error that
// satisfies net.Error's Timeout means that nobody answered.
type Dialer func(timeout time.Duration) (net.Conn, error)

// Pool keeps idle connections to one address. It is safe for concurrent use.
type Pool struct {
	dial    Dialer
	maxIdle int
	idleFor time.Duration // real time, 0 for no limit

	mu     sync.Mutex
	idle   []*h1.Conn // the most recently used last
	closed bool
}

// maxIdle bounds the idle connections of a pool; the ALB and Envoy have no
// such bound that callers could notice.
const maxIdle = 4096

// NewPool returns a pool that drops connections idle for idleFor real time (0: never).
func NewPool(dial Dialer, idleFor time.Duration) *Pool {
	return &Pool{dial: dial, maxIdle: maxIdle, idleFor: idleFor}
}

// ErrClosed is the error of a pool, or of what it dials with, that was closed: the
// address is no more one of the hop's, or the hop is shutting down.
var ErrClosed = errors.New("the connections to this address were closed")

// Home is where a connection goes back to after a complete exchange.
type Home interface {
	Put(c *h1.Conn, now time.Time)
}

// Get returns a connection that the peer has not closed as far as one can
// see, or dials a new one. A connection that has served before has Served > 0.
func (p *Pool) Get(now time.Time, timeout time.Duration) (*h1.Conn, error) {
	if c := p.Take(now); c != nil {
		return c, nil
	}
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	conn, err := p.dial(timeout)
	if err != nil {
		return nil, err
	}
	return h1.NewConn(conn), nil
}

// Take returns an idle connection as Get does, or nil when there is none.
func (p *Pool) Take(now time.Time) *h1.Conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if (p.idleFor == 0 || now.Sub(c.IdleSince) < p.idleFor) && c.Quiet() {
			return c
		}
		discard(c)
	}
}

// Put gives a connection back after a complete exchange.
func (p *Pool) Put(c *h1.Conn, now time.Time) {
	c.Served++
	c.IdleSince = now
	p.mu.Lock()
	if !p.closed && len(p.idle) < p.maxIdle && c.Buffered() == 0 {
		p.idle = append(p.idle, c)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	discard(c)
}

// Sweep closes connections that have been idle too long. The pool's owner
// calls it regularly.
func (p *Pool) Sweep(now time.Time) {
	if p.idleFor == 0 {
		return
	}
	p.mu.Lock()
	var old []*h1.Conn
	for len(p.idle) > 0 && now.Sub(p.idle[0].IdleSince) >= p.idleFor {
		old = append(old, p.idle[0])
		p.idle = p.idle[1:]
	}
	p.mu.Unlock()
	for _, c := range old {
		discard(c)
	}
}

// Prune closes idle connections that their peer has closed, or on which it has
// sent what nobody asked for. Whoever owns the pool may call it now and then.
func (p *Pool) Prune() {
	p.mu.Lock()
	var bad []*h1.Conn
	p.idle = slices.DeleteFunc(p.idle, func(c *h1.Conn) bool {
		if c.Quiet() {
			return false
		}
		bad = append(bad, c)
		return true
	})
	p.mu.Unlock()
	for _, c := range bad {
		c.Discard() // or the peer would see a reset
		discard(c)
	}
}

// Close closes the idle connections and refuses further ones.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Clear()
}

// Clear closes the idle connections.
func (p *Pool) Clear() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		discard(c)
	}
}

func discard(c *h1.Conn) {
	c.Close()
	c.Release()
}
