package h2_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
)

// none is what is told of a connection's end where nobody asks.
func none() {}

// stream opens a connection and takes one stream of it.
func stream(t *testing.T, s *h2.Sessions, ended func()) *h1.Conn {
	t.Helper()
	next, err := s.Open(patience, ended)
	if err != nil {
		t.Fatal(err)
	}
	return next()
}

// TestSessions: streams share a connection up to the upstream's limit, which is
// known once it has answered, and come back to be used again.
func TestSessions(t *testing.T) {
	app := startUpstream(t, nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	app.srv.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2}
	s := h2.NewSessions(dialer(app.addr), nil, 0)
	defer s.Shut()
	if c := s.Take(time.Now()); c != nil {
		t.Fatal("a stream without a connection")
	}
	first := stream(t, s, none)
	resp, got := exchange(t, first, bufio.NewReader(first), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp.StatusCode != 200 || got != "ok" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	if s.Take(time.Now()) == nil || s.Take(time.Now()) != nil {
		t.Error("of a connection with room for two streams, want one more than is out")
	}
	s.Put(first, time.Now())
	if again := s.Take(time.Now()); again != first {
		t.Errorf("what was put back is not taken again")
	}
	if n := app.conns.Load(); n != 1 {
		t.Errorf("%d connections to the upstream, want 1", n)
	}
}

// TestSessionsEnd: a connection whose upstream has gone, or that has been idle for
// long, is not used any more, and its end is told.
func TestSessionsEnd(t *testing.T) {
	why := errors.New("no route")
	if _, err := h2.NewSessions(func(time.Duration) (net.Conn, error) { return nil, why }, nil, 0).Open(patience, none); !errors.Is(err, why) {
		t.Errorf("%v, want the dialer's error", err)
	}
	app := startUpstream(t, nil, func(http.ResponseWriter, *http.Request) {})
	s := h2.NewSessions(dialer(app.addr), nil, time.Minute)
	defer s.Shut()
	var ended atomic.Int32
	open := func() {
		c := stream(t, s, func() { ended.Add(1) })
		s.Put(c, time.Now())
	}
	open()
	app.srv.Close()
	waitFor(t, "the end of the upstream's connection", func() bool {
		s.Sweep(time.Now())
		return ended.Load() == 1
	})
	if s.Take(time.Now()) != nil {
		t.Error("a stream of a connection that has ended")
	}
	app = startUpstream(t, nil, func(http.ResponseWriter, *http.Request) {})
	s = h2.NewSessions(dialer(app.addr), nil, time.Minute)
	defer s.Shut()
	open()
	s.Sweep(time.Now().Add(59 * time.Second))
	if n := ended.Load(); n != 1 {
		t.Error("a connection ended before it was idle for long enough")
	}
	s.Sweep(time.Now().Add(61 * time.Second))
	if n := ended.Load(); n != 2 {
		t.Error("an idle connection did not end")
	}
}

// TestSessionsClose: what is under way comes to its end, nothing else begins, and
// then the upstream's connection ends; Shut cuts it short.
func TestSessionsClose(t *testing.T) {
	for _, cut := range []bool{false, true} {
		release := make(chan struct{})
		app := startUpstream(t, nil, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
			io.WriteString(w, "last")
		})
		s := h2.NewSessions(dialer(app.addr), nil, 0)
		c := stream(t, s, none)
		c.SetDeadline(time.Now().Add(patience))
		go io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		s.Close(func() { close(gone) })
		select {
		case <-gone:
			t.Error("gone with a stream open")
		case <-app.ended:
			t.Error("the upstream's connection has ended with a stream open")
		case <-time.After(50 * time.Millisecond):
		}
		if cut {
			s.Shut()
		} else {
			close(release)
		}
		b, err := io.ReadAll(resp.Body)
		c.Close()
		if cut != (err != nil) || !cut && string(b) != "first last" {
			t.Errorf("cut %v: %q, %v", cut, b, err)
		}
		for what, c := range map[string]chan struct{}{"the Sessions": gone, "the upstream's connection": app.ended} {
			select {
			case <-c:
			case <-time.After(patience):
				t.Errorf("cut %v: %s did not end", cut, what)
			}
		}
	}
}

// TestSessionsBeyond: what a new connection was given beyond the upstream's limit is
// refused, as upstreams do, and not held back.
func TestSessionsBeyond(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	addr := upstreamOf(t, func(fr *http2.Framer, f http2.Frame) {
		if f, ok := f.(*http2.MetaHeadersFrame); !ok {
			return
		} else if f.StreamID > 1 {
			fr.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
			return
		}
		close(began)
		go func() {
			<-release
			writeHead(fr, 1, true, ":status", "200")
		}()
	}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	s := h2.NewSessions(dialer(addr), nil, 0)
	defer s.Shut()
	next, err := s.Open(patience, none)
	if err != nil {
		t.Fatal(err)
	}
	first, second := next(), next()
	go io.WriteString(first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	resp, _ := exchange(t, second, bufio.NewReader(second), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := resp.Header.Get(h1.StreamErrorName); got != "remote refused stream reset" {
		t.Errorf("the second stream of one: %d %q", resp.StatusCode, got)
	}
	close(release)
	first.SetDeadline(time.Now().Add(patience))
	if resp, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("the first: %v, %v", resp, err)
	}
}
