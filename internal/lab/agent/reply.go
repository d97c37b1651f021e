package agent

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// localReply is a response that the agent makes itself; texts and statuses
// are Envoy's, section 3 of the semantics.
type localReply struct {
	status int
	body   string
	flag   string // Envoy's response flag
	close  bool
}

var (
	replyTimeout  = &localReply{504, "upstream request timeout", "UT", false}
	replyIdle     = &localReply{504, "stream timeout", "SI", false}
	replySlowBody = &localReply{408, "stream timeout", "SI", true}
	replyNoHost   = &localReply{503, "no healthy upstream", "UH", false}
	replyOld      = &localReply{426, "", "", true} // HTTP/1.0: accept_http_10 is off
	replyNoName   = &localReply{400, "", "", true} // HTTP/1.1 without Host
)

// upstreamReply is the answer to an upstream that failed before its response.
func upstreamReply(reason string, retried bool) *localReply {
	text := "upstream connect error or disconnect/reset before headers. "
	if retried {
		text += "retried and the latest "
	}
	r := &localReply{503, text + "reset reason: " + reason, "UC", false}
	if reason == reasonProtocol {
		r.status, r.flag = 502, "UPE"
	}
	return r
}

// Envoy's reset reasons. The text after "transport failure reason" depends
// on its build; older ones say "delayed connect error: 111".
const (
	reasonRefused    = "remote connection failure, transport failure reason: delayed connect error: Connection refused"
	reasonUnreach    = "remote connection failure, transport failure reason: delayed connect error: No route to host"
	reasonConnect    = "remote connection failure"
	reasonTimeout    = "connection timeout"
	reasonTerminated = "connection termination"
	reasonProtocol   = "protocol error"
)

func dialReason(err error) string {
	switch {
	case h1.IsTimeout(err):
		return reasonTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return reasonUnreach
	case errors.Is(err, syscall.ECONNREFUSED):
		return reasonRefused
	}
	return reasonConnect
}

// send sends the reply and reports whether the connection may go on.
func (r *localReply) send(x *relay.Exchange, keep bool) bool {
	keep = keep && !r.close && x.RequestComplete()
	h := h1.AppendStatus(make([]byte, 0, 256), r.status, nil)
	if r.body != "" {
		h = append(h, "content-length: "...)
		h = strconv.AppendInt(h, int64(len(r.body)), 10)
		h = append(h, "\r\ncontent-type: text/plain\r\n"...)
	}
	h = h1.AppendDate(h, "date", time.Now())
	h = append(h, "server: envoy\r\n"...)
	if !keep {
		h = append(h, "connection: close\r\n"...)
	}
	if r.body == "" {
		h = append(h, "content-length: 0\r\n"...)
	}
	body := r.body
	if x.IsHead() {
		body = ""
	}
	return x.Reply(append(h, "\r\n"...), []byte(body)) && keep
}

// sendGRPC sends the reply as Envoy answers gRPC requests: status 200, and
// the outcome in grpc-status and grpc-message.
func (r *localReply) sendGRPC(x *relay.Exchange, keep bool) bool {
	keep = keep && !r.close && x.RequestComplete()
	h := h1.AppendStatus(make([]byte, 0, 256), 200, nil)
	h = append(h, "content-type: application/grpc\r\ngrpc-status: "...)
	h = strconv.AppendInt(h, int64(grpcStatus(r.status)), 10)
	h = append(h, "\r\n"...)
	if r.body != "" {
		h = h1.AppendField(h, "grpc-message", []byte(percentEncode(r.body)))
	}
	h = h1.AppendDate(h, "date", time.Now())
	h = append(h, "server: envoy\r\ncontent-length: 0\r\n"...)
	if !keep {
		h = append(h, "connection: close\r\n"...)
	}
	return x.Reply(append(h, "\r\n"...), nil) && keep
}

// grpcStatus maps an HTTP status onto gRPC's, as the gRPC project's table
// http-grpc-status-mapping does and Envoy with it.
func grpcStatus(http int) int {
	switch http {
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 429, 502, 503, 504:
		return 14
	}
	return 2
}

// percentEncode encodes a grpc-message: bytes outside space to tilde, and %.
func percentEncode(s string) string {
	var b []byte
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return string(b)
}
