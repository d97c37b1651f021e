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
	"maps"
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
	// Callers are the logical addresses of hosts by their real ones.
	Callers map[netip.Addr]netip.Addr `json:"callers,omitempty"`
	Self
}

// Self is what a host has for itself.
type Self struct {
	// Local is what answers on the host's 127.0.0.1, Own what answers the host
	// itself on its own address.
	Local map[uint16]netip.AddrPort `json:"local,omitempty"`
	Own   map[uint16]netip.AddrPort `json:"own,omitempty"`
	// VIPs are the agent's listeners by the destination they serve; the zero
	// key takes the rest.
	VIPs map[netip.AddrPort]netip.AddrPort `json:"vips,omitempty"`
}

// Peer is another host as one host sees it.
type Peer struct {
	Open  []fabric.Range            `json:"open,omitempty"` // by security groups
	Bound map[uint16]netip.AddrPort `json:"bound,omitempty"`
}

// Change is what a host sees otherwise than before. Gone and NotCallers go
// first: an address may have a new host.
type Change struct {
	Gone       []netip.Addr              `json:"gone,omitempty"` // no peers any more
	Peers      map[netip.Addr]Peer       `json:"peers,omitempty"`
	NotCallers []netip.Addr              `json:"not_callers,omitempty"` // real addresses that nobody has any more
	Callers    map[netip.Addr]netip.Addr `json:"callers,omitempty"`
	Self       *Self                     `json:"self,omitempty"`
}

func (c *Change) empty() bool {
	return len(c.Gone) == 0 && len(c.Peers) == 0 && len(c.NotCallers) == 0 && len(c.Callers) == 0 && c.Self == nil
}

// with returns the view with a change; v, which others may be reading, stays as it is.
func (v View) with(c Change) *View {
	if len(c.Gone)+len(c.Peers) > 0 {
		v.Peers = replaced(v.Peers, c.Gone, c.Peers)
	}
	if len(c.NotCallers)+len(c.Callers) > 0 {
		v.Callers = replaced(v.Callers, c.NotCallers, c.Callers)
	}
	if c.Self != nil {
		v.Self = *c.Self
	}
	return &v
}

// replaced returns m without the keys that are gone and with those that are new.
func replaced[V any](m map[netip.Addr]V, gone []netip.Addr, now map[netip.Addr]V) map[netip.Addr]V {
	m = maps.Clone(m)
	if m == nil {
		m = map[netip.Addr]V{}
	}
	for _, k := range gone {
		delete(m, k)
	}
	maps.Copy(m, now)
	return m
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
