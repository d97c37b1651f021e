package loopback

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"sync"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Fabric is the controller side: the table.
type Fabric struct {
	mu     sync.Mutex
	hosts  map[netip.Addr]*Host
	policy fabric.Policy
	block  [2]byte // 127.block[0].block[1].x is this lab's
	next   int
}

// New returns an empty fabric.
func New() *Fabric {
	return &Fabric{
		hosts:  map[netip.Addr]*Host{},
		policy: func(netip.Addr, netip.Addr) []fabric.Range { return nil },
		// Not 127.0 (other people's servers) and not 127.255 (VIPs). Two labs in
		// one block do each other no harm: the ports are the kernel's choice.
		block: [2]byte{byte(1 + rand.IntN(250)), byte(rand.IntN(256))},
	}
}

// Name returns "loopback".
func (f *Fabric) Name() string { return "loopback" }

// AddHost gives the host an address of its own where the system has more than one.
func (f *Fabric) AddHost(_ context.Context, spec fabric.HostSpec) (fabric.Host, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.hosts[spec.IP]; ok {
		return nil, fmt.Errorf("two hosts have the address %s", spec.IP)
	}
	h := &Host{
		fabric: f, spec: spec, real: f.address(),
		external: map[uint16]netip.AddrPort{}, redirects: map[uint16]netip.AddrPort{},
		local: map[uint16]netip.AddrPort{}, own: map[uint16]netip.AddrPort{},
		watchers: map[int]*watcher{},
	}
	f.hosts[spec.IP] = h
	return h, f.pushAll()
}

func (f *Fabric) address() netip.Addr {
	if runtime.GOOS != "linux" {
		return localhost
	}
	f.next++
	n := f.next
	return netip.AddrFrom4([4]byte{127, f.block[0], f.block[1] + byte(n/250), byte(1 + n%250)})
}

// SetPolicy recomputes what every host sees.
func (f *Fabric) SetPolicy(p fabric.Policy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.policy = p
	return f.pushAll()
}

// Close forgets all hosts.
func (f *Fabric) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.hosts)
	return nil
}

// pushAll tells every watcher whose view has changed; f.mu is held.
func (f *Fabric) pushAll() error {
	for _, h := range f.hosts {
		if len(h.watchers) == 0 {
			continue
		}
		raw, err := json.Marshal(f.view(h))
		if err != nil {
			return err
		}
		for _, w := range h.watchers {
			if !bytes.Equal(w.last, raw) {
				w.last = raw
				w.push(raw)
			}
		}
	}
	return nil
}

// view computes what h sees; f.mu is held.
func (f *Fabric) view(h *Host) View {
	v := View{IP: h.spec.IP, Real: h.real, Peers: map[netip.Addr]Peer{}, Callers: map[netip.Addr]netip.Addr{},
		Local: h.local, Own: h.own, VIPs: h.vips}
	for ip, p := range f.hosts {
		v.Callers[p.real] = ip
		if p.spec.Unaware {
			v.Callers[localhost] = ip
		}
		if p == h {
			continue
		}
		open := f.policy(h.spec.IP, ip)
		if len(open) == 0 {
			continue
		}
		bound := maps.Clone(p.external)
		maps.Copy(bound, p.redirects)
		v.Peers[ip] = Peer{Open: open, Bound: bound}
	}
	return v
}

// Host is a host of the fabric.
type Host struct {
	fabric *Fabric
	spec   fabric.HostSpec
	real   netip.Addr

	external  map[uint16]netip.AddrPort // what others reach at the port, redirects apart
	redirects map[uint16]netip.AddrPort
	local     map[uint16]netip.AddrPort
	own       map[uint16]netip.AddrPort
	vips      map[netip.AddrPort]netip.AddrPort
	watchers  map[int]*watcher
	watched   int
}

type watcher struct {
	push func(json.RawMessage)
	last []byte
}

// Spec returns what the host was made from.
func (h *Host) Spec() fabric.HostSpec { return h.spec }

// Start starts a process; on this fabric every host is this machine.
func (h *Host) Start(cmd *exec.Cmd) error { return cmd.Start() }

// Net describes a Net with the host's present view.
func (h *Host) Net() fabric.NetSpec {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	raw, _ := json.Marshal(h.fabric.view(h)) // maps of strings and numbers: cannot fail
	return fabric.NetSpec{Fabric: "loopback", Config: raw}
}

// Watch pushes the host's view now and on every change.
func (h *Host) Watch(push func(json.RawMessage)) (stop func()) {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	h.watched++
	key := h.watched
	raw, _ := json.Marshal(h.fabric.view(h))
	h.watchers[key] = &watcher{push: push, last: raw}
	push(raw)
	return func() {
		h.fabric.mu.Lock()
		defer h.fabric.mu.Unlock()
		delete(h.watchers, key)
	}
}

// AppEnv asks for any free port on 127.0.0.1, or on the host's own address
// for an app that binds its interface only. One socket is enough for an app
// that listens everywhere, because the table sends both its agent and the
// outside there and the caller's address tells them apart; and nothing in the
// lab listens where other machines could reach it.
func (h *Host) AppEnv(bind fabric.Bind, _ uint16) (string, uint16) {
	if bind == fabric.BindInterface {
		return h.real.String(), 0
	}
	return localhost.String(), 0
}

// Bound notes a listener of the host.
func (h *Host) Bound(port uint16, bind fabric.Bind, real netip.AddrPort) error {
	if real.Addr().IsUnspecified() {
		real = netip.AddrPortFrom(localhost, real.Port())
	}
	return h.change(func() {
		if bind != fabric.BindInterface {
			h.local[port] = real
		}
		if bind != fabric.BindLoopback {
			h.external[port], h.own[port] = real, real
		}
	})
}

// Redirect notes where connections from other hosts to the port go.
func (h *Host) Redirect(port uint16, listener netip.AddrPort) error {
	return h.change(func() { h.redirects[port] = listener })
}

// Unbound forgets a listener and a redirect.
func (h *Host) Unbound(port uint16) error {
	return h.change(func() {
		delete(h.external, port)
		delete(h.own, port)
		delete(h.local, port)
	})
}

// Outbound notes the agent's listeners for VIPs.
func (h *Host) Outbound(listeners map[netip.AddrPort]netip.AddrPort) error {
	return h.change(func() { h.vips = listeners })
}

func (h *Host) change(f func()) error {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	f()
	return h.fabric.pushAll()
}

// Lookup answers from the table.
func (h *Host) Lookup(dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	h.fabric.mu.Lock()
	v := h.fabric.view(h)
	defer h.fabric.mu.Unlock()
	return v.Lookup(dst)
}

// From returns the host's real address for what lies outside it.
func (h *Host) From(dst netip.AddrPort) netip.Addr {
	if dst.Addr().IsLoopback() || h.real == localhost {
		return netip.Addr{}
	}
	return h.real
}

// Dial connects as a process of the host would.
func (h *Host) Dial(ctx context.Context, dst netip.AddrPort) (net.Conn, error) {
	h.fabric.mu.Lock()
	v := h.fabric.view(h)
	v.VIPs = maps.Clone(h.vips)
	v.Local, v.Own = maps.Clone(h.local), maps.Clone(h.own)
	h.fabric.mu.Unlock()
	return v.dial(ctx, dst)
}

// Remove drops the host from the table.
func (h *Host) Remove() error {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	delete(h.fabric.hosts, h.spec.IP)
	return h.fabric.pushAll()
}
