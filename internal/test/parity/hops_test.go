package parity

import (
	"context"
	"encoding/json"
	"errors"
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
	"sync/atomic"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// addresses gives every listener of a test an address of its own, so that no two
// tests and no two hops can take each other's.
var addresses struct {
	next atomic.Uint32
}

// place returns a loopback address that nobody in this process has had. Its
// port is below those that the kernel gives to connections.
func place(t testing.TB) netip.AddrPort {
	t.Helper()
	n := addresses.next.Add(1)
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(20 + os.Getpid()%200), byte(n >> 8), byte(n)}), 9999)
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return at
}

// wildcard returns a port that is free on every address.
func wildcard(t testing.TB) uint16 {
	t.Helper()
	for range 100 {
		port := uint16(10000 + (os.Getpid()*37+int(addresses.next.Add(1)))%15000)
		if l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// deployment is the configuration of one agent and where its parts are. The
// two hops of a pair have the same one but for the addresses.
type deployment struct {
	cfg     agent.Config
	ingress []netip.AddrPort
	out     uint16 // the port of the egress listener and of all virtual addresses
	hosts   map[string][]netip.AddrPort
	edit    func(*bootstrapv3.Bootstrap) // nil: as the lab writes it
	scale   float64                      // of the agent's clock; edit does the same to the bootstrap
}

// hop is a running agent or Envoy.
type hop struct {
	name     string
	d        *deployment
	counters func() map[string]agent.EndpointStatus // by endpoint, "ingress …" and "egress …"
	update   func(map[string][]netip.AddrPort)
	drain    func()
	log      string
	process  *os.Process
	stop     func()
}

// vip is the virtual address of the i-th egress endpoint.
func (d *deployment) vip(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, byte(i >> 8), byte(i)}), d.out)
}

// local is a fabric.Net on which logical addresses are this machine's own.
type local struct{ d *deployment }

func (l local) Listen(port uint16) (net.Listener, error) {
	return nil, errors.New("every listener has its address from the test")
}

// ingressNet hands out the deployment's ingress addresses in order.
type ingressNet struct {
	local
	next *atomic.Int32
}

func (n ingressNet) Listen(uint16) (net.Listener, error) {
	return net.Listen("tcp4", n.d.ingress[n.next.Add(1)-1].String())
}

func (l local) Dial(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp4", a.String())
}

func (l local) DialLocal(ctx context.Context, port uint16) (net.Conn, error) {
	return l.Dial(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
}

func (l local) Logical(a netip.Addr) netip.Addr { return a }
func (l local) Update(json.RawMessage) error    { return nil }

func (l local) Outbound([]netip.AddrPort) (fabric.Outbound, error) {
	ln, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", l.d.out))
	return outbound{ln}, err
}

// outbound takes connections to virtual addresses, which are real here.
type outbound struct{ net.Listener }

func (o outbound) Accept() (net.Conn, netip.AddrPort, error) {
	c, err := o.Listener.Accept()
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	return c, c.LocalAddr().(*net.TCPAddr).AddrPort(), nil
}

func (o outbound) Listeners() map[netip.AddrPort]netip.AddrPort {
	return map[netip.AddrPort]netip.AddrPort{{}: o.Addr().(*net.TCPAddr).AddrPort()}
}

func key(e agent.Egress) string { return fmt.Sprintf("%s:%d", e.Name, e.At.Port()) }

// startAgent runs the lab's agent in this process.
func startAgent(t testing.TB, d *deployment) *hop {
	t.Helper()
	dir := t.TempDir()
	cfg := d.cfg
	cfg.Scale = d.scale
	h := &hop{name: "agent", d: d, log: filepath.Join(dir, "access.log")}
	if cfg.AccessLog != nil {
		l := *cfg.AccessLog
		l.Path = h.log
		cfg.AccessLog = &l
	}
	a, _, err := agent.Start(cfg, ingressNet{local{d}, new(atomic.Int32)})
	if err != nil {
		t.Fatal(err)
	}
	h.update = func(hosts map[string][]netip.AddrPort) { a.Update(agent.Update{Hosts: hosts}) }
	h.update(d.hosts)
	h.drain = a.Drain
	h.counters = func() map[string]agent.EndpointStatus {
		out := map[string]agent.EndpointStatus{}
		st := a.Status()
		for _, s := range st.Ingress {
			out["ingress "+s.Discovery] = s
		}
		for i, s := range st.Egress {
			out["egress "+cfg.Egress[i].Name] = s
		}
		return out
	}
	var once sync.Once
	h.stop = func() { once.Do(a.Close) }
	t.Cleanup(h.stop)
	return h
}

// startEnvoy runs Envoy with the bootstrap that the lab writes for d.
func startEnvoy(t testing.TB, d *deployment) *hop {
	t.Helper()
	bin := labtest.Envoy(t)
	dir := t.TempDir()
	h := &hop{name: "Envoy", d: d, log: filepath.Join(dir, "access.log")}
	at := envoy.Addresses{
		Ingress: d.ingress, Outbound: netip.AddrPortFrom(netip.IPv4Unspecified(), d.out),
		Admin: fmt.Sprintf("@hoplab-parity-%d-%d", os.Getpid(), addresses.next.Add(1)), AccessLog: h.log,
	}
	boot, err := envoy.Bootstrap(d.cfg, agent.Update{Hosts: d.hosts}, at)
	if err != nil {
		t.Fatal(err)
	}
	if d.edit != nil {
		d.edit(boot)
	}
	text, err := envoy.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bootstrap.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, arguments(file, d.cfg.Workers)...)
	var words strings.Builder
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := labtest.StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	h.process = cmd.Process
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			cmd.Process.Signal(os.Interrupt)
			select {
			case <-done:
			case <-time.After(2 * time.Second):
				cmd.Process.Kill()
				<-done
			}
		})
	}
	t.Cleanup(h.stop)
	admin := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var n net.Dialer
			return n.DialContext(ctx, "unix", at.Admin)
		}}}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := admin.Get("http://admin/ready"); err == nil {
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.HasPrefix(string(b), "LIVE") {
				break
			}
		}
		select {
		case <-done:
			t.Fatalf("Envoy ended: %s", words.String())
		default:
		}
		if time.Now().After(limit) {
			t.Fatalf("Envoy is not ready: %s", words.String())
		}
	}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		// Its workers begin to listen after it says that it is ready. No endpoint
		// has this address, so that none counts the connection.
		if c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", d.out)); err == nil {
			c.Close()
			break
		}
		if time.Now().After(limit) {
			t.Fatal("Envoy does not listen")
		}
	}
	h.drain = func() {
		resp, err := admin.Post("http://admin/drain_listeners?inboundonly", "", nil)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}
	h.counters = func() map[string]agent.EndpointStatus {
		resp, err := admin.Get("http://admin/stats?format=json&usedonly&filter=%5E(http%7Ctcp%7Ccluster)%5C.")
		if err != nil {
			t.Error(err)
			return nil
		}
		defer resp.Body.Close()
		return envoyCounters(t, d, boot, resp.Body)
	}
	return h
}

// arguments are the lab's, with one worker unless the deployment says more:
// with two, which one takes a connection is chance, and each has a turn and a
// pool of its own, which TestWorkers is about.
func arguments(bootstrap string, workers int) []string { return envoy.Args(bootstrap, max(workers, 1)) }

// envoyCounters puts Envoy's own statistics into the terms of the lab's agent.
// It does not use the lab's code for that, which is on trial too.
func envoyCounters(t testing.TB, d *deployment, boot *bootstrapv3.Bootstrap, r io.Reader) map[string]agent.EndpointStatus {
	var doc struct {
		Stats []struct {
			Name  string
			Value any // of some it is a text
		}
	}
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		t.Error(err)
		return nil
	}
	v := map[string]int64{}
	for _, s := range doc.Stats {
		if n, ok := s.Value.(float64); ok {
			v[s.Name] = int64(n)
		}
	}
	out := map[string]agent.EndpointStatus{}
	names := statNames(t, boot)
	for i, in := range d.cfg.Ingress {
		out["ingress "+in.Discovery] = names[i].read(v)
	}
	for i, e := range d.cfg.Egress {
		out["egress "+e.Name] = names[len(d.cfg.Ingress)+i].read(v)
	}
	return out
}

// statName is how Envoy names what it counts of an endpoint.
type statName struct{ listener, cluster string }

func (n statName) read(v map[string]int64) (s agent.EndpointStatus) {
	down := n.listener + ".downstream_"
	s.Requests, s.NewConnections, s.ActiveConnections = v[down+"rq_total"], v[down+"cx_total"], v[down+"cx_active"]
	s.BytesIn, s.BytesOut = v[down+"cx_rx_bytes_total"], v[down+"cx_tx_bytes_total"]
	s.UpstreamConnections = v["cluster."+n.cluster+".upstream_cx_total"]
	s.Upstream = map[string]int64{}
	for _, name := range agent.UpstreamCounters {
		if n := v["cluster."+n.cluster+".upstream_"+name]; n > 0 {
			s.Upstream[name] = n
		}
	}
	s.Codes = map[string]int64{}
	for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		if n := v[down+"rq_"+class]; n > 0 {
			s.Codes[class] = n
		}
	}
	return s
}

// statNames reads the names from a bootstrap, chain by chain.
func statNames(t testing.TB, boot *bootstrapv3.Bootstrap) (out []statName) {
	alt := map[string]string{}
	for _, c := range boot.StaticResources.Clusters {
		if alt[c.Name] = c.AltStatName; c.AltStatName == "" {
			alt[c.Name] = c.Name
		}
	}
	for _, l := range boot.StaticResources.Listeners {
		for _, chain := range l.FilterChains {
			m, err := chain.Filters[len(chain.Filters)-1].GetTypedConfig().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *hcmv3.HttpConnectionManager:
				cluster := m.GetRouteConfig().VirtualHosts[0].Routes[0].GetRoute().GetCluster()
				out = append(out, statName{"http." + m.StatPrefix, alt[cluster]})
			case *tcpv3.TcpProxy:
				out = append(out, statName{"tcp." + m.StatPrefix, alt[m.GetCluster()]})
			}
		}
	}
	return out
}
