package alb

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// limits are the load balancer's quotas: request line 16 KiB, one field
// 16 KiB, the whole head 64 KiB.
var limits = h1.Limits{Head: 64 << 10, Line: 16 << 10, Field: 16 << 10}

// listener is a running listener.
type listener struct {
	node   *Node
	cfg    Listener // its port, protocol and certificate; for its rules see setup
	ln     net.Listener
	server relay.Server
	tls    *tlsListener // of an HTTPS listener
	proto  []byte       // X-Forwarded-Proto and -Port with their CRLF
	stats  stats
}

func (n *Node) newListener(cfg Listener) (*listener, error) {
	l := &listener{node: n, cfg: cfg}
	scheme := "http"
	if cfg.Protocol == "HTTPS" {
		scheme = "https"
		var err error
		if l.tls, err = newTLSListener(l); err != nil {
			return nil, err
		}
	}
	l.proto = []byte("X-Forwarded-Proto: " + scheme + "\r\nX-Forwarded-Port: " + itoa(int(cfg.Port)) + "\r\n")
	l.server.Handler, l.server.Limits, l.server.Idle = l, limits, n.idle
	l.server.Tap, l.server.Part = &n.tap, "alb"
	l.server.Opened = func() { l.stats.connections.Add(1) }
	return l, nil
}

// serve accepts connections until the listener closes.
func (l *listener) serve(ln net.Listener) {
	if l.tls != nil {
		l.tls.serve(ln)
		return
	}
	l.server.Serve(ln)
}

func (l *listener) close() {
	if l.tls != nil {
		l.tls.close()
	}
	l.server.Close()
}

// Refuse answers what could not be parsed: 414 for a long request line, 400
// for everything else.
func (l *listener) Refuse(x *relay.Exchange, err *h1.ParseError) {
	status := 400
	if err.Status == 414 {
		status = 414
	}
	l.stats.own(status)
	l.page(x, status, false)
}

// Serve answers one request.
func (l *listener) Serve(x *relay.Exchange) bool {
	keep := x.Req.Persistent() && !l.server.Draining()
	if status := refusal(&x.Req); status != 0 {
		l.stats.own(status)
		return l.page(x, status, false)
	}
	class := classify(x)
	l.stats.threats[class].Add(1)
	now := l.node.setup.Load()
	if now.cfg.Desync == strictest && class != compliant {
		l.stats.own(400)
		return l.page(x, 400, false)
	}
	apart := class == ambiguous && now.cfg.Desync != monitor // neither connection carries another request
	keep = keep && !apart
	client := l.client(x.Peer)
	actions := now.routes[l.cfg.Port].route(&x.Req, client.Addr())
	for i := range actions {
		switch a := &actions[i]; a.Type {
		case "forward":
			return l.forward(x, now, a, client, keep, apart)
		case "redirect":
			l.stats.redirects.Add(1)
			return l.own(x, a.Redirect.Status, "text/html", a.Redirect.location(&x.Req, l.cfg.Protocol, l.cfg.Port), "", keep)
		case "fixed-response":
			l.stats.fixed.Add(1)
			return l.own(x, a.Fixed.Status, a.Fixed.ContentType, "", a.Fixed.Body, keep)
		}
	}
	l.stats.own(500)
	return l.page(x, 500, keep)
}

// refusal returns the status for a request that no target may get, or 0.
func refusal(req *h1.Request) int {
	switch {
	case req.Minor >= 1 && len(req.Host) == 0, string(req.Method) == "CONNECT", len(req.Host) > 0 && !validHost(req.Host):
		return 400
	case string(req.Method) == "TRACE":
		return 405
	}
	n := 0
	for i := range req.Fields {
		if f := &req.Fields[i]; f.ID == h1.XForwardedFor {
			n += 1 + bytes.Count(f.Value, []byte(","))
		}
	}
	if n > maxForwarded {
		return 463
	}
	return 0
}

// client returns the logical address that a connection came from.
func (l *listener) client(peer net.Addr) netip.AddrPort {
	if p, ok := peer.(h2.Peer); ok {
		peer = p.Addr
	}
	t, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(l.node.net.Logical(ap.Addr().Unmap()), ap.Port())
}

// choose picks a target group by weight.
func (s *setup) choose(ws []Weighted) *group {
	if len(ws) == 1 {
		return s.groups[ws[0].Group]
	}
	sum := 0
	for _, w := range ws {
		sum += w.Weight
	}
	if sum <= 0 {
		return nil
	}
	n := rand.IntN(sum)
	for _, w := range ws {
		if n -= w.Weight; n < 0 {
			return s.groups[w.Group]
		}
	}
	return nil
}

// forward sends the request to a target of the action's group and its
// response back. The load balancer does not try a second target.
func (l *listener) forward(x *relay.Exchange, now *setup, a *Action, client netip.AddrPort, keep, apart bool) bool {
	fail := func(status int) bool {
		l.stats.own(status)
		return l.page(x, status, keep)
	}
	g := now.choose(a.Forward)
	if g == nil {
		return fail(503)
	}
	if !g.fits(x) {
		return fail(464)
	}
	if x.Req.Expect100 && x.Continue() != nil {
		return false
	}
	t := g.acquire(x.Start)
	if t == nil {
		return fail(503)
	}
	defer t.outstanding.Add(-1)
	l.stats.requests.Add(1)
	g.requests.Add(1)
	t.requests.Add(1)
	x.Out = now.requestHead(x.Out[:0], x, client, l.proto)
	g.spin.Wait()
	up, err := t.pool.Get(x.Start, l.node.clock.Real(connectTimeout))
	if err != nil {
		t.connErrors.Add(1)
		if h1.IsTimeout(err) {
			return fail(504)
		}
		return fail(502)
	}
	if up.Served == 0 {
		t.connections.Add(1)
	}
	x.Up = up
	if err = x.Send(x.Out); err == nil {
		err = x.Await(limits, l.node.idle, l.node.idle)
	}
	if err != nil {
		x.Drop()
		return l.failed(x, err, keep)
	}
	if x.Resp.Status == 101 && !x.Req.Upgrade { // nobody asked: a tunnel would hide what follows
		l.stats.own(502)
		x.Drop()
		return l.page(x, 502, keep && x.RequestComplete())
	}
	l.stats.target(x.Resp.Status)
	l.stats.responseTime.Add(int64(time.Since(x.Start)))
	return l.deliver(x, t, keep, apart)
}

func (l *listener) deliver(x *relay.Exchange, t *target, keep, apart bool) bool {
	if x.Resp.Status == 101 {
		x.Tunnel(l.responseHead(x.Out[:0], x, relay.AsIs, true), l.node.idle)
		return false
	}
	keep = keep && x.RequestComplete()
	f := x.FramingFor()
	if f == relay.AsIs && x.UntilClose() {
		keep = false
	}
	err := x.Deliver(l.responseHead(x.Out[:0], x, f, keep), f, time.Time{}, l.node.idle)
	if apart {
		x.Drop()
	} else {
		x.Finish(t.pool)
	}
	l.stats.bytes(x)
	return keep && err == nil
}

// failed answers 502, 504 or 460 in the place of a target that did not.
func (l *listener) failed(x *relay.Exchange, err error, keep bool) bool {
	var e *relay.Error
	if !errors.As(err, &e) {
		e = &relay.Error{Side: relay.Upstream, Err: err}
	}
	var perr *h1.ParseError
	status := 502
	switch {
	case e.Side == relay.Downstream && errors.As(e.Err, &perr):
		status = 400
	case e.Side == relay.Downstream && e.Timeout:
		status = 408
	case e.Side == relay.Downstream:
		l.stats.own(460) // nobody is left to read it
		return false
	case e.Timeout:
		status = 504
	}
	l.stats.own(status)
	return l.page(x, status, keep && x.RequestComplete())
}
