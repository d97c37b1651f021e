package relay

import (
	"sync/atomic"
	"time"
)

// upload is a request body on its way upstream while the hop waits for the
// response. Only its goroutine reads from the downstream connection until it
// is done.
type upload struct {
	last atomic.Int64 // time of the last progress, Unix ns
	read atomic.Bool  // the whole body was read; its last part may be on its way
	done chan struct{}
	err  *Error // set before done closes
	n    int64
}

func (x *Exchange) startUpload() {
	u := &upload{done: make(chan struct{})}
	u.last.Store(time.Now().UnixNano())
	x.upload = u
	x.Down.ReadBy(time.Time{})
	down, up, body := x.Down, x.Up, &x.body
	framed := x.bare() && x.Req.Chunked
	go func() {
		defer close(u.done)
		var buf []byte
		for !body.Done() {
			p, err := body.Next(down)
			if err != nil {
				u.err = &Error{Side: Downstream, Phase: Sending, Err: err}
				return
			}
			n := len(p)
			u.read.Store(body.Done())
			if framed {
				buf = x.frameRequest(buf[:0], p)
				p = buf
			}
			if _, err := up.Write(p); err != nil {
				u.err = &Error{Side: Upstream, Phase: Sending, Err: err}
				return
			}
			u.n += int64(n)
			u.last.Store(time.Now().UnixNano())
		}
	}()
}

// progress returns the time of the last progress, and the outcome once done.
func (u *upload) progress() (last time.Time, done bool, err *Error) {
	last = time.Unix(0, u.last.Load())
	select {
	case <-u.done:
		return last, true, u.err
	default:
		return last, false, nil
	}
}

// lastWrite is how long the last write of an upload may take when the response
// is there already; longer, and the upstream has answered without reading it.
const lastWrite = 20 * time.Millisecond

// settleIfDone takes the result of an upload that has sent everything.
func (x *Exchange) settleIfDone() {
	if x.upload == nil {
		return
	}
	if x.upload.read.Load() { // a response can come before the goroutine that sent the request has said so
		select {
		case <-x.upload.done:
		case <-time.After(lastWrite):
		}
	}
	if last, done, err := x.upload.progress(); done && err == nil {
		x.Sent, x.Complete = last, last
		x.settleUpload()
	}
}

// settleUpload takes the result of an upload that is done.
func (x *Exchange) settleUpload() {
	<-x.upload.done
	x.BytesIn += x.upload.n
	x.upload = nil
}

// stopUpload ends an upload that is not wanted any more, or takes its result.
func (x *Exchange) stopUpload() {
	select {
	case <-x.upload.done:
	default:
		x.Down.SetReadDeadline(time.Unix(1, 0))
		if x.Up != nil {
			x.Up.SetWriteDeadline(time.Unix(1, 0))
		}
		<-x.upload.done
		x.Down.ReadBy(time.Unix(1, 0))
	}
	x.settleUpload()
}
