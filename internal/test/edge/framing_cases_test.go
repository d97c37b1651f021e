package edge

import (
	"fmt"
	"slices"
	"strings"
)

// attempt is a request, or an answer, that servers are known to split
// differently, or should refuse.
type attempt struct {
	class, name, raw string
}

// smuggled is a request that must never come out of the middle of another one.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// with is a POST with the given lines after Host, and a body; a line feed
// stands for CRLF in lines.
func with(lines, body string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\n" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n" + body
}

// chunked is the body of an empty chunked message, and what a server that goes
// by a length would take for the next request.
const chunked = "0\r\n\r\n"

// requestAttempts are the requests of the table: what was tried when the hops
// were attacked, and what AWS's HTTP Desync Guardian names.
func requestAttempts() []attempt {
	var out []attempt
	add := func(class string, list ...[2]string) {
		for _, a := range list {
			out = append(out, attempt{class, a[0], a[1]})
		}
	}
	get := func(lines string) string {
		return "GET / HTTP/1.1\r\n" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n"
	}

	add("both framings",
		[2]string{"length, then chunked", with("Content-Length: 6\nTransfer-Encoding: chunked", chunked+"G")},
		[2]string{"chunked, then length", with("Transfer-Encoding: chunked\nContent-Length: 6", chunked+"G")},
		[2]string{"length 0 and chunked", with("Content-Length: 0\nTransfer-Encoding: chunked", chunked)},
		[2]string{"a request behind the last chunk",
			with(fmt.Sprintf("Content-Length: %d\nTransfer-Encoding: chunked", len(chunked+smuggled)), chunked+smuggled)},
		[2]string{"both, HTTP/1.0", strings.Replace(with("Content-Length: 5\nTransfer-Encoding: chunked", chunked), "HTTP/1.1", "HTTP/1.0", 1)})

	for _, v := range []string{"gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity",
		"identity, chunked", "xchunked", "chunkedx",
		"\"chunked\"", "chunked;q=1", "chunked,", ",chunked", "", "\vchunked", "chunked\v", "\tchunked", "CHUNKED", "chun ked", "chunked\x00"} {
		add("form of Transfer-Encoding", [2]string{printed(v), with("Transfer-Encoding: "+v, chunked)})
	}
	add("form of Transfer-Encoding",
		[2]string{"twice chunked", with("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", chunked)},
		[2]string{"chunked, and identity on a line of its own", with("Transfer-Encoding: chunked\nTransfer-Encoding: identity", chunked)},
		[2]string{"space before the colon", with("Transfer-Encoding : chunked", chunked)},
		[2]string{"folded", with("Transfer-Encoding:\n chunked", chunked)},
		[2]string{"in HTTP/1.0", strings.Replace(with("Transfer-Encoding: chunked", chunked), "HTTP/1.1", "HTTP/1.0", 1)},
		[2]string{"a bare LF before it", "POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n" + chunked},
		[2]string{"a bare CR before it", "POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n" + chunked})

	for _, v := range []string{"+3", "-3", "0x3", "3, 3", "3,4", "3 3", "3.0", "3;", "", "00000000000000000003", "12345678901234567890",
		"9223372036854775808", "3\v", "３", "1e1", "03"} {
		add("form of Content-Length", [2]string{printed(v), with("Content-Length: "+v, "abc")})
	}
	add("form of Content-Length",
		[2]string{"the same twice", with("Content-Length: 3\nContent-Length: 3", "abc")},
		[2]string{"two, the smaller first", with(fmt.Sprintf("Content-Length: 3\nContent-Length: %d", 3+len(smuggled)), "abc"+smuggled)},
		[2]string{"two, the larger first", with(fmt.Sprintf("Content-Length: %d\nContent-Length: 3", 3+len(smuggled)), "abc"+smuggled)},
		[2]string{"space before the colon", with("Content-Length : 3", "abc")},
		[2]string{"folded", with("Content-Length:\n 3", "abc")})

	for _, l := range []string{"Transfer_Encoding: chunked\nContent-Length: 5", "Transfer.Encoding: chunked\nContent-Length: 5",
		"X-Transfer-Encoding: chunked\nContent-Length: 5", "TransferEncoding: chunked\nContent-Length: 5",
		"Content_Length: 99\nContent-Length: 5", "Content.Length: 99\nContent-Length: 5"} {
		add("look-alike of a framing field", [2]string{strings.Split(l, "\n")[0], with(l, chunked)})
	}

	add("body that has no meaning",
		[2]string{"GET with a length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
		[2]string{"GET with length 0", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		[2]string{"GET chunked", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked},
		[2]string{"a request in the body of a GET",
			fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled)},
		[2]string{"HEAD with a length", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
		[2]string{"DELETE with a length", "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"})

	for _, c := range []string{"3\nabc\n0\n\n", "3\r\nabc\r\n0\r\n\n", "3\r\nabcd\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n",
		" 3\r\nabc\r\n0\r\n\r\n",
		"0x3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "-1\r\n\r\n", "ffffffffffffffff3\r\nabc\r\n0\r\n\r\n", "3;a\nb\r\nabc\r\n0\r\n\r\n",
		"3;a=\x00\r\nabc\r\n0\r\n\r\n", "3\rabc\r0\r\r", "3\r\nabc0\r\n\r\n", "0\r\nT : v\r\n\r\n", "0\r\nContent-Length: 9\r\n\r\n"} {
		add("form of a chunk", [2]string{printed(c), with("Transfer-Encoding: chunked", c)})
	}

	add("line ends",
		[2]string{"bare LF throughout", "GET / HTTP/1.1\nHost: a\n\n"},
		[2]string{"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"},
		[2]string{"bare CR in a value", get("Host: a\nX: y\rz")},
		[2]string{"NUL in a value", get("Host: a\nX: y\x00z")},
		[2]string{"control character in a value", get("Host: a\nX: y\x01z")},
		[2]string{"folded field", get("Host: a\nX: y\n z")},
		[2]string{"field without a colon", get("Host: a\nX")},
		[2]string{"field without a name", get("Host: a\n: y")},
		[2]string{"space in a field name", get("Host: a\nX Y: z")},
		[2]string{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		[2]string{"space before the first field", get(" X: y\nHost: a")})

	for _, h := range []string{"", "Host: a\nHost: a", "Host: a\nHost: b", "Host: a b", "Host: a/b@c", "Host: a, b", "Host: u:p@a",
		"Host: a:99999", "Host : a",
		"Host:", "Host: a\x7f"} {
		add("Host", [2]string{printed(h), strings.Replace(get(h+"\nX: y"), "\r\n\r\nX", "\r\nX", 1)})
	}

	for _, l := range []string{"GET /", "GET / HTTP/0.9", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / http/1.1", "GET /a b HTTP/1.1",
		"GET  / HTTP/1.1",
		"GET\t/ HTTP/1.1", "GET a HTTP/1.1", "GET http://u:p@h/ HTTP/1.1", "GET http://h\\@x/ HTTP/1.1", "G(T / HTTP/1.1",
		"CONNECT a:80 HTTP/1.1", "TRACE / HTTP/1.1"} {
		add("request line", [2]string{printed(l), l + "\r\nHost: a\r\n\r\n"})
	}

	add("fields of one hop",
		[2]string{"Connection names a field", get("Host: a\nConnection: close, X-Secret\nX-Secret: s")},
		[2]string{"Connection names Host", get("Host: a\nConnection: Host")})
	return out
}

// answerAttempts are the answers of the table.
func answerAttempts() []attempt {
	const ok = "HTTP/1.1 200 OK\r\n"
	list := [][2]string{
		{"plain", ok + "Content-Length: 2\r\n\r\nok"},
		{"length and chunked", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"the same length twice", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
		{"two lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"},
		{"list of lengths", ok + "Content-Length: 2, 2\r\n\r\nok"},
		{"signed length", ok + "Content-Length: +2\r\n\r\nok"},
		{"length beyond any", ok + "Content-Length: 12345678901234567890\r\n\r\nok"},
		{"another coding", ok + "Transfer-Encoding: gzip\r\n\r\nok"},
		{"chunked twice", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
		{"space before the colon", ok + "Content-Length : 2\r\n\r\nok"},
		{"folded field", ok + "X: y\r\n z\r\nContent-Length: 2\r\n\r\nok"},
		{"bare LF throughout", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
		{"bare CR in a value", ok + "X: y\rz\r\nContent-Length: 2\r\n\r\nok"},
		{"NUL in a value", ok + "X: y\x00z\r\nContent-Length: 2\r\n\r\nok"},
		{"field without a colon", ok + "X\r\nContent-Length: 2\r\n\r\nok"},
		{"version 2", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"},
		{"a second answer behind the first", ok + "Content-Length: 2\r\n\r\nok" + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"},
		{"204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"},
		{"a size of a chunk that is none", ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n"},
	}
	out := make([]attempt, 0, len(list))
	for _, a := range list {
		out = append(out, attempt{"answer", a[0], a[1]})
	}
	return slices.Clip(out)
}

// printed shows text in a table's cell.
func printed(s string) string {
	s = fmt.Sprintf("%+q", s)
	return "`" + strings.ReplaceAll(s[1:len(s)-1], "|", "\\|") + "`"
}
