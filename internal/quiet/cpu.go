// Package quiet keeps the machine quiet during a measurement and says how
// quiet it was: idle-priority spinners against sleeping cores, CPU time by
// slice, and what the machine is.
package quiet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/run"
)

// slice is the length of a CPU sample; short against a window of 1 to 2.5 s.
const slice = 250 * time.Millisecond

// ticks are the columns of the first line of /proc/stat, in clock ticks since
// boot (proc(5)).
type ticks struct{ user, nice, system, idle, iowait, irq, softirq, steal uint64 }

func (t ticks) total() uint64 {
	return t.user + t.nice + t.system + t.idle + t.iowait + t.irq + t.softirq + t.steal
}

func parseStat(data []byte) (ticks, error) {
	sc := bufio.NewScanner(bytes.NewReader(data))
	if !sc.Scan() {
		return ticks{}, fmt.Errorf("/proc/stat is empty")
	}
	f := bytes.Fields(sc.Bytes())
	if len(f) < 9 || string(f[0]) != "cpu" {
		return ticks{}, fmt.Errorf("/proc/stat: expected a line \"cpu\" with at least 8 numbers, got %q", sc.Text())
	}
	var v [8]uint64
	for i := range v {
		n, err := strconv.ParseUint(string(f[i+1]), 10, 64)
		if err != nil {
			return ticks{}, fmt.Errorf("/proc/stat: %w", err)
		}
		v[i] = n
	}
	return ticks{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]}, nil
}

func between(a, b ticks, start, end time.Time) run.CPUSlice {
	d := float64(b.total() - a.total())
	s := run.CPUSlice{StartUnixNs: start.UnixNano(), EndUnixNs: end.UnixNano()}
	if d <= 0 {
		return s
	}
	s.Busy = float64((b.user-a.user)+(b.system-a.system)+(b.irq-a.irq)+(b.softirq-a.softirq)) / d
	s.Softirq = float64(b.softirq-a.softirq) / d
	s.Steal = float64(b.steal-a.steal) / d
	return s
}

// Sample reads the machine's CPU time every 250 ms until ctx ends, and
// returns the slices. Spinners of KeepAwake are not counted as busy: their
// time is in the "nice" column. Where /proc/stat is missing it returns nil.
func Sample(ctx context.Context) []run.CPUSlice {
	prev, err := readStat()
	if err != nil {
		return nil
	}
	at := time.Now()
	t := time.NewTicker(slice)
	defer t.Stop()
	var out []run.CPUSlice
	for {
		select {
		case <-ctx.Done():
			return out
		case <-t.C:
		}
		cur, err := readStat()
		if err != nil {
			return out
		}
		now := time.Now()
		out = append(out, between(prev, cur, at, now))
		prev, at = cur, now
	}
}

func readStat() (ticks, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}, err
	}
	return parseStat(data)
}
