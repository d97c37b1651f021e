package h1

import (
	"bytes"
	"math"
	"strconv"
)

// This file reads first lines in Envoy's grammar.

// cutLine parts a first line at white space: two parts without any, and the
// rest. It is bad when it holds a control character.
func cutLine(line []byte) (one, two, rest []byte, err error) {
	for _, c := range line {
		if !isValue[c] && c != '\r' && c != '\n' {
			return nil, nil, nil, bad("first line %.60q", line)
		}
	}
	next := func() []byte {
		i := 0
		for i < len(line) && line[i] > ' ' {
			i++
		}
		part := line[:i]
		for i < len(line) && line[i] <= ' ' {
			i++
		}
		line = line[i:]
		return part
	}
	one, two = next(), next()
	return one, two, trimBlank(line), nil
}

// trimBlank cuts everything up to the blank from both ends.
func trimBlank(v []byte) []byte {
	for len(v) > 0 && v[0] <= ' ' {
		v = v[1:]
	}
	for len(v) > 0 && v[len(v)-1] <= ' ' {
		v = v[:len(v)-1]
	}
	return v
}

// isVersion reports whether v is HTTP/ with two digits and a dot between.
func isVersion(v []byte) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return len(v) == 8 && string(v[:5]) == "HTTP/" && digit(v[5]) && v[6] == '.' && digit(v[7])
}

// methods are those that Envoy's codec lets pass.
var methods = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{
		"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
		"ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "MSEARCH", "NOTIFY",
		"PROPFIND", "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
	} {
		m[name] = true
	}
	return m
}()

func (r *Request) parseLineEnvoy(line []byte, lim Limits) error {
	method, target, version, err := cutLine(line)
	switch {
	case err != nil:
		return err
	case !methods[string(method)] && !(lim.AnyMethod && all(method, &isToken)):
		return bad("method %.40q", method)
	case !isTargetEnvoy(target, string(method) == "CONNECT"):
		return bad("request target %.60q", target)
	case len(version) > 0 && !isVersion(version):
		return bad("protocol version %.20q", version)
	}
	r.Method, r.Target = method, target
	if string(version) == "HTTP/1.1" {
		r.Minor = 1
	}
	return nil
}

// isTargetEnvoy reports whether a target is a path or looks like a URL, or
// like the authority of one. What the URL says is looked at later.
func isTargetEnvoy(t []byte, connect bool) bool {
	if len(t) == 0 || !all(t, &isPrint) {
		return false
	}
	if t[0] == '/' || t[0] == '*' {
		return true
	}
	if !connect {
		i := bytes.Index(t, []byte("://"))
		if i <= 0 || !all(t[:i], &isLetter) {
			return false
		}
		t = t[i+3:]
	}
	if i := bytes.IndexAny(t, "/?"); i >= 0 {
		t = t[:i]
	}
	return all(t, &isAuthority) && !bytes.Contains(t, []byte("@@"))
}

// splitTargetEnvoy finds the host in an absolute form and in CONNECT's.
func (r *Request) splitTargetEnvoy() error {
	connect := string(r.Method) == "CONNECT"
	switch c := r.Target[0]; {
	case connect && (c == '/' || c == '*'):
		return bad("CONNECT to a path")
	case connect:
		r.Absolute, r.Host, r.Target = true, r.Target, nil
		if port := portOf(r.Host); port < 0 {
			return bad("CONNECT to %.60q", r.Host)
		}
		return nil
	case c == '/' || c == '*' && string(r.Method) == "OPTIONS":
		return nil
	}
	rest, ok := cutPrefixFold(r.Target, "http://")
	if !ok {
		if rest, ok = cutPrefixFold(r.Target, "https://"); !ok {
			return bad("request target %.60q is neither a path nor a URL", r.Target)
		}
	}
	host, path := rest, slash
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if i := bytes.IndexByte(host, '@'); i >= 0 {
		host = host[i+1:] // whoever the URL says is asking
	}
	if portOf(host) == -1 {
		return bad("host %.60q in a URL", host)
	}
	r.Absolute, r.Scheme, r.Host, r.Target = true, schemeOf(r.Target), host, path
	return nil
}

// portOf returns the port of a host as a URL may have it, -2 when it has none
// and -1 when it is no such host: letters, digits, dots and hyphens, or an
// IPv6 address in brackets.
func portOf(host []byte) int {
	i := 0
	if len(host) > 0 && host[0] == '[' {
		i = bytes.IndexByte(host, ']') + 1
		if i < 4 || !all(host[1:i-1], &isIPv6) {
			return -1
		}
	} else {
		for i < len(host) && isHostName[host[i]] {
			i++
		}
	}
	switch {
	case i == 0:
		return -1
	case i == len(host):
		return -2
	case host[i] != ':':
		return -1
	}
	port, err := strconv.ParseUint(string(host[i+1:]), 10, 16)
	if err != nil {
		return -1
	}
	return int(port)
}

// IsAuthority reports whether a host consists of what Envoy takes in one.
func IsAuthority(host []byte) bool { return all(host, &isAuthority) }

var isPrint, isLetter, isHostName, isIPv6, isAuthority [256]bool

func init() {
	for c := '!'; c <= '~'; c++ {
		isPrint[c] = true
	}
	for c := range 256 {
		l := c | 0x20
		alnum := '0' <= c && c <= '9' || 'a' <= l && l <= 'z' && c < 128
		isHostName[c] = alnum || c == '.' || c == '-'
		isIPv6[c] = '0' <= c && c <= '9' || 'a' <= l && l <= 'f' && c < 128 || c == ':' || c == '.'
		isAuthority[c] = alnum
		isLetter[c] = 'a' <= l && l <= 'z' && c < 128
	}
	for _, c := range "-._~%!$&'()*+,;=:[]@" {
		isAuthority[c] = true
	}
}

func (r *Response) parseLineEnvoy(line []byte) error {
	version, status, reason, err := cutLine(line)
	if err != nil {
		return err
	}
	if !isVersion(version) {
		return bad("protocol version %.20q", version)
	}
	if len(status) > 0 && status[0] == '+' {
		status = status[1:]
	}
	n, err := strconv.ParseUint(string(status), 10, 64)
	if r.Status = int(n & math.MaxUint16); err != nil || r.Status < 100 {
		return bad("status %.20q", status)
	}
	if r.Reason = reason; string(version) == "HTTP/1.1" {
		r.Minor = 1
	}
	return nil
}
