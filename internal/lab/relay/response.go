package relay

import (
	"errors"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Await reads the head of the final response into x.Resp; other responses
// before it are dropped, except 101. It fails when wait (real time) has
// passed since the request was sent completely, even if a response is there
// by then, and when the client goes away. idle bounds the silence while the
// request is still being sent. Zero means no limit for either.
func (x *Exchange) Await(lim h1.Limits, wait, idle time.Duration) error {
	now := x.Sent
	if now.IsZero() {
		now = time.Now()
	}
	for {
		limit := Tick
		if wait > 0 && !x.Sent.IsZero() {
			limit = min(limit, wait-now.Sub(x.Sent))
		}
		x.Up.ReadWithin(now, max(limit, time.Microsecond), limit/2)
		err := x.Up.ReadResponse(&x.Resp, lim)
		switch {
		case err == nil && x.Resp.Status < 200 && x.Resp.Status != 101:
			continue
		case err == nil:
			if x.heads != nil {
				x.keep(responseIn, responseText(&x.Resp))
			}
			x.settleIfDone()
			return x.late(wait)
		case !h1.IsTimeout(err):
			return &Error{Side: Upstream, Phase: Awaiting, Err: err}
		}
		now = time.Now()
		if err := x.overdue(now, wait, idle); err != nil {
			return err
		}
	}
}

// late says whether a response came when the hop should have given up. Where
// the next hop has the same limit, its own report of the same timeout arrives
// right behind this hop's deadline, and on a busy machine before this hop has
// looked at the clock.
func (x *Exchange) late(wait time.Duration) error {
	if wait > 0 && !x.Sent.IsZero() && time.Since(x.Sent) >= wait {
		return &Error{Side: Upstream, Phase: Awaiting, Timeout: true, Err: errTimeout}
	}
	return nil
}

var (
	errTimeout = errors.New("timed out")
	errGone    = errors.New("the client closed the connection")
)

// overdue returns an error when a wait has passed its limit or the client has gone.
func (x *Exchange) overdue(now time.Time, wait, idle time.Duration) error {
	if x.upload != nil {
		last, done, err := x.upload.progress()
		switch {
		case done && err != nil && err.Side == Downstream:
			x.broken = true
			return err
		case done && err == nil:
			x.settleIfDone()
		case idle > 0 && now.Sub(last) >= idle:
			return &Error{Side: Downstream, Phase: Sending, Timeout: true, Err: errTimeout}
		}
		return nil
	}
	if wait > 0 && now.Sub(x.Sent) >= wait {
		return &Error{Side: Upstream, Phase: Awaiting, Timeout: true, Err: errTimeout}
	}
	if x.Down.Gone() || x.bare() && x.Down.Ended() {
		x.broken = true
		return &Error{Side: Downstream, Phase: Awaiting, Err: errGone}
	}
	return nil
}

// Deliver sends the response downstream: head, complete with its empty line,
// and the body that follows x.Resp, in the given framing. It fails when until
// (a point in time; zero for none) passes or the upstream is silent for idle
// (zero: no limit). After an error the downstream connection is broken.
func (x *Exchange) Deliver(head []byte, f Framing, until time.Time, idle time.Duration) error {
	x.respBody = h1.ResponseBody(&x.Resp, x.isHead)
	x.dechunker = h1.Dechunker{}
	if x.heads != nil {
		x.keep(responseOut, h1.Shown(head))
	}
	b := &x.respBody
	if x.WantTrailers {
		b.KeepTrailers()
	}
	switch {
	case x.bare():
		b.Bare(x.server.Limits.Head)
	case x.server.DropTrailers:
		b.DropTrailers()
	}
	if b.Done() {
		f = AsIs
	}
	p, err := b.Buffered(x.Up)
	if err == nil || x.bare() {
		head = x.frame(head, p, f)
		if f == Chunk && b.Done() {
			head = append(head, lastChunk...)
		}
		x.Out = head
		x.started = true
		if x.bare() && x.upload != nil && err == nil && b.Done() {
			x.stopUpload() // the rest of the request is nobody's any more
			x.cut = true
		}
		if err == nil && b.Done() {
			x.goHome()
		}
		if werr := x.write(head); werr != nil {
			return werr
		}
		if err == nil && b.Done() {
			x.broken = x.broken || f == Unchunk
			return nil
		}
	}
	if err != nil {
		err = &Error{Side: Upstream, Phase: Delivering, Err: err}
	}
	for err == nil && !b.Done() {
		err = x.deliverMore(b, f, until, idle)
	}
	if err != nil {
		x.broken = true
		return err
	}
	if f == Chunk {
		x.goHome()
		return x.write([]byte(lastChunk))
	}
	if b.UntilClose() || f == Unchunk {
		x.broken = true
	}
	return nil
}

// Framing is how a response's body is framed for the downstream.
type Framing uint8

// The framings. Chunk makes chunks of a body that ends with its connection;
// Unchunk does the opposite, for an HTTP/1.0 client.
const (
	AsIs Framing = iota
	Chunk
	Unchunk
)

// FramingFor returns the framing for x.Resp, given the downstream's protocol.
func (x *Exchange) FramingFor() Framing {
	b := h1.ResponseBody(&x.Resp, x.isHead)
	switch {
	case b.UntilClose() && x.Req.Minor >= 1, x.bare() && x.Resp.Chunked && !b.Done():
		return Chunk
	case x.Resp.Chunked && !b.Done() && x.Req.Minor == 0:
		return Unchunk
	}
	return AsIs
}

func (x *Exchange) frame(dst, p []byte, f Framing) []byte {
	switch {
	case len(p) == 0:
		return dst
	case f == Chunk:
		return h1.AppendChunk(dst, p)
	case f == Unchunk:
		return x.dechunker.Append(dst, p)
	}
	return append(dst, p...)
}

func (x *Exchange) deliverMore(b *h1.Body, f Framing, until time.Time, idle time.Duration) error {
	now := time.Now()
	limit := until
	if idle > 0 && (limit.IsZero() || now.Add(idle).Before(limit)) {
		limit = now.Add(idle)
	}
	p, err := x.next(b, now, limit)
	if errors.Is(err, errGone) {
		return &Error{Side: Downstream, Phase: Delivering, Err: err}
	}
	if err != nil {
		return &Error{Side: Upstream, Phase: Delivering, Timeout: h1.IsTimeout(err), Err: err}
	}
	if len(p) == 0 {
		return nil
	}
	if idle > 0 {
		x.Down.SetWriteDeadline(now.Add(idle))
		defer x.Down.SetWriteDeadline(time.Time{})
	}
	if f != AsIs {
		x.Out = x.frame(x.Out[:0], p, f)
		p = x.Out
	}
	if f == AsIs && b.Done() && x.home != nil { // this piece is the last
		x.Out = append(x.Out[:0], p...) // p lies in the buffer of x.Up
		p = x.Out
		x.goHome()
	}
	return x.write(p)
}

// next reads the next piece of the response until limit (zero for none).
// Envoy gives up when the client goes, in silence too.
func (x *Exchange) next(b *h1.Body, now, limit time.Time) (p []byte, err error) {
	if !x.bare() {
		x.Up.ReadBy(limit)
		return b.Next(x.Up)
	}
	for {
		tick := Tick
		if !limit.IsZero() {
			tick = max(min(tick, limit.Sub(now)), time.Microsecond)
		}
		x.Up.ReadWithin(now, tick, tick/2)
		if p, err = b.Next(x.Up); err == nil || !h1.IsTimeout(err) {
			return p, err
		}
		if now = time.Now(); !limit.IsZero() && !now.Before(limit) {
			return p, err
		}
		if x.Down.Ended() {
			return nil, errGone
		}
	}
}

// UntilClose reports whether only the end of the upstream's connection ends
// the response's body.
func (x *Exchange) UntilClose() bool {
	b := h1.ResponseBody(&x.Resp, x.isHead)
	return b.UntilClose()
}
