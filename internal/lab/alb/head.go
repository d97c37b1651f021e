package alb

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// requestHead builds the request for the target: the client's fields as they
// came, but for those that concern its connection, with the load balancer's own before them.
func (s *setup) requestHead(dst []byte, x *relay.Exchange, client netip.AddrPort, proto []byte) []byte {
	req := &x.Req
	dst = append(dst, req.Method...)
	dst = append(dst, ' ')
	dst = append(dst, req.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = s.appendForwarded(dst, req, client, proto)
	dst = append(dst, "Host: "...)
	if len(req.Host) > 0 {
		dst = append(dst, req.Host...)
	} else {
		dst = append(dst, s.cfg.DNSName...)
	}
	dst = append(dst, "\r\nX-Amzn-Trace-Id: "...)
	dst = appendTrace(dst, req.Get(h1.XAmznTraceID), x.Start)
	dst = append(dst, "\r\n"...)
	var room [4][]byte
	drop, lengths := named(room[:0], &req.Head), 0
	for i := range req.Fields {
		f := &req.Fields[i]
		if len(drop) > 0 && listed(drop, f.Name) {
			continue
		}
		switch f.ID {
		case h1.ContentLength:
			if lengths++; lengths > 1 { // the same number again (RFC 9110 section 8.6)
				continue
			}
		case h1.Host, h1.XAmznTraceID, h1.XForwardedProto, h1.XForwardedPort:
			continue
		case h1.XForwardedFor:
			if s.cfg.XFF != "preserve" {
				continue
			}
		default:
			if f.ID.HopByHop() || s.cfg.DropInvalid && !validName(f.Name) {
				continue
			}
		}
		dst = append(dst, f.Line()...)
	}
	if req.Upgrade {
		dst = append(dst, "Connection: upgrade\r\n"...)
		dst = h1.AppendField(dst, "Upgrade", req.Get(h1.Upgrade))
	}
	return append(dst, "\r\n"...)
}

func (s *setup) appendForwarded(dst []byte, req *h1.Request, client netip.AddrPort, proto []byte) []byte {
	if m := s.cfg.XFF; m == "" || m == "append" {
		dst = append(dst, "X-Forwarded-For: "...)
		for i := range req.Fields {
			if f := &req.Fields[i]; f.ID == h1.XForwardedFor {
				dst = append(append(dst, f.Value...), ", "...)
			}
		}
		if s.cfg.XFFClientPort {
			dst = client.AppendTo(dst)
		} else {
			dst = client.Addr().AppendTo(dst)
		}
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, proto...)
	return dst
}

// validName reports whether a field name matches [-A-Za-z0-9]+, what
// routing.http.drop_invalid_header_fields keeps.
func validName(name []byte) bool {
	for _, c := range name {
		if !(c == '-' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
			return false
		}
	}
	return true
}

// appendTrace appends the value of X-Amzn-Trace-Id: a new root, or the
// client's value with the load balancer's own part as Self in front.
func appendTrace(dst, old []byte, now time.Time) []byte {
	if len(old) == 0 {
		return appendTraceID(append(dst, "Root="...), now)
	}
	dst = appendTraceID(append(dst, "Self="...), now)
	for part := range bytes.SplitSeq(old, []byte(";")) {
		if part = bytes.TrimSpace(part); len(part) > 0 && !bytes.HasPrefix(part, []byte("Self=")) {
			dst = append(append(dst, ';'), part...)
		}
	}
	return dst
}

func appendTraceID(dst []byte, now time.Time) []byte {
	var raw [12]byte
	a, b := rand.Uint64(), rand.Uint32()
	for i := range 8 {
		raw[i] = byte(a >> (8 * i))
	}
	for i := range 4 {
		raw[8+i] = byte(b >> (8 * i))
	}
	dst = append(dst, "1-"...)
	dst = strconv.AppendUint(dst, uint64(uint32(now.Unix())), 16)
	dst = append(dst, '-')
	return hex.AppendEncode(dst, raw[:])
}

// responseHead builds the response for the client: the target's fields as
// they came, but for those that concern its connection, and the state of the client's connection.
func (l *listener) responseHead(dst []byte, x *relay.Exchange, f relay.Framing, keep bool) []byte {
	resp := &x.Resp
	dst = h1.AppendStatus(dst, resp.Status, resp.Reason)
	var room [4][]byte
	drop, lengths := named(room[:0], &resp.Head), 0
	for i := range resp.Fields {
		fd := &resp.Fields[i]
		if fd.ID == h1.ContentLength {
			lengths++
		}
		if len(drop) > 0 && listed(drop, fd.Name) || fd.ID == h1.ContentLength && lengths > 1 {
			continue
		}
		if fd.ID.HopByHop() || fd.ID == h1.TransferEncoding && f == relay.Unchunk {
			continue
		}
		dst = append(dst, fd.Line()...)
	}
	if f == relay.Chunk {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if resp.Status == 101 {
		dst = append(dst, "Connection: upgrade\r\n"...)
		dst = h1.AppendField(dst, "Upgrade", resp.Get(h1.Upgrade))
	} else {
		dst = appendConnection(dst, keep && f != relay.Unchunk)
	}
	return append(dst, "\r\n"...)
}
