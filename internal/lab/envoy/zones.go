package envoy

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ownService is the cluster of the tasks of the agent's own service, by which
// Envoy knows how many callers each zone has. Nothing is sent there.
const ownService = "own_service"

func locality(zone string) *corev3.Locality { return &corev3.Locality{Zone: zone} }

// zones reports whether requests are kept in the agent's zone.
func (g *generator) zones() bool { return g.cfg.Zone != "" && g.at.Control != "" }

func (g *generator) ownCluster() *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name: ownService, ConnectTimeout: durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: aggregated()},
	}
}

// zoneAware leaves the size from which zones count to byZone.
func zoneAware() *clusterv3.Cluster_CommonLbConfig {
	return &clusterv3.Cluster_CommonLbConfig{LocalityConfigSpecifier: &clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig_{
		ZoneAwareLbConfig: &clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig{
			RoutingEnabled: &typev3.Percent{Value: 100}, MinClusterSize: wrapperspb.UInt64(1),
		},
	}}
}

// byZone groups the members, which stand for the hosts, by the hosts' zones.
// Zones count from twice as many hosts as zones on (section 3 of the
// semantics): below that all are in one group.
func byZone(hosts, members []netip.AddrPort, zones map[netip.Addr]string) []*endpointv3.LocalityLbEndpoints {
	groups := map[string][]netip.AddrPort{}
	for i, h := range hosts {
		zone := zones[h.Addr()]
		groups[zone] = append(groups[zone], members[i])
	}
	if len(hosts) < 2*len(groups) {
		return assignment("", members).Endpoints
	}
	var out []*endpointv3.LocalityLbEndpoints
	for _, zone := range slices.Sorted(maps.Keys(groups)) {
		group := assignment("", groups[zone]).Endpoints[0]
		group.Locality = locality(zone)
		out = append(out, group)
	}
	return out
}

// callers lists as many tasks of the agent's own service in each zone as there
// are. Only their number counts, so their addresses are some that nobody has
// (RFC 5737).
func callers(counts map[string]int) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: ownService}
	at := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	for _, zone := range slices.Sorted(maps.Keys(counts)) {
		var members []netip.AddrPort
		for range counts[zone] {
			members = append(members, netip.AddrPortFrom(at, 1))
			at = at.Next()
		}
		group := assignment("", members).Endpoints[0]
		group.Locality = locality(zone)
		out.Endpoints = append(out.Endpoints, group)
	}
	return out
}
