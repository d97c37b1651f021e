package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readJSON is readNDJSON for objects that do not stand on a line each: pretty
// printed, one after another or in an array. Errors name the byte.
func readJSON(r io.Reader, metric string, f *found, emit sink) error {
	return eachValue(r, f, func(raw []byte) error {
		e, ok, err := parseLine(raw, metric, f)
		switch {
		case errors.Is(err, errLog):
			f.skipped++
			return nil
		case errors.As(err, &noLatency{}):
			f.negative++
			return nil
		case err != nil || !ok:
			return err
		}
		return emit(e)
	})
}

// eachValue calls do for every JSON value of r, or of the array that r is. When
// it ends inside a value, f says so and the whole ones were used.
func eachValue(r io.Reader, f *found, do func([]byte) error) error {
	d := json.NewDecoder(skipMark(r))
	array := false
	var line bytes.Buffer
	for n := int64(0); ; n++ {
		var raw json.RawMessage
		if n == 0 {
			// An array is opened by a token of its own, so that it need not be held whole.
			if t, ok := peekArray(d); ok {
				array = t
			}
		}
		if array && !d.More() {
			if _, err := d.Token(); err != nil {
				f.cut = "its list does not end"
			}
			return nil
		}
		err := d.Decode(&raw)
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			f.cut = "its last object is not complete"
			return nil
		case err != nil:
			return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
		line.Reset()
		if err := json.Compact(&line, raw); err != nil {
			return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
		if err := do(line.Bytes()); err != nil {
			return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
	}
}

// peekArray consumes the opening of an array, if that is how the text begins.
func peekArray(d *json.Decoder) (array, ok bool) {
	if !d.More() {
		return false, false
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(d.Buffered(), b); err != nil || b[0] != '[' {
		return false, err == nil
	}
	_, err := d.Token()
	return err == nil, err == nil
}

// skipMark leaves out a byte order mark and the space before the first value.
func skipMark(r io.Reader) io.Reader {
	head := make([]byte, 0, 4096)
	for len(head) < cap(head) {
		n, err := r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if err != nil || len(bytes.TrimLeft(bytes.TrimPrefix(head, byteOrderMark), " \t\r\n")) > 0 {
			break
		}
	}
	return io.MultiReader(bytes.NewReader(bytes.TrimLeft(bytes.TrimPrefix(head, byteOrderMark), " \t\r\n")), r)
}
