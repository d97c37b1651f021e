package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// dependencyTimeout bounds one test of one dependency. It is below the 5 s
// that a load balancer waits for a health check by default.
const dependencyTimeout = time.Second

func parseDependencies(v string) ([]*url.URL, error) {
	var deps []*url.URL
	for _, item := range list(v) {
		u, err := url.Parse(item)
		bad := err != nil
		if !bad {
			switch u.Scheme {
			case "tcp":
				bad = u.Hostname() == "" || u.Port() == ""
			case "http", "https":
				bad = u.Host == ""
			case "unix":
				bad = u.Path == ""
			default:
				bad = true
			}
		}
		if bad {
			return nil, fmt.Errorf("%q: expected tcp://host:port, http://host/path, https://host/path or unix:///path", item)
		}
		deps = append(deps, u)
	}
	return deps, nil
}

type dependencyError struct {
	Dependency string `json:"dependency"`
	Error      string `json:"error"`
}

// ready answers whether this instance can do its work: 503 while it stops or
// while a dependency does not answer. /healthz in contrast only says that the
// process runs; restarting it would not repair a dependency.
func (app *app) ready(w http.ResponseWriter, r *http.Request) {
	type answer struct {
		Status  string            `json:"status"`
		Failing []dependencyError `json:"failing,omitempty"`
	}
	select {
	case <-app.stopping:
		writeJSON(w, http.StatusServiceUnavailable, answer{Status: "stopping"})
		return
	default:
	}
	if failing := failingDependencies(r.Context(), app.cfg.dependencies); len(failing) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, answer{Status: "not ready", Failing: failing})
		return
	}
	writeJSON(w, http.StatusOK, answer{Status: "ready"})
}

// failingDependencies tests all dependencies at once and returns the failing
// ones in their configured order.
func failingDependencies(ctx context.Context, deps []*url.URL) []dependencyError {
	errs := make([]error, len(deps))
	var wg sync.WaitGroup
	for i, u := range deps {
		wg.Go(func() { errs[i] = testDependency(ctx, u) })
	}
	wg.Wait()
	var failing []dependencyError
	for i, err := range errs {
		if err != nil {
			failing = append(failing, dependencyError{deps[i].Redacted(), err.Error()})
		}
	}
	return failing
}

func testDependency(ctx context.Context, u *url.URL) error {
	ctx, cancel := context.WithTimeout(ctx, dependencyTimeout)
	defer cancel()
	switch u.Scheme {
	case "tcp":
		return dial(ctx, "tcp", u.Host)
	case "unix":
		return dial(ctx, "unix", u.Path)
	}
	return get(ctx, u.String())
}

func dial(ctx context.Context, network, address string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

// get succeeds on a status from 200 to 399, without following redirects.
func get(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("User-Agent", "hoplab-service")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
