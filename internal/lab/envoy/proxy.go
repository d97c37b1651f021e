package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

// Proxy is a running Envoy in the place of an agent, with its control plane.
// Its methods are safe for concurrent use.
type Proxy struct {
	cfg     agent.Config
	at      Addresses
	path    string // of the program
	files   string // the bootstrap's, for what an error says
	log     *os.File
	sockets string // a directory to remove, or empty
	place   placer
	control *control
	gen     *generator
	spawner *proc.Spawner
	admin   *http.Client

	mu       sync.Mutex
	hosts    agent.Update
	proc     *proc.Process
	restarts int
	closed   bool
	ended    chan struct{} // closed when Envoy has ended for good
	why      string        // how, set before
}

const (
	// readyWithin is how long Envoy may take to start: less than a node may
	// take to answer, so that the answer says what was waited for.
	readyWithin = 15 * time.Second
	// takenWithin is how long an update waits for Envoy to take it. It stays in
	// force after that: Envoy takes it when it can.
	takenWithin = 2 * time.Second
	// endWithin is how long it may take to write its access log and end.
	endWithin = 500 * time.Millisecond
	// maxTries is how often ports are drawn anew when one was taken meanwhile.
	maxTries = 3
	// maxRestarts is how often an Envoy that ends is started again, as often as
	// AWS's agent does it (APPNET_ENVOY_RESTART_COUNT); then the agent ends.
	maxRestarts = 3
	// maxSocketPath is the length that every system allows a Unix socket's path.
	maxSocketPath = 100
)

// Start starts the Envoy at path as the agent that cfg describes and says
// where it listens, in the terms of the lab's own agent. Its files go into
// dir: the bootstrap, and envoy.log with what it writes. n must be Mapped, or a
// network on which logical addresses are real; then the calling process must be
// in the task's host. Envoy ends with this process, however that ends (Linux).
func Start(cfg agent.Config, n fabric.Net, path, dir string) (*Proxy, agent.Bound, error) {
	p := &Proxy{cfg: cfg, path: path, spawner: proc.NewSpawner(), place: real{}, ended: make(chan struct{}),
		hosts: agent.Update{Hosts: map[string][]netip.AddrPort{}, Zones: map[netip.Addr]string{}}}
	if m, ok := n.(fabric.Mapped); ok {
		p.place = &mapped{net: m, ends: map[deadEnd]*socket{}}
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.at.Admin)
	}
	p.admin = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	b, err := p.start(n, dir)
	if err != nil {
		p.Close()
		return nil, agent.Bound{}, fmt.Errorf("envoy for task %s: %w", cfg.Task, err)
	}
	go p.supervise()
	return p, b, nil
}

func (p *Proxy) start(n fabric.Net, dir string) (b agent.Bound, err error) {
	if p.log, err = os.OpenFile(filepath.Join(dir, "envoy.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return b, err
	}
	if err := p.openSockets(dir); err != nil {
		return b, err
	}
	p.at.InjectLog = filepath.Join(dir, "inject.log")
	if p.cfg.AccessLog != nil {
		p.at.AccessLog = p.cfg.AccessLog.Path
	}
	if p.control, err = newControl(p.at.Control, p.cfg.Task); err != nil {
		return b, err
	}
	p.files = filepath.Join(dir, "bootstrap.json")
	for try := 1; ; try++ {
		b, err = p.listen(n)
		// Where hosts share an address somebody may have taken a port meanwhile.
		if err == nil || try == maxTries || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return b, err
		}
		if p.proc != nil {
			p.proc.Kill()
		}
	}
}

// listen starts Envoy on addresses that are free.
func (p *Proxy) listen(n fabric.Net) (agent.Bound, error) {
	b, err := p.addresses(n)
	if err != nil {
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
	if err := os.WriteFile(p.files, text, 0o644); err != nil {
		return b, err
	}
	if p.gen, err = newGenerator(p.cfg, p.at); err != nil {
		return b, err
	}
	if err := p.publish(); err != nil {
		return b, err
	}
	return b, p.run()
}

// openSockets chooses where the sockets of the admin interface and of the
// control plane are: in dir, or where their paths are short enough.
func (p *Proxy) openSockets(dir string) error {
	if len(dir)+len("/control.sock") > maxSocketPath {
		short, err := os.MkdirTemp("", "hoplab-envoy-")
		if err != nil {
			return err
		}
		p.sockets, dir = short, short
	}
	p.at.Admin, p.at.Control = filepath.Join(dir, "admin.sock"), filepath.Join(dir, "control.sock")
	return nil
}

// addresses chooses ports that are free now, each its own.
func (p *Proxy) addresses(n fabric.Net) (b agent.Bound, err error) {
	p.at.Ingress, p.at.Aliases = nil, nil
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	free := func(port uint16) (netip.AddrPort, error) {
		l, err := n.Listen(port)
		if err != nil {
			return netip.AddrPort{}, err
		}
		held = append(held, l)
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
	if len(p.cfg.Egress) == 0 {
		return b, nil
	}
	if p.at.Outbound, err = free(0); err != nil {
		return b, err
	}
	m, ok := n.(fabric.Mapped)
	if !ok { // the redirect leads to the task's own loopback
		p.at.Outbound = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.at.Outbound.Port())
		b.Outbound = map[netip.AddrPort]netip.AddrPort{{}: p.at.Outbound}
		return b, nil
	}
	p.at.From, p.at.Aliases = m.From(), map[netip.AddrPort]netip.AddrPort{}
	for _, e := range p.cfg.Egress {
		if p.at.Aliases[e.At], err = free(0); err != nil {
			return b, err
		}
	}
	b.Outbound = maps.Clone(p.at.Aliases)
	b.Outbound[netip.AddrPort{}] = p.at.Outbound
	return b, nil
}

// run starts the program and waits until it serves.
func (p *Proxy) run() error {
	p.control.forget()
	cmd := exec.Command(p.path, Args(p.files, p.cfg.Workers)...)
	cmd.Stdout = p.log
	started, err := p.spawner.Start("envoy", cmd, p.log, (*exec.Cmd).Start)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.proc = started
	p.mu.Unlock()
	return p.awaitReady(started)
}

// awaitReady waits until Envoy has taken its listeners and is live.
func (p *Proxy) awaitReady(of *proc.Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	go func() {
		select {
		case <-of.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := p.control.await(ctx)
	for err == nil {
		body, asked := p.ask(ctx, http.MethodGet, "/ready")
		if asked == nil && strings.HasPrefix(string(body), "LIVE") {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	switch {
	case !of.Alive():
		return fmt.Errorf("it ended before it was ready (%s); its configuration is %s", of.Why(), p.files)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it was not ready within %s; its configuration is %s, its log %s", readyWithin, p.files, p.log.Name())
	}
	return err
}

// supervise starts Envoy again when it ends, as often as AWS's agent does.
func (p *Proxy) supervise() {
	defer close(p.ended)
	for {
		p.mu.Lock()
		now := p.proc
		p.mu.Unlock()
		<-now.Done()
		p.mu.Lock()
		p.why = now.Why()
		again := !p.closed && p.restarts < maxRestarts
		if again {
			p.restarts++
		}
		p.mu.Unlock()
		if !again {
			return
		}
		if err := p.run(); err != nil {
			p.mu.Lock()
			p.why, p.closed = err.Error(), true
			p.mu.Unlock()
			p.proc.Kill()
			return
		}
	}
}

func (p *Proxy) ask(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, nil)
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

// Update changes the tasks behind the egress endpoints that u names. It returns
// once Envoy has taken the change; an Envoy that is not there, or is slow, gets
// it later.
func (p *Proxy) Update(u agent.Update) error {
	p.mu.Lock()
	maps.Copy(p.hosts.Hosts, u.Hosts)
	maps.Copy(p.hosts.Zones, u.Zones)
	if u.Callers != nil {
		p.hosts.Callers = u.Callers
	}
	err := p.publish()
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.taken()
}

// Moved looks up anew where everything is, after the network changed.
func (p *Proxy) Moved() error {
	if _, ok := p.place.(real); ok {
		return nil
	}
	return p.Update(agent.Update{})
}

// publish hands what is known to the control plane; p.mu is held once Envoy runs.
func (p *Proxy) publish() error {
	r, err := p.gen.resources(p.hosts, p.place)
	if err != nil {
		return err
	}
	return p.control.serve(r)
}

func (p *Proxy) taken() error {
	ctx, cancel := context.WithTimeout(context.Background(), takenWithin)
	defer cancel()
	if err := p.control.await(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Drain asks Envoy to drain its inbound listeners, as the ECS host agent does.
func (p *Proxy) Drain() error {
	_, err := p.ask(context.Background(), http.MethodPost, "/drain_listeners?inboundonly")
	return err
}

// DrainAll asks Envoy to drain all listeners over DrainTime, as AWS's agent
// does on SIGTERM.
func (p *Proxy) DrainAll() error {
	_, err := p.ask(context.Background(), http.MethodPost, "/drain_listeners?graceful")
	return err
}

// Close ends Envoy and its control plane.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	now := p.proc
	p.mu.Unlock()
	if now != nil {
		now.Stop(endWithin)
	}
	p.spawner.Close()
	if p.control != nil && p.control.grpc != nil {
		p.control.stopListening()
	}
	p.place.close()
	if p.log != nil {
		p.log.Close()
	}
	if p.sockets != "" {
		os.RemoveAll(p.sockets)
	}
}

// Ended is closed when Envoy has ended and is not started again; Why then says how.
func (p *Proxy) Ended() <-chan struct{} { return p.ended }

// Why waits for Envoy's end and returns its exit and the last line of its log.
func (p *Proxy) Why() string {
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}
