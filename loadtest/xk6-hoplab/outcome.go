package hoplab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	k6http "go.k6.io/k6/js/modules/k6/http"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// The headers that prove a request's path.
const (
	peerHeader    = "X-Hoplab-Peer" // of the measured app
	appHeader     = "X-Hoplab-App"
	serverHeader  = "Server" // of Envoy
	serviceHeader = "X-Envoy-Upstream-Service-Time"
	envoyServer   = "envoy"
)

// evidence fills the part of an outcome that headers prove. values returns all
// of a header's values, none when it is absent.
func evidence(o *samplefile.Outcome, values func(string) []string, load *samplefile.Load) {
	get := func(name string) string { return strings.Join(values(name), ", ") }
	o.Seen = load.Seen(values)
	o.Peer, o.Via = get(peerHeader), get(appHeader)
	o.ServiceMs = -1
	if ms, err := strconv.Atoi(get(serviceHeader)); err == nil && ms >= 0 {
		o.ServiceMs = ms
	}
	switch server, service := get(serverHeader) == envoyServer, len(values(serviceHeader)) > 0; {
	case server && service:
		o.AgentHeaders = 1
	case server || service:
		o.AgentHeaders = -1
	}
}

// errorKind names an error of the network in the words of samplefile.Outcome.
func errorKind(err error) string {
	var dns *net.DNSError
	var netErr net.Error
	var errno syscall.Errno
	switch {
	case errors.As(err, &dns) && !dns.IsTimeout:
		return "dns"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	case errors.As(err, &errno): // without the addresses around it
		return "other: " + errno.Error()
	}
	return "other: " + err.Error()
}

// k6ErrorKind does the same for a response of k6/http, which carries k6's
// numbered error codes (https://grafana.com/docs/k6/latest/javascript-api/error-codes/).
func k6ErrorKind(code int, text string) string {
	switch {
	case text == "":
		return ""
	case code == 1050 || code == 1211:
		return "timeout"
	case code == 1101:
		return "dns"
	case code == 1201 || code == 1220:
		return "reset"
	case code == 1212:
		return "refused"
	case text == "EOF" || text == "unexpected EOF":
		return "eof"
	}
	return "other: " + text
}

// k6Outcome reads the outcome from a response of k6/http. k6 keeps neither the
// header block nor, with discarded bodies, the body: HeaderBytes is computed
// from the status line and the headers, which is exact unless a header was sent
// twice or the body chunked, and BodyBytes is the Content-Length, 0 without one.
func k6Outcome(res *k6http.Response, load *samplefile.Load) samplefile.Outcome {
	o := samplefile.Outcome{
		Status: res.Status,
		Error:  k6ErrorKind(res.ErrorCode, res.Error),
		Reused: res.Timings.Connecting == 0 && res.RemoteIP != "",
	}
	if res.ErrorCode >= 1400 && res.ErrorCode < 1600 {
		o.Error = "" // k6 calls a status from 400 an error too
	}
	evidence(&o, func(name string) []string {
		if v, ok := res.Headers[http.CanonicalHeaderKey(name)]; ok {
			return []string{v}
		}
		return nil
	}, load)
	if res.Status == 0 {
		return o
	}
	o.HeaderBytes = len(res.Proto) + len(" ") + len(res.StatusText) + len("\r\n\r\n")
	for k, v := range res.Headers {
		o.HeaderBytes += len(k) + len(": ") + len(v) + len("\r\n")
	}
	if n, err := strconv.Atoi(res.Headers["Content-Length"]); err == nil && n >= 0 {
		o.BodyBytes = n
	}
	return o
}
