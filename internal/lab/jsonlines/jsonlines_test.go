package jsonlines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

type message struct {
	N    int
	Text string
}

// TestRead: values come one a line, however the bytes come, and a line that is
// none does not spoil the next.
func TestRead(t *testing.T) {
	const in = `{"N":1,"Text":"a\nb"}` + "\n" + `{"N":"one"}` + "\nno JSON\n\n" + `{"N":2} {"N":3}` + "\n" + `{"N":4}`
	want := []string{"{1 a\nb}", "not", "not", "not", "not", "{4 }", "EOF"}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in))} {
		var got []string
		reader := NewReader(r)
		for range want {
			var m message
			var bad *Error
			switch err := reader.Read(&m); {
			case errors.As(err, &bad):
				got = append(got, "not")
			case err != nil:
				got = append(got, err.Error())
			default:
				got = append(got, fmt.Sprint(m))
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestLongLines: a line up to the limit is read, one beyond it ends the
// reading without being kept.
func TestLongLines(t *testing.T) {
	long := func(n int) io.Reader { return strings.NewReader(`{"Text":"` + strings.Repeat("x", n) + `"}` + "\n") }
	var m message
	if err := NewReader(long(MaxLine - 100)).Read(&m); err != nil || len(m.Text) != MaxLine-100 {
		t.Errorf("%v, %d bytes", err, len(m.Text))
	}
	r := NewReader(io.MultiReader(long(MaxLine), strings.NewReader("{}\n")))
	for range 2 {
		if err := r.Read(&m); !errors.Is(err, bufio.ErrTooLong) {
			t.Errorf("%v, want %v", err, bufio.ErrTooLong)
		}
	}
}

// TestReadError: an input that fails, fails as itself, after what it gave.
func TestReadError(t *testing.T) {
	why := errors.New("why")
	r := NewReader(io.MultiReader(strings.NewReader("{\"N\":1}\n"), iotest.ErrReader(why)))
	var m message
	if err := r.Read(&m); err != nil || m.N != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if err := r.Read(&m); err != why {
		t.Errorf("%v, want %v", err, why)
	}
}

// pieces keeps each Write apart and notes those that come during another.
type pieces struct {
	mu      sync.Mutex
	got     [][]byte
	overlap bool
}

func (p *pieces) Write(b []byte) (int, error) {
	if !p.mu.TryLock() {
		p.overlap = true
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	time.Sleep(time.Microsecond) // let others come
	p.got = append(p.got, bytes.Clone(b))
	return len(b), nil
}

// TestWrite: each value is one line in one Write, whoever writes beside it.
func TestWrite(t *testing.T) {
	var out pieces
	w := NewWriter(&out)
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if err := w.Write(message{n, "a\nb"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if out.overlap {
		t.Error("two lines were written at a time")
	}
	seen := map[int]bool{}
	for _, line := range out.got {
		var m message
		err := NewReader(bytes.NewReader(line)).Read(&m)
		if err != nil || m.Text != "a\nb" || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("%q: %+v, %v", line, m, err)
		}
		seen[m.N] = true
	}
	if len(seen) != 100 || len(out.got) != 100 {
		t.Errorf("%d writes of %d values, want 100 of 100", len(out.got), len(seen))
	}
	if err := w.Write(func() {}); err == nil || len(out.got) != 100 {
		t.Errorf("%v for what has no JSON form; %d writes", err, len(out.got))
	}
}

// A variable that is used for one answer after the other must not keep what a
// later answer omits: a healthy target has no reason.
func TestDecodeForgetsTheLastAnswer(t *testing.T) {
	type target struct {
		State  string `json:"state"`
		Reason string `json:"reason,omitempty"`
	}
	var all []target
	for _, text := range []string{`[{"state":"initial","reason":"checking"}]`, `[{"state":"healthy"}]`} {
		if err := Decode([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
	}
	if want := []target{{State: "healthy"}}; !slices.Equal(all, want) {
		t.Errorf("got %+v; want %+v", all, want)
	}
}
