package alb

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/h1"
)

// State is a target's health as DescribeTargetHealth shows it.
type State string

// The states of a target.
const (
	Initial     State = "initial"
	Healthy     State = "healthy"
	Unhealthy   State = "unhealthy"
	Unused      State = "unused"
	Draining    State = "draining"
	Unavailable State = "unavailable"
)

// The reasons that go with the states.
const (
	ReasonRegistering    = "Elb.RegistrationInProgress"
	ReasonInitial        = "Elb.InitialHealthChecking"
	ReasonTimeout        = "Target.Timeout"
	ReasonMismatch       = "Target.ResponseCodeMismatch"
	ReasonFailed         = "Target.FailedHealthChecks"
	ReasonNotInUse       = "Target.NotInUse"
	ReasonDeregistration = "Target.DeregistrationInProgress"
	ReasonGone           = "Target.NotRegistered"
	ReasonDisabled       = "Target.HealthCheckDisabled"
)

var healthLimits = h1.Limits{Head: 64 << 10}

// watch probes the target until it is deregistered. Like the service it
// begins at once, so that a good target is in use after one probe.
func (t *target) watch() {
	defer t.group.node.wg.Done()
	g := t.group
	interval := g.node.clock.Real(g.cfg.Health.Interval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-timer.C:
			start := time.Now()
			reason, description := t.probe()
			select {
			case <-t.stop:
				return
			default:
			}
			t.judge(reason, description)
			timer.Reset(max(interval-time.Since(start), 0))
		}
	}
}

// probe sends one health check and returns why it failed, or "".
func (t *target) probe() (reason, description string) {
	hc := t.group.cfg.Health
	limit := time.Now().Add(t.group.node.clock.Real(hc.Timeout))
	ctx, cancel := context.WithDeadline(context.Background(), limit)
	defer cancel()
	dst := t.addr
	if hc.Port != 0 {
		dst = netip.AddrPortFrom(dst.Addr(), hc.Port)
	}
	failed := func(err error) (string, string) {
		if h1.IsTimeout(err) || !time.Now().Before(limit) {
			return ReasonTimeout, "Request timed out"
		}
		return ReasonFailed, "Health checks failed"
	}
	nc, err := t.group.node.net.Dial(ctx, dst)
	if err != nil {
		return failed(err)
	}
	defer nc.Close()
	t.probing.Store(&nc)
	defer t.probing.Store(nil)
	nc.SetDeadline(limit)
	var config *tls.Config
	if hc.Protocol == "HTTPS" {
		config = certs.Unverified("", tls.VersionTLS12)
	}
	var code int
	switch {
	case t.group.cfg.Version == "GRPC":
		code, err = probeGRPC(ctx, nc, config, dst.String(), hc.Path)
	case t.group.http2():
		code, err = probeHTTP2(ctx, nc, config, dst.String(), hc.Path)
	default:
		code, err = probeHTTP1(ctx, nc, config, dst.String(), hc.Path)
	}
	if err != nil {
		return failed(err)
	}
	if !matches(hc.Matcher, code) {
		return ReasonMismatch, fmt.Sprintf("Health checks failed with these codes: [%d]", code)
	}
	return "", ""
}

// probeHTTP1 sends what the load balancer's checker sends, and returns the status.
func probeHTTP1(ctx context.Context, nc net.Conn, config *tls.Config, host, path string) (int, error) {
	if config != nil {
		tc := tls.Client(nc, config)
		if err := tc.HandshakeContext(ctx); err != nil {
			return 0, err
		}
		nc = tc
	}
	c := h1.NewConn(nc)
	defer c.Release()
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n"
	if _, err := c.Write([]byte(request)); err != nil {
		return 0, err
	}
	var resp h1.Response
	for resp.Status < 200 {
		if err := c.ReadResponse(&resp, healthLimits); err != nil {
			return 0, err
		}
	}
	return resp.Status, nil
}

// matches reports whether the status is among "200", "200,302" or "200-299".
func matches(matcher string, status int) bool {
	for _, part := range strings.Split(matcher, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(to)
		}
		if err == nil && a <= status && status <= b {
			return true
		}
	}
	return false
}

// judge takes the outcome of a probe: the first success makes a new target
// healthy, and after that a state changes after as many results in a row as
// its threshold says.
func (t *target) judge(reason, description string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hc := t.group.cfg.Health
	if t.state == Draining {
		return
	}
	t.probes++
	if reason == "" {
		t.failures, t.successes = 0, t.successes+1
		if t.state == Initial || t.state == Unhealthy && t.successes >= hc.Healthy {
			t.set(Healthy, "", "")
		}
		return
	}
	t.successes, t.failures = 0, t.failures+1
	if t.state == Unhealthy || t.failures >= hc.Unhealthy && (t.state == Initial || t.state == Healthy) {
		t.set(Unhealthy, reason, description)
	}
}

// set changes the state; t.mu is held.
func (t *target) set(s State, reason, description string) {
	if s == Healthy && t.state != Healthy {
		t.healthySince = time.Now()
	}
	changed := s != t.state || reason != t.reason
	t.state, t.reason, t.description = s, reason, description
	t.healthy.Store(s == Healthy)
	if n := t.group.node; changed && n.notify != nil {
		n.notify(HealthChange{Group: t.group.cfg.ID, Address: t.name, State: s, Reason: reason, Description: description})
	}
}
