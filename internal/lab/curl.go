package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/call"
)

// kernelGivesUp is how long Linux tries to connect to a host that does not
// answer, with its default of 6 retries of the SYN.
const kernelGivesUp = 127 * time.Second

// curlHeader is what Curl sends beside Host.
func curlHeader() http.Header {
	return http.Header{"User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}}
}

// Curl makes one GET request as the caller and returns what the caller sees.
// The error is for calls that make no sense, such as a caller that does not
// exist; everything that a real caller could see is an Observation. ctx bounds
// the call as -m does.
func (l *Lab) Curl(ctx context.Context, c Caller, rawURL string) (call.Observation, error) {
	return l.curl(ctx, c, rawURL, curlHeader())
}

// curl is Curl with that header.
func (l *Lab) curl(ctx context.Context, c Caller, rawURL string, header http.Header) (call.Observation, error) {
	start := time.Now()
	see := func(o call.Observation) (call.Observation, error) {
		o.Elapsed = l.clock.Modelled(time.Since(start))
		return o, nil
	}
	d, h, err := l.dialInfo(c, rawURL)
	var none *DialError
	if err != nil && !errors.As(err, &none) {
		return call.Observation{}, err
	}
	if none != nil {
		if none.Reason == TimedOut {
			sleep(ctx, l.clock.Real(kernelGivesUp))
		}
		return see(none.curl(l.clock.Modelled(time.Since(start))))
	}
	var connected atomic.Bool
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, l.clock.Real(kernelGivesUp))
		defer cancel()
		c, err := h.Dial(ctx, d.Logical)
		connected.Store(err == nil)
		return c, err
	}
	tr := &http.Transport{DialContext: dial, DisableCompression: true, TLSClientConfig: l.trust()}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return call.Observation{}, err
	}
	req.Header = header
	resp, err := tr.RoundTrip(req)
	if err != nil && !connected.Load() && timedOut(err) {
		none = &DialError{Reason: TimedOut, Host: req.URL.Hostname(), Port: d.Logical.Port()}
		return see(none.curl(l.clock.Modelled(time.Since(start))))
	}
	if err != nil {
		return see(curlError(err, req.URL, l.clock.Modelled(time.Since(start))))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	o := call.Observation{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	if err != nil {
		e := curlError(err, req.URL, l.clock.Modelled(time.Since(start)))
		o.Error, o.Exit = e.Error, e.Exit
	}
	return see(o)
}

// trust returns the configuration of a client that was given the lab's authority.
func (l *Lab) trust() *tls.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	pool := x509.NewCertPool()
	if l.ca != nil {
		pool.AppendCertsFromPEM(l.ca.PEM)
	}
	return &tls.Config{RootCAs: pool}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (e *DialError) curl(after time.Duration) call.Observation {
	switch e.Reason {
	case Unresolved:
		return failure(6, "Could not resolve host: %s", e.Host)
	case NoRoute: // before a packet leaves
		return failure(7, "Failed to connect to %s port %d after 0 ms: Couldn't connect to server", e.Host, e.Port)
	case Refused:
		return failure(7, "Failed to connect to %s port %d after %d ms: Couldn't connect to server", e.Host, e.Port, after.Milliseconds())
	}
	return failure(28, "Failed to connect to %s port %d after %d ms: Couldn't connect to server", e.Host, e.Port, after.Milliseconds())
}

func failure(exit int, format string, args ...any) call.Observation {
	return call.Observation{Exit: exit, Error: fmt.Sprintf("curl: (%d) ", exit) + fmt.Sprintf(format, args...)}
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err)
}

// curlError puts an error of net/http into curl's words.
func curlError(err error, u *url.URL, after time.Duration) call.Observation {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	var op *net.OpError
	switch {
	case timedOut(err):
		return failure(28, "Operation timed out after %d milliseconds with 0 bytes received", after.Milliseconds())
	// First: a connection that is accepted and reset at once can fail as early as the dial.
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failure(56, "Recv failure: Connection reset by peer")
	case errors.As(err, &op) && op.Op == "dial":
		n, _ := strconv.Atoi(port)
		return (&DialError{Reason: Refused, Host: u.Hostname(), Port: uint16(n)}).curl(after)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return failure(18, "transfer closed with outstanding read data remaining")
	case errors.Is(err, io.EOF), strings.Contains(err.Error(), "server closed idle connection"):
		return failure(52, "Empty reply from server") // the second: closed before the request was sent
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"), strings.Contains(err.Error(), "tls:"):
		return failure(35, "TLS connect error: %v", err)
	}
	return failure(1, "%v", err)
}
