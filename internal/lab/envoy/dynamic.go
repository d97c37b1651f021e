package envoy

import (
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// controlPlane is the cluster that the aggregated stream goes to.
const controlPlane = "control_plane"

func (g *generator) controlCluster(path string) *clusterv3.Cluster {
	at := &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
	h2 := &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}},
	}
	return &clusterv3.Cluster{
		Name: controlPlane, ConnectTimeout: durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: controlPlane, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: at}}}},
		}}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": g.pack(&upstreamhttpv3.HttpProtocolOptions{
				UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: h2},
			}),
		},
	}
}

// dynamic says that clusters and listeners come by the aggregated stream.
func dynamic() *bootstrapv3.Bootstrap_DynamicResources {
	return &bootstrapv3.Bootstrap_DynamicResources{
		AdsConfig: &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3, SetNodeOnFirstMessageOnly: true,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: controlPlane},
			}}},
		},
		CdsConfig: aggregated(), LdsConfig: aggregated(),
	}
}

func aggregated() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// resources are what the control plane serves. place says where a logical
// address is.
func (g *generator) resources(hosts agent.Update, place placer) (resources, error) {
	var r resources
	for _, c := range g.clusters(nil) {
		r.clusters = append(r.clusters, c)
	}
	for _, l := range g.listeners() {
		r.listeners = append(r.listeners, l)
	}
	var err error
	if r.endpoints, err = assignments(g.cfg, hosts, place); err != nil {
		return r, err
	}
	return r, g.err
}

// assignments lists the members of every cluster.
func assignments(cfg agent.Config, hosts agent.Update, place placer) ([]types.Resource, error) {
	var out []types.Resource
	for _, in := range cfg.Ingress {
		members, err := place.all(app(in))
		if err != nil {
			return nil, err
		}
		out = append(out, assignment(name("app", in.Discovery), members))
	}
	for _, e := range cfg.Egress {
		members, err := place.all(hosts.Hosts[key(e)]...)
		if err != nil {
			return nil, err
		}
		a := assignment(name("egress", key(e)), members)
		if cfg.Zone != "" {
			a.Endpoints = byZone(hosts.Hosts[key(e)], members, hosts.Zones)
		}
		out = append(out, a)
	}
	if cfg.Zone != "" {
		out = append(out, callers(hosts.Callers))
	}
	return out, nil
}
