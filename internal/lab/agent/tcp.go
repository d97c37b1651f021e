package agent

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// tcpProxy is an endpoint without AppProtocol: bytes both ways, no headers,
// no requests to count or to time. It is one worker's.
type tcpProxy struct {
	agent  *Agent
	hosts  *cluster
	worker int // whose turn it uses
	stats  *stats
	idle   time.Duration // real
	// secure does the handshake of a client that speaks TLS; nil for plain.
	secure *handshakes

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup
}

func (p *tcpProxy) take(c net.Conn) {
	if !p.track(c) {
		c.Close()
		return
	}
	go func() {
		defer p.wg.Done()
		p.stats.opened()
		defer p.stats.closed()
		start, number := time.Now(), p.agent.connections.Add(1)
		in, out := p.serve(c)
		p.stats.tunnelled(in, out)
		p.agent.log.connection(start, c.RemoteAddr(), in, out, number)
		p.untrack(c)
	}()
}

// serve connects the client with a host, once: connection tries of Envoy's
// TCP proxy default to 1. The client of a host that cannot be reached sees its
// connection end, by a reset when what it has sent was not read. It returns how
// many bytes went from the client and to it.
func (p *tcpProxy) serve(c net.Conn) (in, out int64) {
	down := h1.NewConn(c)
	defer down.Release()
	defer down.Close()
	if len(*p.hosts.hosts.Load()) == 0 {
		return 0, 0
	}
	p.agent.spin.Wait()
	if p.hosts.breakers.connections.Load() >= maxConnections {
		p.stats.upstream[connectionOverflow].Add(1)
		return 0, 0
	}
	h, up, err := p.connect()
	if err != nil {
		if h != nil && failedToConnect(err) {
			h.failed(time.Now())
		}
		if p.hosts.tls != nil {
			down.Discard() // a handshake failed: Envoy has read by then, so that the end is no reset
		}
		return 0, 0
	}
	defer h.pools[p.worker].release()
	defer up.Release()
	defer up.Close()
	if !p.track(up.Conn) {
		return 0, 0
	}
	defer p.wg.Done()
	defer p.untrack(up.Conn)
	h.succeeded()
	h.requests.Add(1)
	if t, ok := c.(relay.Secured); ok && !p.secure.finish(t) {
		return 0, 0
	}
	return relay.Proxy(down, up, p.idle)
}

// connect returns a connection to the host in turn.
func (p *tcpProxy) connect() (h *host, up *h1.Conn, err error) {
	for {
		now := time.Now()
		if h = p.hosts.pick(p.worker, now, nil); h == nil {
			return nil, nil, errNoHost
		}
		if up, err = h.pools[p.worker].get(now, 0, nil); !errors.Is(err, relay.ErrClosed) { // else it is not among the hosts any more
			return h, up, err
		}
	}
}

func (p *tcpProxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if p.conns == nil {
		p.conns = map[net.Conn]struct{}{}
	}
	p.conns[c] = struct{}{}
	p.wg.Add(1)
	return true
}

func (p *tcpProxy) untrack(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (p *tcpProxy) close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
