// Package jsonlines frames messages between processes: each is a JSON value on
// a line of its own. What the messages are is their users' business.
package jsonlines

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"
)

// MaxLine bounds a line that is read, in bytes: the status of a lab of a
// thousand tasks fits many times over.
const MaxLine = 16 << 20

// Error is a line that is not the value that was to be read. The lines after
// it can still be read.
type Error struct{ Err error }

func (e *Error) Error() string {
	return fmt.Sprintf("a line is not the JSON that was expected: %v", e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Reader reads values. It is for one goroutine.
type Reader struct {
	s   *bufio.Scanner
	err error
}

// NewReader returns a reader of r, which it may read ahead of the lines that
// it returns.
func NewReader(r io.Reader) *Reader {
	s := bufio.NewScanner(r)
	s.Buffer(nil, MaxLine)
	return &Reader{s: s}
}

// Read decodes the next line into v. It returns io.EOF at the end of the
// input, an *Error for a line that is no such value, bufio.ErrTooLong for one
// longer than MaxLine, and otherwise what the input's own Read returned. After
// any error but an *Error there is nothing more to read.
func (r *Reader) Read(v any) error {
	if r.err == nil && !r.s.Scan() {
		if r.err = r.s.Err(); r.err == nil {
			r.err = io.EOF
		}
	}
	if r.err != nil {
		return r.err
	}
	if err := json.Unmarshal(r.s.Bytes(), v); err != nil {
		return &Error{err}
	}
	return nil
}

// Append appends v as a line to dst. It fails when v has no JSON form.
func Append(dst []byte, v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	return append(append(dst, line...), '\n'), nil
}

// Writer writes values. It is safe for concurrent use.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a writer to w, to which each line goes in one Write.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes v as a line.
func (w *Writer) Write(v any) error {
	line, err := Append(nil, v)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.w.Write(line)
	return err
}

// Decode reads one value into v, which must be a pointer, and forgets what v
// held before: encoding/json leaves alone what the text does not name, so a
// variable that is used again would keep the field that an answer now omits.
func Decode(text []byte, v any) error {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		p.Elem().SetZero()
	}
	return json.Unmarshal(text, v)
}
