package relay

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// says answers every request with its method.
type says struct{}

func (says) Serve(x *Exchange) bool {
	method := string(x.Req.Method)
	x.Reply([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), []byte(method))
	return false
}

func (says) Refuse(x *Exchange, err *h1.ParseError) {
	x.Reply([]byte("HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n"), []byte(err.Text))
}

// TestHandOver: a connection is served in the protocol that its first bytes
// show, with nothing of it lost, and counted to its end.
func TestHandOver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	two := make(chan net.Conn, 1)
	closed, counted := make(chan struct{}, 2), make(chan int64, 100)
	s := &Server{Handler: says{}, Limits: h1.Limits{Head: 1 << 10}, HTTP2: func(c net.Conn) { two <- c },
		Closed: func() { closed <- struct{}{} }, Counted: func(in, _ int64) { counted <- in }}
	go s.Serve(l)
	defer s.Close()
	call := func(parts ...string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(5 * time.Second))
		for _, p := range parts {
			io.WriteString(c, p)
			time.Sleep(5 * time.Millisecond)
		}
		return c
	}

	c := call("PR", "IME / HTTP/1.1\r\nHost: a\r\n\r\n") // begins like the other
	if b, err := io.ReadAll(c); err != nil || string(b) != "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nPRIME" {
		t.Errorf("%q %v", b, err)
	}
	<-closed

	call("PRI * HTTP/2.0\r\n", "\r\nSM\r\n\r\nframes")
	taken := <-two
	buf := make([]byte, len(preface)+len("frames"))
	if _, err := io.ReadFull(taken, buf); err != nil || string(buf) != preface+"frames" {
		t.Errorf("handed over with %q %v", buf, err)
	}
	select {
	case <-closed:
		t.Error("a connection that was handed over counts as closed")
	default:
	}
	taken.Close()
	taken.Close()
	<-closed
	s.Close()
	close(counted)
	var sum int64
	for n := range counted {
		sum += n
	}
	if want := int64(len("PRIME / HTTP/1.1\r\nHost: a\r\n\r\n") + len(preface) + len("frames")); sum != want {
		t.Errorf("%d bytes counted, want %d", sum, want)
	}
}
