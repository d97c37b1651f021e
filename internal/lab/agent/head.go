package agent

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// requestHead builds the request as Envoy sends it on: names in lower case,
// Host first, connection fields gone, and its own fields at the end.
// X-Forwarded-For is left as it came (use_remote_address is off). Fields that
// ask to upgrade the connection stay where they are.
func (r *route) requestHead(dst []byte, x *relay.Exchange, line *logLine) []byte {
	req := &x.Req
	appendField := h1.AppendLowerField
	if r.http2 {
		appendField = h1.AppendEscaped
		dst = h2.AppendRequestLine(dst, req.Method, req.Target, req.Host, r.schemeOf(x))
	} else {
		dst = append(dst, req.Method...)
		dst = append(dst, ' ')
		dst = append(dst, req.Target...)
		dst = append(dst, " HTTP/1.1\r\n"...)
		dst = h1.AppendField(dst, "host", req.Host)
	}
	var proto, id bool
	for i := range req.Fields {
		f := &req.Fields[i]
		switch f.ID {
		case h1.Host, h1.Gone, h1.KeepAlive, h1.ProxyConnection, h1.TransferEncoding, h1.EnvoyTimeout, h1.FromEnvoys:
			continue
		case h1.Connection, h1.Upgrade:
			if !req.Upgrade {
				continue
			}
		case h1.Expect:
			if req.Expect100 {
				continue
			}
		case h1.TE:
			if len(f.Value) > 0 {
				if hasTrailers(f.Value) {
					dst = append(dst, "te: trailers\r\n"...)
				}
				continue
			}
		case h1.ContentLength:
			switch {
			case r.http2 && req.Upgrade: // is passed on, and means nothing
				dst = h1.AppendField(dst, h1.Escape+"content-length", f.Value)
				continue
			case r.http2:
				dst = h2.AppendLength(dst, req.Method, req.Length, f.Value)
				continue
			}
		case h1.Trailer:
			if r.http2 && !req.Chunked { // or net/http would drop it
				dst = append(dst, h1.Escape...)
			}
		case h1.XForwardedProto:
			proto = true
		case h1.XRequestID:
			id = true
			if len(f.Value) == 0 {
				dst = appendRequestID(dst, line)
				continue
			}
		}
		dst = appendField(dst, f)
	}
	if !proto {
		dst = append(dst, r.scheme...)
	}
	if !id {
		dst = appendRequestID(dst, line)
	}
	dst = append(dst, r.timeoutField...)
	switch {
	case req.Upgrade || req.Length >= 0:
	case req.Chunked:
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	case r.http2:
		dst = h2.AppendLength(dst, req.Method, -1, nil)
	case !bodiless(req.Method):
		dst = append(dst, "content-length: 0\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// schemeOf returns the :scheme of a request to an HTTP/2 upstream: the client's, if it
// is one of HTTP's, else what X-Forwarded-Proto says, else the connection's.
func (r *route) schemeOf(x *relay.Exchange) []byte {
	said := x.Req.Scheme
	if said == nil && x.OfStream() {
		return []byte("http")
	}
	for _, s := range [][]byte{said, x.Req.Get(h1.XForwardedProto)} {
		if s = bytes.ToLower(s); string(s) == "http" || string(s) == "https" {
			return s
		}
	}
	if r.scheme == secureScheme {
		return []byte("https")
	}
	return []byte("http")
}

// bodiless reports whether a request without a body says nothing about it.
func bodiless(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "DELETE", "TRACE", "CONNECT":
		return true
	}
	return false
}

// hasTrailers reports whether a TE field lists trailers, in these letters.
func hasTrailers(te []byte) bool {
	for o := range bytes.SplitSeq(te, []byte(",")) {
		if string(bytes.Trim(o, " \t")) == "trailers" {
			return true
		}
	}
	return false
}

func appendRequestID(dst []byte, line *logLine) []byte {
	dst = append(dst, "x-request-id: "...)
	start := len(dst)
	dst = appendUUID(dst)
	if line != nil {
		line.id = textOf(dst[start:], true)
	}
	return append(dst, "\r\n"...)
}

// sanitize takes the fields that Connection names out of the request, as
// Envoy does, and reports whether it may go on.
func sanitize(req *h1.Request) bool {
	list := req.Get(h1.Connection)
	if len(list) == 0 || req.Upgrade {
		return true
	}
	n := 0
	ok := true
	h1.Options(list, func(o []byte) {
		n++
		switch o = bytes.ToLower(o); string(o) {
		case "close", "keep-alive", "upgrade", "http2-settings", "connection":
			return
		case "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto":
			ok = false
			return
		case "te":
			if te := req.Get(h1.TE); len(te) > 255 {
				ok = false
				return
			} else if hasTrailersFold(te) {
				req.Set(h1.TE, []byte("trailers"))
				return
			}
		}
		if o[0] == ':' {
			ok = false
		}
		if req.Remove(o); string(o) == "host" && !req.Absolute {
			req.Host = nil
		}
	})
	return ok && n < 10
}

// hasTrailersFold is hasTrailers in any letters.
func hasTrailersFold(te []byte) bool { return h1.HasOption(te, "trailers") }

// responseHead builds the response as Envoy sends it on. served is the time
// that the upstream took, which Envoy tells once the request is complete.
func (r *route) responseHead(dst []byte, x *relay.Exchange, f relay.Framing, keep bool, served time.Duration,
	complete bool) []byte {
	resp := &x.Resp
	dst = appendStatus(dst, resp.Status)
	tunnel := x.Req.Upgrade && resp.Upgrade
	var date, server, timed, sized bool
	for i := range resp.Fields {
		fd := &resp.Fields[i]
		switch fd.ID {
		case h1.Gone, h1.KeepAlive, h1.ProxyConnection, h1.TransferEncoding:
			continue
		case h1.Connection, h1.Upgrade:
			if !tunnel {
				continue
			}
		case h1.ContentLength:
			if resp.Status < 200 || resp.Status == 204 {
				continue
			}
		case h1.StreamLength:
			if !x.OfStream() {
				if string(fd.Value) != h1.NoLength {
					dst = h1.AppendField(dst, "content-length", fd.Value)
					sized = true
				}
				continue
			}
		case h1.Server:
			dst = append(dst, "server: envoy\r\n"...)
			server = true
			continue
		case h1.Date:
			date = true
		case h1.EnvoyServiceTime:
			if complete {
				dst = r.appendServiceTime(dst, served)
				timed = true
				continue
			}
		}
		if x.OfStream() {
			dst = h1.AppendEscaped(dst, fd)
		} else {
			dst = h1.AppendLowerField(dst, fd)
		}
	}
	if complete && !timed {
		dst = r.appendServiceTime(dst, served)
	}
	framing := ""
	if !sized {
		framing = framingField(x, f)
	}
	return appendEnd(dst, date, server, keep || tunnel, framing)
}

func (r *route) appendServiceTime(dst []byte, served time.Duration) []byte {
	dst = append(dst, "x-envoy-upstream-service-time: "...)
	dst = strconv.AppendInt(dst, r.agent.clock.Modelled(served).Milliseconds(), 10)
	return append(dst, "\r\n"...)
}

// framingField is the field that Envoy's codec adds. For the answer to a HEAD
// it guesses.
func framingField(x *relay.Exchange, f relay.Framing) string {
	s := x.Resp.Status
	bodied := s >= 200 && s != 204 && s != 304
	if f == relay.Chunk || bodied && (x.Resp.Chunked || x.IsHead() && x.Resp.Length < 0) {
		return "transfer-encoding: chunked\r\n"
	}
	return ""
}

// appendEnd appends the fields that stand last in a response, and the empty line.
func appendEnd(dst []byte, date, server, keep bool, framing string) []byte {
	if !date {
		dst = h1.AppendDate(dst, "date", time.Now())
	}
	if !server {
		dst = append(dst, "server: envoy\r\n"...)
	}
	if !keep {
		dst = append(dst, "connection: close\r\n"...)
	}
	dst = append(dst, framing...)
	return append(dst, "\r\n"...)
}

// appendUUID appends a random (version 4) UUID.
func appendUUID(dst []byte) []byte {
	const hex = "0123456789abcdef"
	a, b := rand.Uint64(), rand.Uint64()
	a = a&^0xf000 | 0x4000
	b = b&^(3<<62) | 2<<62
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		v := a
		if i >= 16 {
			v = b
		}
		dst = append(dst, hex[v>>(60-4*(i%16))&15])
	}
	return dst
}
