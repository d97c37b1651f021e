package h1_test

import (
	"net"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// reading returns the request that a connection brings.
func reading(t *testing.T, text string, lim h1.Limits) (*h1.Request, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	go func() { b.Write([]byte(text)); b.Close() }()
	r := new(h1.Request)
	return r, h1.NewConn(a).ReadRequest(r, lim)
}

// TestEscaped: what is hidden from net/http is read as what it is, by hops that a codec
// writes to and by no others.
func TestEscaped(t *testing.T) {
	const text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-Hoplab-As-Length: none\r\nX-Hoplab-As-Path: /a b#c\r\n" +
		"X-Hoplab-As-Scheme: https\r\nX-Hoplab-As-Expect: 100-continue\r\nX-Hoplab-As-User-Agent: a\r\nX-Hoplab-As-User-Agent: b\r\n" +
		"X-Hoplab-As-X-Hoplab-As-Path: /own\r\n\r\n"
	for _, g := range []h1.Grammar{h1.Strict, h1.Envoy} {
		lim := h1.Limits{Head: 8 << 10, Fields: 50, Grammar: g, Join: true, Escaped: true}
		r, err := reading(t, text, lim)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Target) != "/a b#c" || string(r.Scheme) != "https" || !r.Expect100 || r.Length != -1 {
			t.Errorf("%q %q expect %v length %d", r.Target, r.Scheme, r.Expect100, r.Length)
		}
		if ua := r.Get(h1.UserAgent); string(ua) != "a,b" {
			t.Errorf("User-Agent %q", ua)
		}
		if f := r.Fields[len(r.Fields)-1]; string(f.Name) != "X-Hoplab-As-Path" || string(f.Value) != "/own" {
			t.Errorf("the client's own field is %q: %q", f.Name, f.Value)
		}
		lim.Escaped = false
		if r, err = reading(t, text, lim); err != nil || string(r.Target) != "/" || r.Length != 0 {
			t.Errorf("from a client: %q, length %d, %v", r.Target, r.Length, err)
		}
	}
}

// TestEscapedLength: a length that is hidden counts as one.
func TestEscapedLength(t *testing.T) {
	for _, g := range []h1.Grammar{h1.Strict, h1.Envoy} {
		lim := h1.Limits{Head: 8 << 10, Fields: 50, Grammar: g, Escaped: true}
		r, err := reading(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Hoplab-As-Content-Length: 0\r\n\r\n", lim)
		if err != nil || r.Length != 0 || string(r.Get(h1.ContentLength)) != "0" {
			t.Errorf("length %d, %v", r.Length, err)
		}
		if _, err := reading(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Hoplab-As-Content-Length: x\r\n\r\n", lim); err == nil {
			t.Error("x is a length")
		}
	}
}

// TestShown: what was hidden from net/http is shown as it is meant.
func TestShown(t *testing.T) {
	for head, want := range map[string]string{
		"GET / HTTP/1.1\r\nhost: a\r\nb: c\r\n\r\n": "GET / HTTP/1.1\r\nhost: a\r\nb: c\r\n",
		"POST / HTTP/1.1\r\nhost: hidden\r\nx-hoplab-as-host: u@a\r\nx-hoplab-as-path: /%zz\r\nx-hoplab-as-scheme: https\r\n" +
			"b: c\r\nx-hoplab-as-cookie: d=e\r\nx-hoplab-as-length: none\r\n\r\n": "POST /%zz HTTP/1.1\r\nhost: u@a\r\nb: c\r\ncookie: d=e\r\n",
		"HTTP/1.1 200 OK\r\nx-hoplab-stream-length: none\r\nx-hoplab-as-pragma: no-cache\r\n\r\n": "HTTP/1.1 200 OK\r\npragma: no-cache\r\n",
	} {
		if got := h1.Shown([]byte(head)); got != want {
			t.Errorf("%q\nis shown as\n%q\nwant\n%q", head, got, want)
		}
	}
	f := h1.Field{Name: []byte("Pragma"), Value: []byte("no-cache")}
	if got := string(h1.AppendEscaped(nil, &f)); !strings.HasPrefix(got, h1.Escape) {
		t.Errorf("net/http would see %q", got)
	}
}
