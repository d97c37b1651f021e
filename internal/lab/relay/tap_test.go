package relay_test

import (
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab/relay"
)

// TestTap: the heads of a request that is watched for are kept as they came and
// went, those of no other, and none after they were taken.
func TestTap(t *testing.T) {
	u := startUpstream(t, answers(two))
	tap := &relay.Tap{}
	s := startHop(t, u, func(s *served) { s.server.Tap, s.server.Part = tap, "hop" })
	named := func(id string) string {
		return strings.Replace(get, "\r\n\r\n", "\r\nX-Request-ID: "+id+"\r\nConnection: close\r\n\r\n", 1)
	}
	tap.Watch("a")
	tap.Watch("b")
	for _, id := range []string{"x", "a", "a"} {
		s.call(t, named(id), true)
		s.next(t)
	}
	want := relay.Heads{Part: "hop",
		RequestIn:   "GET /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: a\r\nConnection: close\r\n",
		RequestOut:  "GET /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: a\r\n",
		ResponseIn:  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
		ResponseOut: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"}
	if got := tap.Take("a"); len(got) != 2 || got[0] != want || got[1] != want {
		t.Errorf("kept %+v\nwant twice %+v", got, want)
	}
	s.call(t, named("a"), true)
	if got := append(tap.Take("a"), tap.Take("b")...); len(got) != 0 {
		t.Errorf("kept %+v of a request that nobody watches for", got)
	}
}

// TestTapIsBounded: a request that comes again and again is kept a few times, and
// what a hop answers itself has no other side.
func TestTapIsBounded(t *testing.T) {
	tap := &relay.Tap{}
	s := startHop(t, nil, func(s *served) {
		s.server.Tap = tap
		s.instead = func(x *relay.Exchange) bool { return x.Reply([]byte(two[:len(two)-2]), []byte("ok")) }
	})
	tap.Watch("")
	tap.Watch("a")
	s.call(t, strings.Repeat("GET / HTTP/1.1\r\nx-request-id: a\r\n\r\n", 99)+"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false)
	got := tap.Take("a")
	if len(got) == 0 || len(got) > 20 {
		t.Fatalf("%d of 99 kept", len(got))
	}
	if h := got[0]; h.RequestOut != "" || h.ResponseIn != "" || h.ResponseOut != "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" {
		t.Errorf("kept %+v", h)
	}
}
