package relay_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/relay"
)

const (
	get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
	two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// TestConnectionsAreKept: three requests, two of them sent at once, use one
// connection on either side, and what was moved is counted to the byte.
func TestConnectionsAreKept(t *testing.T) {
	u := startUpstream(t, answers(two))
	s := startHop(t, u, nil)
	if got := s.call(t, get+get+"GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true); got != two+two+two {
		t.Errorf("got %q", got)
	}
	if n := u.accepted(); n != 1 {
		t.Errorf("%d connections to the upstream, want 1", n)
	}
	for range 2 {
		if o := s.next(t); o != (outcome{complete: true, in: int64(len(get)), out: int64(len(two)), rsp: 2}) {
			t.Errorf("%+v", o)
		}
	}
}

// TestFraming: what a client gets of each kind of body, byte by byte.
func TestFraming(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x\r\ncde\r\n0\r\n"
	for name, c := range map[string]struct {
		request, response, want string
		drop                    bool
		payload                 int64
		reused                  bool // the upstream's connection
	}{
		"length":           {get, two, two, false, 2, true},
		"chunked":          {get, chunked + "T: v\r\n\r\n", chunked + "T: v\r\n\r\n", false, 5, true},
		"trailers dropped": {get, chunked + "T: v\r\n\r\n", chunked + "\r\n", true, 5, true},
		"chunked for 1.0":  {"GET /a HTTP/1.0\r\n\r\n", chunked + "\r\n", "HTTP/1.1 200 OK\r\n\r\nabcde", false, 5, true},
		"until close": {get, "HTTP/1.1 200 OK\r\n\r\nabc",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false, 3, false},
		"the same, for 1.0": {"GET /a HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\nabc", false, 3, false},
		"HEAD": {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false, 0, true},
		"after 103": {get, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + two, two, false, 2, true},
		"upstream closes": {get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
			two, false, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := startUpstream(t, func(conn net.Conn, r *bufio.Reader) {
				for {
					if _, err := headOf(r); err != nil {
						return
					}
					io.WriteString(conn, c.response)
					if strings.Contains(c.response, "close") {
						io.Copy(io.Discard, r) // it is the hop's turn to close
					}
					if !c.reused {
						return
					}
				}
			})
			s := startHop(t, u, func(s *served) { s.server.DropTrailers = c.drop })
			for range 2 {
				if got := s.call(t, c.request, false); got != c.want {
					t.Errorf("got  %q\nwant %q", got, c.want)
				}
				if o := s.next(t); o.err != nil || o.rsp != c.payload {
					t.Errorf("%+v, want a payload of %d", o, c.payload)
				}
			}
			if got := u.accepted() == 1; got != c.reused {
				t.Errorf("%d connections to the upstream for 2 requests; want it reused: %v", u.accepted(), c.reused)
			}
		})
	}
}

// TestUpload: a body that comes in pieces goes on as it comes, and what
// follows it on the connection is the next request.
func TestUpload(t *testing.T) {
	seen := make(chan string, 10)
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := headOf(r)
			if err != nil {
				return
			}
			if strings.HasPrefix(head, "POST") {
				body := make([]byte, len("first,"))
				io.ReadFull(r, body)
				seen <- string(body)
				rest := make([]byte, len("second"))
				io.ReadFull(r, rest)
				seen <- string(rest)
			}
			io.WriteString(c, two)
		}
	})
	s := startHop(t, u, nil)
	c := dial(t, s.addr)
	const head = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n"
	io.WriteString(c, head)
	io.WriteString(c, "first,")
	if got := <-seen; got != "first," {
		t.Fatalf("the upstream has %q while the client still sends", got)
	}
	io.WriteString(c, "second")
	if got := <-seen; got != "second" {
		t.Fatalf("then %q", got)
	}
	got := make([]byte, len(two))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != two {
		t.Fatalf("%q, %v", got, err)
	}
	if o := s.next(t); o.err != nil || !o.complete || o.req != 12 || o.in != int64(len(head)+12) {
		t.Errorf("%+v, want a complete request of 12 bytes", o)
	}
	io.WriteString(c, get)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != two {
		t.Errorf("after the upload: %q, %v", got, err)
	}
	if n := u.accepted(); n != 1 {
		t.Errorf("%d connections to the upstream, want 1", n)
	}
}

// TestEarlyResponse: an upstream that answers before it has the whole request
// is passed on, and neither connection is used again.
func TestEarlyResponse(t *testing.T) {
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		headOf(r)
		io.WriteString(c, two)
		io.Copy(io.Discard, r)
	})
	s := startHop(t, u, nil)
	if got := s.call(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nsome", true); got != two {
		t.Errorf("got %q", got)
	}
	if o := s.next(t); o.err != nil || o.complete {
		t.Errorf("%+v, want an incomplete request without an error", o)
	}
	s.call(t, get, false)
	if n := u.accepted(); n != 2 {
		t.Errorf("%d connections to the upstream, want 2", n)
	}
}

// TestContinue: a client that waits for 100 (Continue) gets it once, and one
// that has sent its body already does not.
func TestContinue(t *testing.T) {
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		for {
			headOf(r)
			if _, err := io.ReadFull(r, make([]byte, 2)); err != nil {
				return
			}
			io.WriteString(c, two)
		}
	})
	s := startHop(t, u, nil)
	c := dial(t, s.addr)
	const head = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	io.WriteString(c, head)
	got := make([]byte, len(interim))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != interim {
		t.Fatalf("%q, %v", got, err)
	}
	io.WriteString(c, "hi")
	if rest, err := io.ReadAll(c); err != nil || string(rest) != two {
		t.Errorf("%q, %v", rest, err)
	}
	if got := s.call(t, head+"hi", true); got != two {
		t.Errorf("with the body sent already: %q", got)
	}
}

// TestErrors: an exchange that fails says which side failed, how far it was,
// and whether it was out of time.
func TestErrors(t *testing.T) {
	const post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nsome"
	silent := func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	then := func(response string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			headOf(r)
			io.WriteString(c, response)
		}
	}
	const begun = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"
	const badChunk = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
	stall := func(c net.Conn, r *bufio.Reader) {
		headOf(r)
		io.WriteString(c, begun)
		io.Copy(io.Discard, r)
	}
	const limit = 60 * time.Millisecond
	for name, c := range map[string]struct {
		request    string
		leave      bool // the client, once the upstream has the request
		upstream   func(net.Conn, *bufio.Reader)
		wait, idle time.Duration
		side       relay.Side
		phase      relay.Phase
		timeout    bool
		ended      bool
		gets       string // the client, at the end
	}{
		"upstream closes": {request: get, upstream: then(""), side: relay.Upstream, phase: relay.Awaiting, ended: true, gets: "sorry"},
		"upstream is silent": {request: get, upstream: silent, wait: limit, side: relay.Upstream, phase: relay.Awaiting,
			timeout: true, gets: "sorry"},
		"no HTTP": {request: get, upstream: then("SSH-2.0-x\r\n\r\n"), side: relay.Upstream, phase: relay.Awaiting, gets: "sorry"},
		"upstream breaks off": {request: get, upstream: then(begun), side: relay.Upstream, phase: relay.Delivering,
			ended: true, gets: "some"},
		"upstream breaks a chunk": {request: get, upstream: then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
			side: relay.Upstream, phase: relay.Delivering, gets: "sorry"},
		"response stalls": {request: get, upstream: stall, idle: limit, side: relay.Upstream, phase: relay.Delivering,
			timeout: true, gets: "some"},
		"client leaves": {request: get, leave: true, upstream: silent, side: relay.Downstream, phase: relay.Awaiting},
		"request stalls": {request: post, upstream: silent, idle: limit, side: relay.Downstream, phase: relay.Sending,
			timeout: true, gets: "sorry"},
		"client breaks off":  {request: post, leave: true, upstream: silent, side: relay.Downstream, phase: relay.Sending, ended: true},
		"request is chunked": {request: badChunk, upstream: silent, side: relay.Downstream, phase: relay.Sending, gets: "sorry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			taken := make(chan struct{}, 1)
			u := startUpstream(t, func(conn net.Conn, r *bufio.Reader) {
				if c.leave {
					r.Peek(1)
					taken <- struct{}{}
				}
				c.upstream(conn, r)
			})
			s := startHop(t, u, func(s *served) { s.wait, s.idle = c.wait, c.idle })
			client := dial(t, s.addr)
			io.WriteString(client, c.request)
			if c.leave {
				<-taken
				client.Close()
			}
			o := s.next(t)
			var e *relay.Error
			if !errors.As(o.err, &e) || e.Side != c.side || e.Phase != c.phase || e.Timeout != c.timeout {
				t.Fatalf("got %+v (%v), want side %d, phase %d, timeout %v", e, o.err, c.side, c.phase, c.timeout)
			}
			if ended := errors.Is(o.err, io.EOF) || errors.Is(o.err, io.ErrUnexpectedEOF); ended != c.ended {
				t.Errorf("%v: ended %v, want %v", o.err, ended, c.ended)
			}
			if !c.leave {
				if got, err := io.ReadAll(client); err != nil || !bytes.HasSuffix(got, []byte(c.gets)) {
					t.Errorf("the client got %q, %v", got, err)
				}
			}
			if again, err := s.pool.Get(time.Now(), patience); err == nil {
				defer again.Close()
			}
			waitFor(t, "a connection that failed is not used again", func() bool { return u.accepted() == 2 })
		})
	}
}

// TestErrorText says side and phase in words.
func TestErrorText(t *testing.T) {
	why := errors.New("why")
	for want, e := range map[string]*relay.Error{
		"downstream while sending the request: why": {Side: relay.Downstream, Phase: relay.Sending, Err: why},
		"upstream before the response: why":         {Side: relay.Upstream, Phase: relay.Awaiting, Err: why},
		"upstream in the response: why":             {Side: relay.Upstream, Phase: relay.Delivering, Err: why},
	} {
		if e.Error() != want || !errors.Is(e, why) {
			t.Errorf("%q, want %q", e, want)
		}
	}
}

// TestRefuse: a request that cannot be read is refused with its status, the
// connection ends, and the client can still read the answer although the hop
// has not read all that it sent.
func TestRefuse(t *testing.T) {
	s := startHop(t, nil, nil)
	got := s.call(t, "GET / HTTP/1.1\r\nBad Field: x\r\n\r\n"+strings.Repeat("more\r\n", 10000), false)
	if want := "HTTP/1.1 400 Refused\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if o := s.next(t); o.refused != 400 {
		t.Errorf("%+v", o)
	}
	if got := s.call(t, "", false); got != "" {
		t.Errorf("a client that says nothing got %q", got)
	}
	if len(s.done) > 0 {
		t.Error("a client that says nothing was refused")
	}
}

// TestReset: a hop can drop a client the hard way.
func TestReset(t *testing.T) {
	s := startHop(t, nil, func(s *served) {
		s.instead = func(x *relay.Exchange) bool { x.Reset(); return true }
	})
	c := dial(t, s.addr)
	io.WriteString(c, get)
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

// TestIdle: a connection without a request ends; one with a request under way does not.
func TestIdle(t *testing.T) {
	const idle = 50 * time.Millisecond
	u := startUpstream(t, func(c net.Conn, r *bufio.Reader) {
		headOf(r)
		time.Sleep(3 * idle)
		io.WriteString(c, two)
	})
	s := startHop(t, u, func(s *served) { s.server.Idle = idle })
	began := time.Now()
	if got := s.call(t, get, true); got != two {
		t.Errorf("got %q", got)
	}
	if took := time.Since(began); took < 4*idle-idle/64 {
		t.Errorf("closed after %s, before it was idle for %s", took, idle)
	}
}
