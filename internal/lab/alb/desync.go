package alb

import (
	"bytes"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// threat is the class of an HTTP/1.1 request, after AWS's HTTP Desync Guardian
// (github.com/aws/http-desync-guardian, docs/README.md). A Severe request, and
// every other whose end is in doubt, never comes so far: the parser refuses it
// in every mode.
type threat int

const (
	compliant  threat = iota
	acceptable        // not as the RFC has it, and no risk
	ambiguous         // servers may take it differently
	threats
)

func (t threat) String() string { return [...]string{"Compliant", "Acceptable", "Ambiguous"}[t] }

// Modes of routing.http.desync_mitigation_mode. Defensive is the default.
const (
	monitor   = "monitor"   // count only
	strictest = "strictest" // refuse all that is not compliant
)

// classify returns a request's class. HTTP/2 has frames, and no class.
func classify(x *relay.Exchange) threat {
	req := &x.Req
	if _, over := x.Peer.(h2.Peer); over {
		return compliant
	}
	class, lengths := compliant, 0
	raise := func(to threat) { class = max(class, to) }
	bare := string(req.Method) == "GET" || string(req.Method) == "HEAD"
	for i := range req.Fields {
		f := &req.Fields[i]
		switch f.ID {
		case h1.ContentLength:
			lengths++
			switch {
			case lengths > 1: // DuplicateContentLength
				raise(ambiguous)
			case bare && req.Length > 0: // UndefinedContentLengthSemantics
				raise(ambiguous)
			case bare: // GetHeadZeroContentLength
				raise(acceptable)
			}
		case h1.TransferEncoding:
			if bare { // UndefinedTransferEncodingSemantics
				raise(ambiguous)
			}
		case h1.Other:
			if looksLikeFraming(f.Name) { // SuspiciousHeader
				raise(ambiguous)
			} else if !ascii(f.Value) { // NonCompliantHeader
				raise(acceptable)
			}
		}
	}
	return class
}

// looksLikeFraming reports whether a field name becomes Transfer-Encoding or
// Content-Length when a server drops what is neither letter nor digit.
func looksLikeFraming(name []byte) bool {
	if len(name) < len("contentlength") || len(name) > 40 {
		return false
	}
	var buf [40]byte
	plain := buf[:0]
	for _, c := range name {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z':
			plain = append(plain, c)
		case 'A' <= c && c <= 'Z':
			plain = append(plain, c|0x20)
		}
	}
	return string(plain) == "transferencoding" || string(plain) == "contentlength"
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// validHost reports whether a Host is a host with an optional port (RFC 3986
// section 3.2.2, RFC 9110 section 7.2): no user, no list, no path, no space.
func validHost(host []byte) bool {
	if len(host) > 0 && host[0] == '[' {
		end := bytes.IndexByte(host, ']')
		if end < 0 {
			return false
		}
		for _, c := range host[1:end] {
			if !h1.IsHex(c) && c != ':' && c != '.' {
				return false
			}
		}
		return end > 1 && validPort(host[end+1:])
	}
	name := host
	if i := bytes.IndexByte(host, ':'); i >= 0 {
		name = host[:i]
		if !validPort(host[i:]) {
			return false
		}
	}
	for _, c := range name {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || bytes.IndexByte([]byte("-._~!$&'()*+;=%"), c) >= 0) {
			return false
		}
	}
	return len(name) > 0
}

func validPort(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	for _, c := range p[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return p[0] == ':' && len(p) <= 6
}

// named returns the names that the Connection fields of a head list and that no
// hop may send on (RFC 9110 section 7.6.1), appended to dst. Framing and Host are
// not among them, whatever the sender lists: they are the message's own.
func named(dst [][]byte, h *h1.Head) [][]byte {
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != h1.Connection {
			continue
		}
		for option := range bytes.SplitSeq(f.Value, []byte(",")) {
			option = bytes.Trim(option, " \t")
			switch {
			case len(option) == 0, fold(option, "close"), fold(option, "keep-alive"), fold(option, "upgrade"),
				fold(option, "host"), fold(option, "content-length"), fold(option, "transfer-encoding"):
			default:
				dst = append(dst, option)
			}
		}
	}
	return dst
}

func fold(b []byte, s string) bool { return len(b) == len(s) && bytes.EqualFold(b, []byte(s)) }

func listed(names [][]byte, name []byte) bool {
	for _, n := range names {
		if bytes.EqualFold(n, name) {
			return true
		}
	}
	return false
}
