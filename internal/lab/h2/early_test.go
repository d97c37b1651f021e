package h2_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/h2"
)

// TestEarlyAnswer: an answer comes to its end while its request goes on.
func TestEarlyAnswer(t *testing.T) {
	addr := upstreamOf(t, func(fr *http2.Framer, f http2.Frame) {
		if f, ok := f.(*http2.MetaHeadersFrame); ok {
			writeHead(fr, f.StreamID, false, ":status", "200")
			fr.WriteData(f.StreamID, true, []byte("early"))
		}
	})
	s := h2.NewSessions(dialer(addr), nil, 0)
	t.Cleanup(s.Shut)
	conn := stream(t, s, none)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn.Conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "early" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// TestIdleNotice: a client's connection without streams is told that it will go away,
// with no stream refused, and still serves what comes; it ends when it has been idle longer.
func TestIdleNotice(t *testing.T) {
	const idle, drain = 100 * time.Millisecond, 400 * time.Millisecond
	h := &hop{answer: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }, conns: make(chan net.Conn, 10)}
	d := h2.NewEnvoyCodec(h.take, idle, drain)
	t.Cleanup(d.Close)
	c, err := net.Dial("tcp", listen(t, d.Serve))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, http2.ClientPreface)
	fr := http2.NewFramer(c, c)
	fr.WriteSettings()
	fr.WriteSettingsAck()
	var last []uint32
	answers := 0
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if last = append(last, f.LastStreamID); len(last) == 1 {
				writeHead(fr, 1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")
			}
		case *http2.DataFrame:
			answers++
		}
	}
	if len(last) < 2 || last[0] != 1<<31-1 || last[len(last)-1] != 1 || answers == 0 {
		t.Errorf("told to go away after streams %d, %d answers", last, answers)
	}
}
