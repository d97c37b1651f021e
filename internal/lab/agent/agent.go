package agent

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/inject"
)

// Agent is a running agent.
type Agent struct {
	cfg   Config
	net   fabric.Net
	clock clock.Clock
	spin  *inject.Spinner
	log   *accessLog

	ingress   []*door
	egress    map[netip.AddrPort]*door
	byName    map[string]*door
	listeners []net.Listener
	outbound  fabric.Outbound

	wg   sync.WaitGroup
	stop chan struct{}
	once sync.Once
}

// door is one endpoint: HTTP through route, anything else through tcp.
type door struct {
	name  string
	stats *stats
	hosts *cluster
	route *route
	front *h2.Front // before route when the endpoint speaks HTTP/2
	tcp   *tcpProxy
	tls   *tls.Config    // towards who connects; nil for plain
	hands sync.WaitGroup // TLS handshakes
}

// Start starts an agent and says where it listens.
func Start(cfg Config, n fabric.Net) (*Agent, Bound, error) {
	a := &Agent{
		cfg: cfg, net: n, clock: clock.New(cfg.Scale), spin: inject.New(cfg.Inject),
		egress: map[netip.AddrPort]*door{}, byName: map[string]*door{}, stop: make(chan struct{}),
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

func (a *Agent) newDoor(name string, p Protocol, t Timeouts, local bool) (*door, error) {
	d := &door{name: name, stats: newStats(), hosts: newCluster(a.clock, a.net, a.clock.Real(t.Idle), local)}
	switch p {
	case HTTP:
		d.route = a.newRoute(d.hosts, t, d.stats, local)
	case HTTP2, GRPC:
		d.hosts.http2 = true
		d.route = a.newRoute(d.hosts, t, d.stats, local)
		d.route.http2 = true
		d.route.server.DropTrailers = false
		d.front = h2.NewFront(d.route.server.Take, d.route.idle)
	case TCP:
		d.tcp = &tcpProxy{agent: a, hosts: d.hosts, stats: d.stats, idle: a.clock.Real(t.Idle)}
	default:
		return nil, fmt.Errorf("protocol %q is none of http, http2, grpc, tcp", p)
	}
	return d, nil
}

func (a *Agent) startIngress(in Ingress) (netip.AddrPort, error) {
	d, err := a.newDoor(in.Discovery, in.Protocol, in.Timeouts, true)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if in.TLS {
		if d.tls, err = certs.Throwaway("service-connect", nextProtocols(in.Protocol)...); err != nil {
			return netip.AddrPort{}, err
		}
		d.tls.MinVersion = tls.VersionTLS13
	}
	d.hosts.setHosts([]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), in.App)})
	l, err := a.net.Listen(in.Listen)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a.ingress = append(a.ingress, d)
	a.listeners = append(a.listeners, l)
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.take(c)
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
		d, err := a.newDoor(e.Discovery, e.Protocol, e.Timeouts, false)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		if e.TLS {
			// The private CA is AWS's; the lab's agents take each other's word for who they are.
			d.hosts.tls = certs.Unverified(e.Name, tls.VersionTLS13)
		}
		a.egress[e.At] = d
		a.byName[fmt.Sprintf("%s:%d", e.Name, e.At.Port())] = d
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
			if d := a.egress[dst]; d != nil {
				d.take(c)
			} else {
				a.unmatched(c)
			}
		}
	}()
	return nil
}

// nextProtocols is what an ingress with TLS offers by ALPN.
func nextProtocols(p Protocol) []string {
	switch p {
	case HTTP:
		return []string{"http/1.1"}
	case HTTP2, GRPC:
		return []string{"h2", "http/1.1"}
	}
	return nil
}

// handshakeLimit is how long a TLS handshake may take, real time.
const handshakeLimit = 10 * time.Second

func (d *door) take(c net.Conn) {
	if d.tls == nil {
		d.pass(c)
		return
	}
	d.hands.Go(func() {
		t := tls.Server(c, d.tls)
		ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
		defer cancel()
		if t.HandshakeContext(ctx) != nil {
			c.Close()
			return
		}
		d.pass(t)
	})
}

// pass gives a connection to what serves it.
func (d *door) pass(c net.Conn) {
	switch {
	case d.front != nil:
		d.front.Sniff(c)
	case d.route != nil:
		d.route.server.Take(c, c.RemoteAddr(), c.LocalAddr())
	default:
		d.tcp.take(c)
	}
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
	for name, hosts := range u.Hosts {
		if d := a.byName[name]; d != nil {
			d.hosts.setHosts(hosts)
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
			for _, d := range a.doors() {
				d.hosts.sweep(now)
			}
			a.log.flush()
		}
	}
}

func (a *Agent) doors() []*door {
	out := append([]*door{}, a.ingress...)
	for _, d := range a.egress {
		out = append(out, d)
	}
	return out
}

// Drain stops taking connections from outside the task, as the agent does
// when its task stops; calls from the task still go out. Connections in use
// are closed after their current exchange.
func (a *Agent) Drain() {
	for _, l := range a.listeners {
		l.Close()
	}
	for _, d := range a.ingress {
		if d.route != nil {
			d.route.server.Drain()
		}
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
		for _, d := range a.doors() {
			d.hosts.close()
			d.hands.Wait()
			if d.front != nil {
				d.front.Close()
			}
			if d.route != nil {
				d.route.server.Close()
			} else {
				d.tcp.close()
			}
		}
		a.wg.Wait()
		a.log.close()
	})
}
