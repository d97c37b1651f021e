package standin

import (
	"context"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	statusv3 "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hoplab/hoplab/internal/lab/envoy"
)

// follow takes what the control plane says until it ends, in Envoy's order:
// clusters, their endpoints, listeners. live is closed when all are there.
func (p *proxy) follow(socket string, live chan<- struct{}) error {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(context.Background())
	if err != nil {
		return err
	}
	if err := s.Send(&discoveryv3.DiscoveryRequest{Node: &corev3.Node{Id: p.boot.Node.Id}, TypeUrl: resourcev3.ClusterType}); err != nil {
		return err
	}
	next := map[string]string{resourcev3.ClusterType: resourcev3.EndpointType, resourcev3.EndpointType: resourcev3.ListenerType}
	for {
		r, err := s.Recv()
		if err != nil {
			return err
		}
		ack := &discoveryv3.DiscoveryRequest{
			TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce, VersionInfo: r.VersionInfo, ResourceNames: p.subscribed(r.TypeUrl),
		}
		if err := p.take(r); err != nil {
			ack.ErrorDetail = &statusv3.Status{Code: 13, Message: err.Error()}
		}
		if err := s.Send(ack); err != nil {
			return err
		}
		then, first := next[r.TypeUrl]
		delete(next, r.TypeUrl)
		switch {
		case first:
			if err := s.Send(&discoveryv3.DiscoveryRequest{TypeUrl: then, ResourceNames: p.subscribed(then)}); err != nil {
				return err
			}
		case r.TypeUrl == resourcev3.ListenerType && live != nil:
			close(live)
			live = nil
		}
	}
}

// subscribed are the names to ask for: of endpoints each cluster's, of the others all.
func (p *proxy) subscribed(url string) []string {
	var names []string
	for name := range p.clusters {
		if url == resourcev3.EndpointType {
			names = append(names, name)
		}
	}
	return names
}

// take puts a response in force.
func (p *proxy) take(r *discoveryv3.DiscoveryResponse) error {
	for _, packed := range r.Resources {
		m, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		if err := envoy.Validate(m); err != nil {
			return err
		}
		switch m := m.(type) {
		case *clusterv3.Cluster:
			p.clusters[m.Name] = &cluster{def: m, count: p.count}
		case *endpointv3.ClusterLoadAssignment:
			c := p.clusters[m.ClusterName]
			if c == nil {
				return fmt.Errorf("endpoints of a cluster %q that nobody named", m.ClusterName)
			}
			c.assign(m)
		case *listenerv3.Listener:
			if err := p.listen(m); err != nil {
				return err
			}
		}
	}
	return nil
}
