package parity

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestFramesOfOrigins: what origins may do with a stream or a connection.
func TestFramesOfOrigins(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	var plays []play
	type serve = func(f *framed, id uint32, n int)
	add := func(name string, requests int, then serve) {
		for _, two := range []bool{false, true} {
			plays = append(plays, play{name: fmt.Sprintf("%s, from HTTP/2 %v", name, two), protocol: agent.HTTP2, counted: true,
				connected: true, only: through,
				origin: frames(then), do: func(s *stage) {
					s.let(storm{n: requests, two: two})
					s.let(storm{n: 1, two: two})
				}})
		}
	}
	ok := func(f *framed, id uint32) {
		f.head(id, false, ":status", "200")
		f.data(id, true, "ok")
	}
	add("answers", 3, func(f *framed, id uint32, _ int) { ok(f, id) })
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeProtocol, http2.ErrCodeInternal, http2.ErrCodeRefusedStream,
		http2.ErrCodeCancel, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeHTTP11Required} {
		add("stream ends with "+code.String(), 1, func(f *framed, id uint32, _ int) { f.ends(id, code) })
		add("stream ends after the head with "+code.String(), 1, func(f *framed, id uint32, _ int) {
			f.head(id, false, ":status", "200")
			time.Sleep(50 * time.Millisecond)
			f.ends(id, code)
		})
		add("goes away for all with "+code.String(), 5, func(f *framed, id uint32, n int) {
			if n == 5 {
				f.goAway(0, code)
				time.Sleep(100 * time.Millisecond)
				f.Close()
			}
		})
	}
	add("goes away and answers", 5, func(f *framed, id uint32, n int) {
		if n == 5 {
			f.goAway(id, http2.ErrCodeNo)
			time.Sleep(50 * time.Millisecond)
			for i := id - 8; i <= id; i += 2 {
				ok(f, i)
			}
			time.Sleep(50 * time.Millisecond)
			f.Close()
		}
		if n == 1 {
			time.Sleep(200 * time.Millisecond)
			ok(f, id)
		}
	})
	add("closes with streams open", 5, func(f *framed, id uint32, n int) {
		if n == 5 {
			f.Close()
		}
	})
	add("resets with streams open", 5, func(f *framed, id uint32, n int) {
		if n == 5 {
			f.Conn.(*net.TCPConn).SetLinger(0)
			f.Close()
		}
	})
	heads := map[string][]string{
		"no status": {"a", "b"}, "status abc": {":status", "abc"}, "status 99": {":status", "99"}, "status 1000": {":status", "1000"},
		"status 0": {":status", "0"}, "status 299": {":status", "299"}, "status 101": {":status", "101"},
		"two statuses": {":status", "200", ":status", "200"},
		"status late":  {"a", "b", ":status", "200"}, "upper case": {":status", "200", "A", "b"},
		"connection":        {":status", "200", "connection", "close"},
		"transfer-encoding": {":status", "200", "transfer-encoding", "chunked"}, "keep-alive": {":status", "200", "keep-alive", "5"},
		"upgrade": {":status", "200", "upgrade", "h2c"}, "other pseudo field": {":status", "200", ":a", "b"},
		"empty name":         {":status", "200", "", "b"},
		"control in a value": {":status", "200", "a", "b\x01c"}, "NUL": {":status", "200", "a", "b\x00c"},
		"CR in a value": {":status", "200", "a", "b\rc"}, "LF in a value": {":status", "200", "a", "b\nc"},
		"blank in a name": {":status", "200", "a b", "c"},
		"underscore":      {":status", "200", "a_b", "c"}, "high bytes": {":status", "200", "a", "\xff"},
		"server and date":  {":status", "200", "server", "s", "date", "d"},
		"service time":     {":status", "200", "x-envoy-upstream-service-time", "7"},
		"length too short": {":status", "200", "content-length", "1"}, "length right": {":status", "200", "content-length", "2"},
		"length no number": {":status", "200", "content-length", "x"},
		"two lengths":      {":status", "200", "content-length", "2", "content-length", "2"},
		"two fields":       {":status", "200", "a", "b", "a", "c"}, "cookies": {":status", "200", "set-cookie", "a", "set-cookie", "b"},
		"500": {":status", "500"}, "big": {":status", "200", "a", big(50000)}, "too big": {":status", "200", "a", big(90000)},
		"grpc": {":status", "200", "content-type", "application/grpc"},
	}
	many := []string{":status", "200"}
	for i := range 99 {
		many = append(many, fmt.Sprintf("h%d", i), "v")
	}
	heads["99 fields"], heads["120 fields"] = many, append(slices.Clone(many), slices.Repeat([]string{"more", "v"}, 21)...)
	for name, fields := range heads {
		add("head with "+name, 1, func(f *framed, id uint32, _ int) {
			f.head(id, false, fields...)
			f.data(id, true, "ok")
		})
	}
	for name, then := range map[string]serve{
		"only a head": func(f *framed, id uint32, _ int) { f.head(id, true, ":status", "200") },
		"empty data":  func(f *framed, id uint32, _ int) { f.head(id, false, ":status", "200"); f.data(id, true, "") },
		"trailers alone": func(f *framed, id uint32, _ int) {
			f.head(id, true, ":status", "200", "grpc-status", "5", "content-type", "application/grpc")
		},
		"trailers":        func(f *framed, id uint32, _ int) { ok200(f, id); f.head(id, true, "x-t", "v") },
		"trailers, open":  func(f *framed, id uint32, _ int) { ok200(f, id); f.head(id, false, "x-t", "v") },
		"trailers, bad":   func(f *framed, id uint32, _ int) { ok200(f, id); f.head(id, true, ":status", "200") },
		"trailers, upper": func(f *framed, id uint32, _ int) { ok200(f, id); f.head(id, true, "X-T", "v") },
		"100 first":       func(f *framed, id uint32, _ int) { f.head(id, false, ":status", "100"); ok(f, id) },
		"103 first":       func(f *framed, id uint32, _ int) { f.head(id, false, ":status", "103", "link", "a"); ok(f, id) },
		"many 103 first": func(f *framed, id uint32, _ int) {
			for range 8 {
				f.head(id, false, ":status", "103", "link", "a")
			}
			ok(f, id)
		},
		"103 is the last": func(f *framed, id uint32, _ int) { f.head(id, true, ":status", "103") },
		"data first":      func(f *framed, id uint32, _ int) { f.data(id, false, "ok"); ok(f, id) },
		"data of nobody":  func(f *framed, id uint32, _ int) { f.data(id+100, false, "ok"); ok(f, id) },
		"data after end":  func(f *framed, id uint32, _ int) { ok(f, id); f.data(id, true, "more") },
		"unknown frame": func(f *framed, id uint32, _ int) {
			f.write(func(fr *http2.Framer) { fr.WriteRawFrame(0x42, 0, id, []byte("x")) })
			ok(f, id)
		},
		"window of nothing": func(f *framed, id uint32, _ int) {
			f.write(func(fr *http2.Framer) { fr.WriteWindowUpdate(id, 0) })
			ok(f, id)
		},
		"push": func(f *framed, id uint32, _ int) {
			f.write(func(fr *http2.Framer) {
				fr.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, EndHeaders: true})
			})
			ok(f, id)
		},
		"no frames": func(f *framed, id uint32, _ int) { io.WriteString(f.Conn, "HTTP/1.1 400 Bad Request\r\n\r\n") },
		"silence":   func(f *framed, id uint32, _ int) {},
	} {
		add(name, 1, then)
	}
	for i := range plays {
		p := &plays[i]
		p.timeouts = times(2*time.Second, time.Minute)
		// net/http does not use a connection again whose peer has seen an error of the protocol.
		p.connected = !strings.Contains(p.name, http2.ErrCodeProtocol.String())
	}
	perform(t, plays, nil)
}

// ok200 answers and leaves the stream open for trailers.
func ok200(f *framed, id uint32) {
	f.head(id, false, ":status", "200")
	f.data(id, false, "ok")
}
