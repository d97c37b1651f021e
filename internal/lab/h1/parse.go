package h1

import (
	"bytes"
	"math"
)

func indexLF(b []byte) int { return bytes.IndexByte(b, '\n') }

// Character classes of RFC 9110 section 5.6.2 (token) and 5.5 (field value).
var isToken, isValue, isTarget [256]bool

func init() {
	for c := '0'; c <= '9'; c++ {
		isToken[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		isToken[c], isToken[c-32] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		isToken[c] = true
	}
	for c := 0x20; c < 256; c++ {
		isValue[c] = c != 0x7f
		isTarget[c] = c > 0x20 && c != 0x7f
	}
	isValue['\t'] = true
}

func all(b []byte, class *[256]bool) bool {
	for _, c := range b {
		if !class[c] {
			return false
		}
	}
	return true
}

func (r *Request) parseLine(line []byte) error {
	i := bytes.IndexByte(line, ' ')
	j := bytes.LastIndexByte(line, ' ')
	if i <= 0 || j <= i {
		return bad("request line %.60q", line)
	}
	r.Method, r.Target = line[:i], line[i+1:j]
	minor, ok := version(line[j+1:])
	switch {
	case !ok:
		return &ParseError{Status: 505, Text: "protocol version"}
	case !all(r.Method, &isToken):
		return bad("method %.40q", r.Method)
	case len(r.Target) == 0 || !all(r.Target, &isTarget):
		return bad("request target %.60q", r.Target)
	}
	r.Minor = minor
	return r.splitTarget()
}

// splitTarget turns an absolute form into Host and origin form.
func (r *Request) splitTarget() error {
	if r.Target[0] == '/' || len(r.Target) == 1 && r.Target[0] == '*' {
		return nil
	}
	if string(r.Method) == "CONNECT" {
		r.Host = r.Target
		return nil
	}
	rest, ok := cutPrefixFold(r.Target, "http://")
	if !ok {
		if rest, ok = cutPrefixFold(r.Target, "https://"); !ok {
			return bad("request target %.60q is neither a path nor a URL", r.Target)
		}
	}
	r.Absolute, r.Scheme = true, schemeOf(r.Target)
	i := bytes.IndexAny(rest, "/?")
	switch {
	case i < 0:
		r.Host, r.Target = rest, slash
	case rest[i] == '?':
		r.Host, r.Target = rest[:i], append([]byte{'/'}, rest[i:]...)
	default:
		r.Host, r.Target = rest[:i], rest[i:]
	}
	if len(r.Host) == 0 {
		return bad("URL without a host")
	}
	return nil
}

var slash = []byte("/")

// schemeOf returns the scheme of a URL, which has one.
func schemeOf(url []byte) []byte { return url[:bytes.IndexByte(url, ':')] }

func version(p []byte) (minor int, ok bool) {
	if len(p) != 8 || string(p[:7]) != "HTTP/1." || p[7] < '0' || p[7] > '9' {
		return 0, false
	}
	return min(int(p[7]-'0'), 1), true
}

func (r *Response) parseLine(line []byte) error {
	if len(line) < 12 || line[8] != ' ' {
		return bad("status line %.60q", line)
	}
	minor, ok := version(line[:8])
	if !ok {
		return bad("protocol version %.20q", line[:8])
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return bad("status %.20q", line[9:12])
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return bad("status %d", r.Status)
	}
	if len(line) > 12 {
		if line[12] != ' ' || !all(line[13:], &isValue) {
			return bad("reason phrase")
		}
		r.Reason = line[13:]
	}
	r.Minor = minor
	return nil
}

// parseFields parses the lines after the first one.
func (h *Head) parseFields(head []byte, ends []int, lim Limits) error {
	if lim.Fields > 0 && len(ends)-1 > lim.Fields {
		return &ParseError{Status: 431, Text: "too many header fields"}
	}
	for i := 1; i < len(ends); i++ {
		line := head[ends[i-1]:ends[i]]
		if lim.Field > 0 && len(line) > lim.Field {
			return &ParseError{Status: 431, Text: "header field too large"}
		}
		f, err := parseField(line)
		if err != nil {
			return err
		}
		h.Fields = append(h.Fields, f)
		if err := h.noteStrict(&h.Fields[len(h.Fields)-1]); err != nil {
			return err
		}
	}
	h.Upgrade = h.upgrades == 3
	return nil
}

func parseField(line []byte) (Field, error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !all(line[:colon], &isToken) {
		return Field{}, bad("header field %.60q", line)
	}
	v := trim(line[colon+1 : len(line)-2])
	if !all(v, &isValue) {
		return Field{}, bad("value of header field %.60q", line[:colon])
	}
	return Field{ID: idOf(line[:colon]), Name: line[:colon], Value: v, line: line}, nil
}

func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}

// noteStrict records what a field says about framing and the connection.
func (h *Head) noteStrict(f *Field) error {
	switch f.ID {
	case ContentLength:
		n, ok := parseLength(f.Value)
		if !ok {
			return bad("Content-Length %.40q", f.Value)
		}
		if h.lengths > 0 && !bytes.Equal(f.Value, h.length) { // 1 and 01 are the same to some
			return bad("two Content-Length values")
		}
		h.Length, h.length = n, f.Value
		h.lengths++
	case TransferEncoding:
		if h.codings++; h.codings > 1 {
			return bad("two Transfer-Encoding fields")
		}
		if !equalFold(f.Value, "chunked") {
			return &ParseError{Status: 501, Text: "transfer coding other than chunked"}
		}
		h.Chunked = true
	case Connection:
		options(f.Value, func(o []byte) {
			switch {
			case equalFold(o, "close"):
				h.Close = true
			case equalFold(o, "keep-alive"):
				h.KeepAlive = true
			case equalFold(o, "upgrade"):
				h.upgrades |= 1
			}
		})
	case Upgrade:
		h.upgrades |= 2
	}
	return nil
}

// settle checks what only the whole head shows.
func (r *Request) settle() error {
	for i := range r.Fields {
		switch r.Fields[i].ID {
		case Host:
			r.Hosts++
			if !r.Absolute {
				r.Host = r.Fields[i].Value
			}
		case Expect:
			r.Expect100 = r.Expect100 || equalFold(r.Fields[i].Value, "100-continue")
		}
	}
	switch {
	case r.Hosts > 1:
		return bad("two Host fields")
	case r.Chunked && r.lengths > 0:
		return bad("both Transfer-Encoding and Content-Length")
	case r.Chunked && r.Minor == 0:
		return bad("Transfer-Encoding in an HTTP/1.0 request")
	}
	return nil
}

func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 19 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// Options calls f for each element of a comma-separated list that is not empty.
func Options(v []byte, f func([]byte)) { options(v, f) }

func options(v []byte, f func([]byte)) {
	for len(v) > 0 {
		o := v
		if i := bytes.IndexByte(v, ','); i >= 0 {
			o, v = v[:i], v[i+1:]
		} else {
			v = nil
		}
		if o = trim(o); len(o) > 0 {
			f(o)
		}
	}
}

// HasOption reports whether a comma-separated list names an option, in any case.
func HasOption(list []byte, option string) (found bool) {
	options(list, func(o []byte) { found = found || equalFold(o, option) })
	return found
}

func cutPrefixFold(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || !equalFold(b[:len(prefix)], prefix) {
		return b, false
	}
	return b[len(prefix):], true
}

// equalFold compares b with lower-case ASCII s, ignoring b's case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}
