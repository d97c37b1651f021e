package jsonlines

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// FuzzReader: every line is a value or an *Error, none is lost, and what was
// read is written as a line that is read as the same again.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"", "{}\n", "1\n2\n\n3", "{\"a\":1}\r\n", "nul\n{}\n", "\x00\n", "[[[[\n", "\"\\ud800\"\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		lines := bytes.Count(in, []byte("\n"))
		if len(in) > 0 && in[len(in)-1] != '\n' {
			lines++
		}
		read := 0
		for {
			var v any
			var bad *Error
			err := r.Read(&v)
			if err == io.EOF {
				break
			}
			read++
			if errors.As(err, &bad) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			line, err := Append(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			var again any
			if err := NewReader(bytes.NewReader(line)).Read(&again); err != nil {
				t.Fatalf("%q was written and cannot be read: %v", line, err)
			}
			a, _ := json.Marshal(again)
			if !bytes.Equal(append(a, '\n'), line) {
				t.Fatalf("%q came back as %q", line, a)
			}
		}
		if read != lines {
			t.Errorf("%d of %d lines", read, lines)
		}
	})
}
