package parity

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// saying is an app of either version that begins each answer when it has the request's
// head, and goes on after each of the pauses, until the answer's end.
func saying(p agent.Protocol, pauses ...time.Duration) func(testing.TB) uint16 {
	if p != agent.HTTP {
		return frames(func(f *framed, id uint32, _ int) {
			for i, pause := range pauses {
				if time.Sleep(pause); i == 0 {
					f.head(id, false, ":status", "200")
				}
				f.data(id, i == len(pauses)-1, "part")
			}
		})
	}
	return raw(func(c net.Conn) {
		for buf := make([]byte, 64<<10); ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if !bytes.Contains(buf[:n], []byte("HTTP/1.1")) {
				continue
			}
			for i, pause := range pauses {
				if time.Sleep(pause); i == 0 {
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 4*len(pauses))
				}
				io.WriteString(c, "part")
			}
		}
	})
}

// TestTimesOfHTTP2: time limits of streams, and clients that give one up.
func TestTimesOfHTTP2(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	const tick, long = 100 * time.Millisecond, 900 * time.Millisecond
	limit, idle := times(300*time.Millisecond, time.Minute), times(0, 300*time.Millisecond)
	get := func(f *framed) { f.head(1, true, head2("GET", "http", "/", "a")...) }
	post := func(rest ...any) func(f *framed) {
		return func(f *framed) {
			f.head(1, false, head2("POST", "http", "/", "a")...)
			for _, r := range rest {
				switch r := r.(type) {
				case time.Duration:
					time.Sleep(r)
				case string:
					f.data(1, r == "end", r)
				case http2.ErrCode:
					f.ends(1, r)
				}
			}
		}
	}
	var plays []play
	for _, p := range []agent.Protocol{agent.HTTP, agent.HTTP2, agent.GRPC} {
		add := func(name string, ts agent.Timeouts, send func(*framed), pauses ...time.Duration) {
			plays = append(plays, play{name: string(p) + ", " + name, protocol: p, timeouts: ts, origin: saying(p, pauses...), only: through,
				counted: true, do: func(s *stage) { s.frames(send) }})
		}
		add("limit, no answer", limit, get, long)
		add("limit, the answer stops", limit, get, tick, long)
		add("limit, the answer goes on", limit, get, tick, tick, tick, tick, tick)
		add("limit, the request stops", limit, post("part"), long)
		add("limit, the request ends late", limit, post("part", 500*time.Millisecond, "end"), long)
		add("idle, no answer", idle, get, long)
		add("idle, the answer stops", idle, get, tick, long)
		add("idle, the answer goes on", idle, get, tick, tick, tick, tick, tick)
		add("idle, the request stops", idle, post("part"), long)
		add("idle, the request goes on", idle, post("part", tick, "part", tick, "part", tick, "end"), tick)
		add("idle, no request", idle, func(*framed) {}, tick)
		add("idle after an answer", idle, get, tick)
		add("given up before the answer", limit, post("part", tick, http2.ErrCodeCancel), long)
		add("given up in the answer", times(0, time.Minute), post("end", 150*time.Millisecond, http2.ErrCodeCancel), tick, tick, tick)
		add("answered before the request's end", times(0, time.Minute), post("part", 300*time.Millisecond, "end"), tick)
	}
	perform(t, plays, nil)
}
