package parity

import (
	"fmt"
	"strings"
	"time"
)

const fine = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"

// ask is an exchange with a request and a plain answer.
func ask(kind, request string) exchange {
	return exchange{kind: kind, client: []any{request}, answers: []answer{{fine}}}
}

// fields is a GET with some fields.
func fields(kind string, lines ...string) (out []exchange) {
	for _, l := range lines {
		out = append(out, ask(kind, "GET / HTTP/1.1\nHost: a\n"+l+"\n\n"))
	}
	return out
}

// post is a POST with some fields and a body.
func post(kind, lines, body string) exchange {
	return ask(kind, "POST / HTTP/1.1\nHost: a\n"+lines+"\n\n"+body)
}

func big(n int) string { return strings.Repeat("x", n) }

// requests are the exchanges whose request is what is tried.
func requests() (out []exchange) {
	add := func(xs ...exchange) { out = append(out, xs...) }

	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "PURGE",
		"MKCOL", "M-SEARCH", "MSEARCH",
		"LINK", "SOURCE", "QUERY", "get", "Get", "FOO", "PRI", "G(T", "GET,", "\"GET\"", "G\tT", "GÉT", strings.Repeat("G", 60)} {
		add(ask("method", m+" / HTTP/1.1\nHost: a\n\n"))
	}
	add(ask("method", "CONNECT a:80 HTTP/1.1\nHost: a:80\n\n"), ask("method", "CONNECT / HTTP/1.1\nHost: a\n\n"),
		ask("method", "CONNECT a:80 HTTP/1.1\nHost: a:80\nContent-Length: 3\n\nabc"), ask("method",
			"CONNECT a HTTP/1.1\nHost: a\n\n"),
		ask("method", "CONNECT a:80 HTTP/1.1\nHost: a:80\nContent-Length: 0\n\n"), ask("method",
			"CONNECT a:80 HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n"))

	for _, p := range []string{"*", "/", "//", "/a//b", "/a/../b", "/a/./b", "/%2e%2e/a", "/%zz", "/a%00b", "/a#b", "/#",
		"/a?b#c", "/a?", "/?", "/a;b=c", "/a b", "/a\tb",
		"/ä", "/a\x7fb", "/a\x01b", "/\"<>\\^`{|}", "?a=b", "a", "a/b", "", "/" + big(8000), "/" + big(70000), "http://b/c",
		"http://b", "http://b?x=y", "http://b:8080/c",
		"HTTP://b/c", "https://b/c", "ftp://b/c", "http:///c", "http://b@c/d", "http://u:p@b/c", "http://b#c", "http://b/c#d",
		"http://[::1]:80/c", "http://b:99999/c", "http://b/c d", "://b/c", "h2://b/", "http//b"} {
		add(ask("target", "GET "+p+" HTTP/1.1\nHost: a\n\n"))
	}
	add(ask("target", "OPTIONS * HTTP/1.1\nHost: a\n\n"), ask("target", "OPTIONS *x HTTP/1.1\nHost: a\n\n"), ask("target",
		"POST http://b/c HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc"),
		ask("target", "GET http://b/c HTTP/1.1\n\n"), ask("target", "OPTIONS http://b HTTP/1.1\nHost: a\n\n"))

	for _, v := range []string{"HTTP/1.0", "HTTP/1.2", "HTTP/1.9", "HTTP/0.9", "HTTP/2.0", "HTTP/3", "HTTP/1.1 ",
		"HTTP/1.1  ", " HTTP/1.1", "http/1.1", "HTTP/11", "HTTP/1.", "HTTP/1.01", "HTTP 1.1", "ICE/1.1", "FOO HTTP/1.1", ""} {
		add(ask("version", "GET / "+v+"\nHost: a\n\n"))
	}
	add(ask("version", "GET /\n\n"), ask("version", "GET\n\n"), ask("version", "GET / HTTP/1.0\n\n"), ask("version",
		"GET / HTTP/1.0\nHost: a\nConnection: keep-alive\n\n"),
		ask("version", "POST / HTTP/1.0\nHost: a\nContent-Length: 3\n\nabc"), ask("version",
			"HEAD / HTTP/1.0\nHost: a\n\n"), ask("version", "GET / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n"))

	for _, l := range []string{"GET / HTTP/1.1¬Host: a¬¬", "GET / HTTP/1.1¬Host: a\n\n", "GET / HTTP/1.1\nHost: a¬¬",
		"GET / HTTP/1.1\nHost: a\n¬", "GET / HTTP/1.1␍Host: a␍␍", "GET / HTTP/1.1\nHost: a␍b\n\n",
		"GET / HTTP/1.1␍\nHost: a\n\n", "GET / HTTP/1.1\nHost: a␍\n\n", "\nGET / HTTP/1.1\nHost: a\n\n",
		"\n\n\nGET / HTTP/1.1\nHost: a\n\n", "¬GET / HTTP/1.1\nHost: a\n\n", " GET / HTTP/1.1\nHost: a\n\n",
		"\tGET / HTTP/1.1\nHost: a\n\n",
		"  \nGET / HTTP/1.1\nHost: a\n\n", "GET  / HTTP/1.1\nHost: a\n\n", "GET\t/\tHTTP/1.1\nHost: a\n\n",
		"GET /  HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\t\nHost: a\n\n", "GET /\x0bHTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1 x\nHost: a\n\n",
		"GET / HTTP/1.1\nHost: a\n\n\n\n", "\x00GET / HTTP/1.1\nHost: a\n\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HELO\n", "GET / HTTP/1.1\n Host: a\n\n", "GET / HTTP/1.1\nHost: a\n \n\n"} {
		add(ask("line", l))
	}

	for _, h := range []string{"", "Host: ", "Host:a", "Host:  a  ", "Host: a b", "Host: a/b", "Host: a\nHost: a",
		"Host: a\nHost: b", "Host: a, b", "HOST: A.Example", "host: a:80", "Host: a:", "Host: a:x", "Host: [::1]", "Host: [::1]:80",
		"Host: u@a", "Host: a#b", "Host: a?b", "Host: a%20b", "Host: a_b", "Host: ä", "Host: a\\b", "Host: \"a\"", "Host: a;b",
		"Host: <a>", "Host: a.", "Host : a", ":authority: a", "Host: a\n:authority: b", "Host: *", "Host: a!$&'()*+=",
		"Host: a^", "Host: a|b", "Host: a{b}", "Host: a`b", "Host: " + big(300)} {
		if h != "" {
			h += "\n"
		}
		add(ask("Host", "GET / HTTP/1.1\n"+h+"\n"))
	}

	add(fields("field", "A:b", "A:  b  ", "A:\tb\t", "A:", "A: ", "A : b", "A\t: b", ": b", "A", "A b: c", "A;: b", "A(: b",
		"A\"b: c", "ä: b", "A: ä", "A: \x80\xff", "A: b\x00c", "A: b\x01c", "A: b\x07c", "A: b\x7fc", "A: b\tc", "A: b␍c",
		"A: b¬ c", "A: b\n c", "A: b\n\tc",
		"A: b\n  c\n  d", "A:\n b", "A: b\n \n c", "a_b: c", "A_B: c", "-: x", "A.b: c", "A!#$%&'*+-.^`|~9: c", "A: b\nA: c",
		"A: b\nB: x\nA: c", "a: b\nA: b", "Accept: a\nAccept: b", "Cookie: a=b\nCookie: c=d", "Cookie: a=b\nX: y\nCookie: c=d",
		"Accept-Encoding: gzip\nAccept-Encoding: br", "Authorization: a\nAuthorization: b",
		"Cache-Control: a\nCache-Control: b", "Referer: a\nReferer: b", "User-Agent: a\nUser-Agent: b",
		"Content-Type: a\nContent-Type: b", "Via: 1.1 a\nVia: 1.1 b", "Via: 1.1 a", "Forwarded: for=a", "Max-Forwards: 0",
		"Origin: a\nOrigin: b", "If-None-Match: \"a\"\nIf-None-Match: \"b\"", "Range: bytes=0-1", "Date: now", "Server: x",
		"Accept-Language: a\nAccept-Language: b",
		"X-Forwarded-For: 1.2.3.4\nX-Forwarded-For: 5.6.7.8",
		"Access-Control-Request-Method: a\nAccess-Control-Request-Method: b", "X-Mixed-CASE: KeepThis", "Grpc-Timeout: 1S",
		"Content-Encoding: gzip", "Content-Length", "Pragma: a\nPragma: b", "Early-Data: 1", "Priority: u=1",
		"Http2-Settings: AAMAAABkAAQAAP__", "Grpc-Accept-Encoding: a\nGrpc-Accept-Encoding: b", "If-Match: a\nIf-Match: b",
		"A: \"b\"", "A: b,c,,d")...)

	add(fields("connection", "Connection: close", "Connection: Close", "Connection: keep-alive",
		"Connection: keep-alive, close", "Connection: close\nConnection: keep-alive", "Connection: foo",
		"Connection: foo, close", "Connection:", "Connection: ,", "Connection: close,", "Connection: A\nA: b",
		"A: b\nConnection: a", "A: b\nB: c\nConnection: a, b", "Connection: Host", "Connection: host, close",
		"Connection: Cookie\nCookie: a=b",
		"Connection: X-Forwarded-For\nX-Forwarded-For: 1.2.3.4", "Connection: X-Forwarded-Proto\nX-Forwarded-Proto: https",
		"Connection: content-length", "Connection: te\nTE: trailers", "Connection: TE\nTE: gzip", "TE: trailers", "TE: gzip",
		"TE: trailers, gzip", "TE: gzip, trailers;q=0.5", "TE: Trailers", "TE: trailers\nTE: gzip", "TE:", "TE: chunked",
		"TE: trailers;q=1", "Keep-Alive: timeout=5", "Keep-Alive: x\nConnection: keep-alive", "Proxy-Connection: keep-alive",
		"Proxy-Connection: close", "Proxy-Authorization: x", "Proxy-Authenticate: x", "Trailer: X-T",
		"Connection: keep-alive, A, B, C, D\nA: b\nC: d", "Connection: transfer-encoding", "Connection: upgrade",
		"Connection: Upgrade, A\nA: b", "Connection: :path", "Connection: a b\nA: c", "Connection: "+strings.Repeat("a,",
			50)+"b", "Connection: http2-settings\nHttp2-Settings: x",
		"Connection: A\nA: b\nA: c", "Connection: x-request-id\nX-Request-Id: 1", "Connection: user-agent\nUser-Agent: u",
		"Connection: keep-alive\nKeep-Alive: 5\nProxy-Connection: x\nTE: trailers\nTrailer: T")...)

	add(fields("x-envoy", "x-envoy-internal: true", "x-envoy-retry-on: 5xx", "x-envoy-retry-grpc-on: cancelled",
		"x-envoy-max-retries: 3", "x-envoy-upstream-rq-timeout-ms: 100", "x-envoy-upstream-rq-per-try-timeout-ms: 50",
		"x-envoy-expected-rq-timeout-ms: 7", "x-envoy-force-trace: 1", "x-envoy-downstream-service-cluster: c",
		"x-envoy-downstream-service-node: n", "x-envoy-upstream-alt-stat-name: s", "x-envoy-upstream-canary: true",
		"x-envoy-original-path: /o", "x-envoy-original-host: o", "x-envoy-ip-tags: t", "x-envoy-decorator-operation: d",
		"x-envoy-external-address: 1.2.3.4", "x-envoy-attempt-count: 9", "x-envoy-is-timeout-retry: true",
		"x-envoy-hedge-on-per-try-timeout: true", "x-envoy-retriable-status-codes: 503", "x-envoy-retriable-header-names: x",
		"x-envoy-upstream-rq-timeout-alt-response: 1", "x-envoy-upstream-stream-duration-ms: 5",
		"x-envoy-original-dst-host: 1.2.3.4:5", "x-envoy-overloaded: 1", "x-envoy-immediate-health-check-fail: 1",
		"x-envoy-upstream-service-time: 9", "x-envoy-peer-metadata: x", "x-envoy-unknown: 1",
		"X-Envoy-Retry-On: 5xx\nX-Envoy-Max-Retries: 1", "x-envoy-local-overloaded: 1", "x-envoy-livez: 1",
		"x-envoy-upstream-rq-timeout-ms: x", "x-envoy-expected-rq-timeout-ms: 7\nx-envoy-expected-rq-timeout-ms: 8")...)

	add(fields("x-forwarded", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.1, 10.0.0.2",
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ::1", "X-Forwarded-For: fd00::1", "X-Forwarded-For: nonsense",
		"X-Forwarded-For:", "X-Forwarded-For: 192.168.1.1\nx-envoy-retry-on: 5xx",
		"X-Forwarded-For: 10.0.0.1\nx-envoy-max-retries: 3\nx-envoy-upstream-rq-timeout-ms: 100",
		"X-Forwarded-For: 10.0.0.1:80", "X-Forwarded-For: 172.16.0.1\nx-envoy-internal: false",
		"X-Forwarded-For: 10.0.0.1\nx-envoy-expected-rq-timeout-ms: 7", "X-Forwarded-For: 10.0.0.1\nx-envoy-force-trace: 1",
		"X-Forwarded-Proto: https", "X-Forwarded-Proto: HTTPS", "X-Forwarded-Proto: gopher", "X-Forwarded-Proto:",
		"X-Forwarded-Proto: http\nX-Forwarded-Proto: https", "X-Forwarded-Host: h", "X-Forwarded-Port: 1",
		"X-Forwarded-Client-Cert: x", "X-Forwarded-Path: p", "X-Real-Ip: 1.2.3.4", "X-Request-Id: mine", "X-Request-Id:",
		"X-Request-Id: a\nX-Request-Id: b", "X-Request-Id: 12345678-1234-1234-1234-123456789abc", "X-Client-Trace-Id: 1",
		"X-Amzn-Trace-Id: Root=1-2-3", "X-Ot-Span-Context: x", "Traceparent: 00-x", "X-B3-Traceid: 1", "X-Forwarded-Scheme: x",
		":scheme: https", ":path: /x", ":method: POST", ":status: 200", ":protocol: websocket",
		"X-Forwarded-For: 100.64.0.1\nx-envoy-retry-on: x", "X-Forwarded-For: 169.254.0.1\nx-envoy-retry-on: x")...)

	add(post("length", "Content-Length: 3", "abc"), post("length", "Content-Length: 0", ""), post("length",
		"Content-Length: 03", "abc"), post("length", "Content-Length: +3", "abc"), post("length", "Content-Length: -3", "abc"),
		post("length", "Content-Length: 3 ", "abc"), post("length", "Content-Length: 3, 3", "abc"), post("length",
			"Content-Length: 3\nContent-Length: 3", "abc"), post("length", "Content-Length: 3\nContent-Length: 4", "abcd"),
		post("length", "Content-Length:", ""), post("length", "Content-Length: x", "abc"), post("length", "Content-Length: 3.0",
			"abc"), post("length", "Content-Length: 0x3", "abc"), post("length", "Content-Length: 99999999999999999999", "abc"),
		post("length", "Content-Length: 18446744073709551616", "abc"), post("length", "", ""), post("length", "A: b", ""),
		post("length", "Content-Length: 3", "abcGET / HTTP/1.1\nHost: a\n\n"), ask("length",
			"GET / HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc"), ask("length",
			"HEAD / HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc"), ask("length",
			"DELETE / HTTP/1.1\nHost: a\nContent-Length: 0\n\n"), post("length", "Content-Length: 100000", big(100000)),
		post("length", "content-LENGTH: 3\nA: b", "abc"), post("length", "Content-Length: 3\nA: b\nContent-Type: text/plain",
			"abc"))
	add(exchange{kind: "length", client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\nabc"}, answers: []answer{{fine}}},
		exchange{kind: "length", client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\nabc", 100 * time.Millisecond,
			halfClose}, answers: []answer{{fine}}},
		exchange{kind: "length", client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\nabc", 50 * time.Millisecond,
			hangUp}, answers: []answer{{fine}}},
		exchange{kind: "length", client: []any{"POST / HTTP/1.1\nHost: a\nContent-Length: 6\n\nabc", 100 * time.Millisecond,
			"def"}, answers: []answer{{fine}}})

	for _, te := range []string{"Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding: chunked ",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip",
		"Transfer-Encoding: identity", "Transfer-Encoding: chunked, identity", "Transfer-Encoding:",
		"Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nTransfer-Encoding: gzip",
		"Transfer-Encoding: xchunked", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: ,chunked",
		"Transfer-Encoding: chunked;q=1", "Transfer_Encoding: chunked", "Transfer-Encoding: chunked\nContent-Length: 3",
		"Content-Length: 3\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nContent-Length: 0",
		"Transfer-Encoding: gzip\nContent-Length: 3", "Transfer-Encoding: identity\nContent-Length: 3",
		"Transfer-Encoding:\tchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\n chunked"} {
		add(post("coding", te, "3\nabc\n0\n\n"))
	}
	add(ask("coding", "GET / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n"), ask("coding",
		"HEAD / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n"))

	for _, b := range []string{"3\nabc\n0\n\n", "3\nabc\n4\ndefg\n0\n\n", "003\nabc\n0\n\n", "0\n\n", "00\n\n",
		"000000000000000000000003\nabc\n0\n\n", "3;a\nabc\n0\n\n", "3;a=b\nabc\n0\n\n", "3;a=\"b\"\nabc\n0\n\n",
		"3; a\nabc\n0;z\n\n", "3 ;a\nabc\n0\n\n", "3;\nabc\n0\n\n", "3;;\nabc\n0\n\n", "3 \nabc\n0\n\n", "3\t\nabc\n0\n\n",
		"3 x\nabc\n0\n\n", "3\x01\nabc\n0\n\n", "3;a\x00\nabc\n0\n\n", "3;a␍b\nabc\n0\n\n", "A\n0123456789\n0\n\n",
		"a\n0123456789\n0\n\n", "0x3\nabc\n0\n\n", "g\nabc\n0\n\n", "\nabc\n0\n\n", "-3\nabc\n0\n\n", "+3\nabc\n0\n\n",
		" 3\nabc\n0\n\n",
		"3¬abc¬0¬¬", "3¬abc\n0\n\n", "3\nabc¬0\n\n", "3\nabc0\n\n", "3\nabc␍0\n\n", "3\nabcd\n0\n\n", "3\nabcX\n0\n\n",
		"3\nab\n0\n\n", "3\nabc\n0\n¬", "3\nabc\n0¬¬", "3\nabc\n0\nX-T: v\n\n", "3\nabc\n0\nX-T: v\nY: w\n\n",
		"3\nabc\n0\nX-T\n\n", "3\nabc\n0\nX T: v\n\n", "3\nabc\n0\nContent-Length: 5\n\n", "3\nabc\n0\n X: y\n\n",
		"3\nabc\n0\nX: y\n z\n\n", "3\nabc\n0\nX-T: \x01\n\n", "FFFFFFFFFFFFFFFF\nabc\n0\n\n", "10000000000000000\nabc\n0\n\n",
		"7fffffffffffffff\nabc", "3\nabc\n", "3\nabc", "3\n", "0\n", "3\nabc\n\n0\n\n", "3\nabc\n0\n\n3\nabc\n",
		"3;" + big(3000) + "\nabc\n0\n\n", "3;" + big(20000) + "\nabc\n0\n\n", "3\nabc\n0\nX: " + big(20000) + "\n\n",
		"3;a=\"b\nabc\n0\n\n", "3;a=\"\\\"\"\nabc\n0\n\n", "4\na\nb\n0\n\n"} {
		add(post("chunk", "Transfer-Encoding: chunked", b))
	}
	add(exchange{kind: "chunk", client: []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n",
		100 * time.Millisecond, "4\ndefg\n", 100 * time.Millisecond, "0\n\n"}, answers: []answer{{fine}}},
		exchange{kind: "chunk", client: []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n6\nabc",
			100 * time.Millisecond, "def\n", 100 * time.Millisecond, "0", 100 * time.Millisecond, "\n\n"}, answers: []answer{{fine}}},
		exchange{kind: "chunk", client: []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n",
			100 * time.Millisecond, "x\n0\n\n"}, answers: []answer{{fine}}},
		exchange{kind: "chunk", client: []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n",
			100 * time.Millisecond, halfClose}, answers: []answer{{fine}}},
		exchange{kind: "chunk", client: []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n",
			100 * time.Millisecond, hangUp}, answers: []answer{{fine}}},
		exchange{kind: "chunk", responses: 2,
			client:  []any{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n0\nX: y\n\nGET /2 HTTP/1.1\nHost: a\n\n"},
			answers: []answer{{fine}}})

	add(post("expect", "Expect: 100-continue\nContent-Length: 3", "abc"), post("expect",
		"Expect: 100-Continue\nContent-Length: 3", "abc"), post("expect", "Expect: nonsense\nContent-Length: 3", "abc"),
		post("expect", "Expect: 100-continue\nExpect: 100-continue\nContent-Length: 3", "abc"), post("expect",
			"Expect: 100-continue", ""), post("expect", "Expect:\nContent-Length: 3", "abc"), post("expect",
			"Expect: 100-continue, x\nContent-Length: 3", "abc"), post("expect", "Expect: 100-continue\nContent-Length: 0", ""),
		post("expect", "Expect: 100-continue\nTransfer-Encoding: chunked", "3\nabc\n0\n\n"), post("expect",
			"Expect: 100-continue\nConnection: close\nContent-Length: 3", "abc"),
		exchange{kind: "expect", client: []any{"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3\n\n",
			waitHead, "abc"}, answers: []answer{{fine}}},
		exchange{kind: "expect", client: []any{"GET / HTTP/1.0\nHost: a\nExpect: 100-continue\nContent-Length: 3\n\nabc"},
			answers: []answer{{fine}}},
		exchange{kind: "expect", client: []any{"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3\n\n",
			waitHead, "abc"}, answers: []answer{{"HTTP/1.1 100 Continue\n\n" + fine}}},
		exchange{kind: "expect", early: true,
			client:  []any{"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3\n\n"},
			answers: []answer{{"HTTP/1.1 417 Expectation Failed\nContent-Length: 0\n\n"}}})

	for _, l := range []string{"GET /# HTTP/1.1\nHost: a", "GET / HTTP/1.1", "CONNECT a:80 HTTP/1.1\nHost: a", "QUERY / HTTP/1.1\nHost: a",
		"GET / HTTP/1.1\nHost: a", "GET / HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: x", "OPTIONS * HTTP/1.1\nHost: a",
		"GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto:", "GET / HTTP/1.1\nHost: a\nConnection: x-forwarded-for",
		"GET / HTTP/1.1\nHost: a\nConnection: close", "GET / HTTP/1.0\nHost: a", "GET / HTTP/1.1\nHost: a b"} {
		add(ask("expect", l+"\nExpect: 100-continue\n\n"))
	}

	const ws = "GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n"
	const accept = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n"
	up := func(request string, a answer, more ...any) exchange {
		return exchange{kind: "upgrade", client: append([]any{request}, more...), answers: []answer{a}}
	}
	add(up(ws, answer{accept}), up(ws, answer{accept + "server first"}), up(ws, answer{accept}, waitHead, "client data"),
		up(ws+"early data", answer{accept}), up(ws, answer{fine}), up(ws,
			answer{"HTTP/1.1 403 Forbidden\nContent-Length: 2\n\nno"}), up(ws,
			answer{"HTTP/1.1 400 Bad Request\nConnection: close\nContent-Length: 0\n\n",
				hangUp}), up(ws, answer{"HTTP/1.1 426 Upgrade Required\nUpgrade: x\nConnection: upgrade\nContent-Length: 0\n\n"}),
		up(ws, answer{"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"}), up(ws,
			answer{"HTTP/1.1 101 Switching Protocols\n\n"}), up(ws,
			answer{"HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: other\n\n"}), up(ws, answer{accept,
			50 * time.Millisecond, "bye", hangUp}), up(ws, answer{accept, 50 * time.Millisecond, reset}), up(ws, answer{}),
		up(ws, answer{accept}, waitHead, halfClose), up(ws, answer{accept}, waitHead, hangUp), up(ws,
			answer{"HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 0\nServer: x\nDate: d\n\n"}),
		up(ws, answer{"HTTP/1.1 503 Service Unavailable\n\nuntil the end",
			hangUp}),
		up("GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nA: b\nConnection: upgrade\n\n",
			answer{accept}), up("GET / HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket\n\n",
			answer{accept}), up("POST / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 3\n\nabc",
			answer{accept}),
		up("POST / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n",
			answer{accept}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: foo\n\n",
			answer{"HTTP/1.1 101 Switching Protocols\nUpgrade: foo\nConnection: Upgrade\n\n"}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n", answer{fine}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n",
			answer{fine}), up("GET / HTTP/1.1\nHost: a\nUpgrade: websocket\n\n", answer{fine}),
		up("GET / HTTP/1.1\nHost: a\nConnection: upgrade\n\n", answer{fine}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket, foo\n\n", answer{fine}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nUpgrade: foo\n\n", answer{fine}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: TLS/1.0\n\n", answer{fine}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade, close\nUpgrade: websocket\n\n", answer{accept}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade, A\nA: b\nUpgrade: websocket\nKeep-Alive: 5\nTE: trailers\nX-Envoy-Retry-On: x\n\n",
			answer{accept}), up("GET / HTTP/1.0\nHost: a\nConnection: Upgrade\nUpgrade: websocket\n\n", answer{accept}),
		up("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade:\n\n", answer{fine}))

	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "H%d: v\n", i)
		}
		return strings.TrimSuffix(b.String(), "\n")
	}
	add(fields("limit", many(98), many(99), many(100), many(120), "A: "+big(8000), "A: "+big(60000), "A: "+big(61000),
		"A: "+big(61440-20), "A: "+big(62000), "A: "+big(100000), big(70000)+": a", big(3000)+": a",
		many(50)+"\n"+strings.ReplaceAll(many(49),
			"H", "G"))...)

	for _, l := range []string{"HEAD / HTTP/1.1\nHost: a\nA : b\n\n", "HEAD / HTTP/1.1\nHost: a b\n\n",
		"HEAD /# HTTP/1.1\nHost: a\n\n", "HEAD http://a?b HTTP/1.1\nHost: a\n\n", "HEAD / HTTP/1.1\n\n",
		"HEAD / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n",
		"HEAD / HTTP/1.1\nHost: a\nUpgrade: x\nConnection: upgrade\n\n", "HEAD a HTTP/1.1\nHost: a\n\n",
		"GET /# HTTP/1.1\nHost: a\nConnection: close\n\n", "GET / HTTP/1.0\nHost: a\nConnection: close\n\n",
		"GET / HTTP/1.1\nConnection: close\n\n", "GET / HTTP/1.1\nHost: a\nUpgrade: x\nConnection: upgrade, close\n\n",
		"CONNECT a:80 HTTP/1.1\nHost: a\nConnection: close\n\n", "GET http://a?b HTTP/1.1\nHost: a\nConnection: close\n\n",
		"GET / HTTP/1.1\nHost: a\nConnection: close\nA : b\n\n", "GET / HTTP/1.1\nConnection: close\nHost: a b\n\n",
		"QUERY / HTTP/1.1\nHost: a\n\n", "QUERY / HTTP/1.1\nHost: a\nContent-Type: a\nContent-Length: 3\n\nabc",
		"POST /# HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc", "POST /# HTTP/1.1\nHost: a\nContent-Length: 3\n\n",
		"POST http://a?b HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc",
		"POST http://a?b HTTP/1.1\nHost: a\nContent-Length: 3\n\n",
		"GET http://a?b HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n", "POST / HTTP/1.0\nHost: a\nContent-Length: 3\n\n",
		"POST http://a?b HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n"} {
		add(ask("refusal", l))
	}
	add(exchange{kind: "pipeline", responses: 3,
		client:  []any{"GET /1 HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.1\nHost: a\n\nGET /3 HTTP/1.1\nHost: a\n\n"},
		answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2,
			client:  []any{"POST /1 HTTP/1.1\nHost: a\nContent-Length: 3\n\nabcGET /2 HTTP/1.1\nHost: a\n\n"},
			answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\nNONSENSE\n\n"},
			answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2,
			client: []any{"GET /1 HTTP/1.1\nHost: a\nConnection: close\n\nGET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.0\nHost: a\n\n"},
			answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\n", 100 * time.Millisecond,
			"\nGET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.1\nHost: a\n\n"},
			answers: []answer{{"HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok", hangUp}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.1\nHost: a\n\n"},
			answers: []answer{{"HTTP/1.1 200 OK\n\nuntil the end", hangUp}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"HEAD /1 HTTP/1.1\nHost: a\n\nHEAD /2 HTTP/1.1\nHost: a\n\n"},
			answers: []answer{{"HTTP/1.1 200 OK\nContent-Length: 2\n\n"}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.1\n\n"},
			answers: []answer{{fine}}},
		exchange{kind: "pipeline", responses: 2, client: []any{"GET /1 HTTP/1.1\nHost: a\n\n", waitHead,
			"GET /2 HTTP/1.1\nHost: a\n\n"}, answers: []answer{{fine, hangUp}}})

	add(exchange{kind: "parts", client: []any{"GET / HT", 60 * time.Millisecond, "TP/1.1\nHo", 60 * time.Millisecond,
		"st: a\n", 60 * time.Millisecond, "\n"}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a␍", 60 * time.Millisecond, "¬␍", 60 * time.Millisecond,
			"¬"}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n"}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n", 100 * time.Millisecond, halfClose}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n", 100 * time.Millisecond, hangUp}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\n", 100 * time.Millisecond, halfClose},
			answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\n", 100 * time.Millisecond, halfClose},
			answers: []answer{{300 * time.Millisecond, fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\n", 50 * time.Millisecond, hangUp},
			answers: []answer{{300 * time.Millisecond, fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\n", 50 * time.Millisecond, reset},
			answers: []answer{{300 * time.Millisecond, fine}}},
		exchange{kind: "parts", client: []any{halfClose}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{hangUp}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{100 * time.Millisecond}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"\n"}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\nextra"}, answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\nextra", 100 * time.Millisecond, halfClose},
			answers: []answer{{fine}}},
		exchange{kind: "parts", client: []any{"GET / HTTP/1.1\nHost: a\n\n", waitHead, "\x16\x03"}, answers: []answer{{fine}}})
	return out
}
