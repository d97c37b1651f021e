package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var (
	// errInvalid is a response that net/http takes and HTTP/2 forbids.
	errInvalid = errors.New("stream error: the response is not one of HTTP/2")
	// errBeyond is what an upstream says to a stream beyond its limit.
	errBeyond = errors.New("stream error: REFUSED_STREAM; received from peer")
)

// streamError is Envoy's word for how a stream ended that had no response, "" when
// its connection ended. broken says that the upstream has broken the protocol, after
// which Envoy does not use the connection again.
func streamError(err error) (word string, broken bool) {
	switch text := err.Error(); {
	case strings.Contains(text, "shutdown GOAWAY"), strings.Contains(text, "received GOAWAY"):
		return "remote refused stream reset", false
	case strings.Contains(text, "received from peer"):
		return resetWord(text), false
	case strings.Contains(text, "stream error: "), strings.Contains(text, "connection error: "),
		strings.Contains(text, "header list larger"), strings.Contains(text, "http2: failed reading the frame payload"):
		return "protocol error", true
	}
	return "", false
}

// resetWord is streamError's for a stream that the upstream has reset.
func resetWord(text string) string {
	switch {
	case strings.Contains(text, "REFUSED_STREAM"):
		return "remote refused stream reset"
	case strings.Contains(text, "PROTOCOL_ERROR"):
		return "protocol error"
	}
	return "remote reset"
}

// valid reports whether a response has a status, one length at most and no field
// that HTTP/2 forbids (RFC 9113 section 8.2.2).
func valid(r *http.Response) bool {
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		if _, there := r.Header[name]; there {
			return false
		}
	}
	lengths := r.Header["Content-Length"]
	if len(lengths) > 1 {
		return false
	}
	for _, n := range lengths {
		if _, err := strconv.ParseUint(n, 10, 63); err != nil {
			return false
		}
	}
	return r.StatusCode >= 100 && r.StatusCode <= 999
}

// roundTrip carries out a request on the session, and lets it take no more when the
// upstream has broken the protocol.
func (n *session) roundTrip(r *http.Request) (*http.Response, error) {
	if !n.admits() {
		return nil, errBeyond
	}
	resp, err := n.send(r)
	if err == nil && !valid(resp) {
		resp.Body.Close()
		err = errInvalid
	}
	if err != nil && strings.Contains(err.Error(), unused) && n.heard.any.Load() {
		err = errInvalid
	}
	if err != nil {
		n.judge(err)
		return nil, err
	}
	n.answered.Store(true)
	resp.Body = body{resp.Body, n}
	return resp, nil
}

// admits reports whether the upstream takes the stream. What a new connection was
// given before the upstream has said how many it takes may be too many. Envoy sends
// it all the same and upstreams refuse it; net/http would hold it back.
func (n *session) admits() bool {
	for since := time.Now(); n.Reserve() != nil; time.Sleep(time.Millisecond) {
		if n.Err() != nil {
			return true // and fails as it should
		}
		if time.Since(since) > settle {
			return false
		}
	}
	return true
}

// send carries out a request that admits has let in. The upstream's settings may come
// between the two, and net/http then holds back what is beyond them.
func (n *session) send(r *http.Request) (*http.Response, error) {
	if n.answered.Load() {
		return n.RoundTrip(r)
	}
	ctx, refuse := context.WithCancelCause(r.Context())
	waits, sent := context.WithCancel(ctx)
	defer sent()
	go func() {
		for {
			select {
			case <-waits.Done():
				return
			case <-time.After(settle):
				if n.Available() == 0 {
					refuse(errBeyond)
				}
			}
		}
	}()
	trace := &httptrace.ClientTrace{WroteHeaders: sent}
	resp, err := n.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil && context.Cause(ctx) == errBeyond {
		err = errBeyond
	}
	return resp, err
}

// settle is how long an upstream may take to say how many streams it takes, and
// net/http to notice that one has ended.
const settle = 50 * time.Millisecond

// unused is what net/http says of a connection that ended before its first request.
// It does not say why: the upstream has closed it, or has said something that was not
// HTTP/2.
const unused = "could not be established"

// heard is a connection that knows whether anything has come from the upstream.
type heard struct {
	net.Conn
	any atomic.Bool
}

type heardKey struct{}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.any.Store(true)
	}
	return n, err
}

// judge lets no more streams begin after an error that is the upstream's.
func (n *session) judge(err error) {
	if _, broken := streamError(err); broken {
		n.of.mu.Lock()
		n.leaving = true
		n.of.mu.Unlock()
	}
}

// body is a response's, whose errors are judged too.
type body struct {
	io.ReadCloser
	of *session
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.of.judge(err)
	}
	return n, err
}
