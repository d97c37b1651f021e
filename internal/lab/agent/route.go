package agent

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// route serves the HTTP/1.1 requests of one endpoint, in or out, on one worker.
type route struct {
	agent   *Agent
	cluster *cluster
	worker  int // whose turn and connections it uses
	retries int
	server  relay.Server // of HTTP/1.1 connections
	streams relay.Server // of HTTP/2 streams, each an HTTP/1.1 connection by now
	stats   *stats
	ingress bool
	http2   bool

	protocol Protocol

	draining atomic.Int64 // since when, Unix ns; 0 for not

	perRequest, idle time.Duration // real
	scheme           string        // x-forwarded-proto with its CRLF, for who does not say it
	timeoutField     []byte        // x-envoy-expected-rq-timeout-ms with its CRLF, or nothing
}

var (
	limits         = h1.Limits{Head: maxHead, Fields: maxFields, Grammar: h1.Envoy}
	responseLimits = h1.Limits{Head: maxResponseHead, Fields: maxFields, Grammar: h1.Envoy}
	// streamLimits are for what the HTTP/2 codecs have made HTTP/1.1 of.
	streamLimits = h1.Limits{Head: maxHead, Fields: maxFields, Join: true}
	// streamRequestLimits leave room for the fields that become the request line.
	streamRequestLimits = h1.Limits{Head: maxHead, Fields: maxFields - 3, Join: true, Escaped: true}
)

// The values of route.scheme.
const (
	plainScheme  = "x-forwarded-proto: http\r\n"
	secureScheme = "x-forwarded-proto: https\r\n"
)

// Envoy's listener_filters_timeout, delayed_close_timeout and drain_timeout.
const (
	filtersTimeout = 15 * time.Second
	delayedClose   = time.Second
	drainTimeout   = 5 * time.Second
	// drainTime is AWS's --drain-time-s.
	drainTime = 20 * time.Second
	// absorb is how much Envoy takes of a request before it has where to send it.
	absorb = 1 << 20
)

func (a *Agent) newRoute(c *cluster, worker int, p Protocol, t Timeouts, s *stats, ingress bool) *route {
	r := &route{
		agent: a, cluster: c, protocol: p, worker: worker, stats: s, ingress: ingress,
		scheme:     plainScheme,
		perRequest: a.clock.Real(t.PerRequest), idle: a.clock.Real(t.Idle),
	}
	if !ingress {
		r.retries = retries
		r.server.Inspect = a.clock.Real(filtersTimeout)
	}
	if t.PerRequest > 0 {
		r.timeoutField = appendTimeout(nil, t.PerRequest.Milliseconds())
	}
	r.http2 = c.http2
	ofStreams := streamRequestLimits
	if !c.http2 {
		ofStreams = limits // framed anew for the app, who need not understand trailers
		ofStreams.AnyMethod, ofStreams.Escaped, ofStreams.Fields = true, true, streamRequestLimits.Fields
	}
	for server, lim := range map[*relay.Server]h1.Limits{&r.server: limits, &r.streams: ofStreams} {
		server.Handler, server.Limits, server.Idle = r, lim, r.idle
		server.Tap, server.Part = &a.tap, PartEgress
		if ingress {
			server.Part = PartIngress
		}
	}
	r.server.Counted = func(in, out int64) { s.bytesIn.Add(in); s.bytesOut.Add(out) }
	r.server.Opened, r.server.Closed, r.server.Partial = s.opened, s.closed, r.partial
	r.server.DelayedClose, r.server.Drained, r.server.Slow = a.clock.Real(delayedClose), a.clock.Real(drainTimeout), r.slow
	return r
}

// Refuse answers what could not be parsed; Envoy's codec errors carry their
// reason phrase as the body.
func (r *route) Refuse(x *relay.Exchange, err *h1.ParseError) {
	status := err.Status
	if status == 414 || status == 505 {
		status = 400
	}
	line := r.agent.log.unread(x, r.protocol)
	r.stats.begin(false)
	if x.OfStream() && status == 431 { // the stream ends without an answer
		r.stats.answer(0, 0)
		r.agent.log.end(line, x, 0, 0)
		return
	}
	r.stats.answer(status, 0)
	codecError(status).send(x, false)
	r.agent.log.end(line, x, status, 0)
}

// partial notes a request that ended with its connection before it was there.
func (r *route) partial(x *relay.Exchange) {
	r.stats.begin(false)
	r.agent.log.end(r.agent.log.unread(x, r.protocol), x, 0, 0)
}

// slow answers a request whose head does not come to its end.
func (r *route) slow(x *relay.Exchange) {
	line := r.agent.log.unread(x, r.protocol)
	r.stats.begin(false)
	r.stats.answer(replySlowBody.status, 0)
	replySlowBody.send(x, false)
	r.agent.log.end(line, x, replySlowBody.status, 0)
}

// Serve forwards one request.
func (r *route) Serve(x *relay.Exchange) bool {
	reply := replyUnsafe
	if sanitize(&x.Req) {
		reply = refuse(&x.Req)
	}
	line := r.agent.log.begin(x, r.protocol, reply)
	r.stats.begin(string(x.Req.Get(h1.UserAgent)) == "ELB-HealthChecker/2.0")
	keep, status, served := r.serve(x, line, reply)
	r.agent.log.end(line, x, status, served)
	return keep
}

// refuse returns the reply to a request that Envoy sends nowhere, or nil.
func refuse(req *h1.Request) *localReply {
	_, typed := req.Find(h1.ContentType)
	_, named := req.Find(h1.Host)
	scheme, hasScheme := req.Find(h1.XForwardedProto)
	switch {
	case !named && !req.Absolute,
		bytes.IndexByte(req.Target, '#') >= 0,
		string(req.Method) == "QUERY" && !typed:
		return replyBad
	case string(req.Method) == "CONNECT":
		return replyNoTunnel
	case req.Upgrade && !bytes.EqualFold(req.Get(h1.Upgrade), []byte("websocket")):
		return replyUpgrade
	case req.Target[0] != '/':
		return replyNoPath
	case hasScheme && len(scheme) == 0:
		return replyNoRoute
	}
	return nil
}

// serve returns whether the connection goes on, the status sent (0 when none
// was) and the time the upstream took, as far as the client was told.
func (r *route) serve(x *relay.Exchange, line *logLine, reply *localReply) (keep bool, status int, served time.Duration) {
	keep = x.Req.Persistent() && !x.Req.Upgrade && !r.last()
	grpc := h2.IsGRPC(string(x.Req.Get(h1.ContentType)))
	if grpc && r.http2 {
		r.stats.grpc.Add(1)
	}
	local := func(l *localReply) (bool, int, time.Duration) {
		r.stats.answer(l.status, 0)
		if grpc {
			if line != nil {
				line.grpcEnded(nil, nil, l.status)
			}
			return l.sendGRPC(x, keep), 200, 0
		}
		return l.send(x, keep), l.status, 0
	}
	if x.Req.Expect100 && reply != replyUnsafe { // even if what follows is a refusal
		r.stats.codes[1].Add(1)
		if x.Continue() != nil {
			r.stats.answer(0, 0)
			return false, 0, 0
		}
	}
	if reply != nil {
		x.CloseLater()
		return local(reply)
	}
	x.Out = r.requestHead(x.Out[:0], x, line)
	r.agent.spin.Wait()
	var tries attempt
	defer r.endRetry(&tries)
	host, refusal := r.connectTo(x, &tries)
	if host == nil {
		if refusal != nil {
			x.Absorb(absorb)
			return local(refusal)
		}
		r.stats.answer(0, 0)
		return false, 0, 0
	}
	pool := host.pools[r.worker]
	defer func() {
		if !x.Returned {
			pool.release()
		}
	}()
	if err := r.ask(x); err != nil {
		e := (*relay.Error)(nil)
		if errors.As(err, &e) && e.Side == relay.Upstream {
			host.failed(time.Now())
			if !e.Timeout {
				r.answered(&tries)
			}
		}
		if x.Unused() {
			x.GiveBack(pool)
		}
		refusal := r.refusalFor(x, err)
		if refusal == replyTimeout {
			r.stats.upstream[timedOut].Add(1)
		}
		x.Drop()
		if refusal != nil {
			return local(refusal)
		}
		r.stats.answer(0, 0)
		return false, 0, 0
	}
	r.answered(&tries)
	if text := x.Resp.Get(h1.StreamError); r.http2 && text != nil {
		reply := upstreamReply(string(text), false)
		host.failed(time.Now())
		x.Drop()
		return local(reply)
	}
	host.requests.Add(1)
	if x.Resp.Status < 500 {
		host.succeeded()
	}
	served = time.Since(x.Sent)
	if x.Sent.IsZero() { // the response came before the request's end
		served = time.Since(x.Start)
	}
	r.stats.answer(x.Resp.Status, served)
	if x.Req.Upgrade {
		return r.upgrade(x)
	}
	complete := x.RequestComplete()
	keep = keep && complete
	f := x.FramingFor()
	if _, sized := x.Resp.Find(h1.StreamLength); sized && f == relay.Chunk {
		f = relay.AsIs // without its trailers the body is as long as it says
	}
	head := r.responseHead(x.Out[:0], x, f, keep, served, complete)
	var until time.Time // Envoy's limit begins when the request is complete
	if r.perRequest > 0 && !x.Complete.IsZero() {
		until = x.Complete.Add(r.perRequest)
	}
	var outcome []byte
	if x.WantTrailers = grpc && line != nil; x.WantTrailers {
		outcome = bytes.Clone(x.Resp.Get(h1.GRPCStatus)) // a trailer may lie where it does
	}
	x.Return(pool)
	err := x.Deliver(head, f, until, r.idle)
	x.Finish(pool)
	if e := (*relay.Error)(nil); errors.As(err, &e) && e.Timeout && !until.IsZero() && !time.Now().Before(until) {
		r.stats.upstream[timedOut].Add(1)
	}
	if x.WantTrailers {
		line.grpcEnded(x.Trailers(), outcome, x.Resp.Status)
	}
	if !complete {
		served = 0
	}
	return keep && err == nil, x.Resp.Status, served
}

// last decides whether an answer is a connection's last because of draining.
func (r *route) last() bool {
	since := r.draining.Load()
	if since == 0 {
		return false
	}
	elapsed := r.agent.clock.Modelled(time.Since(time.Unix(0, since)))
	return rand.Float64() < float64(elapsed)/float64(drainTime)
}

// ask sends the request and waits for the response's head.
func (r *route) ask(x *relay.Exchange) error {
	if err := x.Send(x.Out); err != nil {
		return err
	}
	wait := r.perRequest
	if wait > 0 && !x.Sent.IsZero() {
		wait = max(wait-x.Sent.Sub(x.Start), time.Millisecond)
	}
	if r.idle > 0 && (wait == 0 || r.idle < wait) {
		wait = r.idle
	}
	return x.Await(r.responseLimits(), wait, r.idle)
}

func (r *route) responseLimits() h1.Limits {
	if r.http2 {
		return streamLimits
	}
	return responseLimits
}

// refusalFor returns the local reply for a failed exchange; nil when the client
// has gone.
func (r *route) refusalFor(x *relay.Exchange, err error) *localReply {
	var e *relay.Error
	if !errors.As(err, &e) {
		return upstreamReply(reasonTerminated, false)
	}
	var perr *h1.ParseError
	switch {
	case e.Side == relay.Downstream && e.Timeout:
		return replySlowBody
	case e.Side == relay.Downstream && errors.As(e.Err, &perr):
		reply := codecError(perr.Status)
		reply.early = false // the head was read
		return reply
	case e.Side == relay.Downstream:
		return nil
	case e.Timeout && r.idle > 0 && (r.perRequest == 0 || r.idle < r.perRequest):
		return replyIdle
	case e.Timeout:
		return replyTimeout
	case errors.As(e.Err, &perr) && perr.Status == 431 && r.http2: // more fields than may be: larger ones do not get here
		return upstreamReply(reasonReset, false)
	case errors.As(e.Err, &perr), errors.Is(e.Err, io.ErrUnexpectedEOF), x.Up != nil && x.Up.Buffered() > 0:
		return upstreamReply(reasonProtocol, false)
	}
	if r.http2 { // Envoy counts them as if they had waited
		r.stats.upstream[pendingFailure].Add(1)
	}
	return upstreamReply(reasonTerminated, false)
}

// upgrade takes the app's answer to a request for a WebSocket: a tunnel, or a
// refusal, after which Envoy closes. It keeps nothing of a 2xx of HTTP/1.1 but the
// status.
func (r *route) upgrade(x *relay.Exchange) (keep bool, status int, served time.Duration) {
	status = x.Resp.Status
	switch {
	case x.Resp.Upgrade:
		x.Tunnel(r.responseHead(x.Out[:0], x, relay.AsIs, true, 0, false), r.idle)
	case status < 300 && !r.http2:
		x.Drop()
		framing := "content-length: 0\r\n"
		if status < 200 {
			framing = ""
		}
		x.Reply(appendEnd(appendStatus(x.Out[:0], status), false, false, false, framing), nil)
	default:
		f := x.FramingFor()
		x.Deliver(r.responseHead(x.Out[:0], x, f, false, 0, false), f, time.Time{}, r.idle)
		x.Drop()
	}
	return false, status, 0
}
