package agent

import (
	"context"
	"crypto/tls"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// cluster is the set of hosts behind one endpoint: the tasks of an egress
// endpoint, or the one app of an ingress.
type cluster struct {
	clock   clock.Clock
	net     fabric.Net
	idle    time.Duration // of pooled connections, real
	connect time.Duration // how long a connection may take to be made, real
	local   bool          // the hosts are ports of the task's own loopback
	http2   bool          // the hosts speak HTTP/2
	tls     *tls.Config   // towards the hosts; nil for plain
	stats   *stats

	breakers  breakers
	detection detection

	mu      sync.Mutex     // for setHosts and leaving
	leaving map[*pool]bool // of hosts that are gone, with streams that are not
	hosts   atomic.Pointer[[]*host]
	turns   []turn                  // whose turn it is, for each worker
	zones   *atomic.Pointer[zoning] // the agent's; nil for an app
}

// turn is whose turn it is among the hosts that are in use, and among all of them
// when too few are. Envoy has one of each too.
type turn struct{ used, all atomic.Uint32 }

// newCluster makes an empty cluster for so many workers. Envoy lets the turns
// begin with any host, so that its clients do not all begin with the same.
func newCluster(c clock.Clock, n fabric.Net, s *stats, workers int) *cluster {
	cl := &cluster{clock: c, net: n, stats: s, leaving: map[*pool]bool{}, turns: make([]turn, workers)}
	for i := range cl.turns {
		seed := rand.Uint32N(1 << 16)
		cl.turns[i].used.Store(seed)
		cl.turns[i].all.Store(seed)
	}
	cl.detection.since = time.Now()
	cl.hosts.Store(&[]*host{})
	return cl
}

// host is one member of a cluster.
type host struct {
	addr     netip.AddrPort
	name     string  // addr as text, for the log
	pools    []*pool // of each worker
	requests atomic.Int64

	outlier
}

// setHosts replaces the hosts; those that stay keep their connections and
// history, and what runs on one that goes comes to its end there.
func (c *cluster) setHosts(addrs []netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.hosts.Load()
	var now []*host
	for _, a := range addrs {
		if i := slices.IndexFunc(old, func(h *host) bool { return h.addr == a }); i >= 0 {
			now = append(now, old[i])
			continue
		}
		h := c.newHost(a)
		now = append(now, h)
	}
	c.hosts.Store(&now)
	c.detection.membersChanged(now, time.Now())
	for _, h := range old {
		if !slices.Contains(now, h) {
			for _, p := range h.pools {
				c.retire(p)
			}
		}
	}
}

// retire ends a pool when its streams have ended; c.mu is held.
func (c *cluster) retire(p *pool) {
	c.leaving[p] = true
	p.close(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.leaving, p)
	})
}

func (c *cluster) newHost(a netip.AddrPort) *host {
	h := &host{addr: a, name: a.String(), outlier: outlier{cluster: c}}
	dial := func(ctx context.Context) (net.Conn, error) { return c.dial(ctx, a) }
	for range c.turns {
		h.pools = append(h.pools, newPool(dial, c.transport, &c.breakers, c.stats, c.connect))
	}
	return h
}

// failed notes that the host could not be reached, or did not answer. One that is
// ejected for it loses its connections.
func (h *host) failed(now time.Time) {
	if h.outlier.failed(now) {
		for _, p := range h.pools {
			p.drain()
		}
	}
}

func (c *cluster) transport(dial relay.Dialer) transport {
	switch {
	case c.http2:
		return shared{h2.NewSessions(dial, c.tls, c.idle)}
	case c.tls != nil:
		dial = relay.WithTLS(dial, c.tls)
	}
	return newExclusive(dial, c.idle)
}

func (c *cluster) dial(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
	if c.local {
		return c.net.DialLocal(ctx, a.Port())
	}
	return c.net.Dial(ctx, a)
}

// picks is how often a retry asks for a host that was not tried yet, before it
// takes one that was: the first time, and host_selection_retry_max_attempts more.
const picks = 1 + 3

// pick returns the host in the worker's turn, or nil for an empty cluster. A
// request that has tried some takes the next one that it has not, though each that
// it passes over loses its turn.
func (c *cluster) pick(worker int, now time.Time, tried []*host) (h *host) {
	for range picks {
		if h = c.next(worker, now, tried); !slices.Contains(tried, h) {
			break
		}
	}
	return h
}

// next moves the worker's turn on. When fewer than half of the hosts are in use,
// ejections are ignored (Envoy's panic threshold of 50 %).
func (c *cluster) next(worker int, now time.Time, tried []*host) *host {
	hosts := *c.hosts.Load()
	switch len(hosts) {
	case 0:
		return nil
	case 1:
		return hosts[0]
	}
	c.detection.look(hosts, now)
	turn := &c.turns[worker].used
	if len(inUse(hosts))*2 < len(hosts) {
		turn = &c.turns[worker].all
	} else if near := inUse(c.zoning().nearby(hosts, now, tried)); len(near) > 0 {
		hosts = near
	}
	return hosts[int(turn.Add(1)-1)%len(hosts)]
}

// inUse returns the hosts that the load balancing does not take for ejected.
func inUse(hosts []*host) []*host {
	out := func(h *host) bool { return h.out.Load() }
	if !slices.ContainsFunc(hosts, out) {
		return hosts
	}
	return slices.DeleteFunc(slices.Clone(hosts), out)
}

func (c *cluster) zoning() *zoning {
	if c.zones == nil {
		return nil
	}
	return c.zones.Load()
}

func (c *cluster) sweep(now time.Time) {
	for _, h := range *c.hosts.Load() {
		for _, p := range h.pools {
			p.Sweep(now)
		}
	}
}

// close cuts what still runs.
func (c *cluster) close() {
	c.setHosts(nil)
	c.mu.Lock()
	leaving := slices.Collect(maps.Keys(c.leaving))
	c.mu.Unlock()
	for _, p := range leaving {
		p.cut()
	}
}
