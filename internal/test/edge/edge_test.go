package edge

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// ours are the hops whose outcome the test decides on; the others are there
// to compare with.
var ours = map[string]bool{"agent": true, "alb": true}

// edgeCase is one exchange. It returns a word for the table and an error
// when the outcome is not acceptable.
type edgeCase struct {
	name   string
	origin http.HandlerFunc // nil: hello
	raw    func(net.Conn)   // instead of origin: speaks for itself
	client func(c *call) (string, error)
}

// call is the client's side of a case.
type call struct {
	net.Conn
	r   *bufio.Reader
	hop string
}

func (c *call) send(format string, args ...any) { fmt.Fprintf(c, format, args...) }

func (c *call) response(method string) (*http.Response, string, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(b), err
}

// want reads a response and compares status and body.
func (c *call) want(method string, status int, body string) error {
	resp, b, err := c.response(method)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != status || b != body:
		return fmt.Errorf("got %d %.80q, want %d %.80q", resp.StatusCode, b, status, body)
	}
	return nil
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("X-Trailer", r.Trailer.Get("X-T"))
	w.Write(b)
}

// switching is an origin that agrees to a protocol, speaks first and echoes.
func switching(protocol string) func(net.Conn) {
	return func(c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nserver first\n", protocol)
		io.Copy(c, c)
	}
}

// tunnel is the client of switching.
func tunnel(protocol string) func(*call) (string, error) {
	return func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil || resp.StatusCode != 101 || !strings.EqualFold(resp.Header.Get("Upgrade"), protocol) {
			return "", fmt.Errorf("%v %v", resp, err)
		}
		if line, err := c.r.ReadString('\n'); err != nil || line != "server first\n" {
			return "", fmt.Errorf("%q %v", line, err)
		}
		c.send("client says\n")
		line, err := c.r.ReadString('\n')
		if line != "client says\n" {
			return "", fmt.Errorf("%q %v", line, err)
		}
		c.Conn.(*net.TCPConn).CloseWrite()
		if _, err = c.r.ReadByte(); err != io.EOF {
			return "", fmt.Errorf("after the end: %v", err)
		}
		return "tunnel", nil
	}
}

var cases = []edgeCase{
	{"keep-alive, two requests", nil, nil, func(c *call) (string, error) {
		for range 2 {
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if err := c.want("GET", 200, "hello"); err != nil {
				return "", err
			}
		}
		return "ok", nil
	}},
	{"pipelining, ten at once", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }, nil,
		func(c *call) (string, error) {
			for i := range 10 {
				c.send("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
			}
			for i := range 10 {
				if err := c.want("GET", 200, fmt.Sprintf("/%d", i)); err != nil {
					return "", err
				}
			}
			return "in order", nil
		}},
	{"request in single bytes", echo, nil, func(c *call) (string, error) {
		for _, b := range []byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc") {
			c.Write([]byte{b})
			time.Sleep(200 * time.Microsecond)
		}
		return "ok", c.want("POST", 200, "abc")
	}},
	{"chunked request", echo, nil, func(c *call) (string, error) {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		time.Sleep(20 * time.Millisecond)
		c.send("4;x=y\r\ndefg\r\n0\r\n\r\n")
		return "ok", c.want("POST", 200, "abcdefg")
	}},
	{"trailers", echo, nil, func(c *call) (string, error) {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n")
		resp, b, err := c.response("POST")
		if err != nil || b != "abc" {
			return "", fmt.Errorf("%q %v", b, err)
		}
		if resp.Header.Get("X-Trailer") == "v" {
			return "passed on", nil
		}
		return "dropped", nil
	}},
	{"chunked response", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "part%d", i)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}, nil, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		return "ok", c.want("GET", 200, "part0part1part2")
	}},
	{"response ends with connection", nil, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
	}, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		return "ok", c.want("GET", 200, "until the end")
	}},
	{"HTTP/1.0 origin", nil, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
	}, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		return "ok", c.want("GET", 200, "old")
	}},
	{"HTTP/1.0 client", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "hello")
	}, nil, func(c *call) (string, error) {
		c.send("GET / HTTP/1.0\r\n\r\n")
		resp, b, err := c.response("GET")
		switch {
		case err != nil:
			return "", err
		case c.hop == "agent" && (resp.StatusCode != 426 || b != "Upgrade Required"):
			return "", fmt.Errorf("got %d %q, want 426", resp.StatusCode, b)
		case c.hop != "agent" && (b != "hello" || resp.TransferEncoding != nil):
			return "", fmt.Errorf("got %d %q %v", resp.StatusCode, b, resp.TransferEncoding)
		}
		_, err = c.r.ReadByte()
		if err != io.EOF {
			return "", fmt.Errorf("the connection stays open: %v", err)
		}
		return resp.Status[:3], nil
	}},
	{"HEAD", nil, nil, func(c *call) (string, error) {
		c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := c.want("HEAD", 200, ""); err != nil {
			return "", err
		}
		return "ok", c.want("GET", 200, "hello")
	}},
	{"204 and 304", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[string]int{"/a": 204, "/b": 304}[r.URL.Path])
	}, nil, func(c *call) (string, error) {
		c.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := c.want("GET", 204, ""); err != nil {
			return "", err
		}
		return "ok", c.want("GET", 304, "")
	}},
	{"100-continue", echo, nil, func(c *call) (string, error) {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		resp, _, err := c.response("POST")
		if err != nil || resp.StatusCode != 100 {
			return "", fmt.Errorf("%v %v, want 100", resp, err)
		}
		c.send("abc")
		return "ok", c.want("POST", 200, "abc")
	}},
	{"early hints before the response", nil, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, b, err := c.response("GET")
		if err == nil && resp.StatusCode == 103 {
			return "passed on", c.want("GET", 200, "ok")
		}
		if err != nil || b != "ok" {
			return "", fmt.Errorf("%q %v", b, err)
		}
		return "dropped", nil
	}},
	{"WebSocket", nil, switching("websocket"), tunnel("websocket")},
	{"upgrade to another protocol", nil, switching("echo"), func(c *call) (string, error) {
		if c.hop != "agent" {
			return tunnel("echo")(c)
		}
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		return "403", c.want("GET", 403, "")
	}},
	{"8 MiB both ways at once", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	}, nil, func(c *call) (string, error) {
		body := make([]byte, 8<<20)
		rand.New(rand.NewSource(1)).Read(body)
		go func() {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body))
			c.Write(body)
		}()
		resp, b, err := c.response("POST")
		if err != nil || resp.StatusCode != 200 || sha256.Sum256([]byte(b)) != sha256.Sum256(body) {
			return "", fmt.Errorf("%d bytes came back: %v", len(b), err)
		}
		return "ok", nil
	}},
	{"answer before the request's end", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
	}, nil, func(c *call) (string, error) {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
		return "413", c.want("POST", 413, "no\n")
	}},
	{"slow request body", echo, nil, func(c *call) (string, error) {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
		for _, b := range []byte("hello") {
			time.Sleep(30 * time.Millisecond)
			c.Write([]byte{b})
		}
		if err := c.want("POST", 200, "hello"); err != nil {
			return "", err
		}
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
		return "ok", c.want("POST", 200, "ok")
	}},
	{"12 KiB header field", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header.Get("X-Big"))) }, nil,
		func(c *call) (string, error) {
			c.send("GET / HTTP/1.1\r\nHost: a\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 12<<10))
			resp, b, err := c.response("GET")
			if err != nil || ours[c.hop] && b != "12288" {
				return "", fmt.Errorf("%q %v", b, err)
			}
			return resp.Status[:3], nil
		}},
	{"100 KiB header field", nil, nil, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 100<<10))
		resp, _, err := c.response("GET")
		if err != nil {
			return "", err
		}
		want := map[string]int{"agent": 431, "alb": 400}[c.hop]
		if want != 0 && resp.StatusCode != want {
			return "", fmt.Errorf("got %d, want %d", resp.StatusCode, want)
		}
		return resp.Status[:3], nil
	}},
	{"both Content-Length and chunked", echo, nil, func(c *call) (string, error) {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		resp, _, err := c.response("POST")
		if err != nil || ours[c.hop] && resp.StatusCode != 400 {
			return "", fmt.Errorf("%v %v, want 400", resp, err)
		}
		return resp.Status[:3], nil
	}},
	{"no Host", nil, nil, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\n\r\n")
		resp, _, err := c.response("GET")
		if err != nil || ours[c.hop] && resp.StatusCode != 400 {
			return "", fmt.Errorf("%v %v, want 400", resp, err)
		}
		return resp.Status[:3], nil
	}},
	{"origin closes without an answer", nil, func(c net.Conn) {}, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, b, err := c.response("GET")
		if err != nil {
			return "", err
		}
		if c.hop == "agent" && b != "upstream connect error or disconnect/reset before headers. reset reason: connection termination" {
			return "", fmt.Errorf("%q", b)
		}
		want := map[string]int{"agent": 503, "alb": 502}[c.hop]
		if want != 0 && resp.StatusCode != want {
			return "", fmt.Errorf("got %d, want %d", resp.StatusCode, want)
		}
		return resp.Status[:3], nil
	}},
	{"origin answers garbage", nil, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n\r\n") }, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, b, err := c.response("GET")
		if err != nil || ours[c.hop] && resp.StatusCode != 502 {
			return "", fmt.Errorf("%v %q %v, want 502", resp, b, err)
		}
		return resp.Status[:3], nil
	}},
	{"origin breaks off in the body", nil, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
	}, func(c *call) (string, error) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, b, err := c.response("GET")
		if resp == nil || err == nil || b != "only this" {
			return "", fmt.Errorf("%v %q %v, want a body cut short", resp, b, err)
		}
		return "cut short", nil
	}},
	{"origin drops idle connections", nil, nil, func(c *call) (string, error) {
		for range 3 {
			c.send("GET /once HTTP/1.1\r\nHost: a\r\n\r\n")
			if err := c.want("GET", 200, "hello"); err != nil {
				return "", err
			}
			closeIdle.Load().(func())()
			time.Sleep(5 * time.Millisecond)
		}
		return "ok", nil
	}},
}

// closeIdle makes the origin of the running case drop its idle connections.
var closeIdle atomic.Value

//go:generate go test . -run TestEdges -count=1 -update

var update = flag.Bool("update", false, "write the table into docs/trials.md")

func TestEdges(t *testing.T) {
	layer.Full(t, "starts other people's programs")
	for _, program := range []string{"haproxy", "nginx"} {
		if labtest.Find(program) == "" && (*update || os.Getenv("CI") == "true") {
			t.Fatalf("%s is not installed; the table compares with it", program)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| | agent | ALB | HAProxy | nginx |\n|%s\n", strings.Repeat(" --- |", len(hops)+1))
	for i := range cases {
		c := &cases[i]
		fmt.Fprintf(&table, "| %s |", c.name)
		for _, h := range hops {
			word, err := runCase(t, h.start, h.name, c)
			switch {
			case err != nil && ours[h.name]:
				t.Errorf("%s: %s: %v", h.name, c.name, err)
				word = "fails"
			case err != nil:
				t.Logf("%s: %s: %v", h.name, c.name, err)
				word = "differs"
			}
			fmt.Fprintf(&table, " %s |", word)
		}
		fmt.Fprintln(&table)
	}
	t.Logf("\n%s", table.String())
	labtest.Trials{Update: *update}.Same(t, "HTTP/1.1", table.String())
}

func runCase(t *testing.T, start func(testing.TB, string) *hop, name string, ec *edgeCase) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ec.raw != nil {
		go serveRaw(l, ec.raw)
	} else {
		h := ec.origin
		if h == nil {
			h = hello
		}
		srv := &http.Server{Handler: h}
		var idle idleConns
		srv.ConnState = idle.note
		closeIdle.Store(idle.close)
		go srv.Serve(l)
		defer srv.Close()
	}
	hp := start(t, l.Addr().String())
	if hp == nil {
		return "not here", nil
	}
	defer hp.stop()
	conn, err := net.Dial("tcp", hp.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	patience := 10 * time.Second
	if !ours[name] {
		patience = 3 * time.Second // what differs elsewhere is only noted
	}
	conn.SetDeadline(time.Now().Add(patience))
	return ec.client(&call{Conn: conn, r: bufio.NewReader(conn), hop: name})
}

// serveRaw lets f speak on each connection once a request head has come.
func serveRaw(l net.Listener, f func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 4096)
			for n := 0; !bytes.Contains(buf[:n], []byte("\r\n\r\n")); {
				k, err := c.Read(buf[n:])
				if err != nil {
					return
				}
				n += k
			}
			f(c)
		}()
	}
}
