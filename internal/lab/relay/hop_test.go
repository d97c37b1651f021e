package relay_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

var limits = h1.Limits{Head: 8 << 10, Fields: 50}

// patience is how long a test waits for what should come at once.
const patience = 5 * time.Second

// hop is the least that a hop does: it sends every request to its pool.
type hop struct {
	pool       *relay.Pool
	wait, idle time.Duration
	// done receives what became of each exchange.
	done chan outcome
	// instead, if set, answers in the place of Serve.
	instead func(x *relay.Exchange) bool
}

// outcome is an exchange after its end.
type outcome struct {
	err               error
	complete          bool  // the request
	in, out, req, rsp int64 // bytes and payloads
	refused           int   // status
}

func (h *hop) Serve(x *relay.Exchange) bool {
	if h.instead != nil {
		return h.instead(x)
	}
	err := h.exchange(x)
	o := outcome{err: err, complete: x.RequestComplete()}
	if err != nil {
		x.Drop()
		if !x.Started() {
			x.Reply([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"), []byte("sorry"))
		}
	} else {
		x.Finish(h.pool)
	}
	o.in, o.out = x.BytesIn, x.BytesOut
	o.req, o.rsp = x.Payloads()
	h.done <- o
	return err == nil && x.Req.Persistent()
}

func (h *hop) exchange(x *relay.Exchange) (err error) {
	if x.Up, err = h.pool.Get(time.Now(), patience); err != nil {
		return err
	}
	head := fmt.Appendf(nil, "%s %s HTTP/1.1\r\n", x.Req.Method, x.Req.Target)
	for _, f := range x.Req.Fields {
		if !f.ID.HopByHop() {
			head = append(head, f.Line()...)
		}
	}
	if x.Req.Expect100 {
		if err := x.Continue(); err != nil {
			return err
		}
	}
	if err := x.Send(append(head, "\r\n"...)); err != nil {
		return err
	}
	if err := x.Await(limits, h.wait, h.idle); err != nil {
		return err
	}
	framing := x.FramingFor()
	head = h1.AppendStatus(nil, x.Resp.Status, x.Resp.Reason)
	for _, f := range x.Resp.Fields {
		if !f.ID.HopByHop() && !(framing == relay.Unchunk && f.ID == h1.TransferEncoding) {
			head = append(head, f.Line()...)
		}
	}
	if framing == relay.Chunk {
		head = append(head, "Transfer-Encoding: chunked\r\n"...)
	}
	if x.Resp.Status == 101 {
		x.Tunnel(append(head, "\r\n"...), h.idle)
		return nil
	}
	return x.Deliver(append(head, "\r\n"...), framing, time.Time{}, h.idle)
}

func (h *hop) Refuse(x *relay.Exchange, err *h1.ParseError) {
	x.Reply(fmt.Appendf(nil, "HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n", err.Status), nil)
	h.done <- outcome{err: err, refused: err.Status}
}

// upstream is a listener whose connections are served by a script each.
type upstream struct {
	net.Listener
	mu     sync.Mutex
	conns  []net.Conn
	closed bool
}

// accepted is the number of connections so far.
func (u *upstream) accepted() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.conns)
}

func (u *upstream) dial(timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", u.Addr().String(), timeout)
}

func startUpstream(t *testing.T, script func(c net.Conn, r *bufio.Reader)) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns = append(u.conns, c)
			if u.closed {
				c.Close()
			}
			u.mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				script(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		u.mu.Lock()
		u.closed = true
		for _, c := range u.conns {
			c.Close()
		}
		u.mu.Unlock()
		wg.Wait()
	})
	return u
}

// answers is a script that answers every request, once its head is there, with
// the same bytes.
func answers(response string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		for {
			if _, err := headOf(r); err != nil {
				return
			}
			io.WriteString(c, response)
		}
	}
}

// headOf reads one head.
func headOf(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// served is a hop at work and the address of its listener.
type served struct {
	*hop
	server *relay.Server
	addr   string
}

// startHop starts a hop before the upstream; with changes its parts before that.
func startHop(t *testing.T, u *upstream, with func(*served)) *served {
	t.Helper()
	s := &served{hop: &hop{done: make(chan outcome, 100)}, server: &relay.Server{Limits: limits}}
	if u != nil {
		s.pool = relay.NewPool(u.dial, 0)
	}
	s.server.Handler = s.hop
	if with != nil {
		with(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		s.server.Close()
		if s.pool != nil {
			s.pool.Close()
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve returned %v after its listener closed, want no error", err)
		}
	})
	return s
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// call sends bytes on a connection of its own and returns all that comes back
// until the hop closes it. The client ends its side unless open is set.
func (s *served) call(t *testing.T, request string, open bool) string {
	t.Helper()
	c := dial(t, s.addr)
	io.WriteString(c, request)
	if !open {
		c.CloseWrite()
	}
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

// next returns what became of the next exchange.
func (s *served) next(t *testing.T) outcome {
	t.Helper()
	select {
	case o := <-s.done:
		return o
	case <-time.After(patience):
		t.Fatal("no exchange ended")
		return outcome{}
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
