package h2

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// errRequest is a request for which an Envoy ends the connection.
var errRequest = errors.New("not a request of HTTP/2")

// fromClient edits what clients send, so that a hop sees what an Envoy would see of
// it. A GOAWAY of a client means nothing to Envoy: the connection serves what else
// comes over it.
func fromClient() *blocks {
	b := newBlocks(hide)
	b.drop = func(t http2.FrameType) bool { return t == http2.FrameGoAway }
	return b
}

// hide makes of a request's fields what net/http takes and leaves alone. Trailers
// stay as they are.
func hide(fields []hpack.HeaderField, end bool) ([]hpack.HeaderField, error) {
	pseudo := map[string]string{}
	n := 0
	for ; n < len(fields) && fields[n].IsPseudo(); n++ {
		_, twice := pseudo[fields[n].Name]
		if twice || !slices.Contains([]string{":method", ":scheme", ":authority", ":path"}, fields[n].Name) {
			return nil, errRequest
		}
		pseudo[fields[n].Name] = fields[n].Value
	}
	if n == 0 {
		return fields, nil
	}
	regular, err := hideFields(fields[n:], pseudo, end)
	if err != nil {
		return nil, err
	}
	_, scheme := pseudo[":scheme"]
	_, path := pseudo[":path"]
	switch {
	case pseudo[":method"] == "CONNECT" && (scheme || path):
		return nil, errRequest
	case pseudo[":method"] == "CONNECT":
		return append(slices.Clone(fields[:n]), regular...), nil
	case !isScheme(pseudo[":scheme"]), !isPath(pseudo[":path"], pseudo[":method"]):
		return nil, errRequest
	}
	out := slices.Clone(fields[:n])
	for i := range out {
		switch f := &out[i]; f.Name {
		case ":scheme":
			if s := strings.ToLower(f.Value); s != "http" {
				regular = append(regular, hpack.HeaderField{Name: h1.EscapedScheme, Value: s})
			}
			f.Value = "http"
		case ":path":
			if !plain(f.Value) {
				regular = append(regular, hpack.HeaderField{Name: h1.EscapedPath, Value: f.Value})
				f.Value = "/"
			}
		}
	}
	return append(out, regular...), nil
}

// hideFields is hide for the fields after the pseudo fields.
func hideFields(fields []hpack.HeaderField, pseudo map[string]string, end bool) (out []hpack.HeaderField, err error) {
	host, named := pseudo[":authority"]
	seen := map[string]int{}
	for _, f := range fields {
		if seen[f.Name]++; !validField(f, end) {
			return nil, errRequest
		}
		switch f.Name {
		case "host":
			if !named {
				host = f.Value
			}
		case "te":
			if seen["te"] > 1 {
				continue
			}
		case "cookie":
			if f.Value == "" {
				continue
			}
		case "expect", "user-agent":
			f.Name = h1.Escape + f.Name
		case "trailer":
			if end { // or net/http would drop it
				f.Name = h1.Escape + f.Name
			}
		default:
			if strings.HasPrefix(f.Name, h1.Escape) {
				f.Name = h1.Escape + f.Name
			}
		}
		out = append(out, f)
	}
	if !isAuthority(host) || seen["host"] > 1 || seen["content-length"] > 1 {
		return nil, errRequest
	}
	return out, nil
}

// validField reports whether Envoy takes a field in a request over HTTP/2.
func validField(f hpack.HeaderField, end bool) bool {
	if !httpguts.ValidHeaderFieldName(f.Name) || f.Name != strings.ToLower(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) {
		return false
	}
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return false
	case "te":
		return f.Value == "trailers"
	case "host":
		return isAuthority(f.Value)
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 63)
		return err == nil && (n == 0 || !end)
	}
	return true
}

func isAuthority(host string) bool {
	return host != "" && !strings.Contains(host, "@") && h1.IsAuthority([]byte(host))
}

// isScheme follows RFC 3986 section 3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || !strings.Contains("0123456789+-.", s[i:i+1])) {
			return false
		}
	}
	return s != ""
}

func isPath(p, method string) bool {
	if p == "*" {
		return method == http.MethodOptions
	}
	return strings.HasPrefix(p, "/") && !strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// plain reports whether net/http leaves a path as it is.
func plain(p string) bool {
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0:
		case c == '%' && i+2 < len(p) && h1.IsHex(p[i+1]) && h1.IsHex(p[i+2]):
		default:
			return false
		}
	}
	return strings.HasPrefix(p, "/")
}

// AppendRequestLine appends the request line and the Host field of a request that
// goes to an UpstreamCodec of Sessions, and before the other fields what net/http
// would change of the two.
func AppendRequestLine(dst, method, target, host, scheme []byte) []byte {
	dst = append(append(dst, method...), ' ')
	hidden := !plain(string(target))
	if hidden {
		dst = append(dst, '/')
	} else {
		dst = append(dst, target...)
	}
	dst = append(dst, " HTTP/1.1\r\n"...)
	if isHost(host) {
		dst = h1.AppendField(dst, "host", host)
	} else {
		dst = h1.AppendField(dst, "host", []byte("hidden"))
		dst = h1.AppendField(dst, h1.EscapedHost, host)
	}
	if hidden {
		dst = h1.AppendField(dst, h1.EscapedPath, target)
	}
	if !bytes.Equal(scheme, []byte("http")) {
		dst = h1.AppendField(dst, h1.EscapedScheme, scheme)
	}
	return dst
}

// isHost reports whether net/http leaves a host as it is.
func isHost(h []byte) bool {
	for _, c := range h {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || bytes.IndexByte([]byte("-._:[]"), c) >= 0) {
			return false
		}
	}
	return len(h) > 0
}

// AppendLength appends what a request says of its length, which is -1 when it says
// nothing, so that net/http says the same. text is its Content-Length as it came.
func AppendLength(dst, method []byte, length int64, text []byte) []byte {
	switch empty := saysLength(string(method)); {
	case length < 0 && empty:
		return h1.AppendField(dst, h1.EscapedLength, []byte(h1.NoLength))
	case length < 0:
		return dst
	case length == 0 && !empty, text[0] == '0' && len(text) > 1:
		dst = h1.AppendField(dst, h1.Escape+"content-length", text)
	}
	return h1.AppendField(dst, "content-length", text)
}

// saysLength reports whether net/http sends Content-Length with an empty body.
func saysLength(method string) bool { return method == "POST" || method == "PUT" || method == "PATCH" }

// frameAsCame makes net/http frame a request's body as the client did.
func frameAsCame(r *http.Request) {
	_, said := r.Header["Content-Length"]
	switch empty := saysLength(r.Method); {
	case r.Method == http.MethodConnect:
	case r.ContentLength < 0:
		r.TransferEncoding = []string{"chunked"}
	case r.ContentLength == 0 && empty && !said:
		r.Header.Set(h1.EscapedLength, h1.NoLength)
	case r.ContentLength == 0 && !empty && said:
		r.Header.Set(h1.Escape+"content-length", "0")
	}
}

// continuing passes on the 100 (Continue) that comes before the response.
func continuing(w http.ResponseWriter, trip roundTrip) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		var mu sync.Mutex
		over := false
		trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			if !over {
				w.WriteHeader(status)
			}
			return nil
		}}
		resp, err := trip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		mu.Lock()
		defer mu.Unlock()
		over = true // and w is the response's
		return resp, err
	}
}

// toUpstream edits what net/http sends to an upstream.
func toUpstream() *blocks {
	return newBlocks(func(f []hpack.HeaderField, _ bool) ([]hpack.HeaderField, error) { return restore(f), nil })
}

// restore undoes hide, and what AppendRequestLine and AppendLength do.
func restore(fields []hpack.HeaderField) []hpack.HeaderField {
	if len(fields) == 0 || !fields[0].IsPseudo() {
		return fields
	}
	said := map[string]string{} // instead of what net/http says
	var out []hpack.HeaderField
	for _, f := range fields {
		own, escaped := strings.CutPrefix(f.Name, h1.Escape)
		switch {
		case !escaped:
			out = append(out, f)
		case f.Name == h1.EscapedPath:
			said[":path"] = f.Value
		case f.Name == h1.EscapedScheme:
			said[":scheme"] = f.Value
		case f.Name == h1.EscapedHost:
			said[":authority"] = f.Value
		case f.Name == h1.EscapedProtocol:
			said[":method"] = http.MethodConnect
			out = slices.Insert(out, 1, hpack.HeaderField{Name: ":protocol", Value: f.Value})
		case f.Name == h1.EscapedLength, own == "content-length":
			said["content-length"] = f.Value
		default:
			f.Name = own
			out = append(out, f)
		}
	}
	for i := range out {
		if v, there := said[out[i].Name]; there {
			out[i].Value = v
			delete(said, out[i].Name)
		}
	}
	out = slices.DeleteFunc(out, func(f hpack.HeaderField) bool { return f.Name == "content-length" && f.Value == h1.NoLength })
	if v, there := said["content-length"]; there && v != h1.NoLength {
		out = append(out, hpack.HeaderField{Name: "content-length", Value: v})
	}
	return out
}
