package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// gate is a host to which connections come about, or fail, when the test says so.
type gate struct {
	asked chan struct{}
	made  chan error
}

func newGate() *gate { return &gate{make(chan struct{}, 100), make(chan error)} }

func (g *gate) dial(ctx context.Context) (net.Conn, error) {
	g.asked <- struct{}{}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case err := <-g.made:
		if err != nil {
			return nil, err
		}
	}
	near, far := net.Pipe()
	go io.Copy(io.Discard, far)
	return near, nil
}

func (g *gate) pool() *pool {
	carry := func(dial relay.Dialer) transport { return newExclusive(dial, 0) }
	return newPool(g.dial, carry, &breakers{}, newStats(), time.Minute)
}

// ask lets a request ask for a connection and returns once it waits.
func ask(t *testing.T, p *pool, limit time.Duration, by leaver) chan served {
	t.Helper()
	before := p.queued.Load()
	got := make(chan served, 1)
	go func() {
		c, err := p.get(time.Now(), limit, by)
		got <- served{c, err}
	}()
	waitFor(t, func() bool { return p.queued.Load() == before+1 || len(got) > 0 }) // or it has left already
	return got
}

func next(t *testing.T, got chan served) served {
	t.Helper()
	select {
	case s := <-got:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("no connection and no error within 5 s")
		return served{}
	}
}

// TestQueue: what becomes free serves the oldest request.
func TestQueue(t *testing.T) {
	g := newGate()
	p := g.pool()
	first := ask(t, p, 0, nil)
	second := ask(t, p, 0, nil)
	third := ask(t, p, 0, nil)
	for range 3 {
		<-g.asked // each has a connection made
	}
	g.made <- nil
	c := next(t, first).conn
	p.Put(c, time.Now())
	if s := next(t, second); s.conn != c {
		t.Error("the second request did not get the connection that the first gave back")
	}
	c.Close()
	p.release()
	g.made <- nil
	if s := next(t, third); s.conn == nil || s.conn == c {
		t.Errorf("the third got %v, %v, want a connection of its own", s.conn, s.err)
	}
	g.made <- nil // the last one is nobody's
	waitFor(t, func() bool { return p.open.Load() == 2 })
	if c, err := p.get(time.Now(), 0, nil); err != nil || c == nil {
		t.Errorf("the connection that nobody waited for: %v", err)
	}
}

// TestQueueFails: a connection that does not come about fails all that wait.
func TestQueueFails(t *testing.T) {
	g := newGate()
	p := g.pool()
	why := errors.New("refused")
	all := []chan served{ask(t, p, 0, nil), ask(t, p, 0, nil), ask(t, p, 0, nil)}
	g.made <- why
	for _, got := range all {
		if s := next(t, got); s.err != why {
			t.Errorf("%v, want %v", s.err, why)
		}
	}
	later := ask(t, p, 0, nil)
	g.made <- nil // one of the first three
	if s := next(t, later); s.err != nil {
		t.Errorf("a request that came later: %v", s.err)
	}
	g.made <- why
	if n := p.stats.upstream[connections].Load(); n != 3 {
		t.Errorf("%d connections for four requests, want 3", n)
	}
}

// stays is a client that is still there, or not.
type stays bool

func (s stays) Ended() bool { return !bool(s) }

// TestQueueLeft: a request waits as long as it may and its client stays.
func TestQueueLeft(t *testing.T) {
	g := newGate()
	p := g.pool()
	late := ask(t, p, 30*time.Millisecond, stays(true))
	if s := next(t, late); s.err != errLate {
		t.Errorf("%v, want %v", s.err, errLate)
	}
	left := ask(t, p, 0, stays(false))
	if s := next(t, left); s.err != errLeft {
		t.Errorf("%v, want %v", s.err, errLeft)
	}
	last := ask(t, p, 0, nil)
	p.close(func() {})
	if s := next(t, last); s.err != relay.ErrClosed {
		t.Errorf("%v, want %v", s.err, relay.ErrClosed)
	}
	waitFor(t, func() bool { return p.open.Load() == 0 && p.breakers.connections.Load() == 0 })
	if n := len(g.asked); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestBreakers: no more connections, waiting requests and requests than may be.
func TestBreakers(t *testing.T) {
	g := newGate()
	p := g.pool()
	p.breakers.connections.Store(maxConnections)
	first := ask(t, p, 0, nil)
	second := ask(t, p, 0, nil)
	g.made <- nil
	c := next(t, first).conn // a pool without any makes one
	if n := len(g.asked); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	p.breakers.pending.Store(maxPending)
	if _, err := p.get(time.Now(), 0, nil); err != errOverflow {
		t.Errorf("with as many waiting as may: %v", err)
	}
	p.breakers.pending.Store(1)
	p.Put(c, time.Now())
	if s := next(t, second); s.conn != c {
		t.Error("what waits does not get the connection that was given back")
	}
	third := ask(t, p, 0, nil)
	waitFor(t, func() bool { return p.queued.Load() == 1 })
	p.breakers.requests.Store(maxRequests) // of which the second is one
	p.Put(c, time.Now())
	if s := next(t, third); s.conn != c {
		t.Errorf("what waits while as many requests run as may, and one ends: %v", s.err)
	}
	p.Put(c, time.Now())
	p.breakers.requests.Store(maxRequests)
	if _, err := p.get(time.Now(), 0, nil); err != errOverflow {
		t.Errorf("with as many requests as may be: %v", err)
	}
	if n := p.stats.upstream[pendingOverflow].Load(); n != 2 {
		t.Errorf("%d overflows counted, want 2", n)
	}
	var other *h1.Conn
	p.breakers.requests.Store(0)
	if other, _ = p.get(time.Now(), 0, nil); other != c {
		t.Error("a connection that a refused request has not used is not there any more")
	}
}

// TestQueueDrained: after it what is idle has ended, what is out is not used again, and
// what is being made ends unless a request waits for it.
func TestQueueDrained(t *testing.T) {
	g := newGate()
	p := g.pool()
	connect := func() *h1.Conn {
		got := ask(t, p, 0, nil)
		g.made <- nil
		return next(t, got).conn
	}
	idle, out := connect(), connect()
	p.Put(idle, time.Now())
	p.drain()
	if n := p.open.Load(); n != 1 {
		t.Errorf("%d connections after the idle one ended, want 1", n)
	}
	p.Put(out, time.Now())
	if n := p.open.Load(); n != 0 {
		t.Errorf("%d connections after the other came back, want none", n)
	}
	if s := next(t, ask(t, p, time.Millisecond, nil)); s.err != errLate {
		t.Fatal(s.err)
	}
	p.drain() // nobody waits
	waitFor(t, func() bool { return p.stats.upstream[connectFail].Load() == 1 })
	waits := ask(t, p, 0, nil)
	p.drain()
	g.made <- nil
	if s := next(t, waits); s.err != nil {
		t.Errorf("a request that waited: %v", s.err)
	}
}
