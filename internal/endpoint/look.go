package endpoint

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Looks is how many requests Look sends to each arm before a run: enough to
// see whether a header differs from response to response.
const Looks = 10

// lookTimeout bounds one of them.
const lookTimeout = 10 * time.Second

// Sight is what one arm's responses said.
type Sight struct {
	Arm       plan.Arm
	Responses []Response
}

// Response is one of them. Err is set when there was none.
type Response struct {
	Status  int
	Proto   string // "HTTP/1.1"
	Address string // what was connected to
	Header  http.Header
	Latency time.Duration // with the connection's own time: a look, and no measurement
	Err     error
}

// Look sends n requests to each arm of the plan but its twin, in turn and each
// over a connection of its own, so that it meets as many of the servers behind
// an address as it can. A request that fails is a Response with an Err. The
// error is fail.Usage when a header's environment variable is not set.
func Look(ctx context.Context, p *plan.Plan, n int) ([]Sight, error) {
	var sights []Sight
	var callers []*caller
	for _, a := range p.Arms {
		if a.TwinOf != "" {
			continue
		}
		c, err := newCaller(p, a)
		if err != nil {
			return nil, err
		}
		defer c.transport.CloseIdleConnections()
		callers, sights = append(callers, c), append(sights, Sight{Arm: a})
	}
	for range n {
		for i, c := range callers {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			sights[i].Responses = append(sights[i].Responses, c.call(ctx))
		}
	}
	return sights, nil
}

// caller sends requests of a plan's form to one arm.
type caller struct {
	transport *http.Transport
	template  *http.Request
	body      string
	timeout   time.Duration
}

func newCaller(p *plan.Plan, a plan.Arm) (*caller, error) {
	load := samplefile.Load{Request: p.Request, RequestBytes: p.RequestBytes}
	r, err := http.NewRequest(load.SendMethod(), a.Endpoint.URL, nil)
	if err != nil {
		return nil, fail.Newf(fail.Usage, armHint, "arm %q: %w", a.Name, err)
	}
	r.Header.Set("User-Agent", "hoplab")
	c := &caller{template: r, body: load.SendBody(), timeout: min(lookTimeout, samplefile.Seconds(p.TimeoutS))}
	if c.body != "" {
		r.Header.Set("Content-Type", "text/plain")
	}
	cfg := &tls.Config{ServerName: a.Endpoint.ServerName}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	if q := p.Request; q != nil {
		if err := addHeaders(r, q.Headers); err != nil {
			return nil, err
		}
		if q.CA != "" {
			cfg.RootCAs = x509.NewCertPool()
			cfg.RootCAs.AppendCertsFromPEM([]byte(q.CA))
		}
		if q.HTTP2 {
			protocols = new(http.Protocols)
			protocols.SetHTTP2(true)
			protocols.SetUnencryptedHTTP2(true)
		}
	}
	var d net.Dialer
	c.transport = &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, Protocols: protocols, TLSClientConfig: cfg,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return d.DialContext(ctx, network, cmp.Or(a.Endpoint.Connect, address))
		},
	}
	return c, nil
}

func addHeaders(r *http.Request, lines []string) error {
	for _, line := range lines {
		name, value, err := samplefile.SplitHeader(line)
		if err == nil {
			value, err = samplefile.Expand(value, os.LookupEnv)
		}
		if err != nil {
			return fail.Newf(fail.Usage, "set it, or leave the header out", "--header %s: %w", name, err)
		}
		switch http.CanonicalHeaderKey(name) {
		case "Host":
			r.Host = value
		case "User-Agent", "Content-Type":
			r.Header.Set(name, value)
		default:
			r.Header.Add(name, value)
		}
	}
	return nil
}

func (c *caller) call(ctx context.Context) (out Response) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(g httptrace.GotConnInfo) { out.Address = g.Conn.RemoteAddr().String() },
	})
	r := c.template.Clone(ctx)
	if c.body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(c.body)), int64(len(c.body))
	}
	began := time.Now()
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		out.Err = err
		return out
	}
	_, err = io.Copy(io.Discard, resp.Body)
	out.Latency, out.Err = time.Since(began), errors.Join(err, resp.Body.Close())
	out.Status, out.Proto, out.Header = resp.StatusCode, resp.Proto, resp.Header
	return out
}

// answered lists the responses that came.
func (s *Sight) answered() (out []Response) {
	for _, r := range s.Responses {
		if r.Err == nil {
			out = append(out, r)
		}
	}
	return out
}

// status is the one status that every response had.
func (s *Sight) status() (int, error) {
	name := s.Arm.Name
	statuses := map[int]int{}
	for _, r := range s.Responses {
		if r.Err != nil {
			return 0, fail.Newf(fail.Environment, "check the address, and whether this machine may reach it",
				"arm %s does not answer at %s: %w", name, s.Arm.Endpoint.URL, r.Err)
		}
		statuses[r.Status]++
	}
	first := s.Responses[0].Status
	switch {
	case len(statuses) > 1:
		return 0, fail.Newf(fail.Environment, "see what is wrong there before measuring it", "arm %s answers with status %s", name, counts(statuses))
	case first >= 400:
		return 0, fail.Newf(fail.Environment, "give another path, --method or --header; an error is answered by whoever meets it first",
			"arm %s answers %d with status %d", name, len(s.Responses), first)
	}
	return first, nil
}

func counts(n map[int]int) string {
	var parts []string
	for status := range 1000 {
		if n[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d (%d times)", status, n[status]))
		}
	}
	return strings.Join(parts, " and ")
}
