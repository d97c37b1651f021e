package observed

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
)

// calls makes the call as often as it says, and compares each with what is
// wanted and with the prediction.
func (s *stage) calls(ctx context.Context, k *Call) (differs []string, err error) {
	c, url, rc, label, err := s.address(k.From, k.To, k.Port, k.Path, call.Lookup(k.Lookup))
	if err != nil {
		return nil, err
	}
	var predicted []reach.Prediction
	if !k.Unpredicted {
		p, err := reach.New(s.top, s.reachOptions())
		if err != nil {
			return nil, err
		}
		if predicted, err = p.Ask(rc, label); err != nil {
			return nil, err
		}
	}
	once := func() (call.Observation, error) {
		limit, cancel := context.WithTimeout(ctx, s.real(patience))
		defer cancel()
		return s.lab.Curl(limit, c, url)
	}
	if k.Keep {
		one := s.connection(c, url)
		defer one.close()
		once = func() (call.Observation, error) { return one.get(ctx, url) }
	}
	tasks := map[string]bool{}
	for range max(k.Times, 1) {
		o, err := once()
		if err != nil {
			return differs, err
		}
		tasks[o.Header.Get("X-Hoplab-App")] = true
		differs = append(differs, k.Want.differs(o)...)
		for i := range predicted {
			if d := disagrees(predicted[i].Outcome, o, k.To); d != "" {
				differs = append(differs, "predicted is "+d)
			}
		}
	}
	if k.Want.Tasks > 0 && len(tasks) != k.Want.Tasks {
		differs = append(differs, fmt.Sprintf("%d tasks answered, want %d", len(tasks), k.Want.Tasks))
	}
	return differs, nil
}

// disagrees is where an observation contradicts a prediction; one that is
// unknown does not predict what was observed.
func disagrees(o reach.Outcome, seen call.Observation, to string) string {
	if o.Class == reach.Unknown {
		return "unknown: " + o.Why
	}
	if to == "alb" || to == "task" { // a prediction calls them by their labels
		o.Curl = ""
	}
	if o.Match == reach.Assumed { // the text of an app that nobody described
		o.Match = reach.Open
	}
	return o.Disagrees(seen)
}

func (w *Want) differs(o call.Observation) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if w.Status != 0 && o.Status != w.Status {
		add("status %d %s, want %d", o.Status, o.Error, w.Status)
	}
	if !strings.HasPrefix(o.Body, w.Body) {
		add("body %q, want %q", o.Body, w.Body)
	}
	if w.Bytes != 0 && len(o.Body) != w.Bytes {
		add("body of %d bytes, want %d", len(o.Body), w.Bytes)
	}
	for k, v := range w.Header {
		got, have := o.Header[http.CanonicalHeaderKey(k)]
		switch {
		case v == "" && have:
			add("header %s: %v, want none", k, got)
		case v != "" && !regexp.MustCompile("^(?:"+v+")$").MatchString(strings.Join(got, ", ")):
			add("header %s: %v, want %s", k, got, v)
		}
	}
	if !strings.HasPrefix(o.Error, w.Curl) {
		add("curl said %q (status %d), want %q", o.Error, o.Status, w.Curl)
	}
	if lo, hi := time.Duration(w.Within[0]), time.Duration(w.Within[1]); hi > 0 && (o.Elapsed < lo || o.Elapsed > hi) {
		add("it took %s, want %s to %s", o.Elapsed, lo, hi)
	}
	return out
}

// connection is a client with one connection that it keeps.
type connection struct {
	s  *stage
	tr *http.Transport
}

func (s *stage) connection(c lab.Caller, url string) *connection {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return s.lab.Dial(ctx, c, url) }
	return &connection{s, &http.Transport{MaxConnsPerHost: 1, DisableCompression: true, DialContext: dial}}
}

func (k *connection) close() { k.tr.CloseIdleConnections() }

func (k *connection) get(ctx context.Context, url string) (o call.Observation, err error) {
	limit, cancel := context.WithTimeout(ctx, k.s.real(patience))
	defer cancel()
	req, err := http.NewRequestWithContext(limit, http.MethodGet, url, nil)
	if err != nil {
		return o, err
	}
	resp, err := k.tr.RoundTrip(req)
	if err != nil {
		return o, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return call.Observation{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}, err
}

// raw sends a request's head as it is and reads lines.
func (s *stage) raw(ctx context.Context, r *Raw) ([]string, error) {
	c, url, _, _, err := s.address(r.From, r.To, 0, "", "")
	if err != nil {
		return nil, err
	}
	start := time.Now()
	nc, err := s.lab.Dial(ctx, c, url)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	nc.SetDeadline(start.Add(s.real(patience)))
	if _, err := io.WriteString(nc, strings.ReplaceAll(strings.TrimRight(r.Send, "\n"), "\n", "\r\n")+"\r\n\r\n"); err != nil {
		return nil, err
	}
	want := r.Want
	lines := bufio.NewScanner(nc)
	var seen []string
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		seen = append(seen, line)
		if len(want) > 0 && regexp.MustCompile(want[0]).MatchString(line) {
			want = want[1:]
		}
		elapsed := s.modelled(time.Since(start))
		if len(want) == 0 && r.Cut[1] == 0 && elapsed >= time.Duration(r.Open) {
			return nil, nil
		}
	}
	elapsed := s.modelled(time.Since(start))
	switch {
	case len(want) > 0:
		return []string{fmt.Sprintf("no line matches %q in\n%s", want[0], strings.Join(seen, "\n"))}, nil
	case r.Cut[1] > 0 && elapsed >= time.Duration(r.Cut[0]) && elapsed <= time.Duration(r.Cut[1]):
		return nil, nil
	}
	return []string{fmt.Sprintf("it ended after %s, want it cut after %s to %s or open for %s", elapsed, time.Duration(r.Cut[0]), time.Duration(r.Cut[1]), time.Duration(r.Open))}, nil
}

func (s *stage) tls(ctx context.Context, k *TLS) ([]string, error) {
	c, url, _, _, err := s.address(k.From, k.To, 0, "", "")
	if err != nil {
		return nil, err
	}
	nc, err := s.lab.Dial(ctx, c, url)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(s.settleWithin))
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) // the agent's authority is its own
	if err := tc.HandshakeContext(ctx); err != nil {
		return []string{"no TLS there: " + err.Error()}, nil
	}
	if names := tc.ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(names, k.Names) {
		return []string{fmt.Sprintf("the certificate has the names %v, want %v", names, k.Names)}, nil
	}
	return nil, nil
}

// loop sends a request again and again, does something, and compares how the
// statuses change.
func (s *stage) loop(ctx context.Context, k *Loop) ([]string, error) {
	c, url, _, _, err := s.address(k.Call.From, k.Call.To, k.Call.Port, k.Call.Path, "")
	if err != nil {
		return nil, err
	}
	var statuses []int
	var changes []time.Duration
	var differs []string
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- s.operate(ctx, k.Operate) }()
	finished := false
	for s.modelled(time.Since(begun)) < time.Duration(k.For) || !finished {
		limit, cancel := context.WithTimeout(ctx, s.real(patience))
		o, err := s.lab.Curl(limit, c, url)
		cancel()
		if err != nil {
			return nil, err
		}
		if took := s.real(o.Elapsed); o.Status != 200 && k.Slowest > 0 && took > time.Duration(k.Slowest) {
			differs = append(differs, fmt.Sprintf("a failed answer (%d %s) took %s, want at most %s", o.Status, o.Error, took, time.Duration(k.Slowest)))
		}
		if n := len(statuses); n == 0 || statuses[n-1] != o.Status {
			statuses = append(statuses, o.Status)
			if n > 0 {
				changes = append(changes, s.modelled(time.Since(begun)))
			}
		}
		select {
		case err := <-done:
			if err != nil {
				return nil, err
			}
			finished = true
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.real(time.Duration(k.Every))):
		}
	}
	if !slices.Equal(statuses, k.Statuses) {
		return append(differs, fmt.Sprintf("statuses %v at %v, want %v", statuses, changes, k.Statuses)), nil
	}
	for i, at := range k.Changes {
		if changes[i] < time.Duration(at[0]) || changes[i] > time.Duration(at[1]) {
			differs = append(differs, fmt.Sprintf("change %d came after %s, want %s to %s", i+1, changes[i], time.Duration(at[0]), time.Duration(at[1])))
		}
	}
	return differs, nil
}
