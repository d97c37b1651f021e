package agent

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// zoning is what zone-aware load balancing goes by: the agent's own zone, the
// zones of the tasks that it may call, and how many tasks of its own service
// each zone has.
type zoning struct {
	own     string
	of      map[netip.Addr]string
	callers map[string]int
}

// nearby returns the hosts among which to take turns: those of one zone, or
// all. Zones count from twice as many hosts as zones on (section 3 of the
// semantics). How much stays in the zone is Envoy's rule: all of it while the
// zone has at least the share of hosts that it has of callers, else as much as
// those can take, and the rest by what the other zones have to spare.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/zone_aware
func (z *zoning) nearby(hosts []*host, now time.Time, tried []*host) []*host {
	if z == nil || z.own == "" {
		return hosts
	}
	byZone := map[string][]*host{}
	for _, h := range hosts {
		zone := z.of[h.addr.Addr()]
		byZone[zone] = append(byZone[zone], h)
	}
	if len(byZone) < 2 || len(hosts) < 2*len(byZone) || len(byZone[z.own]) == 0 {
		return hosts
	}
	zone := z.choose(byZone, len(hosts))
	fit := func(h *host) bool { return !h.ejected(now) && !slices.Contains(tried, h) }
	if !slices.ContainsFunc(byZone[zone], fit) {
		return hosts
	}
	return byZone[zone]
}

func (z *zoning) choose(byZone map[string][]*host, hosts int) string {
	callers := 0
	for _, n := range z.callers {
		callers += n
	}
	share := func(zone string) (upstream, local float64) {
		return float64(len(byZone[zone])) / float64(hosts), float64(z.callers[zone]) / float64(max(callers, 1))
	}
	upstream, local := share(z.own)
	if local <= upstream || rand.Float64() < upstream/local {
		return z.own
	}
	spare, sum := map[string]float64{}, 0.0
	for zone := range byZone {
		if u, l := share(zone); zone != z.own && u > l {
			spare[zone] = u - l
			sum += u - l
		}
	}
	at := rand.Float64() * sum
	for zone, s := range spare {
		if at -= s; at < 0 {
			return zone
		}
	}
	return z.own
}
