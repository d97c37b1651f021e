package netns

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// router is the namespace in the middle: a bridge for each subnet and the
// routes between them.
type router struct {
	*thread
	links *netlink.Handle // the thread's

	mu      sync.Mutex // for bridges
	bridges map[netip.Prefix]*netlink.Bridge
}

func newRouter() (_ *router, err error) {
	r := &router{thread: newThread(), bridges: map[netip.Prefix]*netlink.Bridge{}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	return r, r.do(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if r.links, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		if err := sysctl("ipv4/ip_forward", "1"); err != nil {
			return err
		}
		if hasIPv6() {
			if err := sysctl("ipv6/conf/all/forwarding", "1"); err != nil {
				return err
			}
		}
		return linkUp(r.links, "lo")
	})
}

// close ends the namespace and every link that has an end in it.
func (r *router) close() {
	if r.links != nil {
		r.links.Close()
	}
	r.thread.close()
}

// bridge returns the bridge of a subnet. The subnet's first address is the
// router's, as in a VPC.
func (r *router) bridge(subnet netip.Prefix) (*netlink.Bridge, error) {
	subnet = subnet.Masked()
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.bridges[subnet]; b != nil {
		return b, nil
	}
	snooping := false // or the bridge sends multicast of its own, which the hosts' rules count
	b := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
	b.Name = fmt.Sprintf("subnet%d", len(r.bridges))
	// An address of its own: else the bridge takes the lowest of its ports', which
	// changes as hosts come, and hosts that remember the old one are not heard.
	b.HardwareAddr = net.HardwareAddr{0x02, 'h', 'o', 'p', 0, byte(len(r.bridges))}
	err := r.do(func() error {
		if err := r.links.LinkAdd(b); err != nil {
			return err
		}
		// Subnets of different VPCs, or of a template that leaves them open, may
		// overlap: the router answers for what is behind another bridge.
		if err := sysctl("ipv4/conf/"+b.Name+"/proxy_arp", "1"); err != nil {
			return err
		}
		gateway := netip.PrefixFrom(gateway(subnet), subnet.Bits())
		if err := r.links.AddrAdd(b, &netlink.Addr{IPNet: ipNet(gateway)}); err != nil {
			return err
		}
		return r.links.LinkSetUp(b)
	})
	if err != nil {
		return nil, fmt.Errorf("bridge of subnet %s: %w", subnet, err)
	}
	r.bridges[subnet] = b
	return b, nil
}

// gateway is the address of the VPC's router in a subnet.
func gateway(subnet netip.Prefix) netip.Addr { return subnet.Masked().Addr().Next() }

// gateway6 is the router's address on every link, for hosts with IPv6.
var gateway6 = netip.MustParseAddr("fe80::1")

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// single is the prefix that holds one address.
func single(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, a.BitLen())) }

func linkUp(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	return h.LinkSetUp(l)
}

// sysctl sets a value of the network namespace of the calling thread.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
}

// hasIPv6 reports whether this kernel has IPv6.
func hasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}
