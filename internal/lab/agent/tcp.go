package agent

import (
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
		p.serve(c)
		p.untrack(c)
	}()
}

// serve connects the client with a host, once: connection tries of Envoy's
// TCP proxy default to 1. The client of a host that cannot be reached sees its
// connection end, by a reset when what it has sent was not read.
func (p *tcpProxy) serve(c net.Conn) {
	down := h1.NewConn(c)
	defer down.Release()
	defer down.Close()
	now := time.Now()
	h := p.hosts.pick(p.worker, now, nil)
	if h == nil {
		return
	}
	p.agent.spin.Wait()
	p.stats.connected()
	uc, err := h.dial(p.agent.connectTimeout())
	if err != nil {
		h.failed(time.Now())
		if p.hosts.tls != nil {
			down.Discard() // a handshake failed: Envoy has read by then, so that the end is no reset
		}
		return
	}
	if !p.track(uc) {
		uc.Close()
		return
	}
	defer p.wg.Done()
	defer p.untrack(uc)
	h.succeeded()
	h.requests.Add(1)
	up := h1.NewConn(uc)
	defer up.Release()
	defer up.Close()
	if t, ok := c.(relay.Secured); ok && !p.secure.finish(t) {
		return
	}
	in, out := relay.Proxy(down, up, p.idle)
	p.stats.tunnelled(in, out)
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
