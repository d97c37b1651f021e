package standin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync/atomic"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// cluster is the members behind a name, in turn.
type cluster struct {
	def   *clusterv3.Cluster
	count func(string, int64)
	next  atomic.Uint32
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
	return d.DialContext(ctx, "tcp", hostPort(m.GetEndpoint().Address))
}

func (c *cluster) members() ([]*endpointv3.LbEndpoint, error) {
	a := c.def.LoadAssignment
	if eds := c.def.EdsClusterConfig; eds != nil {
		var err error
		if a, err = Assignment(eds.EdsConfig.GetPathConfigSource().Path); err != nil {
			return nil, err
		}
	}
	return a.Endpoints[0].LbEndpoints, nil
}

// Assignment reads the file of an endpoint: a discovery response with one
// assignment.
func Assignment(path string) (*endpointv3.ClusterLoadAssignment, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Version   string `json:"version_info"`
		Resources []json.RawMessage
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Resources) != 1 || doc.Version == "" {
		return nil, errors.New(path + ": not one resource with a version")
	}
	var packed anypb.Any
	if err := protojson.Unmarshal(doc.Resources[0], &packed); err != nil {
		return nil, err
	}
	var a endpointv3.ClusterLoadAssignment
	return &a, packed.UnmarshalTo(&a)
}
