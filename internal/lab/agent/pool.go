package agent

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// pool is one worker's connections to a host, and the requests that wait for one,
// as Envoy's connection pools have them. Whatever becomes free serves the request
// that has waited longest, whoever it was made for; and a connection that does not
// come about fails all that wait. So a request can fail sooner than its own
// connection would have.
type pool struct {
	transport
	breakers *breakers
	stats    *stats
	timeout  time.Duration // to connect, real

	mu         sync.Mutex
	waiting    []*waiter // the oldest first
	making     *making
	connecting int // connections of making that are under way
	closed     bool

	queued atomic.Int32 // len(waiting)
	open   atomic.Int32 // connections that were made and have not ended
	wg     sync.WaitGroup
}

// transport makes a pool's connections and keeps those that are free.
type transport interface {
	relay.Home
	// Open makes a connection. next returns what of it can carry a request, first
	// for who waits; nil for no more. ended is called when the connection has
	// ended, under any lock.
	Open(timeout time.Duration, ended func()) (next func() *h1.Conn, err error)
	// Take returns what can carry a request now, or nil.
	Take(now time.Time) *h1.Conn
	// Sweep ends what has been idle too long, and after Close all that is idle.
	Sweep(now time.Time)
	// Drain lets nothing be used again that is there or out.
	Drain()
	// Close keeps nothing any more, and calls gone from a goroutine of its own.
	// What is out may come to its end; Shut cuts it short.
	Close(gone func())
	Shut()
	// each is how many requests one connection carries at a time.
	each() int
}

// waiter is a request that waits for a connection.
type waiter struct{ served chan served }

// leaver is who a request is of.
type leaver interface {
	Ended() bool // it has left
}

type served struct {
	conn *h1.Conn
	err  error
}

// Why a request does not get a connection, beside an error of the dialer.
var (
	errOverflow = errors.New("the limits of the cluster are reached")
	errLate     = errors.New("no connection within the time")
	errLeft     = errors.New("the client has gone")
	errNoHost   = errors.New("the cluster has no host")
)

// failedToConnect reports whether an error of get is the host's: a connection to it
// did not come about.
func failedToConnect(err error) bool {
	return !errors.Is(err, errOverflow) && !errors.Is(err, errLate) && !errors.Is(err, errLeft) &&
		!errors.Is(err, errNoHost) && !errors.Is(err, relay.ErrClosed)
}

// making is what a pool's connections are made under.
type making struct {
	context.Context
	stop context.CancelFunc
}

func newMaking() *making {
	m := &making{}
	m.Context, m.stop = context.WithCancel(context.Background())
	return m
}

// newPool makes an empty pool. carry makes its transport, given how to connect.
func newPool(dial func(context.Context) (net.Conn, error), carry func(relay.Dialer) transport, b *breakers, s *stats,
	timeout time.Duration) *pool {
	p := &pool{breakers: b, stats: s, timeout: timeout, making: newMaking()}
	p.transport = carry(func(timeout time.Duration) (net.Conn, error) {
		p.mu.Lock()
		within := p.making
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(within, timeout)
		defer cancel()
		return dial(ctx)
	})
	return p
}

// get returns a connection for a request. It waits for at most limit (real time, 0
// for no limit), and no longer than the request's client stays (nil for no matter).
// A connection counts as a request until Put, or release if it is closed.
func (p *pool) get(now time.Time, limit time.Duration, by leaver) (*h1.Conn, error) {
	c := p.Take(now)
	if c == nil {
		w, err := p.join(now)
		if err != nil {
			return nil, err
		}
		if c, err = p.wait(w, limit, by); err != nil {
			return nil, err
		}
	}
	if !enter(&p.breakers.requests, maxRequests) {
		p.stats.upstream[pendingOverflow].Add(1)
		p.put(c, now)
		return nil, errOverflow
	}
	p.stats.upstream[upstreamRequests].Add(1)
	return c, nil
}

// release ends what get began with a connection that has been closed.
func (p *pool) release() { p.breakers.requests.Add(-1) }

// join puts a request into the queue, with as many connections under way as the
// queue needs.
func (p *pool) join(now time.Time) (*waiter, error) {
	w := &waiter{make(chan served, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, relay.ErrClosed
	}
	if c := p.Take(now); c != nil { // put back since
		w.served <- served{conn: c}
		return w, nil
	}
	if !enter(&p.breakers.pending, maxPending) {
		p.stats.upstream[pendingOverflow].Add(1)
		return nil, errOverflow
	}
	p.waiting = append(p.waiting, w)
	p.queued.Add(1)
	p.grow()
	return w, nil
}

func (p *pool) wait(w *waiter, limit time.Duration, by leaver) (*h1.Conn, error) {
	var late <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	var look <-chan time.Time
	if by != nil {
		t := time.NewTicker(relay.Tick)
		defer t.Stop()
		look = t.C
	}
	for {
		why := errLate
		select {
		case s := <-w.served:
			return s.conn, s.err
		case <-late:
		case <-look:
			if why = errLeft; !by.Ended() {
				continue
			}
		}
		if !p.leave(w) { // it was served just now
			if s := <-w.served; s.conn != nil {
				p.put(s.conn, time.Now())
			}
		}
		return nil, why
	}
}

// leave takes a request out of the queue. What connects goes on.
func (p *pool) leave(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, w)
	if i < 0 {
		return false
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	p.dequeued(1)
	p.stats.upstream[cancelled].Add(1)
	return true
}

func (p *pool) dequeued(n int) {
	p.queued.Add(int32(-n))
	p.breakers.pending.Add(int32(-n))
}

// serve gives a connection to the oldest request. p.mu is held.
func (p *pool) serve(c *h1.Conn) {
	w := p.waiting[0]
	p.waiting = p.waiting[1:]
	p.dequeued(1)
	w.served <- served{conn: c}
}

// fail fails all that wait, the newest first. p.mu is held.
func (p *pool) fail(err error) {
	all := p.waiting
	p.waiting = nil
	p.dequeued(len(all))
	for _, w := range slices.Backward(all) {
		w.served <- served{err: err}
	}
}

// atOnce is how many connections one event can begin to make.
const atOnce = 3

// grow makes connections until there will be enough. A pool without any makes one
// beyond the cluster's limit, or its queue would wait for ever. p.mu is held.
func (p *pool) grow() {
	for range atOnce {
		if len(p.waiting) <= p.connecting*p.each() || p.closed {
			return
		}
		if !enter(&p.breakers.connections, maxConnections) {
			p.stats.upstream[connectionOverflow].Add(1)
			if p.connecting > 0 || p.open.Load() > 0 {
				return
			}
			p.breakers.connections.Add(1)
		}
		p.connecting++
		p.stats.upstream[connections].Add(1)
		m := p.making
		p.wg.Go(func() { p.connect(m) })
	}
}

func (p *pool) connect(m *making) {
	var next func() *h1.Conn
	err := m.Err() // it may have ended before it began
	if err == nil {
		next, err = p.Open(p.timeout, p.ended)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if m == p.making {
		p.connecting--
	}
	if err != nil {
		p.breakers.connections.Add(-1)
		p.stats.upstream[connectFail].Add(1)
		if h1.IsTimeout(err) {
			p.stats.upstream[connectTimeout].Add(1)
		}
		if m == p.making {
			p.stats.upstream[pendingFailure].Add(int64(len(p.waiting)))
			p.fail(err)
		}
		return
	}
	p.open.Add(1)
	for c := next(); c != nil; c = next() {
		if len(p.waiting) == 0 {
			p.transport.Put(c, time.Now())
			break
		}
		p.serve(c)
	}
	if p.closed {
		p.Sweep(time.Now())
	}
	p.grow()
}

// ended notes the end of a connection that was made. It may come under p.mu.
func (p *pool) ended() {
	p.open.Add(-1)
	p.breakers.connections.Add(-1)
	if p.queued.Load() > 0 {
		go func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.grow()
		}()
	}
}

// Put takes a connection back after a complete exchange, which is no request any
// more when the next one gets the connection: otherwise there would be one more than
// there are, and it would be refused at the limit.
func (p *pool) Put(c *h1.Conn, now time.Time) {
	p.release()
	p.put(c, now)
}

// put takes a connection back.
func (p *pool) put(c *h1.Conn, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.transport.Put(c, now)
	for len(p.waiting) > 0 {
		if c = p.Take(now); c == nil {
			return
		}
		p.serve(c)
	}
}

// drain ends what is idle and lets nothing be used again that is out, as Envoy does
// with a host that it ejects. What is being made ends unless a request waits for it.
func (p *pool) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Drain()
	if len(p.waiting) == 0 {
		p.stopMaking()
	}
}

// stopMaking ends what is being made. p.mu is held.
func (p *pool) stopMaking() {
	p.making.stop()
	p.making, p.connecting = newMaking(), 0
}

// close lets no more requests in, and sends those that wait to another host. What
// runs comes to its end, and then gone is called, from a goroutine of its own.
func (p *pool) close(gone func()) {
	p.mu.Lock()
	p.closed = true
	p.fail(relay.ErrClosed)
	p.stopMaking()
	p.mu.Unlock()
	p.transport.Close(func() {
		p.wg.Wait()
		gone()
	})
}

// cut ends the pool and, if it is shared, what runs in it.
func (p *pool) cut() {
	p.close(func() {})
	p.Shut()
	p.wg.Wait()
}
