package h2

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// shout edits what a test can see.
func shout(fields []hpack.HeaderField, end bool) ([]hpack.HeaderField, error) {
	out := slices.Clone(fields)
	for i := range out {
		if out[i].Value == "forbidden" {
			return nil, errRequest
		}
		out[i].Value = fmt.Sprint(strings.ToUpper(out[i].Value), end)
	}
	return out, nil
}

// sent is what a client sends that writes frames.
func sent(write func(fr *http2.Framer, block func(values ...string) []byte)) []byte {
	var b, hb bytes.Buffer
	b.WriteString(http2.ClientPreface)
	enc := hpack.NewEncoder(&hb)
	fr := http2.NewFramer(&b, nil)
	fr.AllowIllegalWrites = true
	write(fr, func(values ...string) []byte {
		hb.Reset()
		for i, v := range values {
			enc.WriteField(hpack.HeaderField{Name: fmt.Sprint("f", i), Value: v})
		}
		return bytes.Clone(hb.Bytes())
	})
	return b.Bytes()
}

// told tells what a server reads.
func told(t *testing.T, p []byte) (out []string) {
	t.Helper()
	rest, ok := bytes.CutPrefix(p, []byte(http2.ClientPreface))
	if !ok {
		t.Fatalf("the preface is gone: %q", p)
	}
	fr := http2.NewFramer(io.Discard, bytes.NewReader(rest))
	dec := hpack.NewDecoder(4096, nil)
	var block []byte
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			return out
		}
		whole := false
		switch f := f.(type) {
		case *http2.HeadersFrame:
			block, whole = bytes.Clone(f.HeaderBlockFragment()), f.HeadersEnded()
		case *http2.ContinuationFrame:
			block, whole = append(block, f.HeaderBlockFragment()...), f.HeadersEnded()
		case *http2.DataFrame:
			out = append(out, fmt.Sprintf("data %q", f.Data()))
		default:
			out = append(out, f.Header().Type.String())
		}
		if whole {
			fields, err := dec.DecodeFull(block)
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, f := range fields {
				text = append(text, f.Value)
			}
			out = append(out, strings.Join(text, " "))
		}
	}
}

// TestBlocks: header blocks are edited in whatever frames and pieces they come, and
// everything else stays.
func TestBlocks(t *testing.T) {
	big := strings.Repeat("x", 40000)
	p := sent(func(fr *http2.Framer, block func(...string) []byte) {
		fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("a", "b"), EndHeaders: true, EndStream: true})
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block("a", "b"), EndHeaders: true, PadLength: 7,
			Priority: http2.PriorityParam{Weight: 3, StreamDep: 1}})
		fr.WriteData(3, false, []byte("body"))
		fr.WriteGoAway(0, http2.ErrCodeNo, []byte("why"))
		b := block("a", "b", big)
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, BlockFragment: b[:10], EndStream: true})
		fr.WriteContinuation(5, false, b[10:20])
		fr.WriteContinuation(5, true, b[20:])
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block("t"), EndHeaders: true, EndStream: true})
		fr.WritePing(false, [8]byte{})
	})
	want := []string{"SETTINGS", "Atrue Btrue", "Afalse Bfalse", `data "body"`, "Atrue Btrue " + strings.ToUpper(big) + "true", "Ttrue",
		"PING"}
	for _, size := range []int{1, 7, 24, 1000, len(p)} {
		b := newBlocks(shout)
		b.drop = func(t http2.FrameType) bool { return t == http2.FrameGoAway }
		var out []byte
		for part := range slices.Chunk(p, size) {
			var err error
			if out, err = b.feed(out, part); err != nil {
				t.Fatal(err)
			}
		}
		if got := told(t, out); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %.300q", size, got)
		}
	}
}

// TestBadBlocks: what is no header block, or too much of one, is not passed on.
func TestBadBlocks(t *testing.T) {
	for name, write := range map[string]func(fr *http2.Framer, block func(...string) []byte){
		"refused": func(fr *http2.Framer, block func(...string) []byte) {
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("forbidden"), EndHeaders: true})
		},
		"other frame between": func(fr *http2.Framer, block func(...string) []byte) {
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("a")})
			fr.WritePing(false, [8]byte{})
		},
		"other stream": func(fr *http2.Framer, block func(...string) []byte) {
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("a")})
			fr.WriteContinuation(3, true, block("b"))
		},
		"nothing to go on": func(fr *http2.Framer, block func(...string) []byte) { fr.WriteContinuation(1, true, block("b")) },
		"no stream": func(fr *http2.Framer, block func(...string) []byte) {
			fr.WriteHeaders(http2.HeadersFrameParam{BlockFragment: block("a"), EndHeaders: true})
		},
		"padding alone": func(fr *http2.Framer, _ func(...string) []byte) {
			fr.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders, 1, []byte{9, 0})
		},
		"no HPACK": func(fr *http2.Framer, _ func(...string) []byte) {
			fr.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		},
		"cut": func(fr *http2.Framer, block func(...string) []byte) {
			b := block("abc")
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:len(b)-1], EndHeaders: true})
		},
		"small and large": func(fr *http2.Framer, block func(...string) []byte) {
			b := block(strings.Repeat("x", 3000))
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b, EndHeaders: true})
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: bytes.Repeat([]byte{0x80 | 62}, 1000), EndHeaders: true})
		},
		"without an end": func(fr *http2.Framer, block func(...string) []byte) {
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(strings.Repeat("x", 10000))})
			for range 200 {
				fr.WriteContinuation(1, false, block(strings.Repeat("x", 10000)))
			}
		},
	} {
		if out, err := newBlocks(shout).feed(nil, sent(write)); err == nil {
			t.Errorf("%s: %d bytes and no error", name, len(out))
		}
	}
}

// FuzzBlocks: what passes is HTTP/2 whose header blocks can be read.
func FuzzBlocks(f *testing.F) {
	f.Add(sent(func(fr *http2.Framer, block func(...string) []byte) {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("a", "b"), EndHeaders: true, PadLength: 3})
		fr.WriteData(1, true, []byte("x"))
	}))
	f.Fuzz(func(t *testing.T, p []byte) {
		whole, err := fromClient().feed(nil, p)
		b := fromClient()
		var out []byte
		var inParts error
		for part := range slices.Chunk(p, 5) {
			if out, inParts = b.feed(out, part); inParts != nil {
				break
			}
		}
		if (err == nil) != (inParts == nil) || err == nil && !bytes.Equal(out, whole) {
			t.Fatalf("at once %v, in parts %v", err, inParts)
		}
		rest := whole[min(len(whole), len(http2.ClientPreface)):]
		fr := http2.NewFramer(io.Discard, bytes.NewReader(rest))
		fr.SetMaxReadFrameSize(1<<24 - 1)
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			if _, err := fr.ReadFrame(); err != nil {
				return
			}
		}
	})
}
