package parity

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http2"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// told2 is an origin that says in its answer what a request over HTTP/2 held.
func told2(t testing.TB) uint16 {
	return framing(func(f *framed) {
		seen := map[uint32]string{}
		for {
			got, err := f.next()
			if err != nil {
				return
			}
			id, ended := got.Header().StreamID, false
			switch got := got.(type) {
			case *http2.MetaHeadersFrame:
				ended = got.StreamEnded()
				seen[id] += "{" + longRun.ReplaceAllString(onOneLine(got.Fields), "xxx") + "}"
			case *http2.DataFrame:
				ended = got.StreamEnded()
				seen[id] += string(got.Data())
			}
			if ended {
				text := seen[id]
				head := strings.Contains(text, ":method=HEAD|")
				if f.head(id, head, ":status", "200", "content-length", fmt.Sprint(len(text))); !head {
					f.data(id, true, text)
				}
			}
		}
	})(t)
}

// told1 is an origin that says in its answer what a request over HTTP/1.1 was, its fields
// in order.
func told1(t testing.TB) uint16 {
	return raw(func(c net.Conn) {
		var got []byte
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				return
			}
			if k := requestLength(got, false); k > 0 {
				text := fmt.Sprintf("%q", sorted(got[:k]))
				got = got[k:]
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
			}
		}
	})(t)
}

// sorted puts the fields of a message's head in order.
func sorted(message []byte) string {
	head, rest, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	slices.Sort(lines[1:])
	return longRun.ReplaceAllString(strings.Join(lines, "\r\n")+"\r\n\r\n"+string(rest), "xxx")
}

// stream sends one request over an HTTP/2 connection of its own and notes what comes
// back, until the answer's end. A connection may end in a reset or without.
func (s *stage) stream(what string, send func(f *framed)) {
	f, err := dialFramed(s.addr, 1500*time.Millisecond)
	if err != nil {
		s.note("%s: %v", what, err)
		return
	}
	defer f.Close()
	go send(f)
	var out []string
	body := ""
	for ended := false; !ended; {
		got, err := f.next()
		if err != nil {
			out = append(out, strings.NewReplacer("connection reset", "end", "EOF", "end").Replace(kindOf(err)))
			break
		}
		switch got := got.(type) {
		case *http2.MetaHeadersFrame:
			for i := range got.Fields {
				switch h := &got.Fields[i]; h.Name {
				case "x-envoy-upstream-service-time":
					h.Value = "MS"
				case "date":
					h.Value = "DATE"
				}
			}
			ended = got.StreamEnded()
			out = append(out, fmt.Sprintf("head %s end %v", onOneLine(got.Fields), ended))
		case *http2.DataFrame:
			body += string(got.Data())
			if ended = got.StreamEnded(); ended {
				out = append(out, body)
			}
		case *http2.RSTStreamFrame:
			ended = true
			out = append(out, got.ErrCode.String())
		case *http2.GoAwayFrame:
			out = append(out, fmt.Sprintf("goes away: %d %s", got.LastStreamID, got.ErrCode))
			ended = got.ErrCode != 0
		}
	}
	s.note("%q: %s", longRun.ReplaceAllString(what, "xxx"), strings.Join(out, "; "))
}

// text sends bytes of HTTP/1.1 over a connection of its own and notes the answer.
func (s *stage) text(x *exchange) {
	nc, err := net.Dial("tcp4", s.addr)
	if err != nil {
		return
	}
	defer nc.Close()
	c := &client{Conn: nc, more: make(chan struct{}, 1), last: time.Now()}
	go c.read()
	sent := ""
	for _, part := range x.client {
		switch p := part.(type) {
		case string:
			sent += p
			io.WriteString(nc, notation.Replace(p))
		case time.Duration:
			time.Sleep(p)
		}
	}
	c.until(2500*time.Millisecond, func(got []byte, ended bool) bool { return responses(got, x.isHead()) >= x.expected() })
	c.until(150*time.Millisecond, func([]byte, bool) bool { return false })
	c.mu.Lock()
	got := normal(c.got.Bytes(), nil)
	c.mu.Unlock()
	s.note("%.200q: %q", longRun.ReplaceAllString(sent, "xxx"), sorted([]byte(got)))
}

// asked is a request over HTTP/2.
type asked struct {
	what string
	send func(f *framed)
}

// head2 are the fields of a request over HTTP/2.
func head2(method, scheme, path, authority string, more ...string) []string {
	return append([]string{":method", method, ":scheme", scheme, ":path", path, ":authority", authority}, more...)
}

func alone(fields ...string) asked {
	return asked{strings.Join(fields, "|"), func(f *framed) { f.head(1, true, fields...) }}
}

func get2(fields ...string) asked { return alone(head2("GET", "http", "/", "a", fields...)...) }

// inParts makes plays of a few of the things each.
func inParts[T any](kind string, all []T, each play, do func(s *stage, one T)) (plays []play) {
	for i := 0; i < len(all); i += 12 {
		part, p := all[i:min(i+12, len(all))], each
		p.name = fmt.Sprintf("%s from %d", kind, i)
		p.do = func(s *stage) {
			for _, one := range part {
				do(s, one)
			}
		}
		plays = append(plays, p)
	}
	return plays
}

// lengths are requests with and without a body, a length, or an expectation.
func lengths() (out []asked) {
	for _, m := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "TRACE", "FOO", "QUERY"} {
		add := func(what string, body string, fields ...string) {
			out = append(out, asked{m + " " + what, func(f *framed) {
				f.head(1, false, head2(m, "http", "/", "a", fields...)...)
				f.data(1, true, body)
			}})
		}
		of := func(fields ...string) { out = append(out, alone(head2(m, "http", "/", "a", fields...)...)) }
		of()
		of("content-length", "0")
		of("expect", "100-continue")
		of("expect", "100-continue", "content-length", "0")
		add("with an empty body", "")
		add("with an empty body and its length", "", "content-length", "0")
		add("with a body", "abc")
		add("with a body and its length", "abc", "content-length", "3")
	}
	return out
}

// lines2 are requests whose pseudo fields are what is tried.
func lines2() (out []asked) {
	for _, p := range []string{"*", "//", "/a/../b", "/a%2e", "/a%zz", "/a#b", "/#", "#", "/a?b#c", "/a?", "/?", "/a b", "/ä", "/a\x7f",
		"/\"<>\\^`{|}", "?a=b", "a", "", "http://b/c", "/" + big(8000)} {
		out = append(out, alone(head2("GET", "http", p, "a")...), alone(head2("OPTIONS", "http", p, "a")...))
	}
	for _, s := range []string{"http", "https", "HTTP", "HTTPS", "ftp", "", "h2", "http:", "ws", "a b", "1http", "x+y"} {
		out = append(out, alone(head2("GET", s, "/", "a")...), alone(head2("GET", s, "/", "a", "x-forwarded-proto", "https")...),
			alone(head2("GET", s, "/", "a", "x-forwarded-proto", "ftp")...))
	}
	for _, a := range []string{"", "a:80", "a:", "a:x", "u@a", "a b", "a/b", "a#b", "A.Example", "ä", "*", "a_b", "[::1]:80",
		"a;b", "<a>", "a\\b", big(300)} {
		out = append(out, alone(head2("GET", "http", "/", a)...), get2("host", a),
			alone(":method", "GET", ":scheme", "http", ":path", "/", "host", a))
	}
	return append(out, alone(":method", "GET", ":scheme", "http", ":path", "/"), alone(":method", "GET", ":path", "/", ":authority", "a"),
		alone(":method", "CONNECT", ":authority", "a:80"), alone(head2("CONNECT", "http", "/", "a")...),
		alone(head2("CONNECT", "http", "/", "a", ":protocol", "websocket")...), get2("host", "b", "host", "c"))
}

// fields2 are requests whose other fields are what is tried.
func fields2() (out []asked) {
	for _, l := range [][]string{{"connection", "close"}, {"keep-alive", "x"}, {"proxy-connection", "x"}, {"transfer-encoding", "chunked"},
		{"upgrade", "x"}, {"X-A", "b"}, {"a b", "c"}, {"", "b"}, {"a", "b\x01"}, {"a", "b\x00"}, {"a", "b\nc"}, {"a", "b\rc"}, {"a", "\x7f"},
		{"a", "b\tc"}, {":x", "y"}, {":path", "/b"}, {"content-length", "x"}, {"content-length", "3"},
		{"content-length", "0", "content-length", "0"}, {"pragma", "no-cache"}, {"cookie", "a=b; c=d"}, {"cookie", ""},
		{"user-agent", ""}, {"user-agent", "", "user-agent", "b"},
		{"trailer", "X-T"}, {"date", "x", "date", "y"}, {"x-hoplab-as-path", "/b"}, {"x-hoplab-as-cookie", "/b"}, {"x-hoplab-stream-length", "3"},
		{"x-hoplab-as-length", "none"}, {"referer", "a", "referer", "b"}, {"accept-encoding", "gzip"}, {"range", "bytes=0-1"},
		{"expect", "nonsense"}, {"expect", "100-continue", "expect", "100-continue"}, {"x-forwarded-proto", ""}, {"proxy-authorization", "x"},
		{"a(", "b"}, {"content-type", "application/grpc"}, {"content-type", "application/grpc", "te", "trailers"}, {"http2-settings", "x"},
		{"te", "gzip"}, {"te", "trailers", "te", "trailers"}, {"te", "trailers, gzip"}, {"te", ""}} {
		out = append(out, get2(l...))
	}
	for _, x := range requests() {
		if lines, ok := fieldsOf(&x); ok {
			out = append(out, get2(lines...))
		}
	}
	trailers := func(fields ...string) func(f *framed) {
		return func(f *framed) {
			f.head(1, false, head2("POST", "http", "/", "a", fields...)...)
			f.data(1, false, "abc")
			f.head(1, true, "x-t", "v")
		}
	}
	return append(out, asked{"trailers", trailers("trailer", "X-T")})
}

// fieldsOf returns the fields of an exchange whose fields are what is tried, as HTTP/2 has
// them, if it can have them.
func fieldsOf(x *exchange) (fields []string, ok bool) {
	if x.kind != "field" && x.kind != "x-envoy" && x.kind != "x-forwarded" {
		return nil, false
	}
	text := strings.TrimSuffix(x.client[0].(string), "\n\n")
	for _, l := range strings.Split(text, "\n")[2:] {
		n, v, found := strings.Cut(l, ":")
		if !found || !utf8.ValidString(l) || strings.ContainsAny(l, "\x00\x01\x07\x7f␍¬") || strings.ContainsAny(n, " \t;(\"ä") || n == "" {
			return nil, false
		}
		fields = append(fields, strings.ToLower(n), strings.TrimSpace(v))
	}
	return fields, true
}

// TestRequestsOfHTTP2: what clients of HTTP/2 may ask, and what they may not.
func TestRequestsOfHTTP2(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	var plays []play
	for p, origin := range map[agent.Protocol]func(testing.TB) uint16{agent.HTTP: told1, agent.HTTP2: told2, agent.GRPC: told2} {
		for kind, all := range map[string][]asked{"lengths": lengths(), "lines": lines2(), "fields": fields2()} {
			each := play{protocol: p, origin: origin}
			if p == agent.GRPC {
				each.only = through
			}
			plays = append(plays, inParts(fmt.Sprintf("%s to %s", kind, p), all, each, func(s *stage, a asked) { s.stream(a.what, a.send) })...)
		}
	}
	perform(t, plays, nil)
}

// TestRequestsToHTTP2: what clients of HTTP/1.1 ask of endpoints whose apps speak HTTP/2.
func TestRequestsToHTTP2(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	kinds := map[string][]exchange{}
	for _, x := range requests() {
		if !slices.ContainsFunc(x.client, func(part any) bool { _, is := part.(token); return is }) {
			kinds[x.kind] = append(kinds[x.kind], x)
		}
	}
	for _, l := range []string{"Pragma: no-cache", "Cookie: a=b; c=d", "User-Agent:", "X-Hoplab-As-Path: /b", "X-Hoplab-As-Cookie: c",
		"X-Hoplab-Stream-Length: 4"} {
		kinds["net/http"] = append(kinds["net/http"], fields("", l)...)
	}
	delete(kinds, "upgrade") // TestWebSocketToHTTP2
	var plays []play
	for kind, xs := range kinds {
		plays = append(plays, inParts(kind, xs, play{protocol: agent.HTTP2, only: through, origin: told2},
			func(s *stage, x exchange) { s.text(&x) })...)
	}
	perform(t, plays, nil)
}

// TestAnswersToHTTP2: what apps of HTTP/1.1 answer to clients of HTTP/2. An unasked 101
// and a status of more than three digits are left out: only what is broken sends them.
func TestAnswersToHTTP2(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	broken := regexp.MustCompile(`^\[HTTP/1.1 (101|\d{4,}) `)
	var plays []play
	for i, x := range answersOfOrigins() {
		if x.kind == "early" || broken.MatchString(fmt.Sprint(x.answers[0])) {
			continue
		}
		plays = append(plays, play{name: fmt.Sprintf("%s %d", x.kind, i), protocol: agent.HTTP, only: through, origin: func(t testing.TB) uint16 {
			o, err := newOrigin(&x)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(o.close)
			return o.port()
		}, do: func(s *stage) {
			method, _, _ := strings.Cut(x.client[0].(string), " ")
			s.stream(x.short(), alone(head2(method, "http", "/", "a")...).send)
		}})
	}
	perform(t, plays, nil)
}

// TestClientsGoAway: a client that says it goes away still gets its answers.
func TestClientsGoAway(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	slow := raw(func(c net.Conn) {
		for buf := make([]byte, 4096); ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
				time.Sleep(400 * time.Millisecond)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
				time.Sleep(200 * time.Millisecond)
				io.WriteString(c, "ok")
			}
		}
	})
	var plays []play
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeProtocol, http2.ErrCodeEnhanceYourCalm} {
		for _, first := range []bool{false, true} {
			plays = append(plays, play{name: fmt.Sprintf("%s, first %v", code, first), protocol: agent.HTTP, origin: slow, do: func(s *stage) {
				s.stream("goes away", func(f *framed) {
					if first {
						f.goAway(0, code)
					}
					f.head(1, true, head2("GET", "http", "/", "a")...)
					if !first {
						time.Sleep(100 * time.Millisecond)
						f.goAway(0, code)
					}
				})
			}})
		}
	}
	perform(t, plays, nil)
}
