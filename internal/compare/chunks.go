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

// inChunks reads r by whole lines, parses chunk after chunk on a goroutine of its
// own, and emits. Lines of the last chunk without a line end are tried, and
// called cut when they cannot be parsed.
func inChunks(r io.Reader, f *found, emit sink, parse func([]byte, []event) ([]event, int64, error)) error {
	type chunk struct {
		text []byte
		last bool
		err  error
	}
	type result struct {
		events []event
		lines  int64
		err    error
	}
	chunks, results := make(chan chunk, 2), make(chan result, 2)
	texts, spare := make(chan []byte, 4), make(chan []event, 4)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		defer close(chunks)
		var rest []byte
		for {
			var buf []byte
			select {
			case buf = <-texts:
			default:
				buf = make([]byte, 0, logChunk)
			}
			buf = append(buf[:0], rest...)
			if cap(buf) < logChunk {
				buf = append(make([]byte, 0, logChunk), buf...)
			}
			var c chunk
			for len(buf) < cap(buf) && c.err == nil {
				var n int
				n, c.err = r.Read(buf[len(buf):cap(buf)])
				buf = buf[:len(buf)+n]
			}
			end := bytes.LastIndexByte(buf, '\n') + 1
			if c.err != nil {
				c.last, end = true, len(buf)
			} else if end == 0 {
				if len(buf) > maxLine {
					c.err = fmt.Errorf("a line longer than %d bytes", maxLine)
					c.last = true
				} else {
					rest = append(make([]byte, 0, 2*cap(buf)), buf...)
					continue
				}
			}
			rest = append(rest[:0], buf[end:]...)
			c.text = buf[:end]
			select {
			case chunks <- c:
			case <-stop:
				return
			}
			if c.last {
				return
			}
		}
	})
	wg.Go(func() {
		defer close(results)
		for c := range chunks {
			var events []event
			select {
			case events = <-spare:
			default:
			}
			var out result
			tail := []byte(nil)
			text := c.text
			if c.last {
				end := bytes.LastIndexByte(text, '\n') + 1
				text, tail = text[:end], text[end:]
			}
			out.events, out.lines, out.err = parse(text, events[:0])
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
			select {
			case results <- out:
			case <-stop:
				return
			}
			select {
			case texts <- c.text[:0]:
			default:
			}
		}
	})
	var lines int64
	for res := range results {
		for i := range res.events {
			if err := emit(res.events[i]); err != nil {
				return fmt.Errorf("line %d: %w", lines+res.events[i].line, err)
			}
		}
		if res.err != nil {
			return fmt.Errorf("line %s: %w", strconv.FormatInt(lines+res.lines, 10), res.err)
		}
		lines += res.lines
		select {
		case spare <- res.events:
		default:
		}
	}
	return nil
}
