package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var testLimits = Limits{Head: 4096, Line: 512, Field: 1024, Fields: 20}

// feed is a connection that only reads, from r.
type feed struct {
	net.Conn
	r io.Reader
}

func (f feed) Read(p []byte) (int, error)     { return f.r.Read(p) }
func (feed) SetReadDeadline(time.Time) error  { return nil }
func (feed) SetWriteDeadline(time.Time) error { return nil }
func (feed) Close() error                     { return nil }

func conn(s string) *Conn { return NewConn(feed{r: strings.NewReader(s)}) }

// slow delivers a byte at a time, so that every boundary is met.
func slow(s string) *Conn { return NewConn(feed{r: iotest.OneByteReader(strings.NewReader(s))}) }

func TestReadRequest(t *testing.T) {
	const in = "\r\nPOST /a?b=c HTTP/1.1\r\nHost: x:80\r\nContent-Length:  3 \r\nX-A: one\r\nx-a:two \t\r\nConnection: Keep-Alive, Upgrade\r\nupgrade: websocket\r\nExpect: 100-Continue\r\n\r\nabcGET / HTTP/1.0\r\n\r\n"
	for name, c := range map[string]*Conn{"at once": conn(in), "byte by byte": slow(in)} {
		t.Run(name, func(t *testing.T) {
			var r Request
			if err := c.ReadRequest(&r, testLimits); err != nil {
				t.Fatal(err)
			}
			if string(r.Method) != "POST" || string(r.Target) != "/a?b=c" || string(r.Host) != "x:80" || r.Minor != 1 {
				t.Errorf("request line: %q %q %q 1.%d", r.Method, r.Target, r.Host, r.Minor)
			}
			if r.Length != 3 || !r.KeepAlive || !r.Upgrade || !r.Expect100 || r.Close || !r.Persistent() {
				t.Errorf("framing: %+v", r)
			}
			if len(r.Fields) != 7 || string(r.Fields[3].Value) != "two" || string(r.Fields[3].Line()) != "x-a:two \t\r\n" {
				t.Errorf("fields: %q", r.Fields)
			}
			body := RequestBody(&r)
			var got []byte
			for !body.Done() {
				p, err := body.Next(c)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p...)
			}
			if string(got) != "abc" {
				t.Errorf("body %q", got)
			}
			if err := c.ReadRequest(&r, testLimits); err != nil || string(r.Method) != "GET" || r.Persistent() {
				t.Errorf("second request: %v %q", err, r.Method)
			}
			if err := c.ReadRequest(&r, testLimits); err != io.EOF {
				t.Errorf("at the end: %v, want EOF", err)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	long := strings.Repeat("x", 600)
	for name, c := range map[string]struct {
		in     string
		status int
	}{
		"both framings":         {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"two lengths":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
		"two spellings of one":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 03\r\n\r\n", 400},
		"list of lengths":       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400},
		"signed length":         {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400},
		"huge length":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
		"unknown coding":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		"coding with tab":       {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n", 400},
		"two codings":           {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"chunked 1.0":           {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"space before colon":    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
		"folded field":          {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400},
		"bare LF":               {"GET / HTTP/1.1\nHost: a\n\n", 400},
		"bare LF in field":      {"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
		"bare CR in value":      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
		"NUL in value":          {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400},
		"two hosts":             {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"no version":            {"GET /\r\nHost: a\r\n\r\n", 400},
		"version 2":             {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		"space in target":       {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"target without slash":  {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"method with a slash":   {"G/T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"URL without host":      {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"request line too long": {"GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		"field too large":       {"GET / HTTP/1.1\r\nHost: a\r\nX: " + long + long + "\r\n\r\n", 431},
		"too many fields":       {"GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 21) + "\r\n", 431},
		"head too large":        {"GET / HTTP/1.1\r\n" + strings.Repeat("A: "+long+"\r\n", 8) + "\r\n", 431},
		"endless head":          {"GET / HTTP/1.1\r\nA: " + strings.Repeat(long, 10), 431},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c2 := range []*Conn{conn(c.in), slow(c.in)} {
				var r Request
				err := c2.ReadRequest(&r, testLimits)
				var perr *ParseError
				if !errors.As(err, &perr) || perr.Status != c.status {
					t.Errorf("got %v, want status %d", err, c.status)
				}
			}
		})
	}
}

func TestRefusedResponses(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		status int // that a request with the same fault is refused with
	}{
		"both framings":         {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"two lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
		"two spellings of one":  {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 03\r\n\r\n", 400},
		"unknown coding":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		"version 2":             {"HTTP/2.0 200 OK\r\n\r\n", 400},
		"short status":          {"HTTP/1.1 20 OK\r\n\r\n", 400},
		"low status":            {"HTTP/1.1 099 OK\r\n\r\n", 400},
		"status with a letter":  {"HTTP/1.1 2x0 OK\r\n\r\n", 400},
		"four digits":           {"HTTP/1.1 2000 OK\r\n\r\n", 400},
		"control in the reason": {"HTTP/1.1 200 O\x01K\r\n\r\n", 400},
		"bare LF":               {"HTTP/1.1 200 OK\n\n", 400},
		"folded field":          {"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n", 400},
		"too many fields":       {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 21) + "\r\n", 431},
		"head too large":        {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("x", 600)+"\r\n", 8) + "\r\n", 431},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cn := range []*Conn{conn(c.in), slow(c.in)} {
				var r Response
				err := cn.ReadResponse(&r, testLimits)
				var perr *ParseError
				if !errors.As(err, &perr) || perr.Status != c.status {
					t.Errorf("got %v, want status %d", err, c.status)
				}
			}
		})
	}
}

func TestAbsoluteTarget(t *testing.T) {
	for in, want := range map[string][2]string{
		"http://h:81/p?q": {"h:81", "/p?q"}, "HTTP://h": {"h", "/"}, "http://h?q": {"h", "/?q"},
	} {
		var r Request
		if err := conn("GET "+in+" HTTP/1.1\r\nHost: other\r\n\r\n").ReadRequest(&r, testLimits); err != nil {
			t.Fatal(err)
		}
		if got := [2]string{string(r.Host), string(r.Target)}; got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestResponseBody(t *testing.T) {
	for name, c := range map[string]struct {
		in, method, body string
		close            bool
	}{
		"length": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabrest", "GET", "ab", false},
		"chunked": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=1\r\nab\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nrest",
			"GET", "2;x=1\r\nab\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n", false},
		"until close":   {"HTTP/1.1 200\r\n\r\nabc", "GET", "abc", true},
		"head":          {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nrest", "HEAD", "", false},
		"no content":    {"HTTP/1.1 204 No Content\r\n\r\nrest", "GET", "", false},
		"not modified":  {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nrest", "GET", "", false},
		"zero":          {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nrest", "GET", "", false},
		"informational": {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nrest", "GET", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cn := range []*Conn{conn(c.in), slow(c.in)} {
				var r Response
				if err := cn.ReadResponse(&r, testLimits); err != nil {
					t.Fatal(err)
				}
				b := ResponseBody(&r, c.method == "HEAD")
				if b.UntilClose() != c.close {
					t.Errorf("until close: %v", b.UntilClose())
				}
				var got []byte
				for !b.Done() {
					p, err := b.Next(cn)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, p...)
				}
				if string(got) != c.body || b.Bytes() != int64(len(c.body)) {
					t.Errorf("body %q (%d), want %q", got, b.Bytes(), c.body)
				}
			}
		})
	}
}

func TestDropTrailers(t *testing.T) {
	const data = "5\r\nhello\r\n0\r\n"
	for _, trailers := range []string{"", "A: b\r\n", "A: b\r\nC: d\r\n"} {
		in := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data + trailers + "\r\nrest"
		for _, c := range []*Conn{conn(in), slow(in)} {
			var r Response
			if err := c.ReadResponse(&r, testLimits); err != nil {
				t.Fatal(err)
			}
			b := ResponseBody(&r, false)
			b.DropTrailers()
			var got []byte
			for !b.Done() {
				p, err := b.Next(c)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p...)
			}
			if string(got) != data+"\r\n" || b.Payload() != 5 {
				t.Errorf("with %q: %q, payload %d", trailers, got, b.Payload())
			}
		}
	}
}

func TestTruncatedBodies(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
	} {
		c := conn(in)
		var r Response
		if err := c.ReadResponse(&r, testLimits); err != nil {
			t.Fatal(err)
		}
		b := ResponseBody(&r, false)
		var err error
		for err == nil && !b.Done() {
			_, err = b.Next(c)
		}
		if err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v, want an unexpected end", in, err)
		}
	}
}

func TestMalformedChunks(t *testing.T) {
	for _, in := range []string{
		"\r\n", "x\r\n", "-1\r\n", "0x1\r\n", "2\r\nabc\r\n", "2\r\nab\n0\r\n\r\n", "2\nab\r\n", "1 \x00\r\n",
		"ffffffffffffffff\r\n", "0\r\nT: \x01\r\n\r\n", "0\r\n" + strings.Repeat("T: xxxxxxxx\r\n", 2000),
	} {
		var s chunks
		if _, done, err := s.scan([]byte(in)); err == nil {
			t.Errorf("%.20q: done %v, want an error", in, done)
		}
	}
}

// FuzzChunks compares the walk over a chunked body with net/http's reader.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("2\r\nab\r\n0\r\n\r\n"))
	f.Add([]byte("1;a=b\r\nx\r\n00\r\nT: v\r\n\r\nmore"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s chunks
		n, done, err := s.scan(in)
		if err != nil || !done {
			return // stricter than net/http by intent
		}
		resp, herr := http.ReadResponse(bufio.NewReader(io.MultiReader(
			strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(in))), nil)
		if herr != nil {
			t.Fatal(herr)
		}
		want, herr := io.ReadAll(resp.Body)
		if herr != nil && !strings.Contains(herr.Error(), "MIME") && !strings.Contains(herr.Error(), "trailer") {
			t.Fatalf("accepted %q, which net/http refuses: %v", in[:n], herr)
		}
		var d Dechunker
		if got := d.Append(nil, in[:n]); herr == nil && !bytes.Equal(got, want) {
			t.Fatalf("payload %q, net/http has %q", got, want)
		}
	})
}

// FuzzRequest checks that an accepted request means the same to net/http.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := NewConn(feed{r: bytes.NewReader(in)})
		var r Request
		if c.ReadRequest(&r, Limits{Head: 1 << 20}) != nil {
			return
		}
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(in, "\r\n"))))
		if err != nil {
			return // net/http is stricter about hosts and URLs; a hop passes them on
		}
		if std.Method != string(r.Method) {
			t.Fatalf("method %q, net/http has %q", r.Method, std.Method)
		}
		switch {
		case len(std.TransferEncoding) > 0 != r.Chunked:
			t.Fatalf("chunked %v, net/http has %v", r.Chunked, std.TransferEncoding)
		case !r.Chunked && max(r.Length, 0) != std.ContentLength:
			t.Fatalf("length %d, net/http has %d", r.Length, std.ContentLength)
		}
	})
}

// FuzzResponse checks that an accepted response to a GET means the same to
// net/http, has the same body, and that its end is found at the same byte.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\nuntil close",
		"HTTP/1.1 200\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nab\r\n0\r\nT: v\r\n\r\nrest",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbytes",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nx",
		"HTTP/1.1 503 \r\nContent-Length: 19\r\n\r\nno healthy upstream",
		"\r\nHTTP/1.1 404 Not\tFound\x80\r\nX-A:\t y \r\nContent-Length: 00\r\n\r\n",
		// refused: the same in two framings, and lines that end in a bare LF
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
		"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 099 Low\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	lim := Limits{Head: 1 << 20}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, again := NewConn(feed{r: bytes.NewReader(in)}), slow(string(in))
		defer c.Release()
		defer again.Release()
		var r, r2 Response
		err, err2 := c.ReadResponse(&r, lim), again.ReadResponse(&r2, lim)
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("at once: %v; byte by byte: %v", err, err2)
		}
		if err != nil {
			return // stricter than net/http by intent
		}
		head := in[len(in)-len(bytes.TrimLeft(in, "\r\n")):]
		br := bufio.NewReader(bytes.NewReader(head))
		std, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("accepted, which net/http refuses: %v", err)
		}
		if r.Chunked && r.Minor == 0 {
			if r.Persistent() {
				t.Fatal("a chunked HTTP/1.0 response leaves its connection in use; net/http reads it until the close")
			}
			return
		}
		meansTheSame(t, &r, std)
		body, err := bodyOf(c, &r)
		same, err2 := bodyOf(again, &r2)
		var perr *ParseError
		refused := errors.As(err, &perr) // stricter about chunks too; what came before them may have been passed on
		if fmt.Sprint(err) != fmt.Sprint(err2) || !refused && !bytes.Equal(body, same) {
			t.Fatalf("body at once %q, %v; byte by byte %q, %v", body, err, same, err2)
		}
		if refused {
			return
		}
		want, stdErr := io.ReadAll(std.Body)
		if stdErr != nil && (strings.Contains(stdErr.Error(), "MIME") || strings.Contains(stdErr.Error(), "trailer")) {
			return // net/http parses trailers; a hop passes them on
		}
		if (err == nil) != (stdErr == nil) {
			t.Fatalf("body ends with %v, net/http's with %v", err, stdErr)
		}
		if r.Chunked {
			var d Dechunker
			body = d.Append(nil, body)
		}
		if !bytes.Equal(body, want) {
			t.Fatalf("body %q, net/http has %q", body, want)
		}
		if rest, _ := io.ReadAll(br); err == nil && c.Buffered() != len(rest) {
			t.Fatalf("%d bytes are left after the body, net/http leaves %d", c.Buffered(), len(rest))
		}
	})
}

// meansTheSame holds a head against net/http's reading of it.
func meansTheSame(t *testing.T, r *Response, std *http.Response) {
	t.Helper()
	length := r.Length
	switch {
	case r.Status < 200, r.Status == 204, r.Status == 304: // net/http: no body, whatever the field says
		length = 0
	case r.Chunked:
		length = -1
	}
	switch {
	case r.Status != std.StatusCode:
		t.Fatalf("status %d, net/http has %d", r.Status, std.StatusCode)
	case string(bytes.TrimLeft(r.Reason, " ")) != strings.TrimLeft(std.Status[min(4, len(std.Status)):], " "):
		t.Fatalf("reason %q, net/http has %q", r.Reason, std.Status)
	case std.ProtoMajor != 1 || min(std.ProtoMinor, 1) != r.Minor:
		t.Fatalf("HTTP/1.%d, net/http has %s", r.Minor, std.Proto)
	case length != std.ContentLength && !(r.Status < 200 || r.Status == 204 || r.Status == 304):
		t.Fatalf("length %d, net/http has %d", length, std.ContentLength)
	case r.Persistent() && std.Close && !untilClose(r):
		t.Fatalf("persistent, net/http closes")
	}
	for _, f := range r.Fields {
		if f.ID == ContentLength || f.ID == TransferEncoding || f.ID == Trailer || f.ID == Connection {
			continue // net/http takes these away
		}
		if got := std.Header.Values(string(f.Name)); !slices.Contains(got, string(f.Value)) {
			t.Fatalf("field %q is %q, net/http has %q", f.Name, f.Value, got)
		}
	}
}

func untilClose(r *Response) bool {
	b := ResponseBody(r, false)
	return b.UntilClose()
}

// bodyOf reads the body of a response to a GET.
func bodyOf(c *Conn, r *Response) (got []byte, err error) {
	b := ResponseBody(r, false)
	for !b.Done() {
		p, err := b.Next(c)
		if err != nil {
			return got, err
		}
		got = append(got, p...)
	}
	return got, nil
}

func BenchmarkReadRequest(b *testing.B) {
	req := []byte("GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nHost: internal-app-0123456789.elb.lab.test\r\nX-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\nUser-Agent: k6/1.8.1\r\n\r\n")
	r := bytes.NewReader(nil)
	c := NewConn(feed{r: r})
	var parsed Request
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(req)
		if err := c.ReadRequest(&parsed, testLimits); err != nil {
			b.Fatal(err)
		}
	}
}
