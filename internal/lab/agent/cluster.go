package agent

import (
	"context"
	"crypto/tls"
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

	mu    sync.Mutex // for setHosts
	hosts atomic.Pointer[[]*host]
	next  atomic.Uint32
	zones atomic.Pointer[zoning] // nil without zones
}

func newCluster(c clock.Clock, n fabric.Net, idle time.Duration, local bool) *cluster {
	cl := &cluster{clock: c, net: n, idle: idle, local: local}
	cl.hosts.Store(&[]*host{})
	return cl
}

// host is one member of a cluster.
type host struct {
	addr     netip.AddrPort
	name     string // addr as text, for the log
	pool     *relay.Pool
	dial     relay.Dialer
	codec    *h2.UpstreamCodec // between pool and host when it speaks HTTP/2
	requests atomic.Int64

	ejectedUntil atomic.Int64 // modelled ns since the clock's zero; 0 when in use
	mu           sync.Mutex
	failures     []time.Time // of the last window, real time
	ejections    int
}

// setHosts replaces the hosts; those that stay keep their connections and history.
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
		h := &host{addr: a, name: a.String()}
		dial := func(timeout time.Duration) (net.Conn, error) { return c.dial(a, timeout) }
		h.dial = dial
		if c.tls != nil {
			h.dial = relay.WithTLS(dial, c.tls)
		}
		if c.http2 {
			h.codec = h2.NewUpstreamCodec(dial, c.tls)
			dial = h.codec.Dial
		} else {
			dial = h.dial
		}
		h.pool = relay.NewPool(dial, c.idle)
		now = append(now, h)
	}
	c.hosts.Store(&now)
	for _, h := range old {
		if !slices.Contains(now, h) {
			h.pool.Close()
			if h.codec != nil {
				h.codec.Close()
			}
		}
	}
}

func (c *cluster) dial(a netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if c.local {
		return c.net.DialLocal(ctx, a.Port())
	}
	return c.net.Dial(ctx, a)
}

// pick returns the next host in turn that is not ejected and was not tried
// yet, failing that one that was tried, or nil for an empty cluster. When
// fewer than half of the hosts are in use, ejections are ignored (Envoy's
// panic threshold of 50 %).
func (c *cluster) pick(now time.Time, tried []*host) *host {
	hosts := *c.hosts.Load()
	switch len(hosts) {
	case 0:
		return nil
	case 1:
		return hosts[0]
	}
	usable := 0
	for _, h := range hosts {
		if !h.ejected(now) {
			usable++
		}
	}
	panicking := usable*2 < len(hosts)
	if !panicking {
		hosts = c.zones.Load().nearby(hosts, now, tried)
	}
	start := int(c.next.Add(1) - 1)
	var fallback *host
	for i := range hosts {
		h := hosts[(start+i)%len(hosts)]
		if !panicking && h.ejected(now) {
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

func (h *host) ejected(now time.Time) bool {
	until := h.ejectedUntil.Load()
	return until != 0 && now.UnixNano() < until
}

// failed notes a failed connection. Five within 30 s eject the host, the
// n-th time for n times 30 s, at most 300 s.
func (h *host) failed(c clock.Clock, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	window := c.Real(outlierWindow)
	h.failures = slices.DeleteFunc(h.failures, func(t time.Time) bool { return now.Sub(t) > window })
	h.failures = append(h.failures, now)
	if len(h.failures) < outlierFailures || h.ejected(now) {
		return
	}
	h.ejections++
	h.failures = h.failures[:0]
	h.ejectedUntil.Store(now.Add(c.Real(min(ejectionBase*time.Duration(h.ejections), ejectionMax))).UnixNano())
}

func (c *cluster) sweep(now time.Time) {
	for _, h := range *c.hosts.Load() {
		h.pool.Sweep(now)
	}
}

func (c *cluster) close() { c.setHosts(nil) }
