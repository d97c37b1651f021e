// Package loopback is the fabric without privileges: hosts are addresses of
// 127.0.0.0/8, ports are chosen by the kernel, and a table that every process
// looks up when it dials stands in for routes, redirects and security groups.
//
// On systems where only 127.0.0.1 exists (all but Linux) the hosts share that
// address. Traffic flows the same way there, but an app cannot tell its agent
// from an ALB node by the peer's address, and an app that binds one interface
// only is reachable as if it had bound them all.
package loopback

import (
	"net/netip"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// View is what one host can see: where logical addresses really are.
type View struct {
	// IP is the host's logical address, Real the one its processes call from.
	IP   netip.Addr `json:"ip"`
	Real netip.Addr `json:"real"`
	// Peers are the other hosts by logical address.
	Peers map[netip.Addr]Peer `json:"peers,omitempty"`
	// Local is what answers on the host's 127.0.0.1, Own what answers the host
	// itself on its own address.
	Local map[uint16]netip.AddrPort `json:"local,omitempty"`
	Own   map[uint16]netip.AddrPort `json:"own,omitempty"`
	// Callers are the logical addresses of hosts by their real ones.
	Callers map[netip.Addr]netip.Addr `json:"callers,omitempty"`
	// VIPs are the agent's listeners by the destination they serve; the zero
	// key takes the rest.
	VIPs map[netip.AddrPort]netip.AddrPort `json:"vips,omitempty"`
}

// Peer is another host as one host sees it.
type Peer struct {
	Open  []fabric.Range            `json:"open,omitempty"` // by security groups
	Bound map[uint16]netip.AddrPort `json:"bound,omitempty"`
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Lookup returns where a connection to the logical address really goes.
func (v *View) Lookup(dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	switch ip := dst.Addr(); {
	case ip.Is6() && !ip.Is4In6(): // no host of this fabric has IPv6
		return netip.AddrPort{}, fabric.Unreachable
	case fabric.VIPs.Contains(ip):
		if real, ok := v.VIPs[dst]; ok {
			return real, fabric.Passed
		}
		return found(v.VIPs[netip.AddrPort{}], v.VIPs != nil)
	case ip.IsLoopback():
		real, ok := v.Local[dst.Port()]
		return found(real, ok)
	case ip == v.IP:
		real, ok := v.Own[dst.Port()]
		return found(real, ok)
	default:
		p, ok := v.Peers[ip]
		if !ok || !fabric.Contains(p.Open, dst.Port()) {
			return netip.AddrPort{}, fabric.Dropped
		}
		real, ok := p.Bound[dst.Port()]
		return found(real, ok)
	}
}

func found(real netip.AddrPort, ok bool) (netip.AddrPort, fabric.Verdict) {
	if !ok || !real.IsValid() {
		return netip.AddrPort{}, fabric.Refused
	}
	return real, fabric.Passed
}
