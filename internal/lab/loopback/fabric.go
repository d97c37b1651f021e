package loopback

import (
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

// Fabric is the controller side: the table. Everything in it has the version
// of the table at which it last changed, so that a watcher is told what is newer
// than what it knows.
type Fabric struct {
	mu      sync.Mutex
	hosts   map[netip.Addr]*Host
	policy  fabric.Policy
	block   [2]byte // 127.block[0].block[1].x is this lab's
	next    int
	batches int // that are under way: watchers are told when the last has ended

	version int64
	policed int64     // the version of the policy
	removed []removal // hosts that have gone
}

// removal is a host that has gone.
type removal struct {
	ip, real netip.Addr
	at       int64
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
	f.version++
	h := &Host{
		fabric: f, spec: spec, real: f.address(), added: f.version, changed: f.version,
		external: map[uint16]netip.AddrPort{}, redirects: map[uint16]netip.AddrPort{},
		local: map[uint16]netip.AddrPort{}, own: map[uint16]netip.AddrPort{},
		watchers: map[int]*watcher{},
	}
	f.hosts[spec.IP] = h
	f.tell()
	return h, nil
}

// Batch holds back what watchers are told until f has ended.
func (f *Fabric) Batch(do func() error) error {
	f.mu.Lock()
	f.batches++
	f.mu.Unlock()
	err := do()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches--
	f.tell()
	return err
}

func (f *Fabric) address() netip.Addr {
	if runtime.GOOS != "linux" {
		return localhost
	}
	f.next++
	n := f.next
	return netip.AddrFrom4([4]byte{127, f.block[0], f.block[1] + byte(n/250), byte(1 + n%250)})
}

// SetPolicy puts another policy in force between all hosts.
func (f *Fabric) SetPolicy(p fabric.Policy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.policy, f.policed = p, f.version
	f.tell()
	return nil
}

// Close forgets all hosts.
func (f *Fabric) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.hosts)
	return nil
}

// tell tells every watcher what has changed for it; f.mu is held. Watchers
// are processes, which decode what they are told at the same time.
func (f *Fabric) tell() {
	if f.batches > 0 {
		return
	}
	var all sync.WaitGroup
	for _, h := range f.hosts {
		for _, w := range h.watchers {
			c := f.since(h, w.told)
			w.told = f.version
			if c.empty() {
				continue
			}
			all.Go(func() {
				raw, _ := json.Marshal(c) // maps of strings and numbers: cannot fail
				w.push(raw)
			})
		}
	}
	all.Wait()
}

// view computes what h sees; f.mu is held.
func (f *Fabric) view(h *Host) View {
	v := View{IP: h.spec.IP, Real: h.real, Peers: map[netip.Addr]Peer{}, Callers: map[netip.Addr]netip.Addr{}, Self: h.self()}
	for ip, p := range f.hosts {
		p.calls(v.Callers)
		if p == h {
			continue
		}
		if open := f.policy(h.spec.IP, ip); len(open) > 0 {
			v.Peers[ip] = p.as(open)
		}
	}
	return v
}

// since computes what h sees otherwise than at the version; f.mu is held.
func (f *Fabric) since(h *Host, version int64) Change {
	c := Change{Peers: map[netip.Addr]Peer{}, Callers: map[netip.Addr]netip.Addr{}}
	for _, r := range f.removed {
		if r.at > version {
			c.Gone, c.NotCallers = append(c.Gone, r.ip), append(c.NotCallers, r.real)
		}
	}
	if h.changedSelf > version {
		self := h.self()
		c.Self = &self
	}
	for ip, p := range f.hosts {
		if p.added > version {
			p.calls(c.Callers)
		}
		if p == h || p.changed <= version && f.policed <= version {
			continue
		}
		// What was closed and still is has never been told.
		if open := f.policy(h.spec.IP, ip); len(open) > 0 {
			c.Peers[ip] = p.as(open)
		} else if f.policed > version {
			c.Gone = append(c.Gone, ip)
		}
	}
	return c
}

// lookup answers as the host's view would, without the rest of it; f.mu is held.
func (f *Fabric) lookup(h *Host, dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	v := View{IP: h.spec.IP, Real: h.real, Self: h.self()}
	if p := f.hosts[dst.Addr()]; p != nil && p != h {
		if open := f.policy(h.spec.IP, dst.Addr()); len(open) > 0 {
			v.Peers = map[netip.Addr]Peer{dst.Addr(): p.as(open)}
		}
	}
	return v.Lookup(dst)
}

// Host is a host of the fabric.
type Host struct {
	fabric *Fabric
	spec   fabric.HostSpec
	real   netip.Addr

	added       int64 // versions of the table: when it came,
	changed     int64 // when others last saw it change,
	changedSelf int64 // and when it itself did

	external  map[uint16]netip.AddrPort // what others reach at the port, redirects apart
	redirects map[uint16]netip.AddrPort
	local     map[uint16]netip.AddrPort
	own       map[uint16]netip.AddrPort
	vips      map[netip.AddrPort]netip.AddrPort
	described int64 // the version that Net last described
	watchers  map[int]*watcher
	watched   int
}

type watcher struct {
	push func(json.RawMessage)
	told int64 // the version that it knows
}

// self is what the host has for itself; nothing else may change it.
func (h *Host) self() Self {
	return Self{Local: maps.Clone(h.local), Own: maps.Clone(h.own), VIPs: h.vips}
}

// as is the host as one sees it to whom the ports are open.
func (h *Host) as(open []fabric.Range) Peer {
	bound := maps.Clone(h.external)
	maps.Copy(bound, h.redirects)
	return Peer{Open: open, Bound: bound}
}

// calls adds the real addresses from which the host calls.
func (h *Host) calls(callers map[netip.Addr]netip.Addr) {
	callers[h.real] = h.spec.IP
	if h.spec.Unaware {
		callers[localhost] = h.spec.IP
	}
}

// Spec returns what the host was made from.
func (h *Host) Spec() fabric.HostSpec { return h.spec }

// Start starts a process; on this fabric every host is this machine.
func (h *Host) Start(cmd *exec.Cmd) error { return cmd.Start() }

// Net describes a Net with the host's present view.
func (h *Host) Net() fabric.NetSpec {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	h.described = h.fabric.version
	raw, _ := json.Marshal(h.fabric.view(h)) // maps of strings and numbers: cannot fail
	return fabric.NetSpec{Fabric: "loopback", Config: raw}
}

// Outside is Net: a host of this fabric is no place that a process is in.
func (h *Host) Outside() fabric.NetSpec { return h.Net() }

// Watch pushes a Change whenever the host's view differs from what Net last
// described or push was last given.
func (h *Host) Watch(push func(json.RawMessage)) (stop func()) {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	h.watched++
	key := h.watched
	h.watchers[key] = &watcher{push: push, told: h.described}
	h.fabric.tell()
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
	return h.change(bind != fabric.BindLoopback, func() {
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
	return h.change(true, func() { h.redirects[port] = listener })
}

// Unbound forgets a listener and a redirect.
func (h *Host) Unbound(port uint16) error {
	return h.change(true, func() {
		delete(h.external, port)
		delete(h.own, port)
		delete(h.local, port)
	})
}

// Outbound notes the agent's listeners for VIPs.
func (h *Host) Outbound(listeners map[netip.AddrPort]netip.AddrPort) error {
	return h.change(false, func() { h.vips = maps.Clone(listeners) })
}

// change makes a change that the host sees, and others too if seen is set.
func (h *Host) change(seen bool, f func()) error {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	h.fabric.version++
	h.changedSelf = h.fabric.version
	if seen {
		h.changed = h.fabric.version
	}
	f()
	h.fabric.tell()
	return nil
}

// Lookup answers from the table.
func (h *Host) Lookup(dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	h.fabric.mu.Lock()
	defer h.fabric.mu.Unlock()
	return h.fabric.lookup(h, dst)
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
	real, verdict := h.Lookup(dst)
	return dial(ctx, h.real, dst, real, verdict)
}

// Remove drops the host from the table.
func (h *Host) Remove() error {
	f := h.fabric
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosts[h.spec.IP] != h {
		return nil
	}
	delete(f.hosts, h.spec.IP)
	f.version++
	f.removed = append(f.removed, removal{h.spec.IP, h.real, f.version})
	f.tell()
	return nil
}
