package parity

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

var (
	seed   = flag.Uint64("seed", 0, "seed of the generated exchanges; 0 takes one of the day")
	update = flag.Bool("update", false, "write what is allowed into docs/trials.md")
	count  = flag.Int("generate", 300, "how many exchanges to generate")
)

// grammar draws requests and answers: mostly right, each with a few oddities.
type grammar struct{ *rand.Rand }

func (g grammar) one(of ...string) string { return of[g.IntN(len(of))] }

// mostly returns usual, and once in a while one of the others.
func (g grammar) mostly(usual string, others ...string) string {
	if g.IntN(6) > 0 {
		return usual
	}
	return g.one(others...)
}

func (g grammar) end() string { return g.mostly("\n", "¬", "\n", "\n") }

func (g grammar) fields() (out []string) {
	for range g.IntN(5) {
		name := g.one("Accept", "Cookie", "X-A", "x-b", "Via", "User-Agent", "Cache-Control", "X-Forwarded-For",
			"X-Forwarded-Proto", "X-Request-Id", "Content-Type", "Origin", "Te", "Keep-Alive", "Trailer",
			"Proxy-Connection", "x-envoy-max-retries", "x-envoy-original-path", "Date", "Server", "Set-Cookie", "Vary", "Location",
			"ETag", "Connection", "Upgrade", "X_Under", "x-envoy-attempt-count", "Grpc-Timeout", "If-Match", "Expect",
			"X-Envoy-Upstream-Service-Time")
		name = g.mostly(name, strings.ToUpper(name), name+" ", "", name+"(", "ä"+name)
		value := g.mostly(g.one("a", "b, c", "close", "keep-alive", "trailers", "1", "http", "X-A", "gzip", "", "\"q\""),
			"a\n b", "a\tb", "ä", "\x01", "a␍b", " pad ", strings.Repeat("v", 300), "upgrade", "100-continue", "close, X-A")
		out = append(out, name+":"+g.mostly(" ", "", "\t", "  ")+value+g.end())
	}
	return out
}

// body returns framing fields and what they frame.
func (g grammar) body() (fields, body string) {
	text := strings.Repeat("d", g.IntN(40))
	switch g.IntN(4) {
	case 0:
		n := fmt.Sprint(len(text))
		return "Content-Length: " + g.mostly(n, "0"+n, "+"+n, n+", "+n, "x", "-1", "") + g.end(), text
	case 1:
		var b strings.Builder
		for len(text) > 0 {
			n := 1 + g.IntN(len(text))
			fmt.Fprintf(&b, "%s%s%s%s%s", g.mostly(fmt.Sprintf("%x", n), fmt.Sprintf("%X", n), fmt.Sprintf("00%x", n), "", "g"),
				g.mostly("", ";a=b", " ", "; x", ";\"q\"", " y"), g.mostly("\n", "¬"), text[:n], g.mostly("\n", "¬", "", "z\n"))
			text = text[n:]
		}
		b.WriteString("0" + g.mostly("", ";z") + "\n" + g.mostly("", "X-T: v\n", "X-T\n", " X: y\n",
			"A: b\n c\n") + g.mostly("\n", "¬"))
		return "Transfer-Encoding: " + g.mostly("chunked", "Chunked", "gzip, chunked", "identity", "chunked\nContent-Length: 3",
			"gzip") + g.end(), b.String()
	}
	return "", ""
}

func (g grammar) request() string {
	fields, body := g.body()
	method := "GET"
	if body != "" || g.IntN(4) == 0 {
		method = g.one("POST", "PUT", "PATCH")
	}
	lines := append(g.fields(), "Host: "+g.mostly("a.example", "a:80", "a b", "", "a/b", "[::1]", "a,b", "a_b",
		"u@a")+g.end(), fields)
	if g.IntN(12) == 0 {
		lines = lines[:len(lines)-2]
	}
	g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return g.mostly("", "\n", "¬", " ") + g.mostly(method, "HEAD", "DELETE", "OPTIONS", "get", "PROPFIND", "QUERY", "FOO",
		"TRACE") + g.mostly(" ", "  ", "\t") +
		g.mostly(g.one("/", "/a?b=c", "/a/b"), "http://b/c", "*", "/a#b", "/ä", "a", "//", "http://b?c", "/a b", "/%zz",
			"https://u@b:1/") + g.mostly(" ", "  ", "\t") +
		g.mostly("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "HTTP/2.0") + g.end() + strings.Join(lines,
		"") + g.end() + body
}

func (g grammar) answer() answer {
	fields, body := g.body()
	status := g.mostly("200 OK", "404 X", "204 No Content", "304 X", "500", "201 C", "301 M", "299 X", "103 Early", "413 T",
		"2000 X", "abc")
	lines := append(g.fields(), fields)
	g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	a := answer{g.mostly("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1") + g.mostly(" ", "  ",
		"\t") + status + g.end() + strings.Join(lines, "") + g.end() + body}
	if fields == "" || g.IntN(8) == 0 {
		a = append(a, 40*time.Millisecond, hangUp)
	}
	return a
}

// generated draws an exchange from a seed of its own, so that it can be drawn again.
func generated(seed uint64) *exchange {
	g := grammar{rand.New(rand.NewPCG(seed, 0))}
	x := &exchange{kind: "generated", name: fmt.Sprintf("seed %d", seed), client: []any{g.request()}, answers: []answer{{fine}}}
	if g.IntN(2) == 0 {
		x.client, x.answers = []any{"GET / HTTP/1.1\nHost: a\n\n"}, []answer{g.answer()}
	}
	return x
}

// TestGenerated: exchanges that a grammar draws. What differs is made as small
// as it can be and still differ.
func TestGenerated(t *testing.T) {
	layer.Full(t, "starts Envoy")
	first := *seed
	if first == 0 {
		first = uint64(time.Now().Unix()/86400) * 1_000_000
	}
	t.Logf("seeds %d to %d; again with -seed %d -generate %d", first, first+uint64(*count)-1, first, *count)
	var xs []*exchange
	for i := range *count {
		xs = append(xs, generated(first+uint64(i)))
	}
	differ := differing(t, xs)
	for i, x := range xs {
		if len(differ[x]) > 0 && i < 1000 {
			small := shrink(t, x)
			t.Errorf("%s: %s\n   of %s%s", x.name, small.short(), x.short(), listed(differ[small], differ[x]))
		}
	}
	t.Logf("%d exchanges on 2 routes, %d differ", len(xs), len(differ))
}

// shrink leaves out lines, then characters, as long as the exchange differs.
func shrink(t *testing.T, x *exchange) *exchange {
	t.Helper()
	small := *x
	for range 6 {
		var candidates []*exchange
		try := func(client, told string) {
			c := small
			c.client = []any{client}
			c.answers = []answer{append(answer{told}, small.answers[0][1:]...)}
			candidates = append(candidates, &c)
		}
		client, told := small.client[0].(string), small.answers[0][0].(string)
		for i := range lines(client) {
			try(without(client, i), told)
		}
		for i := range lines(told) {
			try(client, without(told, i))
		}
		found := differing(t, candidates)
		next := (*exchange)(nil)
		for _, c := range candidates {
			if len(found[c]) > 0 && (next == nil || len(c.short()) < len(next.short())) {
				next = c
			}
		}
		if next == nil {
			break
		}
		small = *next
	}
	return &small
}

func lines(s string) []string { return strings.SplitAfter(s, "\n") }

func without(s string, i int) string {
	l := lines(s)
	return strings.Join(append(append([]string{}, l[:i]...), l[i+1:]...), "")
}

func listed(lists ...[]difference) string {
	var b strings.Builder
	for _, ds := range lists {
		if len(ds) == 0 {
			continue
		}
		for _, d := range ds {
			fmt.Fprintf(&b, "\n   %s", d)
		}
		break
	}
	return b.String()
}
