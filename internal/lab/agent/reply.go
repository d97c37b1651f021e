package agent

import (
	"strconv"
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
	// early is set when Envoy replies before it has looked at the method: even
	// the answer to a HEAD has its body then.
	early bool
	named bool // the request has got an id by then
	// overloaded adds x-envoy-overloaded.
	overloaded bool
}

var (
	replyTimeout  = &localReply{status: 504, body: "upstream request timeout", flag: "UT"}
	replyIdle     = &localReply{status: 504, body: "stream timeout", flag: "SI"}
	replySlowBody = &localReply{status: 408, body: "stream timeout", flag: "SI", close: true}
	replyNoHost   = &localReply{status: 503, body: "no healthy upstream", flag: "UH"}
	replyBad      = &localReply{status: 400, close: true} // without Host, with a fragment, or QUERY without a type
	replyUnsafe   = codecError(400)                       // Connection names what it must not
	replyNoPath   = &localReply{status: 404, flag: "NR"}
	replyNoRoute  = &localReply{status: 404, flag: "NR", named: true}
	replyNoTunnel = &localReply{status: 404, flag: "NR", close: true, named: true}  // CONNECT
	replyUpgrade  = &localReply{status: 403, flag: "UPE", close: true, named: true} // to what is no WebSocket
)

// codecError is the reply of Envoy's codec to what it cannot read, and to
// HTTP/1.0 (426: accept_http_10 is off).
func codecError(status int) *localReply {
	return &localReply{status: status, body: reason(status), flag: "DPE", close: true, early: true}
}

// upstreamReply is the answer to an upstream that failed before its response.
func upstreamReply(reason string, retried bool) *localReply {
	text := "upstream connect error or disconnect/reset before headers. "
	if retried {
		text += "retried and the latest "
	}
	r := &localReply{status: 503, body: text + "reset reason: " + reason, flag: "UC"}
	if reason == reasonProtocol {
		r.status, r.flag = 502, "UPE"
	}
	return r
}

// overflowReply is the answer to what is beyond the limits of the cluster.
func overflowReply(retried bool) *localReply {
	r := upstreamReply("overflow", retried)
	r.flag, r.overloaded = "UO", true
	return r
}

// Envoy's reset reasons. Envoy 1.40 says no more of a connection that was
// refused; others have gone on with the transport's reason.
const (
	reasonConnect    = "remote connection failure"
	reasonTimeout    = "connection timeout"
	reasonTerminated = "connection termination"
	reasonProtocol   = "protocol error"
	reasonReset      = "remote reset"
)

func dialReason(err error) string {
	if h1.IsTimeout(err) {
		return reasonTimeout
	}
	return reasonConnect
}

// send sends the reply and reports whether the connection may go on.
func (r *localReply) send(x *relay.Exchange, keep bool) bool {
	keep = keep && !r.close && x.RequestComplete()
	h := appendStatus(make([]byte, 0, 256), r.status)
	if r.overloaded {
		h = append(h, "x-envoy-overloaded: true\r\n"...)
	}
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
	body, head := r.body, x.IsHead() && !r.early
	switch {
	case head && body == "":
		h = append(h, "transfer-encoding: chunked\r\n"...)
	case body == "":
		h = appendNoLength(h, x)
	case head:
		body = ""
	}
	return x.Reply(append(h, "\r\n"...), []byte(body)) && keep
}

// sendGRPC sends the reply as Envoy answers gRPC requests: status 200, and
// the outcome in grpc-status and grpc-message.
func (r *localReply) sendGRPC(x *relay.Exchange, keep bool) bool {
	keep = keep && !r.close && x.RequestComplete()
	h := appendStatus(make([]byte, 0, 256), 200)
	h = append(h, "content-type: application/grpc\r\ngrpc-status: "...)
	h = strconv.AppendInt(h, int64(grpcStatus(r.status)), 10)
	h = append(h, "\r\n"...)
	if r.body != "" {
		h = h1.AppendField(h, "grpc-message", []byte(percentEncode(r.body)))
	}
	h = h1.AppendDate(h, "date", time.Now())
	h = appendNoLength(append(h, "server: envoy\r\n"...), x)
	if !keep {
		h = append(h, "connection: close\r\n"...)
	}
	return x.Reply(append(h, "\r\n"...), nil) && keep
}

// appendNoLength says that a reply is its head alone.
func appendNoLength(h []byte, x *relay.Exchange) []byte {
	h = append(h, "content-length: 0\r\n"...)
	if x.OfStream() {
		h = h1.AppendField(h, h1.StreamLengthName, []byte(h1.NoLength))
	}
	return h
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
