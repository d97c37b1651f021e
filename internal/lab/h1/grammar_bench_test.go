package h1

import (
	"net"
	"testing"
)

// endless is a connection on which the same message comes again and again.
type endless struct {
	net.Conn
	text string
}

func (e endless) Read(p []byte) (int, error) { return copy(p, e.text), nil }

// BenchmarkGrammars: what a request's head costs in either grammar.
func BenchmarkGrammars(b *testing.B) {
	const text = "GET /work?x=1 HTTP/1.1\r\nHost: app.ns:8080\r\nUser-Agent: k6/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nX-Request-Id: abc\r\nX-Amzn-Trace-Id: Root=1-2-3\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
	for name, g := range map[string]Grammar{"strict": Strict, "Envoy": Envoy} {
		b.Run(name, func(b *testing.B) {
			c := NewConn(endless{text: text})
			var req Request
			b.ReportAllocs()
			for b.Loop() {
				if err := c.ReadRequest(&req, Limits{Head: 60 << 10, Fields: 100, Grammar: g}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
