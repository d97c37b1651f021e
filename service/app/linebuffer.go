package app

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	flushEvery = 100 * time.Millisecond
	maxPending = 4 << 20 // bytes; beyond it lines are dropped and counted
)

// lineBuffer collects log lines and writes them every 100 ms, so that a
// request never waits for the terminal, the pipe or the log driver. When the
// reader stalls, lines beyond 4 MiB are dropped, and a line says how many. It
// is safe for concurrent use.
type lineBuffer struct {
	w       io.Writer
	flushMu sync.Mutex // held while writing to w
	mu      sync.Mutex // guards the rest
	pending []byte
	spare   []byte
	dropped int
	quit    chan struct{}
	done    chan struct{}
}

func newLineBuffer(w io.Writer) *lineBuffer {
	b := &lineBuffer{w: w, quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		tick := time.NewTicker(flushEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				b.Flush()
			case <-b.quit:
				return
			}
		}
	}()
	return b
}

// Write takes one line. It never blocks on the underlying writer and never fails.
func (b *lineBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending)+len(p) > maxPending {
		b.dropped++
		return len(p), nil
	}
	b.pending = append(b.pending, p...)
	return len(p), nil
}

// Flush writes what is pending. Errors of the underlying writer are ignored:
// there is no other place to report them.
func (b *lineBuffer) Flush() {
	b.flushMu.Lock()
	defer b.flushMu.Unlock()
	b.mu.Lock()
	out := b.pending
	b.pending = b.spare[:0]
	dropped := b.dropped
	b.dropped = 0
	b.mu.Unlock()
	if dropped > 0 {
		out = fmt.Appendf(out, "{\"time\":%q,\"level\":\"WARN\",\"msg\":\"log lines dropped\",\"count\":%d}\n",
			time.Now().UTC().Format("2006-01-02T15:04:05-07:00"), dropped)
	}
	if len(out) > 0 {
		_, _ = b.w.Write(out)
	}
	b.spare = out
}

// Close flushes and stops the background flushing.
func (b *lineBuffer) Close() {
	close(b.quit)
	<-b.done
	b.Flush()
}
