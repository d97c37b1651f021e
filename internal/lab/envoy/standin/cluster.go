package standin

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// cluster is the members behind a name, in turn.
type cluster struct {
	def   *clusterv3.Cluster
	count func(string, int64)
	next  atomic.Uint32

	mu         sync.Mutex
	assignment *endpointv3.ClusterLoadAssignment
}

// dial connects to the next member.
func (c *cluster) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	members, err := c.members()
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, errors.New("no healthy upstream")
	}
	m := members[int(c.next.Add(1)-1)%len(members)]
	c.count("cluster."+c.def.AltStatName+".upstream_cx_total", 1)
	d := net.Dialer{Timeout: c.def.ConnectTimeout.AsDuration()}
	if from := c.def.UpstreamBindConfig.GetSourceAddress(); from != nil {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from.Address)}
	}
	return d.DialContext(ctx, "tcp", hostPort(m.GetEndpoint().Address))
}

// assign takes the members that the control plane gives.
func (c *cluster) assign(a *endpointv3.ClusterLoadAssignment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assignment = a
}

func (c *cluster) members() ([]*endpointv3.LbEndpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.assignment == nil {
		return nil, errors.New("no endpoints were ever assigned")
	}
	return c.assignment.Endpoints[0].LbEndpoints, nil
}
