package alb

import (
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

func itoa(n int) string { return strconv.Itoa(n) }

// title is the phrase that the load balancer puts on its own responses.
func title(status int) string {
	switch status {
	case 414:
		return "414 Request-URI Too Large"
	case 503:
		return "503 Service Temporarily Unavailable"
	case 504:
		return "504 Gateway Time-out"
	}
	text := h1.Reason(status)
	if text == "" { // 460, 463, 464 have no phrase
		return itoa(status)
	}
	return itoa(status) + " " + text
}

// page answers with one of the load balancer's own error pages.
func (l *listener) page(x *relay.Exchange, status int, keep bool) bool {
	if status >= 500 && h2.IsGRPC(string(x.Req.Get(h1.ContentType))) {
		return l.unavailable(x, status, keep)
	}
	t := title(status)
	body := "<html>\r\n<head><title>" + t + "</title></head>\r\n<body>\r\n<center><h1>" + t + "</h1></center>\r\n</body>\r\n</html>\r\n"
	return l.own(x, status, "text/html", "", body, keep)
}

// unavailable answers a gRPC client: no page, but a status that its library
// understands beside HTTP's.
func (l *listener) unavailable(x *relay.Exchange, status int, keep bool) bool {
	keep = keep && x.RequestComplete()
	h := append(make([]byte, 0, 256), "HTTP/1.1 "...)
	h = append(h, title(status)...)
	h = append(h, "\r\nServer: awselb/2.0\r\n"...)
	h = h1.AppendDate(h, "Date", time.Now())
	h = append(h, "grpc-status: 14\r\ngrpc-message: unavailable\r\nContent-Length: 0\r\n"...)
	h = appendConnection(h, keep)
	return x.Reply(append(h, "\r\n"...), nil) && keep
}

// own answers with a response that the load balancer makes itself.
func (l *listener) own(x *relay.Exchange, status int, contentType, location, body string, keep bool) bool {
	keep = keep && x.RequestComplete()
	h := append(make([]byte, 0, 512), "HTTP/1.1 "...)
	h = append(h, title(status)...)
	h = append(h, "\r\nServer: awselb/2.0\r\n"...)
	h = h1.AppendDate(h, "Date", time.Now())
	if contentType != "" && body != "" {
		h = h1.AppendField(h, "Content-Type", []byte(contentType))
	}
	h = h1.AppendField(h, "Content-Length", []byte(itoa(len(body))))
	h = appendConnection(h, keep)
	if location != "" {
		h = h1.AppendField(h, "Location", []byte(location))
	}
	if x.IsHead() {
		body = ""
	}
	return x.Reply(append(h, "\r\n"...), []byte(body)) && keep
}

func appendConnection(h []byte, keep bool) []byte {
	if keep {
		return append(h, "Connection: keep-alive\r\n"...)
	}
	return append(h, "Connection: close\r\n"...)
}
