package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/topology"
)

// Container health is HEALTHY, UNHEALTHY or UNKNOWN, as Amazon ECS shows it.
const (
	containerHealthy   = "HEALTHY"
	containerUnhealthy = "UNHEALTHY"
	containerUnknown   = "UNKNOWN"
)

// localURL finds the address that a health check command asks inside its own task.
var localURL = regexp.MustCompile(`https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?[^\s"'|;&)]*`)

// watchContainers runs the health checks of the task's containers. The lab
// has no shell of a foreign image to run them in; it sends the request that
// the command sends (curl, wget, the app's own -healthcheck), from inside the
// task, where no security group and no agent is in the way.
func (t *task) watchContainers() {
	l, s := t.service.copy.lab, t.service
	for i := range t.def.Task.Containers {
		c := &t.def.Task.Containers[i]
		if c.Health == nil || len(listens(c)) == 0 {
			continue
		}
		url := localURL.FindString(command(c.Health))
		if url == "" {
			l.note(fmt.Sprintf("container %s of service %s: the lab cannot run its health check %q and takes it as passed", c.Name, s.def.ID, command(c.Health)))
			continue
		}
		t.containers[c.Name] = containerUnknown
		l.wg.Go(func() { t.watchContainer(c, url) })
	}
}

func command(h *topology.ContainerHealth) string {
	var words []string
	for _, w := range h.Command {
		words = append(words, w.Or("?"))
	}
	return strings.Join(words, " ")
}

// watchContainer probes one container until the task stops. Defaults are
// those of ECS: every 30 s, 5 s each, 3 in a row, no start period.
func (t *task) watchContainer(c *topology.Container, url string) {
	l := t.service.copy.lab
	h := c.Health
	interval := l.clock.Real(time.Duration(h.IntervalSeconds.Or(30)) * time.Second)
	timeout := l.clock.Real(time.Duration(h.TimeoutSeconds.Or(5)) * time.Second)
	calm := time.Duration(h.StartPeriodSecond.Or(0)) * time.Second
	failures := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-timer.C:
		}
		good := t.probeContainer(url, timeout)
		if t.ctx.Err() != nil {
			return
		}
		timer.Reset(interval)
		switch {
		case good:
			failures = 0
			t.containerIs(c, containerHealthy)
		case l.clock.Modelled(time.Since(t.begun)) < calm:
		default:
			if failures++; failures >= h.Retries.Or(3) {
				t.containerIs(c, containerUnhealthy)
			}
		}
	}
}

// probeContainer sends the request of a health check command; like curl -f it
// wants a status below 400.
func (t *task) probeContainer(url string, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return t.dialInside(ctx, addr)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", "container-health-check")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode < 400
}

func (t *task) containerIs(c *topology.Container, state string) {
	l, s := t.service.copy.lab, t.service
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || t.containers[c.Name] == state {
		return
	}
	t.containers[c.Name] = state
	if state == containerHealthy {
		s.settle()
	}
	if state != containerUnhealthy || !c.Essential.Or(true) || !slices.Contains(s.tasks, t) {
		return
	}
	s.event("(task %s) failed container health checks.", t.id)
	s.unhealthy(t, FailedCheck, func() bool { return t.containers[c.Name] == containerUnhealthy })
}

// health is the health of the task's containers together.
func (t *task) health() string {
	worst := containerHealthy
	if len(t.containers) == 0 {
		return containerUnknown
	}
	for _, h := range t.containers {
		switch {
		case h == containerUnhealthy:
			return h
		case h == containerUnknown:
			worst = h
		}
	}
	return worst
}
