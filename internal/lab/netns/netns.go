// Package netns is the fabric that the kernel runs: every network interface
// of the deployment is a network namespace with its real address and its real
// ports, subnets are bridges, and security groups and the redirects of
// Service Connect are nftables rules with connection tracking.
//
// It works as root, and without privileges inside a user namespace that Enter
// makes. Nothing has a name: a namespace lives as long as the thread of this
// process that is in it, so that nothing remains when the process ends,
// however it ends, and the machine's own network is never touched. Bridges
// and routes are in a namespace of their own too.
//
// What is modelled is TCP. Other protocols do not pass between hosts, with
// two exceptions: the names of the VPC's resolver (names.go) and IPv6
// neighbour discovery.
package netns

import "net/netip"

// Name is the fabric's name.
const Name = "netns"

// vips6 is the IPv6 range beside fabric.VIPs. An endpoint's two addresses
// have the same number in their ranges: 127.255.0.1 and 2600:f0f0::1.
var vips6 = netip.MustParsePrefix("2600:f0f0::/96")

// vip6 returns the IPv6 twin of a virtual address.
func vip6(v4 netip.Addr) netip.Addr {
	a, b := vips6.Addr().As16(), v4.As4()
	a[14], a[15] = b[2], b[3]
	return netip.AddrFrom16(a)
}

// vip4 returns the IPv4 twin of an address of vips6.
func vip4(v6 netip.Addr) netip.Addr {
	a := v6.As16()
	return netip.AddrFrom4([4]byte{127, 255, a[14], a[15]})
}
