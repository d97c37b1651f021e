package relay

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Proxy is Tunnel as Envoy's TCP proxy does it: silence ends both connections
// as if they had nothing more to say, and only a reset is passed on as one.
func Proxy(a, b *h1.Conn, idle time.Duration) (ab, ba int64) { return join(a, b, idle, false) }

// Tunnel copies bytes both ways between two connections until both sides have
// ended, one of them fails, or neither has sent anything for idle (real time;
// 0: no limit). It returns the bytes copied from a to b and from b to a. The
// caller closes both connections.
func Tunnel(a, b *h1.Conn, idle time.Duration) (ab, ba int64) { return join(a, b, idle, true) }

func join(a, b *h1.Conn, idle time.Duration, abrupt bool) (ab, ba int64) {
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	done := make(chan int64, 1)
	go func() { done <- pump(b, a, idle, &last, abrupt) }()
	ab = pump(a, b, idle, &last, abrupt)
	return ab, <-done
}

// pump copies from one connection to the other. An orderly end is passed on
// as such, so that the other direction can still finish; anything else ends
// both, with a reset when it is one or abrupt is set.
func pump(from, to *h1.Conn, idle time.Duration, last *atomic.Int64, abrupt bool) (n int64) {
	for {
		if idle > 0 {
			from.ReadBy(time.Unix(0, last.Load()).Add(idle))
		}
		p, err := from.Take()
		if len(p) > 0 {
			if _, werr := to.Write(p); werr != nil {
				from.Close()
				to.Close()
				return n
			}
			n += int64(len(p))
			last.Store(time.Now().UnixNano())
		}
		switch {
		case err == nil:
		case h1.IsTimeout(err) && time.Since(time.Unix(0, last.Load())) < idle:
		case err == io.EOF:
			if w, ok := to.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
				return n
			}
			fallthrough
		default:
			if abrupt || errors.Is(err, syscall.ECONNRESET) {
				to.Reset()
			} else {
				to.Close()
			}
			from.Close()
			return n
		}
	}
}

// tunnelWhole is Tunnel for hops that know no half-closed connections: the end
// of either side ends both directions. b is closed then, and a is not read any
// more.
func tunnelWhole(a, b *h1.Conn, idle time.Duration) (ab, ba int64) {
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		ba = pour(b, a, idle, &last, &over)
		over.Store(true)
		b.Close()
		a.SetReadDeadline(time.Unix(1, 0))
	}()
	ab = pour(a, b, idle, &last, &over)
	over.Store(true)
	b.Close()
	<-done
	return ab, ba
}

// pour copies from one connection to the other until either fails or ends, or
// neither side has sent anything for idle, or it is over.
func pour(from, to *h1.Conn, idle time.Duration, last *atomic.Int64, over *atomic.Bool) (n int64) {
	for !over.Load() {
		if idle > 0 {
			from.ReadBy(time.Unix(0, last.Load()).Add(idle))
			if over.Load() { // which has set a deadline too
				return n
			}
		}
		p, err := from.Take()
		if len(p) > 0 {
			if _, err := to.Write(p); err != nil {
				return n
			}
			n += int64(len(p))
			last.Store(time.Now().UnixNano())
		}
		if err != nil && !(idle > 0 && h1.IsTimeout(err) && time.Since(time.Unix(0, last.Load())) < idle) {
			return n
		}
	}
	return n
}
