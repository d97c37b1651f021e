package agent

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// requestHead builds the request as Envoy sends it on: names in lower case,
// Host first, connection fields gone, and its own fields at the end.
// X-Forwarded-For is left as it came (use_remote_address is off).
func (r *route) requestHead(dst []byte, req *h1.Request, line *logLine) []byte {
	dst = append(dst, req.Method...)
	dst = append(dst, ' ')
	dst = append(dst, req.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = h1.AppendField(dst, "host", req.Host)
	var proto, id bool
	for i := range req.Fields {
		f := &req.Fields[i]
		switch f.ID {
		case h1.Host, h1.EnvoyTimeout:
			continue
		case h1.XForwardedProto:
			proto = true
		case h1.XRequestID:
			id = true
		default:
			if f.ID.HopByHop() {
				continue
			}
		}
		dst = appendLowerField(dst, f)
	}
	if !proto {
		dst = append(dst, "x-forwarded-proto: http\r\n"...)
	}
	if !id {
		dst = append(dst, "x-request-id: "...)
		start := len(dst)
		dst = appendUUID(dst)
		if line != nil {
			line.id = string(dst[start:])
		}
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, r.timeoutField...)
	if req.Upgrade {
		dst = append(dst, "connection: upgrade\r\n"...)
		dst = h1.AppendField(dst, "upgrade", req.Get(h1.Upgrade))
	}
	return append(dst, "\r\n"...)
}

// responseHead builds the response as Envoy sends it on.
func (r *route) responseHead(dst []byte, x *relay.Exchange, f relay.Framing, keep bool, served time.Duration) []byte {
	resp := &x.Resp
	dst = h1.AppendStatus(dst, resp.Status, nil)
	var date bool
	for i := range resp.Fields {
		fd := &resp.Fields[i]
		switch fd.ID {
		case h1.Server, h1.EnvoyServiceTime:
			continue
		case h1.Date:
			date = true
		default:
			if fd.ID.HopByHop() {
				continue
			}
		}
		dst = appendLowerField(dst, fd)
	}
	if !date {
		dst = h1.AppendDate(dst, "date", time.Now())
	}
	dst = append(dst, "x-envoy-upstream-service-time: "...)
	dst = strconv.AppendInt(dst, r.agent.clock.Modelled(served).Milliseconds(), 10)
	dst = append(dst, "\r\nserver: envoy\r\n"...)
	if f == relay.Chunk {
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	switch {
	case resp.Status == 101:
		dst = append(dst, "connection: upgrade\r\n"...)
		dst = h1.AppendField(dst, "upgrade", resp.Get(h1.Upgrade))
	case !keep:
		dst = append(dst, "connection: close\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendLowerField(dst []byte, f *h1.Field) []byte {
	dst = h1.AppendLower(dst, f.Name)
	dst = append(dst, ": "...)
	dst = append(dst, f.Value...)
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
