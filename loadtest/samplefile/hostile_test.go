package samplefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestEveryTruncationIsSeen(t *testing.T) {
	want := records(rand.New(rand.NewPCG(3, 3)), 300)
	data := write(t, want, Trailer{Dropped: 1})
	for n := range data {
		got, _, err := read(data[:n])
		var fe *FormatError
		if !errors.As(err, &fe) || !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d of %d: error %v, want ErrTruncated with its offset", n, len(data), err)
		}
		if fe.Offset < 0 || fe.Offset > int64(n) {
			t.Fatalf("cut at %d: offset %d", n, fe.Offset)
		}
		equal(t, got, want[:len(got)])
	}
}

func TestEveryDamagedByteIsSeen(t *testing.T) {
	want := records(rand.New(rand.NewPCG(4, 4)), 200)
	data := write(t, want, Trailer{})
	for n := range data {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(data)
			bad[n] ^= flip
			if _, _, err := read(bad); err == nil {
				t.Fatalf("byte %d changed by %#x: no error", n, flip)
			}
		}
	}
}

func TestJoinedFilesAreRefused(t *testing.T) {
	data := write(t, records(rand.New(rand.NewPCG(5, 5)), 10), Trailer{})
	_, _, err := read(append(bytes.Clone(data), data...))
	if err == nil || !strings.Contains(err.Error(), "follow the trailer") {
		t.Errorf("error %v, want one about bytes after the trailer", err)
	}
}

func forge(frames ...[]byte) []byte {
	out := append([]byte(magic), version)
	for _, f := range frames {
		out = append(out, sealFrame(f[0], append(make([]byte, frameHead), f[1:]...))...)
	}
	return out
}

func TestHostileFrames(t *testing.T) {
	head := []byte(`H{"load":{"arms":[{"name":"a"}]}}`)
	cls := `{"arm":0,"outcome":{}}`
	block := func(parts ...any) []byte {
		b := []byte{frameBlock}
		for _, p := range parts {
			switch p := p.(type) {
			case int:
				b = binary.AppendUvarint(b, uint64(p))
			case string:
				b = append(b, p...)
			}
		}
		return b
	}
	one := block(1, len(cls), cls, 1, "\x00\x00\x00")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":               {nil, "before its trailer"},
		"text":                {[]byte("status,latency\n200,3\n"), "not a hoplab sample file"},
		"later version":       {append([]byte(magic), 9, 0, 0, 0, 0, 0, 0, 0, 0), "format version 9"},
		"no header":           {forge([]byte("T{}")), "where the header should be"},
		"header without arms": {forge([]byte(`H{}`)), "no arms"},
		"two headers":         {forge(head, head), "after the header"},
		"header and more":     {forge([]byte(`H{"load":{"arms":[{}]}} 1`)), "follow the JSON value"},
		"count lies high":     {forge(head, block(0, 1<<40)), "do not fit"},
		"count lies low":      {forge(head, block(1, len(cls), cls, 1, "\x00\x00\x00\x00")), "left in the block"},
		"count zero":          {forge(head, block(0, 0, "\x00")), "do not fit"},
		"class out of range":  {forge(head, block(1, len(cls), cls, 1, "\x1c\x00\x00\x07")), "class 7 of 1"},
		"class arm":           {forge(head, block(1, 21, `{"arm":1,"outcome":{}}`)), "class"},
		"class length":        {forge(head, block(1, 1<<30, cls)), "length is out of range"},
		"negative iteration":  {forge(head, block(1, len(cls), cls, 1, "\x01\x00\x00")), "iteration -1"},
		"long varint":         {forge(head, block(1, len(cls), cls, 1, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), "too long"},
		"short escape":        {forge(head, block(1, len(cls), cls, 1, "\x03\x00\x00\x01")), "shortest form"},
		"trailer miscounts":   {forge(head, one, []byte(`T{"records":2}`)), "counts 2 records"},
		"trailer not JSON":    {forge(head, one, []byte(`T{`)), "trailer"},
		"frame too long":      {append(forge(head), 'B', 0xff, 0xff, 0xff, 0xff), "at most"},
		"unknown frame":       {forge(head, []byte("X")), "after the header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(c.data)
			var fe *FormatError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a FormatError with %q", err, c.want)
			}
		})
	}
	if _, _, err := read(forge(head, one, []byte(`T{"records":1}`))); err != nil {
		t.Errorf("the sound variant: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	rng := rand.New(rand.NewPCG(8, 8))
	f.Add(write(f, records(rng, 30), Trailer{}))
	f.Add(write(f, nil, Trailer{}))
	f.Add(forge([]byte(`H{"load":{"arms":[{}]}}`), []byte("B\x00\x01\x00\x00\x00"), []byte(`T{}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(data []byte) {
			recs, tr, err := read(data)
			var fe *FormatError
			if err != nil && !errors.As(err, &fe) {
				t.Fatalf("error without an offset: %v", err)
			}
			if err == nil && tr.Records != int64(len(recs)) {
				t.Fatalf("%d records, the trailer says %d", len(recs), tr.Records)
			}
			for _, r := range recs {
				if r.Late < 0 || r.Latency < 0 || r.Blocked < 0 || r.Iteration < 0 {
					t.Fatalf("impossible record %+v", r)
				}
			}
		}
		check(data)
		// Checksums keep a mutation from the decoder behind them, so try the
		// same bytes as a block's payload too.
		if len(data) < maxFrame {
			check(forge([]byte(`H{"load":{"arms":[{},{}]}}`), append([]byte{frameBlock}, data...)))
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(int64(5), int64(100), int64(2500), int64(3), "reset", 200)
	f.Fuzz(func(t *testing.T, iter, late, latency, blocked int64, text string, status int) {
		in := Record{Arm: 1, Iteration: iter, Late: time.Duration(late), Latency: time.Duration(latency),
			Blocked: time.Duration(blocked), Outcome: Outcome{Error: text, Status: status}}
		var buf bytes.Buffer
		w, err := NewWriter(&buf, header())
		if err != nil {
			t.Fatal(err)
		}
		werr := w.Write(in)
		if err := w.Close(Trailer{}); err != nil {
			t.Fatal(err)
		}
		recs, _, err := read(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if werr != nil {
			if len(recs) != 0 {
				t.Fatalf("refused (%v) and yet written", werr)
			}
			return
		}
		got := recs[0]
		if got.Iteration != iter || (got.Latency-in.Latency).Abs() > 50 || (got.Late-in.Late).Abs() > 500 || (got.Blocked-in.Blocked).Abs() > 500 {
			t.Fatalf("got %+v, want %+v", got, in)
		}
		if got.Outcome.Status != status || got.Outcome.Error != cut(text) {
			t.Fatalf("got %+v", got.Outcome)
		}
	})
}
