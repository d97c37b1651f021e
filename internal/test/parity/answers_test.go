package parity

import (
	"fmt"
	"strings"
	"time"
)

// told is an exchange with a plain request and an origin's answer.
func told(kind string, parts ...any) exchange {
	return exchange{kind: kind, client: []any{"GET / HTTP/1.1\nHost: a\n\n"}, answers: []answer{parts}}
}

// answersOfOrigins are the exchanges whose answer is what is tried.
func answersOfOrigins() (out []exchange) {
	add := func(xs ...exchange) { out = append(out, xs...) }
	const body = "\nContent-Length: 2\n\nok"

	for _, s := range []string{"HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 Fine By Me",
		"HTTP/1.0 200 OK", "HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "http/1.1 200 OK", "ICY 200 OK",
		"HTTP/1.1  200 OK", "HTTP/1.1\t200\tOK", "HTTP/1.1 200 OK\x01", "HTTP/1.1 200 Ö", " HTTP/1.1 200 OK", "HTTP/1.1 20 OK",
		"HTTP/1.1 2000 OK", "HTTP/1.1 abc OK", "HTTP/1.1 099 X", "HTTP/1.1 000 X", "HTTP/1.1 -200 X", "HTTP/1.1 +200 X",
		"HTTP/1.1 200OK", "HTTP/1.1 200 OK␍x", "HTTP/11 200 OK", "HTTP/1.1", "SSH-2.0-OpenSSH_9.6", "", "HTTP/1.1 200\tOK",
		"HTTP/1.1 1000 X", "HTTP/1.1 99 X", "HTTP/1.1 0 X", "HTTP/1.1 65536 X", "HTTP/1.1 0200 OK"} {
		add(told("status line", s+body))
	}
	for _, s := range []int{201, 202, 203, 205, 206, 207, 208, 226, 299, 300, 301, 302, 303, 305, 306, 307, 308, 399, 400,
		401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426,
		428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 520, 599, 600, 700, 999} {
		add(told("status", fmt.Sprintf("HTTP/1.1 %d X", s)+body))
	}
	for _, s := range []string{"204 No Content\n\n", "204 No Content\nContent-Length: 0\n\n",
		"204 No Content\nContent-Length: 2\n\n", "204 No Content\nContent-Length: 2\n\nok",
		"204 No Content\nTransfer-Encoding: chunked\n\n0\n\n", "204 No Content\nContent-Type: a\n\n", "304 Not Modified\n\n",
		"304 Not Modified\nContent-Length: 2\n\n", "304 Not Modified\nContent-Length: 0\n\n",
		"304 Not Modified\nTransfer-Encoding: chunked\n\n", "304 Not Modified\nETag: \"a\"\nConnection: close\n\n",
		"205 Reset Content\nContent-Length: 0\n\n", "205 Reset Content\nContent-Length: 2\n\nok",
		"200 OK\nContent-Length: 0\n\n", "200 OK\nTransfer-Encoding: chunked\n\n0\n\n",
		"101 Switching Protocols\nConnection: upgrade\nUpgrade: x\n\n", "100 Continue\n\n", "102 Processing\n\n", "199 X\n\n",
		"103 Early Hints\nLink: a\n\n", "304 Not Modified\nContent-Length: 2\n\nok", "204 No Content\n\nstray"} {
		add(told("no body", "HTTP/1.1 "+s))
	}
	for _, s := range []string{"100 Continue\n\n", "102 Processing\nA: b\n\n", "103 Early Hints\nLink: </a>\n\n",
		"100 Continue\n\nHTTP/1.1 100 Continue\n\n", "199 X\n\n", "100 Continue\nContent-Length: 0\n\n",
		"103 Early Hints\nContent-Length: 3\n\n", "103 Early Hints\nTransfer-Encoding: chunked\n\n",
		"101 Switching Protocols\n\n", "110 X\n\n"} {
		add(told("interim", "HTTP/1.1 "+s+fine), exchange{kind: "interim",
			client: []any{"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3\n\nabc"},
			answers: []answer{{"HTTP/1.1 " + s,
				50 * time.Millisecond, fine}}})
	}

	for _, f := range []string{"A:b", "A:  b  ", "A:", "A: ", "A : b", ": b", "A", "A b: c", "A(: b", "ä: b", "A: ä",
		"A: \x80", "A: b\x00c", "A: b\x01c", "A: b\x7fc", "A: b\tc", "A: b␍c", "A: b\n c", "A: b\n\tc", "A:\n b", "a_b: c",
		"A: b\nA: c", "A: b\nB: x\nA: c", "Set-Cookie: a=b\nSet-Cookie: c=d", "Set-Cookie: a=b\nX: y\nSet-Cookie: c=d",
		"Vary: a\nVary: b", "Cache-Control: a\nCache-Control: b", "Content-Type: a\nContent-Type: b",
		"Location: /a\nLocation: /b", "Server: x", "Server: x\nServer: y", "Date: Tue, 01 Dec 2026 00:00:00 GMT",
		"Date: Tue, 01 Dec 2026 00:00:00 GMT\nA: b", "Date: nonsense", "Date: a\nDate: b", "Via: 1.1 a",
		"Via: 1.1 a\nVia: 1.1 b", "ETag: \"a\"\nETag: \"b\"", "X-Envoy-Upstream-Service-Time: 99",
		"A: b\nx-envoy-upstream-service-time: 99\nB: c", "Host: a", "X-Request-Id: 1", "X-Forwarded-Proto: https", "Age: 1",
		"WWW-Authenticate: a\nWWW-Authenticate: b", "X-Mixed-CASE: KeepThis", "Grpc-Status: 0",
		"Grpc-Status: 14\nGrpc-Message: x", "Access-Control-Allow-Origin: a\nAccess-Control-Allow-Origin: b",
		"Content-Encoding: gzip\nContent-Encoding: br", "Last-Modified: a", "Alt-Svc: h2=\":1\"",
		"Strict-Transport-Security: x", "Refresh: 0", "Accept-Ranges: bytes", "Content-Disposition: a\nContent-Disposition: b",
		"Link: a\nLink: b", "P3P: x", "Pragma: no-cache\nPragma: x", "Retry-After: 1", "Allow: GET\nAllow: POST",
		"Content-Language: a\nContent-Language: b", "Warning: a\nWarning: b", "Timing-Allow-Origin: *", ":status: 500",
		":authority: x"} {
		add(told("answer's field", "HTTP/1.1 200 OK\n"+f+body))
	}
	for _, f := range []string{"x-envoy-upstream-canary: true", "x-envoy-upstream-healthchecked-cluster: c",
		"x-envoy-overloaded: true", "x-envoy-ratelimited: true", "x-envoy-degraded: true",
		"x-envoy-immediate-health-check-fail: true", "x-envoy-decorator-operation: d", "x-envoy-attempt-count: 1",
		"x-envoy-retry-on: 5xx", "x-envoy-internal: true", "x-envoy-unknown: 1", "x-envoy-expected-rq-timeout-ms: 1",
		"X-Envoy-Local-Overloaded: 1", "x-envoy-hostname: h", "x-envoy-protocol-version: p", "x-envoy-cluster: c"} {
		add(told("answer's x-envoy", "HTTP/1.1 200 OK\n"+f+body))
	}
	for _, f := range []string{"Connection: close", "Connection: keep-alive", "Connection: Close",
		"Connection: keep-alive, close", "Connection: A\nA: b", "A: b\nConnection: a, close", "Keep-Alive: timeout=5",
		"Keep-Alive: timeout=5\nConnection: keep-alive", "Proxy-Connection: close", "Proxy-Connection: keep-alive",
		"Upgrade: h2c", "Upgrade: h2c\nConnection: upgrade", "Trailer: X", "TE: trailers", "Proxy-Authenticate: x",
		"Connection:", "Connection: foo", "Connection: close\nConnection: keep-alive", "Transfer-Encoding: identity",
		"Expect: x", "Proxy-Status: x", "Upgrade: websocket\nConnection: Upgrade"} {
		add(told("answer's connection", "HTTP/1.1 200 OK\n"+f+body))
	}
	add(told("answer's connection", "HTTP/1.0 200 OK\nConnection: keep-alive"+body), told("answer's connection",
		"HTTP/1.0 200 OK\n\nuntil the end", hangUp), told("answer's connection", "HTTP/1.1 200 OK\nConnection: close"+body,
		hangUp), told("answer's connection", fine, hangUp), told("answer's connection", fine, reset),
		told("answer's connection", fine+"stray"), told("answer's connection", fine+fine), told("answer's connection", fine,
			100*time.Millisecond, "stray"), told("answer's connection", "HTTP/1.0 200 OK"+body, hangUp))

	for _, s := range []string{"HTTP/1.1 200 OK¬Content-Length: 2¬¬ok", "HTTP/1.1 200 OK\nContent-Length: 2¬¬ok",
		"\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok", "\n\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"HTTP/1.1 200 OK␍Content-Length: 2␍␍ok", "HTTP/1.1 200 OK\n Content-Length: 2\n\nok",
		"HTTP/1.1 200 OK␍\nContent-Length: 2\n\nok", "\x00HTTP/1.1 200 OK\nContent-Length: 2\n\nok"} {
		add(told("answer's line", s))
	}

	for _, l := range []string{"Content-Length: 2", "Content-Length: 02", "Content-Length: +2", "Content-Length: -2",
		"Content-Length: 2, 2", "Content-Length: 2\nContent-Length: 2", "Content-Length: 2\nContent-Length: 3",
		"Content-Length:", "Content-Length: x", "Content-Length: 99999999999999999999",
		"Content-Length: 2\nTransfer-Encoding: chunked", "Content-Length : 2", "content-LENGTH: 2", "Content-Length: 0",
		"Content-Length: 2\nA: b", "A: b\nContent-Length: 2"} {
		add(told("answer's length", "HTTP/1.1 200 OK\n"+l+"\n\nok"))
	}
	add(told("answer's length", "HTTP/1.1 200 OK\nContent-Length: 10\n\nok", hangUp), told("answer's length",
		"HTTP/1.1 200 OK\nContent-Length: 10\n\nok", reset), told("answer's length",
		"HTTP/1.1 200 OK\nContent-Length: 10\n\nok", 50*time.Millisecond, hangUp), told("answer's length",
		"HTTP/1.1 200 OK\nContent-Length: 10\n\nok", 50*time.Millisecond, reset), told("answer's length",
		"HTTP/1.1 200 OK\nContent-Length: 10\n\nok"), told("answer's length",
		"HTTP/1.1 200 OK\nContent-Length: 100000\n\n"+big(100000)), told("answer's length",
		"HTTP/1.1 200 OK\nContent-Length: 4\n\nok", 100*time.Millisecond, "ok"), told("answer's length",
		"HTTP/1.1 200 OK\n\nuntil the end", 50*time.Millisecond, hangUp), told("answer's length",
		"HTTP/1.1 200 OK\n\nuntil the end", hangUp), told("answer's length", "HTTP/1.1 200 OK\n\n", hangUp),
		told("answer's length", "HTTP/1.1 200 OK\n\nuntil the end", 50*time.Millisecond, reset), told("answer's length",
			"HTTP/1.1 200 OK\n\npart", 50*time.Millisecond, "part", 50*time.Millisecond, hangUp), told("answer's length",
			"HTTP/1.1 200 OK\n\nuntil the end", halfClose), told("answer's length", "HTTP/1.1 500 X\n\n", 50*time.Millisecond, hangUp))

	for _, te := range []string{"Transfer-Encoding: chunked", "Transfer-Encoding: Chunked",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: identity",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "Transfer-Encoding:",
		"Transfer-Encoding: chunked\nContent-Length: 3", "Transfer-Encoding: chunked\nConnection: close",
		"Transfer-Encoding: chunked\nTrailer: X"} {
		add(told("answer's coding", "HTTP/1.1 200 OK\n"+te+"\n\n3\nabc\n0\n\n"))
	}
	add(told("answer's coding", "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n"), told("answer's coding",
		"HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\nabc", hangUp))
	for _, b := range []string{"3\nabc\n0\n\n", "3\nabc\n4\ndefg\n0\n\n", "003\nabc\n0\n\n", "0\n\n", "3;a=b\nabc\n0\n\n",
		"3 ;a\nabc\n0;z\n\n", "3 \nabc\n0\n\n", "3\x01\nabc\n0\n\n", "A\n0123456789\n0\n\n", "g\nabc\n0\n\n", "\nabc\n0\n\n",
		"-3\nabc\n0\n\n", "3¬abc¬0¬¬", "3\nabc¬0\n\n", "3\nabc0\n\n", "3\nabcd\n0\n\n", "3\nab\n0\n\n",
		"3\nabc\n0\nX-T: v\n\n", "3\nabc\n0\nX-T\n\n", "3\nabc\n0\nContent-Length: 5\n\n", "10000000000000000\nabc\n0\n\n",
		"3\nabc\n0\n\nstray", "3;" + big(3000) + "\nabc\n0\n\n"} {
		add(told("answer's chunk", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"+b))
	}
	for _, b := range []string{"3\nabc\n", "3\nabc", "3\nab", "3\n", "3", "0\n", "", "3\nabc\n0", "3\nabc\n0\nX: y\n"} {
		add(told("answer's chunk", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"+b, hangUp), told("answer's chunk",
			"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"+b, 50*time.Millisecond, hangUp))
	}
	add(told("answer's chunk", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n", 100*time.Millisecond, "4\ndefg\n",
		100*time.Millisecond, "0\n\n"), told("answer's chunk", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n6\nabc",
		100*time.Millisecond, "def\n0\n", 100*time.Millisecond, "\n"), told("answer's chunk",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n", 100*time.Millisecond, "x\n"), told("answer's chunk",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n", 50*time.Millisecond, reset))

	for _, s := range []string{"", "H", "HTTP/1.1 ", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\nA: b",
		"HTTP/1.1 200 OK\nContent-Length: 2\n", "\n", "NONSENSE\n\n", "HTTP/1.1 100 Continue\n\n", "HTTP/1.1 100 Continue\n"} {
		add(told("cut", s, hangUp), told("cut", s, reset))
	}
	add(told("cut"), told("cut", 100*time.Millisecond, hangUp), told("cut", 100*time.Millisecond, reset), told("cut",
		"HTTP/1.1 200 OK\n", 100*time.Millisecond, "Content-Length: 2\n\nok"), told("cut", halfClose),
		exchange{kind: "cut", client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc"}, answers: []answer{{}}},
		exchange{kind: "cut", client: []any{"HEAD / HTTP/1.1\nHost: a\n\n"}, answers: []answer{{}}},
		exchange{kind: "cut", client: []any{"GET / HTTP/1.1\nHost: a\nConnection: close\n\n"}, answers: []answer{{}}},
		exchange{kind: "cut", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\n", waitHead,
			"GET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{fine}, {}}},
		exchange{kind: "cut", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\n", waitHead,
			"GET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{fine}, {reset}}},
		exchange{kind: "cut", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\n", waitHead, 50 * time.Millisecond,
			"GET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{}, {fine}}})

	head := func(answer_ ...any) exchange {
		return exchange{kind: "HEAD", client: []any{"HEAD / HTTP/1.1\nHost: a\n\n"}, answers: []answer{answer_}}
	}
	add(head("HTTP/1.1 200 OK\nContent-Length: 2\n\n"), head("HTTP/1.1 200 OK\n\n"),
		head("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"), head("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
		head("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), head("HTTP/1.1 404 X\n\n"), head("HTTP/1.1 204 X\n\n"),
		head("HTTP/1.1 304 X\n\n"), head("HTTP/1.1 200 OK\nConnection: close\n\n",
			hangUp), head("HTTP/1.1 500 X\nTransfer-Encoding: chunked\n\n0\n\n"), head("HTTP/1.0 200 OK\n\n", hangUp),
		head("HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked\n\n"))

	early := func(status string, more ...any) exchange {
		return exchange{kind: "early", early: true, client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 1000\n\nabc"},
			answers: []answer{append(answer{"HTTP/1.1 " + status}, more...)}}
	}
	add(early("413 X\nContent-Length: 2\n\nno"), early("413 X\nConnection: close\nContent-Length: 2\n\nno", hangUp),
		early("200 OK\nContent-Length: 0\n\n"), early("200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"), early("204 X\n\n"),
		early("200 OK\n\nuntil the end",
			hangUp), early("500 X\nContent-Length: 2\n\nno", reset), early("401 X\nContent-Length: 2\n\nno", 100*time.Millisecond,
			hangUp),
		exchange{kind: "early", early: true, client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 6\n\nabc", waitHead,
			"def"}, answers: []answer{{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}}},
		exchange{kind: "early", early: true, responses: 2, client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 6\n\nabc",
			waitHead, "defGET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}}},
		exchange{kind: "early", early: true, client: []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n"},
			answers: []answer{{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}}},
		exchange{kind: "early", early: true, client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 6\n\nabc", waitHead,
			"def"}, answers: []answer{{"HTTP/1.1 200 OK\nContent-Length: 4\n\nok", 200 * time.Millisecond, "ok"}}},
		exchange{kind: "early", early: true,
			client:  []any{"POST / HTTP/1.1\nHost: a\nConnection: close\nContent-Length: 6\n\nabc"},
			answers: []answer{{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}}})

	for _, n := range []int{8000, 59000, 61000, 62000, 81000, 100000} {
		add(told("answer's limit", "HTTP/1.1 200 OK\nA: "+big(n)+body))
	}
	for _, n := range []int{97, 98, 99, 100, 101, 150} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "H%d: v\n", i)
		}
		add(told("answer's limit", "HTTP/1.1 200 OK\n"+strings.TrimSuffix(b.String(), "\n")+body))
	}
	return out
}
