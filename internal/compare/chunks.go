package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// logChunk is how much of a log is parsed in one go.
const logChunk = 256 << 10

// parser appends the events of whole lines to events. lines is how many it has
// read, up to the one of err.
type parser func(text []byte, events []event) (all []event, lines int64, err error)

// inChunks reads r by whole lines, parses piece after piece on a goroutine of its
// own, and emits. Lines of the last piece without a line end are tried, and
// called cut when they cannot be parsed.
func inChunks(r io.Reader, f *found, emit sink, parse parser) error {
	c := &cutter{
		pieces: make(chan piece, 2), texts: make(chan []byte, 4),
		parsed: make(chan parsedPiece, 2), spare: make(chan []event, 4), stop: make(chan struct{}),
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(c.stop)
	wg.Go(func() { c.read(r) })
	wg.Go(func() { c.parse(f, parse) })
	var lines int64
	for p := range c.parsed {
		for i := range p.events {
			if err := emit(p.events[i]); err != nil {
				return fmt.Errorf("line %d: %w", lines+p.events[i].line, err)
			}
		}
		if p.err != nil {
			return fmt.Errorf("line %s: %w", strconv.FormatInt(lines+p.lines, 10), p.err)
		}
		lines += p.lines
		keep(c.spare, p.events)
	}
	return nil
}

// cutter hands a log from its reader to its parser, and what it holds on. Both
// end when stop is closed.
type cutter struct {
	pieces chan piece
	parsed chan parsedPiece
	stop   chan struct{}
	texts  chan []byte  // of pieces that have been parsed, to be used again
	spare  chan []event // that have been emitted, likewise
}

// piece is whole lines; the last one has what stands behind them too, and why
// nothing follows.
type piece struct {
	text []byte
	last bool
	err  error
}

type parsedPiece struct {
	events []event
	lines  int64
	err    error
}

// keep gives back what may be used again, if there is room.
func keep[T any](to chan T, v T) {
	select {
	case to <- v:
	default:
	}
}

// read cuts r into pieces.
func (c *cutter) read(r io.Reader) {
	defer close(c.pieces)
	var rest []byte // of the line that the last piece has cut
	for {
		buf := append(c.buffer(), rest...)
		if cap(buf) < logChunk {
			buf = append(make([]byte, 0, logChunk), buf...)
		}
		var next piece
		for len(buf) < cap(buf) && next.err == nil {
			var n int
			n, next.err = r.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
		}
		end := bytes.LastIndexByte(buf, '\n') + 1
		switch {
		case next.err != nil:
			next.last, end = true, len(buf)
		case end == 0 && len(buf) > maxLine:
			next.last, next.err = true, fmt.Errorf("a line longer than %d bytes", maxLine)
		case end == 0:
			rest = append(make([]byte, 0, 2*cap(buf)), buf...)
			continue
		}
		rest = append(rest[:0], buf[end:]...)
		next.text = buf[:end]
		select {
		case c.pieces <- next:
		case <-c.stop:
			return
		}
		if next.last {
			return
		}
	}
}

// buffer is an empty one, used before if there is one.
func (c *cutter) buffer() []byte {
	select {
	case buf := <-c.texts:
		return buf[:0]
	default:
		return make([]byte, 0, logChunk)
	}
}

// parse parses the pieces, and notes in f where the log is cut.
func (c *cutter) parse(f *found, parse parser) {
	defer close(c.parsed)
	for next := range c.pieces {
		var events []event
		select {
		case events = <-c.spare:
		default:
		}
		select {
		case c.parsed <- next.parse(f, parse, events[:0]):
		case <-c.stop:
			return
		}
		keep(c.texts, next.text)
	}
}

// parse parses one piece, into events.
func (c *piece) parse(f *found, parse parser, events []event) (out parsedPiece) {
	text, tail := c.text, []byte(nil)
	if c.last {
		end := bytes.LastIndexByte(text, '\n') + 1
		text, tail = text[:end], text[end:]
	}
	out.events, out.lines, out.err = parse(text, events)
	if out.err == nil && len(tail) > 0 {
		var err error
		out.events, _, err = parse(tail, out.events)
		if err != nil {
			f.cut = "its last line is not complete"
		}
	}
	if out.err == nil && c.err != nil && c.err != io.EOF {
		if errors.Is(c.err, io.ErrUnexpectedEOF) {
			f.cut = "its compressed data ends too early"
		} else {
			out.err = c.err
		}
	}
	return out
}
