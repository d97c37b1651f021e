package agent

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// The agent's listeners, as relay.Heads name them.
const (
	PartEgress  = "egress"
	PartIngress = "ingress"
)

// Agent is a running agent.
type Agent struct {
	cfg   Config
	net   fabric.Net
	clock clock.Clock
	spin  *inject.Spinner
	log   *accessLog
	tap   relay.Tap

	ingress   []*endpoint
	egress    map[netip.AddrPort]*endpoint
	byName    map[string]*endpoint
	listeners []net.Listener
	outbound  fabric.Outbound

	connections atomic.Int64 // to TCP endpoints, so far

	updating sync.Mutex
	zones    atomic.Pointer[zoning] // of all egress endpoints; nil without zones

	wg   sync.WaitGroup
	stop chan struct{}
	once sync.Once
}

// Start starts an agent and says where it listens.
func Start(cfg Config, n fabric.Net) (*Agent, Bound, error) {
	a := &Agent{
		cfg: cfg, net: n, clock: clock.New(cfg.Scale), spin: inject.New(cfg.Inject),
		egress: map[netip.AddrPort]*endpoint{}, byName: map[string]*endpoint{}, stop: make(chan struct{}),
	}
	var err error
	if a.log, err = openLog(cfg.AccessLog, a.clock); err != nil {
		return nil, Bound{}, err
	}
	var b Bound
	for _, in := range cfg.Ingress {
		l, err := a.startIngress(in)
		if err != nil {
			a.Close()
			return nil, Bound{}, fmt.Errorf("agent of %s: ingress %s: %w", cfg.Task, in.Discovery, err)
		}
		b.Ingress = append(b.Ingress, l)
	}
	if err := a.startEgress(&b); err != nil {
		a.Close()
		return nil, Bound{}, fmt.Errorf("agent of %s: egress: %w", cfg.Task, err)
	}
	a.wg.Add(1)
	go a.sweep()
	return a, b, nil
}

func (a *Agent) connectTimeout() time.Duration {
	if a.cfg.ConnectTimeout > 0 {
		return a.clock.Real(a.cfg.ConnectTimeout)
	}
	return a.clock.Real(defaultConnectTimeout)
}

func (a *Agent) startIngress(in Ingress) (netip.AddrPort, error) {
	ep, err := a.newEndpoint(in.Discovery, in.Protocol, in.Timeouts, true)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if in.Certificate != nil {
		if ep.secure, err = newHandshakes(in, ep.stats, a.clock.Real(in.Timeouts.Idle)); err != nil {
			return netip.AddrPort{}, err
		}
		for _, w := range ep.workers {
			if w.tcp != nil {
				w.tcp.secure = ep.secure
			} else {
				w.route.scheme = secureScheme
			}
		}
	}
	ep.hosts.setHosts([]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), in.App)})
	l, err := a.net.Listen(in.Listen)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a.ingress = append(a.ingress, ep)
	a.listeners = append(a.listeners, l)
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ep.take(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

func (a *Agent) startEgress(b *Bound) error {
	if len(a.cfg.Egress) == 0 {
		return nil // no endpoint, no redirect rule: section 2 of the semantics
	}
	var at []netip.AddrPort
	for _, e := range a.cfg.Egress {
		ep, err := a.newEndpoint(e.Discovery, e.Protocol, e.Timeouts, false)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		if e.TLS != nil {
			if ep.hosts.tls, err = certs.Client(e.TLS.Authority, e.TLS.Name); err != nil {
				return err
			}
			ep.hosts.tls.MinVersion, ep.hosts.tls.NextProtos = tls.VersionTLS13, e.Protocol.NextProtocols()
		}
		a.egress[e.At] = ep
		a.byName[fmt.Sprintf("%s:%d", e.Name, e.At.Port())] = ep
		at = append(at, e.At)
	}
	o, err := a.net.Outbound(at)
	if err != nil {
		return err
	}
	a.outbound = o
	b.Outbound = o.Listeners()
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		for {
			c, dst, err := o.Accept()
			if err != nil {
				return
			}
			if ep := a.egress[dst]; ep != nil {
				ep.take(c)
			} else {
				a.unmatched(c)
			}
		}
	}()
	return nil
}

// unmatched drops a connection to a virtual address on a port that no alias
// has. Envoy closes it at once, and the request that is then on its way is
// answered with a reset; waiting for that request makes the client see the
// reset every time (curl: "Recv failure: Connection reset by peer").
func (a *Agent) unmatched(c net.Conn) {
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		hc := h1.NewConn(c)
		hc.ReadBy(time.Now().Add(200 * time.Millisecond))
		hc.Take()
		hc.Reset()
		hc.Release()
	}()
}

// Update changes the tasks behind egress endpoints.
func (a *Agent) Update(u Update) {
	a.updating.Lock()
	defer a.updating.Unlock()
	if len(u.Zones) > 0 || u.Callers != nil {
		z := &zoning{own: a.cfg.Zone, of: map[netip.Addr]string{}, callers: u.Callers}
		if old := a.zones.Load(); old != nil {
			maps.Copy(z.of, old.of)
			if u.Callers == nil {
				z.callers = old.callers
			}
		}
		maps.Copy(z.of, u.Zones)
		a.zones.Store(z)
	}
	for name, hosts := range u.Hosts {
		if ep := a.byName[name]; ep != nil {
			ep.hosts.setHosts(hosts)
		}
	}
}

func (a *Agent) sweep() {
	defer a.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-a.stop:
			return
		case now := <-t.C:
			for _, ep := range a.endpoints() {
				ep.hosts.sweep(now)
			}
			a.log.flush()
		}
	}
}

func (a *Agent) endpoints() []*endpoint {
	out := append([]*endpoint{}, a.ingress...)
	for _, ep := range a.egress {
		out = append(out, ep)
	}
	return out
}

// Watch keeps the heads of HTTP requests with that X-Request-Id from now on.
func (a *Agent) Watch(id string) { a.tap.Watch(id) }

// Heads returns what was kept since Watch, and ends that. Heads.Part is PartEgress or
// PartIngress, by the listener that the request came to.
func (a *Agent) Heads(id string) []relay.Heads { return a.tap.Take(id) }

// Flush writes to the access log what waits to be written.
func (a *Agent) Flush() { a.log.flush() }

// Drain stops taking connections from outside the task, as the agent does
// when its task stops; calls from the task still go out. As after Envoy's
// /drain_listeners?inboundonly, connections that are there go on, and a share
// of the answers that grows over drainTime says that they are the last.
func (a *Agent) Drain() {
	for _, ep := range a.ingress {
		ep.drain()
	}
	for _, l := range a.listeners {
		l.Close()
	}
}

// Close ends the agent and all its connections.
func (a *Agent) Close() {
	a.once.Do(func() {
		close(a.stop)
		for _, l := range a.listeners {
			l.Close()
		}
		if a.outbound != nil {
			a.outbound.Close()
		}
		for _, ep := range a.endpoints() {
			ep.close()
		}
		a.wg.Wait()
		a.log.close()
	})
}
