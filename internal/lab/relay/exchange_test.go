package relay

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// sleeper is an upstream whose response is read when the reader comes round
// to it, whatever the deadline: a busy machine.
type sleeper struct {
	net.Conn
	after time.Duration
	text  *strings.Reader
}

func (s sleeper) SetReadDeadline(time.Time) error { return nil }
func (s sleeper) Read(p []byte) (int, error) {
	time.Sleep(s.after)
	return s.text.Read(p)
}

// TestLateResponse: a response that is read after the time has passed is none,
// else who reports a timeout would depend on how busy the machine is.
func TestLateResponse(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	go io.Copy(io.Discard, far)
	for _, c := range []struct {
		after, wait time.Duration
		late        bool
	}{{0, time.Minute, false}, {20 * time.Millisecond, 10 * time.Millisecond, true}, {20 * time.Millisecond, 0, false}} {
		up := sleeper{near, c.after, strings.NewReader("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")}
		x := &Exchange{Up: h1.NewConn(up), Down: h1.NewConn(near), Sent: time.Now()}
		err := x.Await(h1.Limits{Head: 1 << 10, Fields: 10}, c.wait, 0)
		var e *Error
		if got := errors.As(err, &e) && e.Timeout && e.Side == Upstream; got != c.late || !c.late && err != nil {
			t.Errorf("read after %s with a limit of %s: %v", c.after, c.wait, err)
		}
	}
}
