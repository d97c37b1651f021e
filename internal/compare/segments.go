package compare

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

const (
	// segment is the share of a file that is parsed in one go: small, so that the
	// cores end together and what is mapped counts for little memory, but large
	// beside the cost of mapping it.
	segment = 1 << 20
	// overhang is how far behind a segment its last line is looked for at first.
	overhang = 64 << 10
)

// parsed is what a segment held: its events, how many lines, and the first
// error with the line counted from the segment's first.
type parsed struct {
	events []event
	lines  int64
	found  *found
	err    error
}

// lineError is an error at a line that is not yet counted from the file's beginning.
type lineError struct {
	line int64
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// source gives parts of a file. It belongs to one goroutine.
type source interface {
	// part is the bytes [from, to) of the file, valid until the next call.
	part(from, to int64) ([]byte, error)
	close()
}

// readSegments is readNDJSON for a file that can be read anywhere: segments of
// step bytes are parsed by all cores and delivered in the file's order, so that
// emit sees, and an error names, exactly what reading from front to back would.
// A line belongs to the segment in which it begins. Every core opens a source
// of its own.
func readSegments(open func() source, size, step int64, metric string, f *found, emit sink) error {
	workers := int64(runtime.GOMAXPROCS(0))
	count := (size + step - 1) / step
	results := make(chan chan parsed, 2*workers)
	free := make(chan []event, 3*workers) // slices of segments that were delivered
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	work := make(chan func(*ndjson, source), workers)
	for range min(workers, count) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			src := open()
			defer src.close()
			n := newNDJSON(metric, nil)
			for do := range work {
				do(n, src)
			}
		}()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(results)
		defer close(work)
		for i := range count {
			result := make(chan parsed, 1)
			select {
			case results <- result:
			case <-stop:
				return
			}
			work <- func(n *ndjson, src source) {
				var events []event
				select {
				case events = <-free:
				default:
				}
				result <- n.segment(src, events, i*step, min(size, (i+1)*step), size)
			}
		}
	}()
	var lines int64
	for result := range results {
		p := <-result
		f.add(p.found)
		for i := range p.events {
			if err := emit(p.events[i]); err != nil {
				return &lineError{lines + p.events[i].line, err}
			}
		}
		if p.err != nil {
			var at *lineError
			if errors.As(p.err, &at) {
				at.line += lines
			}
			return p.err
		}
		lines += p.lines
		select {
		case free <- p.events[:0]:
		default:
		}
	}
	return nil
}

// segment parses the lines that begin in [from, to) and appends their events.
func (n *ndjson) segment(src source, events []event, from, to, size int64) (out parsed) {
	out.events, out.found = events, newFound()
	n.found = out.found
	n.line, n.emit = 1, func(e event) error {
		e.line = n.line
		out.events = append(out.events, e)
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
			out.err = n.errorf("cannot read on: the file became shorter while it was read, or its disk failed")
		}
		out.lines = n.line - 1
	}()
	// A source may be mapped memory, which faults where the file ends too early.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	out.err = n.lines(src, from, to, size)
	return out
}

// lines parses the lines that begin in [from, to).
func (n *ndjson) lines(src source, from, to, size int64) error {
	at, inside := from, from > 0
	if inside {
		at-- // a line begins at from only if the byte before ends another
	}
	for more := int64(overhang); at < to; more *= 8 {
		end := min(size, to+more)
		b, err := src.part(at, end)
		if err != nil {
			return n.errorf("cannot read on: %w", err)
		}
		if inside {
			k := bytes.IndexByte(b[:to-at], '\n') + 1
			if k == 0 {
				return nil
			}
			at, b, inside = at+int64(k), b[k:], false
		}
		used, err := n.scan(b, to-at)
		if err != nil {
			return err
		}
		at, b = at+int64(used), b[used:]
		switch {
		case at >= to:
		case end == size:
			return n.end(b)
		case len(b) >= maxLine:
			return n.errorf("longer than %d bytes", maxLine)
		}
	}
	return nil
}
