package relay

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Tunnel copies bytes both ways between two connections until both sides have
// ended, one of them fails, or neither has sent anything for idle (real time;
// 0: no limit). It returns the bytes copied from a to b and from b to a. The
// caller closes both connections.
func Tunnel(a, b *h1.Conn, idle time.Duration) (ab, ba int64) {
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	done := make(chan int64, 1)
	go func() { done <- pump(b, a, idle, &last) }()
	ab = pump(a, b, idle, &last)
	return ab, <-done
}

// pump copies from one connection to the other. An orderly end is passed on
// as such, so that the other direction can still finish; anything else ends both.
func pump(from, to *h1.Conn, idle time.Duration, last *atomic.Int64) (n int64) {
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
			to.Reset()
			from.Close()
			return n
		}
	}
}
