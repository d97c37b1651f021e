package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// device is the name of a host's interface, as in a task.
const device = "eth0"

// Host is a host of the fabric: a network namespace, a mount namespace with a
// hosts file of its own, and a thread that is in both.
type Host struct {
	*thread
	fabric *Fabric
	spec   fabric.HostSpec
	port   string   // the other end of its link, in the router
	ns     *os.File // its network namespace
	tap    *tapLink // its link where that is in user space, or nil

	open      map[opening]map[netip.Addr]bool // what its rules have; guarded by Fabric.mu
	redirects bool                            // whether the chains of the inbound redirect are there; the thread's
}

func newHost(f *Fabric, spec fabric.HostSpec, port string) (_ *Host, err error) {
	h := &Host{thread: newThread(), fabric: f, spec: spec, port: port, open: map[opening]map[netip.Addr]bool{}}
	defer func() {
		if err != nil {
			h.gone()
		}
	}()
	bridge, err := f.router.bridge(spec.Subnet)
	if err != nil {
		return nil, err
	}
	err = h.do(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
			return err
		}
		if h.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return mountNames(spec)
	})
	if err != nil {
		return nil, err
	}
	if err = h.connect(bridge); err != nil {
		return nil, fmt.Errorf("its link: %w", err)
	}
	if err := f.router.do(func() error { return f.router.reach(bridge, spec) }); err != nil {
		return nil, err
	}
	if err := h.do(h.address); err != nil {
		return nil, err
	}
	if err := h.do(newTable); err != nil {
		return nil, err
	}
	links := []string{bridge.Name}
	if h.tap == nil { // a TAP device is up at once
		links = append(links, port)
	}
	return h, f.router.awaitUp(links...)
}

// connect links the host with its subnet's bridge.
func (h *Host) connect(bridge *netlink.Bridge) error {
	r, delay := h.fabric.router, h.spec.Delay
	err := r.do(func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.MasterIndex = h.port, bridge.Index
		veth.PeerName, veth.PeerNamespace = device, netlink.NsFd(h.ns.Fd())
		if err := r.links.LinkAdd(veth); err != nil {
			return err
		}
		if err := r.links.LinkSetUp(veth); err != nil || delay == 0 {
			return err
		}
		return netem(r.links, h.port, delay)
	})
	switch {
	case errors.Is(err, errNoNetem):
		return h.connectThroughTAP(bridge)
	case err != nil || delay == 0:
		return err
	}
	return h.do(func() error {
		links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer links.Close()
		return netem(links, device, delay)
	})
}

// connectThroughTAP is connect with the delay in user space.
func (h *Host) connectThroughTAP(bridge *netlink.Bridge) error {
	r := h.fabric.router
	var ends [2]*os.File
	err := r.do(func() error {
		fast, err := r.links.LinkByName(h.port)
		if err != nil {
			return err
		}
		if err := r.links.LinkDel(fast); err != nil {
			return err
		}
		if ends[0], err = tap(h.port); err != nil {
			return err
		}
		slow, err := r.links.LinkByName(h.port)
		if err != nil {
			return err
		}
		if err := r.links.LinkSetMaster(slow, bridge); err != nil {
			return err
		}
		return r.links.LinkSetUp(slow)
	})
	if err == nil {
		err = h.do(func() (err error) {
			ends[1], err = tap(device)
			return err
		})
	}
	if err != nil {
		if ends[0] != nil {
			ends[0].Close()
		}
		return err
	}
	h.tap = newTAPLink(ends[0], ends[1], h.spec.Delay)
	return nil
}

// upWithin is how long a new link may take to carry packets.
const upWithin = 5 * time.Second

// awaitUp waits until the kernel has noticed that both ends of a link are up,
// which it does in its own time. A packet before that would be lost, and the
// next try is a second later.
func (r *router) awaitUp(names ...string) error {
	for _, name := range names {
		for limit := time.Now().Add(upWithin); ; time.Sleep(200 * time.Microsecond) {
			var l netlink.Link
			err := r.do(func() (err error) {
				l, err = r.links.LinkByName(name)
				return err
			})
			if err != nil {
				return err
			}
			if l.Attrs().OperState == netlink.OperUp {
				break
			}
			if time.Now().After(limit) {
				return fmt.Errorf("link %s is %s after %s", name, l.Attrs().OperState, upWithin)
			}
		}
	}
	return nil
}

// reach adds the routes to a host, in the router's thread.
func (r *router) reach(bridge *netlink.Bridge, spec fabric.HostSpec) error {
	to := []netip.Addr{spec.IP}
	if spec.IP6.IsValid() {
		to = append(to, spec.IP6)
		a := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(gateway6, 64)), Flags: unix.IFA_F_NODAD}
		if err := r.links.AddrReplace(bridge, a); err != nil {
			return err
		}
	}
	for _, ip := range to {
		if err := r.links.RouteReplace(&netlink.Route{LinkIndex: bridge.Index, Dst: single(ip), Scope: netlink.SCOPE_LINK}); err != nil {
			return fmt.Errorf("route to %s: %w", ip, err)
		}
	}
	return nil
}

// address gives the host its addresses and routes, in its thread.
func (h *Host) address() error {
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer links.Close()
	if err := linkUp(links, "lo"); err != nil {
		return err
	}
	eth, err := links.LinkByName(device)
	if err != nil {
		return err
	}
	if err := links.AddrAdd(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(h.spec.IP, h.spec.Subnet.Bits()))}); err != nil {
		return err
	}
	if ip := h.spec.IP6; !ip.IsValid() && hasIPv6() {
		if err := sysctl("ipv6/conf/"+device+"/disable_ipv6", "1"); err != nil {
			return err
		}
	} else if ip.IsValid() {
		if err := links.AddrAdd(eth, &netlink.Addr{IPNet: single(ip), Flags: unix.IFA_F_NODAD}); err != nil {
			return err
		}
	}
	if err := links.LinkSetUp(eth); err != nil {
		return err
	}
	gw := gateway(h.spec.Subnet)
	if err := links.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: gw.AsSlice()}); err != nil {
		return fmt.Errorf("route to %s: %w", gw, err)
	}
	if h.spec.IP6.IsValid() {
		if err := links.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: gateway6.AsSlice()}); err != nil {
			return fmt.Errorf("IPv6 route: %w", err)
		}
	}
	if len(h.spec.VIPs) > 0 && h.spec.IP6.IsValid() {
		// A packet needs a route before it meets the redirect of the output hook.
		// A task with IPv4 alone has none: there the names' IPv6 addresses are
		// unreachable, as on Fargate.
		lo, err := links.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := links.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(fabric.VIPs6)}); err != nil {
			return fmt.Errorf("route to %s: %w", fabric.VIPs6, err)
		}
	}
	return sysctl("ipv4/ip_unprivileged_port_start", "0")
}

// Spec returns what the host was made from.
func (h *Host) Spec() fabric.HostSpec { return h.spec }

// Namespace returns the host's network namespace.
func (h *Host) Namespace() *os.File { return h.ns }

// Start starts a process in the host's namespaces. A parent-death signal is
// that of the host's thread, which lives until Remove or the lab's end.
func (h *Host) Start(cmd *exec.Cmd) error { return h.do(cmd.Start) }

// Net needs no configuration: a process in the host has the host's network.
func (h *Host) Net() fabric.NetSpec { return fabric.NetSpec{Fabric: Name} }

// Outside names the host's network namespace, which is open in this process.
func (h *Host) Outside() fabric.NetSpec {
	raw, _ := json.Marshal(Config{Namespace: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.ns.Fd())}) // a string: cannot fail
	return fabric.NetSpec{Fabric: Name, Config: raw}
}

// Watch never calls push: the kernel knows what has changed.
func (h *Host) Watch(func(json.RawMessage)) (stop func()) { return func() {} }

// AppEnv returns the address and port themselves.
func (h *Host) AppEnv(bind fabric.Bind, port uint16) (string, uint16) {
	switch bind {
	case fabric.BindLoopback:
		return "127.0.0.1", port
	case fabric.BindInterface:
		return h.spec.IP.String(), port
	}
	return "", port
}

// Bound checks that the process got the port that it was told to take: no
// table stands in for it here.
func (h *Host) Bound(port uint16, _ fabric.Bind, real netip.AddrPort) error {
	if real.Port() != port {
		return fmt.Errorf("%s: a process that should listen on port %d listens on %s", h.spec.Name, port, real)
	}
	return nil
}

// Unbound does nothing: the kernel refuses connections to a closed port.
func (h *Host) Unbound(uint16) error { return nil }

// Lookup lets every connection be tried: what becomes of it is for the kernel to say.
func (h *Host) Lookup(dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	return dst, fabric.Passed
}

// From returns the zero Addr: a process of the host has the host's address.
func (h *Host) From(netip.AddrPort) netip.Addr { return netip.Addr{} }

// Dial connects from the host. A socket stays in the namespace it was made in.
func (h *Host) Dial(ctx context.Context, dst netip.AddrPort) (net.Conn, error) {
	return Net{h.ns}.Dial(ctx, dst) // in a thread of its own: the host's must not wait for a connection
}

// Listen listens on the port of all the host's addresses.
func (h *Host) Listen(port uint16) (net.Listener, error) { return Net{h.ns}.Listen(port) }

// Remove takes the host off the network and kills what still runs in it.
func (h *Host) Remove() error {
	f := h.fabric
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosts[h.spec.IP] != h {
		return nil
	}
	delete(f.hosts, h.spec.IP)
	var err error
	if h.tap == nil { // a TAP device goes with its file
		err = f.router.do(func() error {
			l, err := f.router.links.LinkByName(h.port)
			if err != nil {
				return err
			}
			return f.router.links.LinkDel(l)
		})
	}
	h.gone()
	// Or they would ask for its link address, and be told that there is none.
	return errors.Join(err, f.each(func(other *Host) error { return other.filter([]*Host{h}) }))
}

// gone lets go of the namespaces.
func (h *Host) gone() {
	if h.tap != nil {
		h.tap.close()
	}
	h.thread.close()
	if h.ns != nil {
		h.ns.Close()
	}
}
