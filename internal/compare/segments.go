package compare

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// segment is the share of a file that is parsed in one go.
const segment = 8 << 20

// parsed is what a segment held: its events, how many lines, and the first
// error with the line counted from the segment's first.
type parsed struct {
	events []event
	lines  int64
	err    error
}

// lineError is an error at a line that is not yet counted from the file's beginning.
type lineError struct {
	line int64
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// readSegments is readNDJSON for a file that can be read anywhere: segments of
// step bytes are parsed by all cores and delivered in the file's order, so that
// emit sees, and an error names, exactly what reading from front to back would.
// A line belongs to the segment in which it begins.
func readSegments(f io.ReaderAt, size, step int64, metric string, emit sink) error {
	workers := int64(runtime.GOMAXPROCS(0))
	count := (size + step - 1) / step
	results := make(chan chan parsed, workers)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	work := make(chan func(*ndjson), workers)
	for range min(workers, count) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			n := newNDJSON(metric, nil)
			for do := range work {
				do(n)
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
			work <- func(n *ndjson) { result <- n.segment(f, i*step, min(size, (i+1)*step), size) }
		}
	}()
	var lines int64
	for result := range results {
		p := <-result
		for _, e := range p.events {
			if err := emit(e); err != nil {
				return &lineError{lines + e.line, err}
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
	}
	return nil
}

// segment parses the lines that begin in [from, to).
func (n *ndjson) segment(f io.ReaderAt, from, to, size int64) parsed {
	var out parsed
	n.line, n.emit = 1, func(e event) error {
		e.line = n.line
		out.events = append(out.events, e)
		return nil
	}
	begin := from
	if from > 0 {
		begin-- // a line begins here only if the byte before ends another
	}
	r := io.NewSectionReader(f, begin, size-begin)
	out.err = n.read(r, from > 0, to-begin)
	out.lines = n.line - 1
	return out
}
