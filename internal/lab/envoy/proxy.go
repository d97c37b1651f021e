package envoy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/proc"
)

// Proxy is a running Envoy in the place of an agent. Its methods are safe for
// concurrent use.
type Proxy struct {
	cfg     agent.Config
	at      Addresses
	spawner *proc.Spawner
	proc    *proc.Process
	admin   *http.Client

	mu      sync.Mutex
	version int
}

const (
	// readyWithin is how long Envoy may take to start: less than a node may
	// take to answer, so that the answer says what was waited for.
	readyWithin = 15 * time.Second
	// endWithin is how long it may take to write its access log and end.
	endWithin = 500 * time.Millisecond
)

// Start starts the Envoy at path as the agent that cfg describes and says
// where it listens, in the terms of the lab's own agent. Its files go into
// dir, its output to log. n must be a network on which logical addresses
// are real, and the calling process must be in the task's host. Envoy ends
// with this process, however that ends (Linux).
func Start(cfg agent.Config, n fabric.Net, path, dir string, log io.Writer) (*Proxy, agent.Bound, error) {
	p := &Proxy{cfg: cfg, spawner: proc.NewSpawner(), at: Addresses{Endpoints: dir, Admin: fmt.Sprintf("@hoplab-envoy-%s-%d", cfg.Task, os.Getpid())}}
	if cfg.AccessLog != nil {
		p.at.AccessLog = cfg.AccessLog.Path
	}
	p.admin = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.at.Admin)
	}}}
	b, err := p.start(n, path, log)
	if err != nil {
		p.Close()
		return nil, agent.Bound{}, fmt.Errorf("envoy for task %s: %w", cfg.Task, err)
	}
	return p, b, nil
}

func (p *Proxy) start(n fabric.Net, path string, log io.Writer) (agent.Bound, error) {
	b, err := p.addresses(n)
	if err != nil {
		return b, err
	}
	if err := p.Update(agent.Update{Hosts: p.nobody()}); err != nil {
		return b, err
	}
	boot, err := Bootstrap(p.cfg, agent.Update{}, p.at)
	if err != nil {
		return b, err
	}
	text, err := JSON(boot)
	if err != nil {
		return b, err
	}
	file := filepath.Join(p.at.Endpoints, "bootstrap.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return b, err
	}
	cmd := exec.Command(path, Args(file)...)
	cmd.Stdout = log
	if p.proc, err = p.spawner.Start("envoy", cmd, log, (*exec.Cmd).Start); err != nil {
		return b, err
	}
	return b, p.awaitReady(file)
}

// nobody returns every egress endpoint without tasks, for the first Update.
func (p *Proxy) nobody() map[string][]netip.AddrPort {
	out := map[string][]netip.AddrPort{}
	for _, e := range p.cfg.Egress {
		out[key(e)] = nil
	}
	return out
}

// addresses chooses ports. The host's network is the task's own, so a port that
// is free now stays free until Envoy binds it.
func (p *Proxy) addresses(n fabric.Net) (b agent.Bound, err error) {
	free := func(port uint16) (netip.AddrPort, error) {
		l, err := n.Listen(port)
		if err != nil {
			return netip.AddrPort{}, err
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).AddrPort(), nil
	}
	for _, in := range p.cfg.Ingress {
		a, err := free(in.Listen)
		if err != nil {
			return b, err
		}
		p.at.Ingress = append(p.at.Ingress, a)
	}
	b.Ingress = p.at.Ingress
	if len(p.cfg.Egress) > 0 {
		if p.at.Outbound, err = free(0); err != nil {
			return b, err
		}
		b.Outbound = map[netip.AddrPort]netip.AddrPort{{}: p.at.Outbound}
	}
	return b, nil
}

func (p *Proxy) awaitReady(file string) error {
	limit := time.Now().Add(readyWithin)
	for {
		if body, err := p.ask(http.MethodGet, "/ready"); err == nil && strings.HasPrefix(string(body), "LIVE") {
			return nil
		}
		select {
		case <-p.proc.Done():
			return fmt.Errorf("it ended before it was ready (%s); its configuration is %s", p.proc.Why(), file)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return fmt.Errorf("it was not ready within %s; its configuration is %s", readyWithin, file)
		}
	}
}

func (p *Proxy) ask(method, path string) ([]byte, error) {
	req, err := http.NewRequest(method, "http://admin"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.admin.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("envoy's admin interface answers %s to %s", resp.Status, path)
	}
	return body, err
}

// Update changes the tasks behind the egress endpoints that u names.
func (p *Proxy) Update(u agent.Update) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	for _, e := range p.cfg.Egress {
		if hosts, ok := u.Hosts[key(e)]; ok {
			if err := WriteEndpoints(p.at.Endpoints, e, hosts, p.version); err != nil {
				return err
			}
		}
	}
	return nil
}

// Drain asks Envoy to drain its inbound listeners, as the ECS host agent does.
func (p *Proxy) Drain() error {
	_, err := p.ask(http.MethodPost, "/drain_listeners?inboundonly")
	return err
}

// Close ends Envoy.
func (p *Proxy) Close() {
	if p.proc != nil {
		p.proc.Stop(endWithin)
	}
	p.spawner.Close()
}

// Ended is closed when Envoy has ended; Why then says how.
func (p *Proxy) Ended() <-chan struct{} { return p.proc.Done() }

// Why waits for Envoy's end and returns its exit and the last line of its log.
func (p *Proxy) Why() string { return p.proc.Why() }
