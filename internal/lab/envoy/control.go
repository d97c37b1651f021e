package envoy

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/log"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// resources are what the control plane serves to one Envoy.
type resources struct {
	clusters, endpoints, listeners []types.Resource
}

// control is the control plane of one Envoy: an aggregated discovery stream on
// a Unix socket, as AWS's agent gets its configuration. Envoy asks for clusters
// first, then for their endpoints, and takes listeners once both are there.
// It is safe for concurrent use.
type control struct {
	path  string
	cache cachev3.SnapshotCache
	node  string
	ctx   context.Context // of all streams
	stop  context.CancelFunc
	grpc  *grpc.Server

	mu       sync.Mutex
	now      resources
	versions map[string]int    // by resource type, of what is served
	acked    map[string]string // by resource type, the version that Envoy has taken
	refused  error             // what Envoy refused last, until it takes a later version
	changed  chan struct{}     // closed and replaced when acked or refused change
}

// newControl serves the Envoy with the node id at a Unix socket, whose file it
// makes for this user alone.
func newControl(path, node string) (*control, error) {
	c := &control{
		// Not true for an aggregated stream: that would keep the endpoints of the
		// one cluster that stands in the bootstrap until all are asked for.
		path: path, node: node, cache: cachev3.NewSnapshotCache(false, sameNode(node), log.LoggerFuncs{}),
		versions: map[string]int{}, acked: map[string]string{}, changed: make(chan struct{}),
	}
	return c, c.listen()
}

// listen begins to serve; stopListening ends it, and listen may be called again.
func (c *control) listen() error {
	l, err := net.Listen("unix", c.path)
	if err != nil {
		return fmt.Errorf("its control plane: %w", err)
	}
	if err := os.Chmod(c.path, 0o600); err != nil {
		l.Close()
		return err
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.grpc = grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(c.grpc, aggregate{streams: sotw.NewServer(c.ctx, c.cache, ears{c}, sotw.WithOrderedADS())})
	go c.grpc.Serve(l)
	return nil
}

// stopListening cuts Envoy off. What it has been told stays in force there.
func (c *control) stopListening() {
	c.stop()
	c.grpc.Stop()
}

// aggregate is the service that Envoy calls.
type aggregate struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	streams sotw.Server
}

func (a aggregate) StreamAggregatedResources(s discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return a.streams.StreamHandler(s, resourcev3.AnyType)
}

// ears are the callbacks of its streams.
type ears struct{ *control }

func (ears) OnStreamOpen(context.Context, int64, string) error { return nil }
func (ears) OnStreamClosed(int64, *corev3.Node)                {}
func (e ears) OnStreamRequest(_ int64, r *discoveryv3.DiscoveryRequest) error {
	e.heard(r)
	return nil
}
func (ears) OnStreamResponse(context.Context, int64, *discoveryv3.DiscoveryRequest, *discoveryv3.DiscoveryResponse) {
}

// sameNode is a NodeHash for a server with one client.
type sameNode string

func (n sameNode) ID(*corev3.Node) string { return string(n) }

// heard notes what Envoy says of what it was sent.
func (c *control) heard(r *discoveryv3.DiscoveryRequest) {
	if r.ResponseNonce == "" {
		return // it has been sent nothing yet
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := r.ErrorDetail; e != nil {
		c.refused = fmt.Errorf("envoy refuses %s: %s", r.TypeUrl, e.Message)
	} else {
		c.acked[r.TypeUrl] = r.VersionInfo
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// serve replaces what is served. A type whose resources are the same keeps its
// version, and Envoy is not sent it again.
func (c *control) serve(r resources) error {
	for _, list := range [][]types.Resource{r.clusters, r.endpoints, r.listeners} {
		for _, m := range list {
			if err := Validate(m); err != nil {
				return err
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot := &cachev3.Snapshot{}
	for _, t := range []struct {
		url      string
		kind     types.ResponseType
		old, now []types.Resource
	}{
		{resourcev3.ClusterType, types.Cluster, c.now.clusters, r.clusters},
		{resourcev3.EndpointType, types.Endpoint, c.now.endpoints, r.endpoints},
		{resourcev3.ListenerType, types.Listener, c.now.listeners, r.listeners},
	} {
		if c.versions[t.url] == 0 || !same(t.old, t.now) {
			c.versions[t.url]++
			c.refused = nil
		}
		snapshot.Resources[t.kind] = cachev3.NewResources(strconv.Itoa(c.versions[t.url]), t.now)
	}
	c.now = r
	return c.cache.SetSnapshot(c.ctx, c.node, snapshot)
}

func same(a, b []types.Resource) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// await waits until Envoy has taken what is served. It returns what Envoy says
// when it refuses, and ctx's error when that ends first.
func (c *control) await(ctx context.Context) error {
	for {
		c.mu.Lock()
		taken := true
		for url, v := range c.versions {
			// Who has no clusters asks for no endpoints.
			asked := url != resourcev3.EndpointType || len(c.now.endpoints) > 0
			taken = taken && (!asked || c.acked[url] == strconv.Itoa(v))
		}
		refused, changed := c.refused, c.changed
		c.mu.Unlock()
		switch {
		case refused != nil:
			return refused
		case taken:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// forget starts over with an Envoy that has been told nothing.
func (c *control) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.acked)
	c.refused = nil
}
