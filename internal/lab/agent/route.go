package agent

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// route serves the HTTP/1.1 requests of one endpoint, in or out.
type route struct {
	agent   *Agent
	cluster *cluster
	retries int
	server  relay.Server
	stats   *stats
	ingress bool
	http2   bool

	perRequest, idle, connect time.Duration // real
	timeoutField              []byte        // x-envoy-expected-rq-timeout-ms with its CRLF, or nothing
}

var limits = h1.Limits{Head: maxHead, Fields: maxFields}

func (a *Agent) newRoute(c *cluster, t Timeouts, s *stats, ingress bool) *route {
	r := &route{
		agent: a, cluster: c, stats: s, ingress: ingress,
		perRequest: a.clock.Real(t.PerRequest), idle: a.clock.Real(t.Idle), connect: a.connectTimeout(),
	}
	if !ingress {
		r.retries = retries
	}
	if t.PerRequest > 0 {
		r.timeoutField = h1.AppendField(nil, "x-envoy-expected-rq-timeout-ms", strconv.AppendInt(nil, t.PerRequest.Milliseconds(), 10))
	}
	r.server.Handler, r.server.Limits, r.server.Idle = r, limits, r.idle
	r.server.DropTrailers = true // Envoy's HTTP/1 codec does unless enable_trailers is set
	r.server.Opened, r.server.Closed = s.opened, s.closed
	return r
}

// Refuse answers what could not be parsed; Envoy's codec errors carry their
// reason phrase as the body.
func (r *route) Refuse(x *relay.Exchange, err *h1.ParseError) {
	status := err.Status
	if status == 414 || status == 505 {
		status = 400
	}
	reply := &localReply{status, h1.Reason(status), "DPE", true}
	if status == 501 {
		reply.body = ""
	}
	r.stats.begin(false)
	r.stats.answer(status, 0)
	reply.send(x, false)
	r.stats.end(x)
}

// Serve forwards one request.
func (r *route) Serve(x *relay.Exchange) bool {
	line := r.agent.log.begin(r, x)
	r.stats.begin(string(x.Req.Get(h1.UserAgent)) == "ELB-HealthChecker/2.0")
	keep, status, served := r.serve(x, line)
	r.stats.end(x)
	r.agent.log.end(line, x, status, served)
	return keep
}

// serve returns whether the connection goes on, the status sent (0 when none
// was) and the time the upstream took (0 when it did not answer).
func (r *route) serve(x *relay.Exchange, line *logLine) (keep bool, status int, served time.Duration) {
	keep = x.Req.Persistent()
	grpc := r.http2 && h2.IsGRPC(string(x.Req.Get(h1.ContentType)))
	if grpc {
		r.stats.grpc.Add(1)
	}
	local := func(l *localReply) (bool, int, time.Duration) {
		r.stats.answer(l.status, 0)
		if grpc {
			return l.sendGRPC(x, keep && !r.server.Draining()), 200, 0
		}
		return l.send(x, keep && !r.server.Draining()), l.status, 0
	}
	switch {
	case x.Req.Minor == 0:
		return local(replyOld)
	case len(x.Req.Host) == 0:
		return local(replyNoName)
	}
	if x.Req.Expect100 && x.Continue() != nil {
		r.stats.answer(0, 0)
		return false, 0, 0
	}
	x.Out = r.requestHead(x.Out[:0], &x.Req, line)
	r.agent.spin.Wait()
	host, refusal := r.connectTo(x)
	if refusal != nil {
		return local(refusal)
	}
	if err := r.ask(x); err != nil {
		x.Drop()
		if refusal := r.refusalFor(err); refusal != nil {
			return local(refusal)
		}
		r.stats.answer(0, 0)
		return false, 0, 0
	}
	host.requests.Add(1)
	served = time.Since(x.Sent)
	if x.Sent.IsZero() { // the response came before the request's end
		served = time.Since(x.Start)
	}
	r.stats.answer(x.Resp.Status, served)
	if x.Resp.Status == 101 {
		return r.upgrade(x), 101, served
	}
	keep = keep && x.RequestComplete() && !r.server.Draining()
	f := x.FramingFor()
	head := r.responseHead(x.Out[:0], x, f, keep, served)
	var until time.Time
	if r.perRequest > 0 {
		until = x.Start.Add(r.perRequest)
	}
	err := x.Deliver(head, f, until, r.idle)
	x.Finish(host.pool)
	return keep && err == nil, x.Resp.Status, served
}

// connectTo sets x.Up to a connection to one of the cluster's hosts, trying
// again elsewhere when a host cannot be connected to, or returns why not.
func (r *route) connectTo(x *relay.Exchange) (*host, *localReply) {
	var tried []*host
	now := x.Start
	for try := 0; ; try++ {
		h := r.cluster.pick(now, tried)
		if h == nil {
			return nil, replyNoHost
		}
		limit := r.connect
		if r.perRequest > 0 {
			limit = min(limit, r.perRequest-now.Sub(x.Start))
		}
		up, err := h.pool.Get(now, max(limit, time.Millisecond))
		if err == nil {
			if up.Served == 0 {
				r.stats.connected()
			}
			x.Up, x.Target = up, h.name
			return h, nil
		}
		now = time.Now()
		h.failed(r.agent.clock, now)
		switch {
		case r.perRequest > 0 && now.Sub(x.Start) >= r.perRequest:
			return nil, replyTimeout
		case try >= r.retries:
			return nil, upstreamReply(dialReason(err), try > 0)
		}
		tried = append(tried, h)
		time.Sleep(r.agent.clock.Real(time.Duration(rand.Int64N(int64(backoffBase) * (1<<(try+1) - 1)))))
		now = time.Now()
	}
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
	return x.Await(limits, wait, r.idle)
}

// refusalFor returns the local reply for a failed exchange; nil when the client
// has gone.
func (r *route) refusalFor(err error) *localReply {
	var e *relay.Error
	if !errors.As(err, &e) {
		return upstreamReply(reasonTerminated, false)
	}
	var perr *h1.ParseError
	switch {
	case e.Side == relay.Downstream && e.Timeout:
		return replySlowBody
	case e.Side == relay.Downstream && errors.As(e.Err, &perr):
		return &localReply{perr.Status, h1.Reason(perr.Status), "DPE", true}
	case e.Side == relay.Downstream:
		return nil
	case e.Timeout && r.idle > 0 && (r.perRequest == 0 || r.idle < r.perRequest):
		return replyIdle
	case e.Timeout:
		return replyTimeout
	case errors.As(e.Err, &perr):
		return upstreamReply(reasonProtocol, false)
	}
	return upstreamReply(reasonTerminated, false)
}

// upgrade turns the exchange into a tunnel after a 101.
func (r *route) upgrade(x *relay.Exchange) bool {
	head := r.responseHead(x.Out[:0], x, relay.AsIs, true, time.Since(x.Start))
	x.Tunnel(head, r.idle)
	return false
}
