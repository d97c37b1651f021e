package trial

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// usage is what a process holds at one moment.
type usage struct {
	rss   int // KiB
	files int
}

// TestSoak sends 500 requests/s for -soak, half of them through the load
// balancer and half by Service Connect name, and looks at memory and open
// files of every process of the lab. Every request must be answered once, and
// nothing may grow. A machine on which the load or the sampling falls behind
// cannot tell whether anything grows; then half the time must do.
func TestSoak(t *testing.T) {
	layer.Full(t, "starts labs and other people's programs")
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "reads /proc")
	}
	labtest.Conclusive(t, []time.Duration{*soak, *soak / 2}, func(span time.Duration) string { return soakFor(t, span) })
}

// soakFor is the soak over one span, and why it tells nothing of memory if it does not.
func soakFor(t *testing.T, span time.Duration) (cannot string) {
	before := look()
	r := start(t, labtest.Deployment(t, "agent"), lab.Options{})
	defer func() {
		r.end(t)
		nothingLeft(t, before)
	}()
	var ids counter
	ways := map[string]*load{
		"alb":  {rate: rate / 2, dial: r.throughALB, ids: &ids},
		"mesh": {rate: rate / 2, dial: r.throughMesh, ids: &ids},
	}
	ctx, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range ways {
		wg.Go(func() { l.run(ctx) })
	}
	processes := pids(r.Status())
	seen := sample(ctx, processes, max(span/240, 50*time.Millisecond))
	wg.Wait()
	total := 0
	connections := 0
	for name, l := range ways {
		connections += l.most
		l.end(t)
		for class, n := range l.by {
			total += n
			if class != "200" {
				t.Errorf("%s: %d requests saw %s", name, n, class)
			}
		}
	}
	done := readLedger(t, r.ledger)
	for id, n := range done {
		if n != 1 {
			t.Errorf("request %d was carried out %d times", id, n)
		}
	}
	if len(done) != total {
		t.Errorf("%d requests were carried out, %d answered", len(done), total)
	}
	if want := int(0.95 * rate * span.Seconds()); total < want {
		return fmt.Sprintf("an open loop sent %d requests, want at least %d", total, want)
	}
	for name := range processes {
		if n := len(seen[name]); n < 16 {
			return fmt.Sprintf("only %d samples of %s, want at least 16", n, name)
		}
	}
	table := flat(t, processes, seen, connections)
	t.Logf("%s at %d requests/s, %d requests\n%s", span, rate, total, table)
	document().Write(t, "soak", fmt.Sprintf("%s at %d requests/s on %d cores: %d requests, each carried out once and answered with a 200.\n\n%s",
		span, rate, runtime.NumCPU(), total, table))
	return ""
}

// sample reads the processes' usage every so often until ctx ends.
func sample(ctx context.Context, processes map[string]int, every time.Duration) map[string][]usage {
	out := map[string][]usage{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return out
		case <-tick.C:
		}
		for name, pid := range processes {
			out[name] = append(out[name], usageOf(pid))
		}
	}
}

func usageOf(pid int) (u usage) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			u.rss, _ = strconv.Atoi(f[1])
		}
	}
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.files = len(files)
	return u
}

// flat compares the second quarter of the soak with the last: the first one
// fills buffers and pools. The median may grow by a tenth and 2 MiB, which a
// Go heap does between two collections; 16 bytes lost with each of the 900,000
// requests of 30 minutes would be seen. A connection more, even one that is closed by
// now, may cost perFile: a machine that is short of CPU makes an open loop open
// more of them, and a heap is slow to shrink. No process needs more files than a connection of each caller from the hop before and
// one to the next.
func flat(t *testing.T, processes map[string]int, seen map[string][]usage, connections int) string {
	const perFile, ownFiles = 32, 24 // KiB; the runtime's, the log's, the listeners'

	var names []string
	for name := range processes {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	fmt.Fprintf(&b, "| process | RSS of the second quarter, MiB | of the last quarter | most | files, second quarter | last quarter | most |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, name := range names {
		s := seen[name]
		early, late := s[len(s)/4:len(s)/2], s[3*len(s)/4:]
		rss := func(u usage) int { return u.rss }
		files := func(u usage) int { return u.files }
		a, z := median(early, rss), median(late, rss)
		if a == 0 || z == 0 {
			t.Errorf("%s has no memory: the process ended", name)
		}
		f, g := median(early, files), median(late, files)
		peak := files(slices.MaxFunc(s, func(x, y usage) int { return x.files - y.files }))
		if z > a+a/10+2<<10+max(peak-f, 0)*perFile {
			t.Errorf("%s grows: RSS %d KiB with %d files in the second quarter, %d KiB with %d files in the last", name, a, f, z, g)
		}
		if g > 2*connections+ownFiles {
			t.Errorf("%s keeps %d files open; its callers have %d connections at most", name, g, connections)
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.1f | %d | %d | %d |\n", name, mib(a), mib(z), mib(slices.MaxFunc(s, func(x, y usage) int { return x.rss - y.rss }).rss), f, g, peak)
	}
	return b.String()
}

func median(us []usage, of func(usage) int) int {
	var v []int
	for _, u := range us {
		v = append(v, of(u))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func mib(kib int) float64 { return float64(kib) / 1024 }
