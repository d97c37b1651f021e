package envoy

import (
	"context"
	"encoding/json"
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
	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Proxy is a running Envoy in the place of an agent.
type Proxy struct {
	cfg   agent.Config
	at    Places
	cmd   *exec.Cmd
	done  chan struct{}
	admin *http.Client

	mu      sync.Mutex
	version int
}

// readyWithin is how long Envoy may take to start.
const readyWithin = 20 * time.Second

// Start starts the Envoy at path as the agent that cfg describes, with its
// files in dir, and says where it listens.
func Start(cfg agent.Config, n fabric.Net, path, dir string) (*Proxy, agent.Bound, error) {
	p := &Proxy{cfg: cfg, done: make(chan struct{})}
	bound, err := p.place(n, dir)
	if err != nil {
		return nil, agent.Bound{}, err
	}
	for i := range cfg.Egress {
		if err := p.write(i, nil); err != nil {
			return nil, agent.Bound{}, err
		}
	}
	b, err := Bootstrap(cfg, p.at)
	if err != nil {
		return nil, agent.Bound{}, err
	}
	file := filepath.Join(dir, "bootstrap.json")
	if err := os.WriteFile(file, b, 0o600); err != nil { // it may hold a key
		return nil, agent.Bound{}, err
	}
	// One worker: the task's share of a CPU is small. The base id would otherwise clash between Envoys.
	p.cmd = exec.Command(path, "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning", "--drain-time-s", "1")
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, agent.Bound{}, fmt.Errorf("envoy: %w", err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	if err := p.awaitReady(); err != nil {
		p.Close()
		return nil, agent.Bound{}, err
	}
	return p, bound, nil
}

// place chooses ports and files. The host's network is the task's own, so a
// port that is free now stays free until Envoy binds it.
func (p *Proxy) place(n fabric.Net, dir string) (b agent.Bound, err error) {
	// A Unix socket's path is limited to about 100 bytes, which dir may exceed.
	sockets, err := os.MkdirTemp("", "hl")
	if err != nil {
		return b, err
	}
	p.at = Places{Dir: dir, Admin: filepath.Join(sockets, "admin")}
	p.admin = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.at.Admin)
	}}}
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
		p.at.Ingress = append(p.at.Ingress, a.Port())
		b.Ingress = append(b.Ingress, a)
		if in.TLS && p.at.Certificate == nil {
			if p.at.Certificate, err = certificate(); err != nil {
				return b, err
			}
		}
	}
	if len(p.cfg.Egress) > 0 {
		a, err := free(0)
		if err != nil {
			return b, err
		}
		p.at.Egress = a.Port()
		b.Outbound = map[netip.AddrPort]netip.AddrPort{{}: a}
	}
	return b, nil
}

func certificate() (*certs.Pair, error) {
	a, err := certs.NewAuthority()
	if err != nil {
		return nil, err
	}
	return a.Issue("service-connect")
}

func (p *Proxy) awaitReady() error {
	limit := time.Now().Add(readyWithin)
	for {
		if body, err := p.ask(http.MethodGet, "/ready"); err == nil && strings.HasPrefix(string(body), "LIVE") {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("envoy ended before it was ready: %s; its configuration is %s", p.cmd.ProcessState, filepath.Join(p.at.Dir, "bootstrap.json"))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return fmt.Errorf("envoy was not ready within %s", readyWithin)
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

// Update changes the tasks behind egress endpoints. Envoy notices when a file
// is moved to the place of the old one.
func (p *Proxy) Update(u agent.Update) error {
	for i, e := range p.cfg.Egress {
		if hosts, ok := u.Hosts[fmt.Sprintf("%s:%d", e.Name, e.At.Port())]; ok {
			if err := p.write(i, hosts); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Proxy) write(i int, hosts []netip.AddrPort) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	b, err := Endpoints(i, hosts, p.version)
	if err != nil {
		return err
	}
	path := p.at.endpoints(i)
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Status returns Envoy's counters in the agent's terms. Envoy does not tell
// health checks from other requests, so HealthChecks stays 0.
func (p *Proxy) Status() (agent.Status, error) {
	body, err := p.ask(http.MethodGet, "/stats?format=json")
	if err != nil {
		return agent.Status{}, err
	}
	var doc struct {
		Stats []struct {
			Name  string  `json:"name"`
			Value float64 `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return agent.Status{}, fmt.Errorf("envoy's counters: %w", err)
	}
	v := map[string]int64{}
	for _, s := range doc.Stats {
		v[s.Name] = int64(s.Value)
	}
	var st agent.Status
	for i, in := range p.cfg.Ingress {
		st.Ingress = append(st.Ingress, endpoint(v, ingressName(i), in.Discovery, in.Protocol))
	}
	for i, e := range p.cfg.Egress {
		s := endpoint(v, egressName(i), e.Discovery, e.Protocol)
		s.Name = fmt.Sprintf("%s:%d", e.Name, e.At.Port())
		st.Egress = append(st.Egress, s)
	}
	return st, nil
}

func endpoint(v map[string]int64, name, discovery string, p agent.Protocol) agent.EndpointStatus {
	down := "http." + name + ".downstream_"
	if p == agent.TCP {
		down = "tcp." + name + ".downstream_"
	}
	s := agent.EndpointStatus{
		Discovery: discovery, Codes: map[string]int64{},
		Requests: v[down+"rq_total"], NewConnections: v[down+"cx_total"], ActiveConnections: v[down+"cx_active"],
		BytesIn: v[down+"cx_rx_bytes_total"], BytesOut: v[down+"cx_tx_bytes_total"],
		UpstreamConnections: v["cluster."+name+".upstream_cx_total"],
	}
	for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		if n := v[down+"rq_"+class]; n > 0 {
			s.Codes[class] = n
		}
	}
	return s
}

// Drain asks Envoy to drain its inbound listeners, as the host agent does.
func (p *Proxy) Drain() error {
	_, err := p.ask(http.MethodPost, "/drain_listeners?inboundonly")
	return err
}

// Close ends Envoy and removes its socket.
func (p *Proxy) Close() {
	if p.cmd != nil && p.cmd.Process != nil {
		p.cmd.Process.Kill()
		<-p.done
	}
	os.RemoveAll(filepath.Dir(p.at.Admin))
}

// Ended is closed when Envoy has ended.
func (p *Proxy) Ended() <-chan struct{} { return p.done }
