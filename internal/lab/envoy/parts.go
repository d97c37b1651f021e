package envoy

import (
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Section 3 of the semantics; what it does not know is Envoy's default.
const (
	connectTimeout = 5 * time.Second
	retries        = 2
	// retryOn is what the guide says: failed connections. (A user reports 503
	// responses too; AWS does not.)
	retryOn          = "connect-failure"
	outlierFailures  = 5
	outlierInterval  = 30 * time.Second
	ejectionBase     = 30 * time.Second
	ejectionMax      = 300 * time.Second
	maxHeadKB        = 60
	hostSelectionTry = 3
)

// address is where to listen or to connect. Without the compatibility, "::"
// is IPv6 alone to Envoy.
func address(a netip.AddrPort) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: a.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())},
		Ipv4Compat: a.Addr() == netip.IPv6Unspecified(),
	}}}
}

// exactly matches the virtual address of an endpoint and its IPv6 twin.
func exactly(vip netip.Addr) []*corev3.CidrRange {
	var out []*corev3.CidrRange
	for _, a := range []netip.Addr{vip, fabric.VIP6(vip)} {
		out = append(out, &corev3.CidrRange{AddressPrefix: a.String(), PrefixLen: wrapperspb.UInt32(uint32(a.BitLen()))})
	}
	return out
}

// listeners are the task's listeners, named as AWS names them.
func (g *generator) listeners() []*listenerv3.Listener {
	var out []*listenerv3.Listener
	for i, in := range g.cfg.Ingress {
		out = append(out, g.ingressListener(in, g.at.Ingress[i]))
	}
	if len(g.cfg.Egress) > 0 {
		out = append(out, g.egressListener())
	}
	return out
}

// ingressName is the name of an endpoint's listener and the prefix of its counters.
func ingressName(in agent.Ingress) string { return "ingress-" + in.Discovery }

// ingressListener takes what comes from outside the task to one endpoint.
func (g *generator) ingressListener(in agent.Ingress, at netip.AddrPort) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name: ingressName(in), StatPrefix: statName(ingressName(in)), Address: address(at), TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains: []*listenerv3.FilterChain{{TransportSocket: g.downstreamTLS(in), Filters: g.filters(chain{
			name: ingressName(in), cluster: name("app", in.Discovery), protocol: in.Protocol, timeouts: in.Timeouts, apart: checks(),
		})}},
	}
}

// egressListener takes connections to virtual addresses, and has a filter chain
// for each client alias. Without a matching one Envoy closes the connection.
// Because the inspector has left what the client sent unread, that is a reset:
// "Connection reset by peer", as on AWS, to who calls a port without alias.
func (g *generator) egressListener() *listenerv3.Listener {
	l := &listenerv3.Listener{
		Name: "egress", StatPrefix: "egress", Address: address(g.at.Outbound), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
	}
	if g.at.Aliases == nil {
		l.ListenerFilters = append(l.ListenerFilters, &listenerv3.ListenerFilter{
			Name:       "envoy.filters.listener.original_dst",
			ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: g.pack(&originaldstv3.OriginalDst{})},
		})
	}
	l.ListenerFilters = append(l.ListenerFilters, &listenerv3.ListenerFilter{
		Name:           "envoy.filters.listener.http_inspector",
		ConfigType:     &listenerv3.ListenerFilter_TypedConfig{TypedConfig: g.pack(&httpinspectorv3.HttpInspector{})},
		FilterDisabled: g.uninspected(),
	})
	for _, e := range g.cfg.Egress {
		match := &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(uint32(e.At.Port())), PrefixRanges: exactly(e.At.Addr())}
		if real, ok := g.at.Aliases[e.At]; ok {
			l.AdditionalAddresses = append(l.AdditionalAddresses, &listenerv3.AdditionalAddress{Address: address(real)})
			match = &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(uint32(real.Port())), PrefixRanges: exactly(real.Addr())}
		}
		l.FilterChains = append(l.FilterChains, &listenerv3.FilterChain{
			Name: name("egress", key(e)), FilterChainMatch: match,
			Filters: g.filters(chain{
				name: name("egress", key(e)), cluster: name("egress", key(e)), protocol: e.Protocol, timeouts: e.Timeouts, retries: retries,
			}),
		})
	}
	return l
}

// uninspected are the ports of TCP endpoints, nil for none: on a connection to
// one the app may speak first, and an inspector would wait for the client.
func (g *generator) uninspected() *listenerv3.ListenerFilterChainMatchPredicate {
	var ports []*listenerv3.ListenerFilterChainMatchPredicate
	seen := map[uint16]bool{}
	for _, e := range g.cfg.Egress {
		at := e.At
		if real, ok := g.at.Aliases[at]; ok {
			at = real
		}
		if e.Protocol != agent.TCP || seen[at.Port()] {
			continue
		}
		seen[at.Port()] = true
		ports = append(ports, &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange{
			DestinationPortRange: &typev3.Int32Range{Start: int32(at.Port()), End: int32(at.Port()) + 1},
		}})
	}
	switch len(ports) {
	case 0:
		return nil
	case 1:
		return ports[0]
	}
	return &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_OrMatch{
		OrMatch: &listenerv3.ListenerFilterChainMatchPredicate_MatchSet{Rules: ports},
	}}
}

// chain is what the filter chains of ingress and egress have in common.
type chain struct {
	name, cluster string
	protocol      agent.Protocol
	timeouts      agent.Timeouts
	retries       int
	apart         []*routev3.VirtualCluster // requests that are counted by themselves too
}

// healthChecks are the requests of load balancers' health checks. They are
// counted apart so that what remains is traffic.
const healthChecks = "health_checks"

func checks() []*routev3.VirtualCluster {
	return []*routev3.VirtualCluster{{Name: healthChecks, Headers: []*routev3.HeaderMatcher{{
		Name: "user-agent",
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "ELB-HealthChecker/"},
		}},
	}}}}
}

func (g *generator) filters(c chain) []*listenerv3.Filter {
	f := &listenerv3.Filter{Name: "envoy.filters.network.http_connection_manager"}
	var m proto.Message
	if c.protocol == agent.TCP {
		f.Name = "envoy.filters.network.tcp_proxy"
		m = g.tcpProxy(c)
	} else {
		m = g.connectionManager(c)
	}
	f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: g.pack(m)}
	return []*listenerv3.Filter{f}
}

// tcpProxy is for endpoints without AppProtocol: no requests, no headers. A
// zero idle timeout switches it off for Envoy too.
func (g *generator) tcpProxy(c chain) *tcpv3.TcpProxy {
	return &tcpv3.TcpProxy{
		StatPrefix: statName(c.name), ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: c.cluster},
		IdleTimeout: durationpb.New(c.timeouts.Idle), AccessLog: g.accessLog(c.protocol),
	}
}

// connectionManager serves HTTP/1.1 and HTTP/2, whichever the client speaks.
// X-Forwarded-For is left alone: use_remote_address is off.
func (g *generator) connectionManager(c chain) *hcmv3.HttpConnectionManager {
	route := &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: c.cluster},
		Timeout:          durationpb.New(c.timeouts.PerRequest), // 0: none, as for Service Connect
		IdleTimeout:      durationpb.New(c.timeouts.Idle),
	}
	if c.retries > 0 {
		route.RetryPolicy = &routev3.RetryPolicy{
			RetryOn: retryOn, NumRetries: wrapperspb.UInt32(uint32(c.retries)), HostSelectionRetryMaxAttempts: hostSelectionTry,
			RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
				Name:       "envoy.retry_host_predicates.previous_hosts",
				ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: g.pack(&previoushostsv3.PreviousHostsPredicate{})},
			}},
		}
	}
	return &hcmv3.HttpConnectionManager{
		StatPrefix: statName(c.name), CodecType: hcmv3.HttpConnectionManager_AUTO, ServerName: "envoy",
		UseRemoteAddress: wrapperspb.Bool(false), StreamIdleTimeout: durationpb.New(c.timeouts.Idle),
		MaxRequestHeadersKb:       wrapperspb.UInt32(maxHeadKB),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(c.timeouts.Idle)},
		UpgradeConfigs:            []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		AccessLog:                 append(g.accessLog(c.protocol), g.injectionLog()...),
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name: c.name,
			VirtualHosts: []*routev3.VirtualHost{{
				Name: c.name, Domains: []string{"*"}, VirtualClusters: c.apart,
				Routes: []*routev3.Route{{
					Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
					Action: &routev3.Route_Route{Route: route},
				}},
			}},
		}},
		HttpFilters: append(g.injection(), &hcmv3.HttpFilter{
			Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: g.pack(&routerv3.Router{})},
		}),
	}
}

// clusters are the app behind each ingress endpoint and the tasks behind each
// egress endpoint. hosts tells the latter where no control plane does.
func (g *generator) clusters(hosts func(agent.Egress) []netip.AddrPort) []*clusterv3.Cluster {
	var out []*clusterv3.Cluster
	for _, in := range g.cfg.Ingress {
		out = append(out, g.ingressCluster(in))
	}
	for _, e := range g.cfg.Egress {
		out = append(out, g.egressCluster(e, hosts))
	}
	return out
}

// app is where the app of an endpoint is: on the task's own loopback.
func app(in agent.Ingress) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), in.App)
}

func (g *generator) ingressCluster(in agent.Ingress) *clusterv3.Cluster {
	return g.cluster(name("app", in.Discovery), in.Protocol, in.Timeouts, func() []netip.AddrPort { return []netip.AddrPort{app(in)} })
}

// egressCluster is the tasks of an endpoint, in turn. What fails to connect 5
// times is left out for 30 s and longer each time; there is no panic below
// Envoy's default of half the hosts.
func (g *generator) egressCluster(e agent.Egress, hosts func(agent.Egress) []netip.AddrPort) *clusterv3.Cluster {
	c := g.cluster(name("egress", key(e)), e.Protocol, e.Timeouts, func() []netip.AddrPort { return hosts(e) })
	c.TransportSocket = g.upstreamTLS(e)
	c.OutlierDetection = &clusterv3.OutlierDetection{
		SplitExternalLocalOriginErrors: true,
		ConsecutiveLocalOriginFailure:  wrapperspb.UInt32(outlierFailures),
		Interval:                       durationpb.New(outlierInterval),
		BaseEjectionTime:               durationpb.New(ejectionBase),
		MaxEjectionTime:                durationpb.New(ejectionMax),
		MaxEjectionPercent:             wrapperspb.UInt32(100),
		// Responses eject nobody: the guide speaks of failed connections only.
		EnforcingConsecutive_5Xx:               wrapperspb.UInt32(0),
		EnforcingConsecutiveGatewayFailure:     wrapperspb.UInt32(0),
		EnforcingSuccessRate:                   wrapperspb.UInt32(0),
		EnforcingLocalOriginSuccessRate:        wrapperspb.UInt32(0),
		EnforcingFailurePercentage:             wrapperspb.UInt32(0),
		EnforcingFailurePercentageLocalOrigin:  wrapperspb.UInt32(0),
		EnforcingConsecutiveLocalOriginFailure: wrapperspb.UInt32(100),
	}
	if g.zones() {
		c.CommonLbConfig = zoneAware()
	}
	if g.at.From.IsValid() {
		c.UpstreamBindConfig = &corev3.BindConfig{SourceAddress: &corev3.SocketAddress{
			Address: g.at.From.String(), PortSpecifier: &corev3.SocketAddress_PortValue{},
		}}
	}
	return c
}

// assignment lists the members of a cluster.
func assignment(cluster string, hosts []netip.AddrPort) *endpointv3.ClusterLoadAssignment {
	group := &endpointv3.LocalityLbEndpoints{}
	for _, h := range hosts {
		group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(h)}},
		})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{group}}
}

func (g *generator) cluster(name string, p agent.Protocol, t agent.Timeouts, hosts func() []netip.AddrPort) *clusterv3.Cluster {
	limit := connectTimeout
	if g.cfg.ConnectTimeout > 0 {
		limit = g.cfg.ConnectTimeout
	}
	c := &clusterv3.Cluster{
		Name: name, AltStatName: statName(name), ConnectTimeout: durationpb.New(limit), LbPolicy: clusterv3.Cluster_ROUND_ROBIN,
	}
	if g.at.Control != "" {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: aggregated()}
	} else {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.LoadAssignment = assignment(name, hosts())
	}
	if p == agent.TCP {
		return c
	}
	explicit := &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{}
	if p == agent.HTTP {
		explicit.ProtocolConfig = &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}
	} else {
		explicit.ProtocolConfig = &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}}
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": g.pack(&upstreamhttpv3.HttpProtocolOptions{
			CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(t.Idle)},
			UpstreamProtocolOptions:   &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
		}),
	}
	return c
}
