package alb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// scripted is a target that answers every request on a connection with the same
// bytes, and tells the heads that it gets.
func scripted(t *testing.T, w *testNetwork, answer string) (heads chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heads = make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					head := ""
					for !strings.HasSuffix(head, "\r\n\r\n") {
						line, err := r.ReadString('\n')
						if err != nil {
							return
						}
						head += line
					}
					heads <- head
					if _, after, ok := strings.Cut(strings.ToLower(head), "content-length: "); ok {
						n := 0
						fmt.Sscan(after, &n)
						io.CopyN(io.Discard, r, int64(n))
					}
					if strings.Contains(strings.ToLower(head), "transfer-encoding: chunked") {
						for line := ""; line != "0\r\n"; {
							if line, err = r.ReadString('\n'); err != nil {
								return
							}
						}
						r.ReadString('\n')
					}
					io.WriteString(c, answer)
				}
			}()
		}
	}()
	w.target(l.Addr().String())
	return heads
}

// TestDesyncModes: what each mode makes of each class, on the client's connection
// and on the target's.
func TestDesyncModes(t *testing.T) {
	requests := map[string]struct {
		class   threat
		request string
	}{
		"plain":                      {compliant, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
		"GET with a length":          {ambiguous, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
		"GET with a coding":          {ambiguous, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		"HEAD with length 0":         {acceptable, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		"the same length twice":      {ambiguous, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
		"a look-alike of the coding": {ambiguous, "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 1\r\n\r\nx"},
		"a look-alike of the length": {ambiguous, "POST / HTTP/1.1\r\nHost: a\r\nContent.Length: 9\r\nContent-Length: 1\r\n\r\nx"},
		"a value beyond ASCII":       {acceptable, "POST / HTTP/1.1\r\nHost: a\r\nX-Name: Jos\xc3\xa9\r\nContent-Length: 1\r\n\r\nx"},
		"a long name":                {compliant, "POST / HTTP/1.1\r\nHost: a\r\nX-Content-Length-Limit: 9\r\nContent-Length: 1\r\n\r\nx"},
	}
	for _, mode := range []string{"", "defensive", strictest, monitor} {
		for name, c := range requests {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newTestNetwork()
				heads := scripted(t, w, "HTTP/1.1 204 No Content\r\n\r\n")
				cfg := config()
				cfg.Desync = mode
				n, addr := w.start(t, cfg)
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				r := bufio.NewReader(conn)
				twice := 0
				var last *http.Response
				for range 2 {
					io.WriteString(conn, c.request)
					resp, err := http.ReadResponse(r, &http.Request{Method: c.request[:strings.IndexByte(c.request, ' ')]})
					if err != nil {
						break
					}
					last, twice = resp, twice+1
					io.Copy(io.Discard, resp.Body)
				}
				refused := mode == strictest && c.class != compliant
				apart := c.class == ambiguous && mode != monitor
				if last == nil || (last.StatusCode == 400) != refused || !refused && last.StatusCode != 204 {
					t.Fatalf("answer %+v; refused: want %v", last, refused)
				}
				if once := twice == 1; once != (refused || apart) {
					t.Errorf("%d exchanges on the client's connection", twice)
				}
				if got := len(heads); got != map[bool]int{true: 0, false: twice}[refused] {
					t.Errorf("the target got %d requests", got)
				}
				if !refused && apart { // the next request needs a new connection to the target
					get(t, addr, "/")
				}
				st := n.Status()
				if want := map[bool]int64{true: 2, false: 1}[apart]; !refused && st.Groups[0].Targets[0].Connections != want {
					t.Errorf("%d connections to the target, want %d", st.Groups[0].Targets[0].Connections, want)
				}
				if got := st.Listeners[0].Desync; c.class == compliant && got != nil || c.class != compliant && got[c.class.String()] != int64(twice) {
					t.Errorf("counted %v of %d %s", got, twice, c.class)
				}
			})
		}
	}
}

// TestHopByHop: what concerns one connection ends at it, both ways; framing and
// Host do not count as that, whoever lists them.
func TestHopByHop(t *testing.T) {
	w := newTestNetwork()
	heads := scripted(t, w, "HTTP/1.1 200 OK\r\nConnection: x-inner, Content-Length\r\nX-Inner: secret\r\nX-Outer: y\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")
	_, addr := w.start(t, config())
	a := ask(t, addr, "POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, Host,\r\nConnection: , transfer-encoding ,x-other\r\nX-Secret: s\r\n"+
		"X-OTHER: o\r\nX-Kept: k\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx")
	head := <-heads
	for text, want := range map[string]int{"X-Secret": 0, "X-OTHER": 0, "X-Kept: k": 1, "Host: a": 1, "Content-Length: 1": 1} {
		if n := strings.Count(head, text); n != want {
			t.Errorf("%q is %d times in what the target got:\n%s", text, n, head)
		}
	}
	if a.body != "ok" || a.header.Get("X-Inner") != "" || a.header.Get("X-Outer") != "y" || len(a.header["Content-Length"]) != 1 {
		t.Errorf("the client got %+v", a)
	}
}

// TestUnasked101: nobody gets a tunnel who has not asked for one.
func TestUnasked101(t *testing.T) {
	w := newTestNetwork()
	heads := scripted(t, w, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	n, addr := w.start(t, config())
	a := ask(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /unseen HTTP/1.1\r\nHost: a\r\n\r\n")
	if a.status != 502 || n.Status().Listeners[0].ELB[502] != 1 {
		t.Errorf("got %+v, want the load balancer's 502", a)
	}
	if got := len(heads); got != 1 {
		t.Errorf("the target got %d requests", got)
	}
}

func TestHostIsAHost(t *testing.T) {
	w := newTestNetwork()
	scripted(t, w, "HTTP/1.1 204 No Content\r\n\r\n")
	_, addr := w.start(t, config())
	for host, good := range map[string]bool{
		"a": true, "a.b-c_d:80": true, "192.0.2.1": true, "[2001:db8::1]:80": true, "a%20b": true, "a:": true,
		"a b": false, "a/b@c": false, "a, b": false, "u:p@h": false, "a:80:80": false, "a:x": false, "[::1": false, "[]": false, "a\\b": false,
		":80": false, "a?b": false, "a#b": false, "\"a\"": false, "[::1]x": false, "a:123456": false,
	} {
		for form, request := range map[string]string{
			"Host": "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
			"URL":  "GET http://" + host + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
		} {
			if form == "URL" && strings.ContainsAny(host, "/? ") {
				continue // another URL
			}
			if got := ask(t, addr, request).status; (got == 204) != good || !good && got != 400 {
				t.Errorf("%s %q: %d", form, host, got)
			}
		}
	}
	for method, want := range map[string]int{"TRACE": 405, "CONNECT": 400} {
		if got := ask(t, addr, method+" / HTTP/1.1\r\nHost: a\r\n\r\n").status; got != want {
			t.Errorf("%s: %d, want %d", method, got, want)
		}
	}
}

// TestSlowHead: a head must be there within the idle timeout, however its bytes
// trickle in.
func TestSlowHead(t *testing.T) {
	layer.Full(t, "waits for seconds")
	w := newTestNetwork()
	scripted(t, w, "HTTP/1.1 204 No Content\r\n\r\n")
	cfg := config()
	cfg.Idle = time.Second
	_, addr := w.start(t, cfg)
	for name, first := range map[string]string{"the first": "", "after another": "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"in one packet with another": "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		io.WriteString(c, first)
		ended := make(chan struct{})
		go func() { io.Copy(io.Discard, c); close(ended) }()
		if !strings.HasSuffix(first, "HT") {
			io.WriteString(c, "GET / HT")
		}
		io.WriteString(c, "TP/1.1\r\nHost: a\r\nX: ")
	trickle:
		for {
			select {
			case <-ended:
				break trickle
			case <-time.After(50 * time.Millisecond):
				c.Write([]byte("x"))
			}
			if time.Since(began) > 8*time.Second {
				t.Fatalf("%s: the connection is open after 8 s", name)
			}
		}
	}
}
