package parity

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// framed is an end of an HTTP/2 connection that writes what it is told to.
type framed struct {
	net.Conn
	mu  sync.Mutex // of writing
	fr  *http2.Framer
	buf bytes.Buffer
	enc *hpack.Encoder
}

func newFramed(c net.Conn) *framed {
	f := &framed{Conn: c, fr: http2.NewFramer(c, c)}
	f.fr.AllowIllegalWrites = true
	f.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.fr.MaxHeaderListSize = 1 << 20
	f.enc = hpack.NewEncoder(&f.buf)
	return f
}

// write writes frames in one go.
func (f *framed) write(do func(fr *http2.Framer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f.fr)
}

// head writes HEADERS with fields, names and values in turn.
func (f *framed) head(stream uint32, end bool, fields ...string) {
	f.write(func(fr *http2.Framer) {
		f.buf.Reset()
		for i := 0; i+1 < len(fields); i += 2 {
			f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		block := f.buf.Bytes()
		first := block[:min(len(block), 16000)]
		block = block[len(first):]
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0})
		for len(block) > 0 {
			next := block[:min(len(block), 16000)]
			block = block[len(next):]
			fr.WriteContinuation(stream, len(block) == 0, next)
		}
	})
}

func (f *framed) data(stream uint32, end bool, text string) {
	f.write(func(fr *http2.Framer) { fr.WriteData(stream, end, []byte(text)) })
}

func (f *framed) ends(stream uint32, code http2.ErrCode) {
	f.write(func(fr *http2.Framer) { fr.WriteRSTStream(stream, code) })
}

func (f *framed) goAway(last uint32, code http2.ErrCode) {
	f.write(func(fr *http2.Framer) { fr.WriteGoAway(last, code, nil) })
}

// next reads a frame. Settings and pings are answered.
func (f *framed) next() (http2.Frame, error) {
	got, err := f.fr.ReadFrame()
	if err != nil {
		return nil, err
	}
	switch got := got.(type) {
	case *http2.SettingsFrame:
		if !got.IsAck() {
			f.write(func(fr *http2.Framer) { fr.WriteSettingsAck() })
		}
	case *http2.PingFrame:
		if !got.IsAck() {
			f.write(func(fr *http2.Framer) { fr.WritePing(true, got.Data) })
		}
	}
	return got, nil
}

// dialFramed begins a connection, which is read for so long at most.
func dialFramed(addr string, patience time.Duration) (*framed, error) {
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		return nil, err
	}
	c.SetReadDeadline(time.Now().Add(patience))
	io.WriteString(c, http2.ClientPreface)
	f := newFramed(c)
	f.write(func(fr *http2.Framer) { fr.WriteSettings() })
	return f, nil
}

// framing is an origin whose connections serve has once they have begun, until it
// returns.
func framing(serve func(f *framed)) func(testing.TB) uint16 {
	return raw(func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := newFramed(c)
		f.write(func(fr *http2.Framer) { fr.WriteSettings() })
		serve(f)
	})
}

// frames is an origin that lets serve answer the n-th request of a connection.
func frames(serve func(f *framed, stream uint32, n int)) func(testing.TB) uint16 {
	return framing(func(f *framed) {
		for n := 0; ; {
			got, err := f.next()
			if err != nil {
				return
			}
			if got, ok := got.(*http2.MetaHeadersFrame); ok {
				n++
				go serve(f, got.StreamID, n)
			}
		}
	})
}

// onOneLine puts fields in order, one after the other.
func onOneLine(fields []hpack.HeaderField) string {
	var out []string
	for _, h := range fields {
		out = append(out, h.Name+"="+h.Value)
	}
	slices.Sort(out)
	return strings.Join(out, "|")
}

// TestFramesOfClients: rarer requests that HTTP/2 allows.
func TestFramesOfClients(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	var plays []play
	add := func(name string, send func(f *framed)) {
		for _, p := range []agent.Protocol{agent.HTTP, agent.HTTP2} {
			plays = append(plays, play{name: fmt.Sprintf("%s to %s", name, p), protocol: p, only: through, origin: app(echo), counted: true,
				connected: true, do: func(s *stage) { s.frames(send) }})
		}
	}
	head := func(method, path, authority string, fields ...string) []string {
		h := []string{":method", method, ":scheme", "http", ":path", path}
		if authority != "" {
			h = append(h, ":authority", authority)
		}
		return append(h, fields...)
	}
	get := func(fields ...string) []string { return head("GET", "/a", "a.ns", fields...) }
	many := func(n int) (fields []string) {
		for i := range n {
			fields = append(fields, fmt.Sprintf("h%d", i), "v")
		}
		return get(fields...)
	}
	for name, fields := range map[string][]string{
		"plain": get(), "host alone": head("GET", "/a", "", "host", "h.ns"), "host too": get("host", "h.ns"),
		"authority with port": head("GET", "/a", "a:80"), "lower-case method": head("get", "/a", "a.ns"), "odd method": head("FOO", "/a", "a.ns"),
		"HEAD": head("HEAD", "/a", "a.ns"), "CONNECT": {":method", "CONNECT", ":authority", "a:80"},
		"https": {":method", "GET", ":scheme", "https", ":path", "/a", ":authority", "a.ns"}, "te": get("te", "trailers"),
		"underscore": get("a_b", "c"), "empty value": get("a", ""), "high bytes": get("a", "\xff"), "two fields": get("a", "b", "a", "c"),
		"cookies": get("cookie", "a=b", "cookie", "c=d"), "big": get("a", big(50000)), "too big": get("a", big(70000)),
		"date and via":  get("date", "d", "via", "1.1 a"),
		"forwarded":     get("x-forwarded-for", "1.2.3.4", "x-forwarded-proto", "https", "x-request-id", "mine"),
		"from an Envoy": get("x-envoy-retry-on", "5xx", "x-envoy-internal", "true"), "early data": get("early-data", "1"),
		"95 fields": many(95), "96 fields": many(96), "97 fields": many(97), "120 fields": many(120),
	} {
		add(name, func(f *framed) { f.head(1, true, fields...) })
	}
	post := func(fields ...string) []string { return head("POST", "/a", "a.ns", fields...) }
	for name, send := range map[string]func(f *framed){
		"body":             func(f *framed) { f.head(1, false, post()...); f.data(1, true, "abc") },
		"body with length": func(f *framed) { f.head(1, false, post("content-length", "3")...); f.data(1, true, "abc") },
		"end alone": func(f *framed) {
			f.head(1, false, post("content-length", "3")...)
			f.data(1, false, "abc")
			f.data(1, true, "")
		},
		"trailers":         func(f *framed) { f.head(1, false, post()...); f.data(1, false, "abc"); f.head(1, true, "x-t", "v") },
		"trailers at once": func(f *framed) { f.head(1, false, post()...); f.head(1, true, "x-t", "v") },
		"GET with body":    func(f *framed) { f.head(1, false, get()...); f.data(1, true, "abc") },
		"expect": func(f *framed) {
			f.head(1, false, post("expect", "100-continue")...)
			time.Sleep(100 * time.Millisecond)
			f.data(1, true, "abc")
		},
		"unknown frame": func(f *framed) {
			f.write(func(fr *http2.Framer) { fr.WriteRawFrame(0x42, 0, 1, []byte("x")) })
			f.head(1, true, get()...)
		},
		"priority": func(f *framed) {
			f.write(func(fr *http2.Framer) { fr.WritePriority(1, http2.PriorityParam{Weight: 3}) })
			f.head(1, true, get()...)
		},
	} {
		add(name, send)
	}
	perform(t, plays, nil)
}

// frames speaks HTTP/2 frame by frame and notes what comes back.
func (s *stage) frames(send func(f *framed)) {
	f, err := dialFramed(s.addr, 1800*time.Millisecond)
	if err != nil {
		s.note("%v", err)
		return
	}
	defer f.Close()
	go send(f)
	body, reset := map[uint32]string{}, map[uint32]bool{}
	for {
		got, err := f.next()
		if err != nil {
			s.note("end: %s", kindOf(err))
			return
		}
		switch got := got.(type) {
		case *http2.MetaHeadersFrame:
			h := http.Header{}
			for _, field := range got.Fields {
				h.Add(field.Name, field.Value)
			}
			s.note("%d: head [%s] end %v", got.StreamID, list(h), got.StreamEnded())
		case *http2.DataFrame:
			body[got.StreamID] += string(got.Data())
			if got.StreamEnded() {
				s.note("%d: %d bytes %.1000q", got.StreamID, len(body[got.StreamID]), body[got.StreamID])
			}
		case *http2.RSTStreamFrame:
			if !reset[got.StreamID] { // net/http answers each frame that comes after it
				s.note("%d: %s", got.StreamID, got.ErrCode)
			}
			reset[got.StreamID] = true
		case *http2.GoAwayFrame:
			s.note("goes away: %d %s", got.LastStreamID, got.ErrCode)
		}
	}
}
