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
	clock clock.Clock
	net   fabric.Net
	idle  time.Duration // of pooled connections, real
	local bool          // the hosts are ports of the task's own loopback
	http2 bool          // the hosts speak HTTP/2
	tls   *tls.Config   // towards the hosts; nil for plain

	detection detection

	mu      sync.Mutex                 // for setHosts and leaving
	leaving map[*h2.UpstreamCodec]bool // of hosts that are gone, with streams that are not
	hosts   atomic.Pointer[[]*host]
	turns   []atomic.Uint32         // whose turn it is, for each worker
	zones   *atomic.Pointer[zoning] // the agent's; nil for an app
}

// newCluster makes an empty cluster for so many workers. Envoy lets the turns
// begin with any host, so that its clients do not all begin with the same.
func newCluster(c clock.Clock, n fabric.Net, idle time.Duration, local bool, workers int) *cluster {
	cl := &cluster{clock: c, net: n, idle: idle, local: local, leaving: map[*h2.UpstreamCodec]bool{}, turns: make([]atomic.Uint32, workers)}
	for i := range cl.turns {
		cl.turns[i].Store(rand.Uint32N(1 << 16))
	}
	cl.detection.since = time.Now()
	cl.hosts.Store(&[]*host{})
	return cl
}

// host is one member of a cluster.
type host struct {
	addr     netip.AddrPort
	name     string // addr as text, for the log
	dial     relay.Dialer
	links    []link // of each worker
	requests atomic.Int64

	outlier
}

// link is one worker's connections to a host.
type link struct {
	pool  *relay.Pool
	codec *h2.UpstreamCodec // between pool and host when it speaks HTTP/2
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
			for _, l := range h.links {
				l.pool.Close()
				if l.codec != nil {
					c.retire(l.codec)
				}
			}
		}
	}
}

// retire ends a codec when its streams have ended; c.mu is held.
func (c *cluster) retire(codec *h2.UpstreamCodec) {
	c.leaving[codec] = true
	codec.Retire(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.leaving, codec)
	})
}

func (c *cluster) newHost(a netip.AddrPort) *host {
	h := &host{addr: a, name: a.String(), outlier: outlier{cluster: c}}
	dial := func(timeout time.Duration) (net.Conn, error) { return c.dial(a, timeout) }
	h.dial = dial
	if c.tls != nil {
		h.dial = relay.WithTLS(dial, c.tls)
	}
	for range c.turns {
		l := link{}
		if c.http2 {
			l.codec = h2.NewUpstreamCodec(dial, c.tls)
			l.codec.Explain()
			l.pool = relay.NewPool(l.codec.Dial, c.idle)
		} else {
			l.pool = relay.NewPool(h.dial, c.idle)
		}
		h.links = append(h.links, l)
	}
	return h
}

func (c *cluster) dial(a netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if c.local {
		return c.net.DialLocal(ctx, a.Port())
	}
	return c.net.Dial(ctx, a)
}

// pick returns the next host in the worker's turn that is not ejected and was
// not tried yet, failing that one that was tried, or nil for an empty cluster.
// When fewer than half of the hosts are in use, ejections are ignored (Envoy's
// panic threshold of 50 %).
func (c *cluster) pick(worker int, now time.Time, tried []*host) *host {
	hosts := *c.hosts.Load()
	switch len(hosts) {
	case 0:
		return nil
	case 1:
		return hosts[0]
	}
	c.detection.look(hosts, now)
	usable := 0
	for _, h := range hosts {
		if !h.out.Load() {
			usable++
		}
	}
	panicking := usable*2 < len(hosts)
	if !panicking {
		hosts = c.zoning().nearby(hosts, now, tried)
	}
	start := int(c.turns[worker].Add(1) - 1)
	var fallback *host
	for i := range hosts {
		h := hosts[(start+i)%len(hosts)]
		if !panicking && h.out.Load() {
			continue
		}
		if !slices.Contains(tried, h) {
			return h
		}
		if fallback == nil {
			fallback = h
		}
	}
	return fallback
}

func (c *cluster) zoning() *zoning {
	if c.zones == nil {
		return nil
	}
	return c.zones.Load()
}

func (c *cluster) sweep(now time.Time) {
	for _, h := range *c.hosts.Load() {
		for i := range h.links {
			h.links[i].pool.Sweep(now)
			h.links[i].pool.Prune() // Envoy watches them
		}
	}
}

// close cuts what still runs.
func (c *cluster) close() {
	c.setHosts(nil)
	c.mu.Lock()
	leaving := slices.Collect(maps.Keys(c.leaving))
	c.mu.Unlock()
	for _, codec := range leaving {
		codec.Close()
	}
}
