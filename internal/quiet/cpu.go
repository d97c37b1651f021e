// Package quiet keeps the machine quiet during a measurement and says how
// quiet it was: idle-priority spinners against sleeping cores, CPU time by
// slice, and what the machine is.
package quiet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/run"
)

// slice is the length of a CPU sample; short against a window of 1 to 2.5 s.
const slice = 250 * time.Millisecond

// ticks are the columns of a core's line in /proc/stat, in clock ticks since
// boot (proc(5)).
type ticks struct{ user, nice, system, idle, iowait, irq, softirq, steal uint64 }

func (t ticks) total() uint64 {
	return t.user + t.nice + t.system + t.idle + t.iowait + t.irq + t.softirq + t.steal
}

func (t *ticks) add(columns [8]uint64) {
	for i, c := range []*uint64{&t.user, &t.nice, &t.system, &t.idle, &t.iowait, &t.irq, &t.softirq, &t.steal} {
		*c += columns[i]
	}
}

// parseStat adds up the lines of the cores that count.
func parseStat(data []byte, counts func(core int) bool) (ticks, error) {
	var sum ticks
	cores := 0
	for line := range bytes.Lines(data) {
		f := bytes.Fields(line)
		if len(f) == 0 || !bytes.HasPrefix(f[0], []byte("cpu")) {
			break // the cores come first
		}
		core, err := strconv.Atoi(string(f[0][len("cpu"):]))
		if err != nil || !counts(core) {
			continue // the sum of all, or another core
		}
		if len(f) < 9 {
			return ticks{}, fmt.Errorf("/proc/stat: expected at least 8 numbers for a core, got %q", line)
		}
		var v [8]uint64
		for i := range v {
			if v[i], err = strconv.ParseUint(string(f[i+1]), 10, 64); err != nil {
				return ticks{}, fmt.Errorf("/proc/stat: %w", err)
			}
		}
		sum.add(v)
		cores++
	}
	if cores == 0 {
		return ticks{}, errors.New("/proc/stat: expected a line for each core (cpu0 ...), found none that counts")
	}
	return sum, nil
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

// Sample reads the CPU time of the cores that this process may use every
// 250 ms until ctx ends, and returns the slices. Spinners of KeepAwake are not counted as busy: their
// time is in the "nice" column. Where /proc/stat is missing it returns nil.
func Sample(ctx context.Context) []run.CPUSlice {
	counts := mine()
	prev, err := readStat(counts)
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
		cur, err := readStat(counts)
		if err != nil {
			return out
		}
		now := time.Now()
		out = append(out, between(prev, cur, at, now))
		prev, at = cur, now
	}
}

func readStat(counts func(core int) bool) (ticks, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}, err
	}
	return parseStat(data, counts)
}
