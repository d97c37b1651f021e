package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

const (
	chunk   = 512 << 10
	maxLine = 4 << 20 // a longer line is no line of k6

	maxPrefixes = 64
	maxTails    = 1024
	maxTailSize = 4 << 10
)

// ndjson reads k6's JSON output. Nearly all lines have one exact form:
//
//	{"metric":"NAME","type":"Point","data":{"time":"TIME","value":NUMBER,"tags":{...}}}
//
// and repeat what was seen: the same few beginnings, the time of the line
// before, the same few sets of tags. Such a line is recognised by comparing its
// bytes with those of parts that were checked before, which is as strict as
// parsing and runs at the speed of memory. Every other line goes to parseLine,
// so that what it means, and whether it is an error, does not depend on the
// fast way.
type ndjson struct {
	metric string
	emit   sink
	line   int64 // of the line at hand, from 1

	prefixes []*prefix
	next     int // the prefix expected now: the one that followed last time
	tails    map[string]*tail
	last     *tail  // of the line before
	when     []byte // the time of the line before as text, up to its value
	at       time.Time
	minute   []byte    // the text of a time up to its seconds
	minuteAt time.Time // and what it means

	found *found
	slow  int64 // lines that went to parseLine, for tests
}

// readNDJSON calls emit for every point of the metric, in the file's order, and
// notes in f what else the file holds. Lines between that are no JSON, such as
// k6's log, are skipped and counted; of a file that ends inside a line the whole
// lines are used. Memory does not depend on the file's size. Errors name the line.
func readNDJSON(r io.Reader, metric string, f *found, emit sink) error {
	n := newNDJSON(metric, emit)
	n.found = f
	return n.read(r)
}

func newNDJSON(metric string, emit sink) *ndjson {
	return &ndjson{metric: metric, emit: emit, line: 1, tails: map[string]*tail{}, last: none, found: newFound()}
}

// read takes the lines of r, from its beginning to its end.
func (n *ndjson) read(r io.Reader) error {
	buf := make([]byte, 0, chunk)
	for {
		if len(buf) == cap(buf) {
			if cap(buf) >= maxLine {
				return n.errorf("longer than %d bytes", maxLine)
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		k, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		used, perr := n.scan(buf, math.MaxInt64)
		if perr != nil {
			return perr
		}
		buf = buf[:copy(buf, buf[used:])]
		switch err {
		case nil:
		case io.EOF:
			return n.end(buf)
		case io.ErrUnexpectedEOF:
			n.found.cut = "its compressed data ends too early"
			return nil
		default:
			return n.errorf("cannot read on: %w", err)
		}
	}
}

// end takes what is left behind the last line end.
func (n *ndjson) end(rest []byte) error {
	if len(bytes.TrimSpace(rest)) == 0 {
		return nil
	}
	if err := n.parse(rest); err != nil {
		n.found.cut = "its last line is not complete"
	}
	return nil
}

// scan takes the complete lines of b that begin before upTo, and returns how
// many bytes they were.
func (n *ndjson) scan(b []byte, upTo int64) (used int, err error) {
	for used < len(b) && int64(used) < upTo {
		k, err := n.fast(b[used:])
		if err != nil {
			return used, err
		}
		if k == 0 {
			k = bytes.IndexByte(b[used:], '\n') + 1
			if k == 0 {
				return used, nil
			}
			if err := n.parse(b[used : used+k-1]); err != nil {
				return used, err
			}
			n.learn(b[used : used+k])
		}
		used += k
		n.line++
	}
	return used, nil
}

// parse takes one line the thorough way.
func (n *ndjson) parse(line []byte) error {
	n.slow++
	line = bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
	if len(line) == 0 {
		return nil
	}
	if line[0] != '{' && !torn(line) {
		n.found.skipped++
		return nil
	}
	e, ok, err := parseLine(line, n.metric, n.found)
	switch {
	case err == errLog:
		n.found.skipped++
		return nil
	case errors.As(err, &noLatency{}):
		n.found.negative++
		return nil
	case err != nil:
		return n.errorf("%w", err)
	}
	if !ok {
		return nil
	}
	return n.send(e)
}

// byteOrderMark is what some programs write before text in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// torn reports whether a line that does not begin like JSON ends like a result:
// two writers tore it, and it is no line of a log.
func torn(line []byte) bool {
	return bytes.HasSuffix(line, []byte("}}}")) || bytes.Contains(line,
		[]byte(`"type":"Point"`)) || bytes.Contains(line, []byte(`"metric":"`))
}

func (n *ndjson) send(e event) error {
	if err := n.emit(e); err != nil {
		return n.errorf("%w", err)
	}
	return nil
}

func (n *ndjson) errorf(format string, args ...any) error {
	return &lineError{n.line, fmt.Errorf(format, args...)}
}
