package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
)

// progress shows how far a run is, without a word on what it measures: one
// line that is rewritten on a terminal, one line per replicate elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	plan     *plan.Plan
	began    time.Time

	mu      sync.Mutex
	current experiment.Event
	since   time.Time
	stop    chan struct{}
	stopped sync.WaitGroup
}

func newProgress(w io.Writer, p *plan.Plan) *progress {
	g := &progress{w: w, plan: p, began: time.Now(), stop: make(chan struct{})}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		g.terminal = true
		g.stopped.Go(g.refresh)
	}
	return g
}

func (g *progress) event(e experiment.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.current, g.since = e, time.Now()
	switch {
	case g.terminal:
		g.draw()
	case e.Phase == experiment.Done:
		printable.Fprintf(g.w, "replicate %d of %d done, %s elapsed, %s left\n", e.Replicate, e.Of, short(time.Since(g.began)), short(g.left()))
	case e.Phase == experiment.Failed:
		printable.Fprintf(g.w, "replicate %d of %d failed\n", e.Replicate, e.Of)
	}
}

// left is the planned time of what is still to do; restarts take a little more.
func (g *progress) left() time.Duration {
	each := time.Duration(g.plan.Seconds() / float64(g.plan.Replicates) * float64(time.Second))
	n := g.current.Of - g.current.Replicate
	left := time.Duration(n) * each
	if g.current.Phase == experiment.Loading {
		left += max(0, each-time.Since(g.since))
	} else if g.current.Phase == experiment.Starting {
		left += each
	}
	return left
}

func (g *progress) refresh() {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-t.C:
			g.mu.Lock()
			g.draw()
			g.mu.Unlock()
		}
	}
}

func (g *progress) draw() {
	if g.current.Of == 0 {
		return
	}
	printable.Fprintf(g.w, "\r\x1b[Kreplicate %d of %d: %s · %s elapsed, %s left", g.current.Replicate, g.current.Of, g.current.Phase, short(time.Since(g.began)), short(g.left()))
}

// close ends the progress line.
func (g *progress) close() {
	close(g.stop)
	g.stopped.Wait()
	if g.terminal {
		fmt.Fprint(g.w, "\r\x1b[K")
	}
}

func short(d time.Duration) string { return d.Round(time.Second).String() }
