package parity

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// repeating is an origin that answers every request, and repeats what it is sent.
func repeating(status string, end bool) func(testing.TB) uint16 {
	return framing(func(f *framed) {
		for {
			got, err := f.next()
			if err != nil {
				return
			}
			switch got := got.(type) {
			case *http2.MetaHeadersFrame:
				f.head(got.StreamID, end, ":status", status, "x-seen", onOneLine(got.Fields))
			case *http2.DataFrame:
				switch text := string(got.Data()); {
				case text == "bye":
					f.data(got.StreamID, true, "bye")
				case text == "reset":
					f.ends(got.StreamID, http2.ErrCodeCancel)
				case text != "":
					f.data(got.StreamID, false, "you said "+text)
				}
			}
		}
	})
}

// TestWebSocketToHTTP2: a WebSocket of HTTP/1.1 to an endpoint whose app speaks HTTP/2.
func TestWebSocketToHTTP2(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	const ws = "GET /p?q HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n" +
		"Sec-WebSocket-Version: 13\n\n"
	pause := 150 * time.Millisecond
	var plays []play
	add := func(name string, origin func(testing.TB) uint16, client ...any) {
		plays = append(plays, play{name: name, protocol: agent.HTTP2, origin: origin, do: func(s *stage) { s.text(&exchange{client: client}) }})
	}
	add("an app that knows none", app(echo), ws)
	for _, status := range []string{"200", "204", "403", "500"} {
		add("answered with "+status, repeating(status, false), ws, pause)
		add("answered with "+status+" and the end", repeating(status, true), ws, pause)
	}
	add("both ways", repeating("200", false), ws, pause, "hello", pause, "again", pause)
	add("early data", repeating("200", false), ws+"early", pause)
	add("the app ends it", repeating("200", false), ws, pause, "bye", pause)
	add("the app resets it", repeating("200", false), ws, pause, "reset", pause)
	add("other letters", repeating("200", false), strings.Replace(ws, "websocket", "WebSocket", 1), pause)
	add("POST", repeating("200", false), strings.Replace(ws, "GET", "POST", 1), pause)
	add("with a length", repeating("200", false), strings.Replace(ws, "\n\n", "\nContent-Length: 3\n\nabc", 1), pause)
	perform(t, plays, nil)
}
