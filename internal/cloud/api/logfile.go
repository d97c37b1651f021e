package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"time"
)

// event is a line of a log.
type event struct {
	at   int64 // milliseconds since 1970
	text string
}

// maxRead bounds what is read of a file, from its end: what one answer of
// CloudWatch Logs carries. longest bounds an event; CloudWatch Logs cuts there, too.
const (
	maxRead = 4 << 20
	longest = 256 << 10
)

// read returns the stream's events in the order of their times.
func (s *stream) read() (out []event) {
	for _, f := range s.files {
		out = append(out, readLog(f)...)
	}
	if len(s.files) > 1 {
		slices.SortStableFunc(out, func(x, y event) int { return int(x.at - y.at) })
	}
	return out
}

// span are the times of its first and last event; ok is false when it has none.
func (s *stream) span() (first, last int64, ok bool) {
	all := s.read()
	if len(all) == 0 {
		return 0, 0, false
	}
	return all[0].at, all[len(all)-1].at, true
}

// readLog reads the lines of a file, of a long one the last. A line says its
// time; one that does not has that of the line before it, or the file's.
func readLog(path string) (out []event) {
	f, err := os.Open(path)
	if err != nil {
		return nil // the task's directory is gone
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	at := info.ModTime().UnixMilli()
	if skip := info.Size() - maxRead; skip > 0 {
		if _, err := f.Seek(skip, io.SeekStart); err != nil {
			return nil
		}
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 64<<10), maxRead)
	for first := info.Size() > maxRead; lines.Scan(); first = false {
		line := bytes.TrimSpace(lines.Bytes())
		if first || len(line) == 0 { // the first was cut
			continue
		}
		if t, ok := timeOf(line); ok {
			at = t.UnixMilli()
		}
		out = append(out, event{at, string(line[:min(len(line), longest)])})
	}
	return out
}

// timeOf is when a line of JSON was written: the app's and the load program's
// time, or the agent's start_time.
func timeOf(line []byte) (time.Time, bool) {
	if line[0] != '{' {
		return time.Time{}, false
	}
	var l struct {
		Time  time.Time `json:"time"`
		Start time.Time `json:"start_time"`
	}
	if json.Unmarshal(line, &l) != nil {
		return time.Time{}, false
	}
	if l.Time.IsZero() {
		l.Time = l.Start
	}
	return l.Time, !l.Time.IsZero()
}
