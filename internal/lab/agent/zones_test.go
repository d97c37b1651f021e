package agent

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestNearby: zones count from twice as many hosts as zones on, and as much
// stays in the zone as its hosts can take.
func TestNearby(t *testing.T) {
	var hosts []*host
	of := map[netip.Addr]string{}
	for i, zone := range []string{"a", "b", "a", "b"} {
		h := &host{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80), name: zone}
		of[h.addr.Addr()] = zone
		hosts = append(hosts, h)
	}
	balanced := &zoning{own: "a", of: of, callers: map[string]int{"a": 1, "b": 1}}
	share := func(z *zoning, hosts, tried []*host) float64 {
		const n = 2000
		local := 0
		for range n {
			near := z.nearby(hosts, time.Now(), tried)
			if !slices.ContainsFunc(near, func(h *host) bool { return h.name != "a" }) {
				local++
			}
		}
		return float64(local) / n
	}
	for _, c := range []struct {
		what     string
		z        *zoning
		hosts    []*host
		tried    []*host
		low, top float64
	}{
		{"balanced", balanced, hosts, nil, 1, 1},
		{"three hosts of two zones", balanced, hosts[:3], nil, 0, 0},
		{"no zone known", &zoning{of: of}, hosts, nil, 0, 0},
		{"nothing known", nil, hosts, nil, 0, 0},
		{"all callers here", &zoning{own: "a", of: of, callers: map[string]int{"a": 2}}, hosts, nil, 0.45, 0.55},
		{"the zone's hosts were tried", balanced, hosts, []*host{hosts[0], hosts[2]}, 0, 0},
	} {
		if got := share(c.z, c.hosts, c.tried); got < c.low || got > c.top {
			t.Errorf("%s: %.2f of the requests stay in the zone, want %.2f to %.2f", c.what, got, c.low, c.top)
		}
	}
}
