package relay

import (
	"fmt"
	"net"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Exchange is one request and its response on their way through a hop. A
// connection reuses its Exchange; nothing of it may be kept after Serve.
type Exchange struct {
	Down        *h1.Conn
	Up          *h1.Conn
	Peer, Local net.Addr
	Req         h1.Request
	Resp        h1.Response
	// Start is when the request's head was complete, Began when its first bytes
	// were read.
	Start, Began time.Time
	// Sent is when the whole request had been sent upstream; zero before.
	Sent time.Time
	// Complete is when the whole request had been read; zero before.
	Complete time.Time
	// Out is scratch space for heads; a hop builds one in it and passes it on.
	Out []byte
	// Target is for the hop's own use: where it sent the request, for its log.
	Target string
	// WantTrailers makes Trailers return the response's.
	WantTrailers bool
	// Returned is whether the connection of Up has gone back to its pool.
	Returned bool
	// BytesIn and BytesOut count what was received from and sent to the
	// downstream, heads and framing included.
	BytesIn, BytesOut int64

	server    *Server
	heads     *Heads  // where its heads go that are watched for; nil for nowhere
	body      h1.Body // the request's
	replied   int64   // size of the hop's own response body
	tunnelled [2]int64
	isHead    bool
	respBody  h1.Body
	dechunker h1.Dechunker
	upload    *upload
	home      Home // for x.Up before its response is delivered; see Return
	broken    bool // the downstream connection cannot carry another exchange
	reset     bool
	started   bool // the response's head is on its way
	cut       bool // the request was not sent completely and will not be
	unused    bool // x.Up carried nothing of this exchange
	orderly   bool // both messages were complete
	later     bool // DelayedClose applies nevertheless
	counted   [2]int64
}

// Side is the end of an exchange that an error came from.
type Side uint8

// The ends of an exchange.
const (
	Downstream Side = iota
	Upstream
)

// Phase is how far an exchange had come when it failed.
type Phase uint8

// The phases of an exchange.
const (
	Sending    Phase = iota // the request
	Awaiting                // the response's head
	Delivering              // the response
)

// Error is a failed exchange: who failed, when, and how.
type Error struct {
	Side    Side
	Phase   Phase
	Timeout bool // the deadline passed
	Err     error
}

func (e *Error) Error() string {
	side := "downstream"
	if e.Side == Upstream {
		side = "upstream"
	}
	return fmt.Sprintf("%s %s: %v", side, [...]string{"while sending the request", "before the response", "in the response"}[e.Phase], e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Tick is how often a waiting exchange checks that the client is still there
// and its deadline has not passed.
const Tick = 50 * time.Millisecond

func (x *Exchange) begin() {
	x.Start = time.Now()
	if x.Began = x.Down.Since; x.Began.IsZero() {
		x.Began = x.Start
	}
	x.Down.Since = time.Time{}
	x.Sent, x.Complete = time.Time{}, time.Time{}
	x.Up, x.Target, x.WantTrailers = nil, "", false
	x.isHead = string(x.Req.Method) == "HEAD"
	x.body = h1.RequestBody(&x.Req)
	x.respBody = h1.Body{}
	x.replied, x.tunnelled = 0, [2]int64{}
	switch {
	case x.bare() && x.Req.Upgrade:
		x.body = h1.NoBody() // what follows is the tunnel's
	case x.bare():
		x.body.Bare(x.server.Limits.Head)
	case x.server.DropTrailers:
		x.body.DropTrailers()
	}
	x.home, x.Returned = nil, false
	x.upload, x.broken, x.reset, x.started, x.unused, x.orderly, x.later, x.cut = nil, false, false, false, false, false, false, false
	x.BytesIn, x.BytesOut = int64(x.Req.Bytes), 0
	x.heads = x.server.Tap.begin(x)
}

// bare reports whether bodies are taken out of their framing and framed anew.
func (x *Exchange) bare() bool { return x.server.Limits.Grammar == h1.Envoy }

// end settles the request's body: a hop that answered before it had read the
// whole request takes what is there already, else the connection must go.
func (x *Exchange) end() {
	if x.upload != nil {
		x.stopUpload()
		x.broken = true
		return
	}
	if x.bare() { // Envoy takes no more of a request that it has answered
		x.broken = x.broken || !x.body.Done()
		return
	}
	for !x.body.Done() {
		p, err := x.body.Buffered(x.Down)
		x.BytesIn += int64(len(p))
		if err != nil || len(p) == 0 {
			x.broken = true
			return
		}
	}
}

// IsHead reports whether the request's method is HEAD.
func (x *Exchange) IsHead() bool { return x.isHead }

// OfStream reports whether the downstream is an HTTP/2 stream, of which the
// hop sees what is in memory.
func (x *Exchange) OfStream() bool { return x.Down.InMemory() }

// Tunnel sends head downstream and then copies bytes both ways until the
// connections end, as after a 101 (Switching Protocols).
func (x *Exchange) Tunnel(head []byte, idle time.Duration) {
	x.broken, x.started = true, true
	if x.heads != nil {
		x.keep(responseOut, h1.Shown(head))
	}
	up := x.Up
	if x.upload == nil && x.write(head) == nil {
		x.Down.ReadBy(time.Time{})
		join := Tunnel
		if x.bare() {
			join = tunnelWhole
		}
		in, out := join(x.Down, up, idle)
		x.tunnelled = [2]int64{in, out}
		x.BytesIn += in
		x.BytesOut += out
	}
	x.Drop()
}

// RequestComplete reports whether the whole request was read.
func (x *Exchange) RequestComplete() bool {
	x.settleIfDone()
	return x.upload == nil && x.body.Done() // the body is the upload's until it is settled
}

// Continue answers an Expect: 100-continue, so that the client sends its body.
// In Envoy's grammar, and to a stream, it does so even if the body is there.
func (x *Exchange) Continue() error {
	if !x.bare() && !x.OfStream() && (x.body.Done() || x.Down.Buffered() > 0) {
		return nil
	}
	return x.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// Reply sends a response that the hop makes itself. head is complete with its
// empty line. It reports whether the connection may carry another exchange.
func (x *Exchange) Reply(head, body []byte) bool {
	if x.heads != nil {
		x.keep(responseOut, h1.Shown(head))
	}
	x.Out = append(append(x.Out[:0], head...), body...)
	x.started = true
	x.replied = int64(len(body))
	return x.write(x.Out) == nil
}

// Reset drops the client's connection with a RST when the exchange ends.
func (x *Exchange) Reset() { x.broken, x.reset = true, true }

// CloseLater makes the server's DelayedClose apply even if the client has said
// that the exchange is the last.
func (x *Exchange) CloseLater() { x.later = true }

// Started reports whether a response's head went downstream.
func (x *Exchange) Started() bool { return x.started }

func (x *Exchange) write(p []byte) error {
	n, err := x.Down.Write(p)
	x.BytesOut += int64(n)
	if err != nil {
		x.broken = true
		return &Error{Side: Downstream, Phase: Delivering, Err: err}
	}
	return nil
}

// Send sends the request to x.Up: head, which is complete with its empty
// line, and the request's body. A body that is not buffered yet goes on in
// the background until Await or Deliver is through, and x.Req's slices are not
// valid any more: the buffer they lie in is used for the body.
func (x *Exchange) Send(head []byte) error {
	p, err := x.body.Buffered(x.Down)
	if err == nil && x.body.Failed() {
		_, err = x.body.Buffered(x.Down) // nothing was on its way yet
	}
	if err != nil {
		x.broken = true
		if x.unused = x.bare() && x.Up.Served == 0; x.bare() && !x.unused {
			x.Up.Write(head) // was on its way before the body was looked at
		}
		return &Error{Side: Downstream, Phase: Sending, Err: err}
	}
	x.BytesIn += int64(len(p))
	if x.heads != nil {
		x.keep(requestOut, h1.Shown(head))
	}
	head = x.frameRequest(head, p)
	x.Out = head
	if _, err := x.Up.Write(head); err != nil {
		return &Error{Side: Upstream, Phase: Sending, Err: err}
	}
	if x.body.Done() {
		if x.Sent = time.Now(); x.Complete.IsZero() {
			x.Complete = x.Start
		}
		return nil
	}
	x.startUpload()
	return nil
}

// Unused reports whether a failed Send has sent nothing on x.Up.
func (x *Exchange) Unused() bool { return x.unused }

// frameRequest appends a piece of the request's body, and its end once it is
// complete, as it goes upstream.
func (x *Exchange) frameRequest(dst, p []byte) []byte {
	if !x.bare() || !x.Req.Chunked || x.Req.Upgrade {
		return append(dst, p...)
	}
	if len(p) > 0 {
		dst = h1.AppendChunk(dst, p)
	}
	if x.body.Done() {
		dst = append(dst, lastChunk...)
	}
	return dst
}

const lastChunk = "0\r\n\r\n"

// Finish gives x.Up back to its pool when both messages are complete and the
// connection can be used again, else it closes it.
func (x *Exchange) Finish(p Home) {
	up := x.Up
	x.Up = nil
	if up == nil {
		return
	}
	x.settleIfDone()
	if x.upload != nil {
		x.Up = up // its writes are to be interrupted
		x.stopUpload()
		x.Up = nil
		x.broken = true
		discard(up)
		return
	}
	if x.reusable() {
		x.giveBack(p, up)
		return
	}
	discard(up)
}

func (x *Exchange) giveBack(p Home, up *h1.Conn) {
	x.Up, x.Returned = nil, true
	p.Put(up, time.Now())
}

// reusable reports whether x.Up can carry another exchange after this one,
// whose request is through.
func (x *Exchange) reusable() bool {
	return !x.cut && x.respBody.Done() && !x.respBody.UntilClose() && x.Resp.Persistent() && x.started && (x.Resp.Status != 101 || x.bare())
}

// Return makes Deliver give x.Up back to its pool once the whole response has
// been read, before the client has the last of it: whoever has it and asks again
// elsewhere then finds the connection there. An Envoy's worker does both in one
// turn. Finish is still to be called.
func (x *Exchange) Return(p Home) { x.home = p }

// goHome does what Return asked for, if it can.
func (x *Exchange) goHome() {
	if x.home != nil && x.Up != nil && x.upload == nil && x.reusable() {
		x.giveBack(x.home, x.Up)
	}
}

// GiveBack gives x.Up, which carried nothing of this exchange, back to its pool.
func (x *Exchange) GiveBack(p Home) { x.giveBack(p, x.Up) }

// Drop closes x.Up after a failed exchange.
func (x *Exchange) Drop() {
	if x.upload != nil {
		x.Up.Close()
		x.stopUpload()
		x.broken = true
	}
	if x.Up != nil {
		discard(x.Up)
		x.Up = nil
	}
}

// Trailers returns the lines of the response's trailers once it was delivered.
func (x *Exchange) Trailers() []byte { return x.respBody.Trailers() }

// Absorb reads what is there of the request's body, up to a limit, before the hop
// answers without sending the request on: who has sent all of it can send another
// request.
func (x *Exchange) Absorb(limit int64) {
	defer func() { x.Down.ReadBy(time.Time{}) }()
	for x.body.Bytes() < limit && !x.body.Done() && x.upload == nil {
		x.Down.ReadBy(time.Now().Add(absorbFor))
		p, err := x.body.Next(x.Down)
		x.BytesIn += int64(len(p))
		if err != nil {
			return
		}
	}
}

// absorbFor is how long Absorb waits for what may be on its way from memory.
const absorbFor = 2 * time.Millisecond

// Payloads returns the sizes of the two bodies, framing and trailers apart, or
// of what went through a tunnel.
func (x *Exchange) Payloads() (request, response int64) {
	request, response = x.body.Payload()+x.tunnelled[0], x.respBody.Payload()+x.replied+x.tunnelled[1]
	if x.bare() && x.Req.Upgrade && x.tunnelled[0] == 0 {
		request += int64(x.Down.Buffered()) // was for a tunnel that there is not
	}
	return request, response
}
