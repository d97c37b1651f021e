package h2_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/h2"
)

// echoing is an upstream that answers a stream with a status and repeats what it says.
// It reports each request's fields, and how streams end.
func echoing(t *testing.T, status string, fields, ends chan<- string) string {
	return upstreamOf(t, func(fr *http2.Framer, f http2.Frame) {
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			fields <- f.PseudoValue("method") + " " + f.PseudoValue("protocol") + " " + f.PseudoValue("path")
			writeHead(fr, f.StreamID, false, ":status", status)
		case *http2.DataFrame:
			fr.WriteData(f.StreamID, string(f.Data()) == "bye", f.Data())
		case *http2.RSTStreamFrame:
			ends <- f.ErrCode.String()
		}
	})
}

// TestTunnel: a request to upgrade becomes a CONNECT with a protocol, and its answer a
// tunnel that ends with either side.
func TestTunnel(t *testing.T) {
	const ask = "GET /p HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for _, status := range []string{"200", "403"} {
		fields, ends := make(chan string, 4), make(chan string, 4)
		s := h2.NewSessions(dialer(echoing(t, status, fields, ends)), nil, 0)
		t.Cleanup(s.Shut)
		for _, last := range []string{"bye", "hang up"} {
			conn := stream(t, s, none)
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, ask)
			select {
			case got := <-fields:
				if got != "CONNECT websocket /p" {
					t.Errorf("the upstream is asked %q", got)
				}
			case <-time.After(patience):
				t.Fatal("the upstream is not asked")
			}
			r := bufio.NewReader(conn.Conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if status != "200" {
				if resp.StatusCode != 403 || resp.Header.Get("Upgrade") != "" {
					t.Errorf("%s is answered with %s %v", status, resp.Status, resp.Header)
				}
				conn.Close()
				continue
			}
			if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Connection") != "upgrade" {
				t.Fatalf("%s is answered with %s %v", status, resp.Status, resp.Header)
			}
			said := make([]byte, 3)
			for _, text := range []string{"one", "two"} {
				io.WriteString(conn, text)
				if _, err := io.ReadFull(r, said); err != nil || string(said) != text {
					t.Errorf("said %q, heard %q, %v", text, said, err)
				}
			}
			if last == "bye" {
				io.WriteString(conn, last)
				if rest, err := io.ReadAll(r); string(rest) != last || err != nil {
					t.Errorf("at the end %q, %v", rest, err)
				}
				conn.Close()
				continue
			}
			conn.Close()
			select {
			case <-ends:
			case <-time.After(patience):
				t.Error("the stream stays when the client has gone")
			}
		}
	}
}
