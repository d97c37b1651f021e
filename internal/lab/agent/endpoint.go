package agent

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h2"
)

// endpoint is one listener and its cluster, as each of the agent's workers has
// them.
type endpoint struct {
	name    string
	stats   *stats
	hosts   *cluster
	workers []*worker
	secure  *handshakes // before the workers where the downstream speaks TLS; nil for plain
}

// worker is what one of the agent's worker threads does with an endpoint's
// connections: HTTP goes through route, anything else through tcp. Workers
// share what is known of the hosts, and neither their turn among these nor the
// connections to them (section 3 of the semantics).
type worker struct {
	route *route
	codec *h2.DownstreamCodec // before route for clients that speak HTTP/2
	tcp   *tcpProxy
}

func (a *Agent) newEndpoint(name string, p Protocol, t Timeouts, local bool) (*endpoint, error) {
	n := max(a.cfg.Workers, 1)
	ep := &endpoint{name: name, stats: newStats()}
	ep.hosts = newCluster(a.clock, a.net, ep.stats, n)
	ep.hosts.idle, ep.hosts.connect, ep.hosts.local = a.clock.Real(t.Idle), a.connectTimeout(), local
	if !local {
		ep.hosts.zones = &a.zones
	}
	for i := range n {
		w := &worker{}
		switch p {
		case HTTP, HTTP2, GRPC:
			ep.hosts.http2 = p != HTTP
			w.route = a.newRoute(ep.hosts, i, p, t, ep.stats, local)
			w.codec = h2.NewEnvoyCodec(w.route.streams.Take, w.route.idle, a.clock.Real(drainTimeout))
			w.route.server.HTTP2 = w.codec.Serve
		case TCP:
			w.tcp = &tcpProxy{agent: a, hosts: ep.hosts, worker: i, stats: ep.stats, idle: a.clock.Real(t.Idle)}
		default:
			return nil, fmt.Errorf("protocol %q is none of http, http2, grpc, tcp", p)
		}
		ep.workers = append(ep.workers, w)
	}
	return ep, nil
}

// take gives a connection to one of the workers, whose it stays. Each worker of
// an Envoy has a socket of its own for a listener's port (SO_REUSEPORT), and
// the kernel chooses among them by a hash of the addresses, which is chance to
// whoever connects.
func (ep *endpoint) take(c net.Conn) {
	w := ep.workers[rand.IntN(len(ep.workers))]
	switch {
	case ep.secure == nil:
		w.pass(c)
	case w.tcp != nil:
		w.tcp.take(ep.secure.over(c)) // it connects to the app first, as Envoy does
	default:
		ep.secure.begin(c, w.pass)
	}
}

// pass gives a connection to the route or the TCP proxy.
func (w *worker) pass(c net.Conn) {
	if w.route != nil {
		w.route.server.Take(c, c.RemoteAddr(), c.LocalAddr())
	} else {
		w.tcp.take(c)
	}
}

// drain begins to say of answers that they are their connection's last.
func (ep *endpoint) drain() {
	for _, w := range ep.workers {
		if w.route != nil {
			w.route.draining.CompareAndSwap(0, time.Now().UnixNano())
		}
	}
}

// close ends the endpoint's connections on both sides.
func (ep *endpoint) close() {
	ep.hosts.close()
	if ep.secure != nil {
		ep.secure.close()
	}
	for _, w := range ep.workers {
		if w.codec != nil {
			w.codec.Close()
		}
		if w.route != nil {
			w.route.server.Close()
			w.route.streams.Close()
		} else {
			w.tcp.close()
		}
	}
}
