// Package envoy runs a real Envoy in the place of the lab's agent in a task: it
// writes the bootstrap, and is the control plane from which Envoy gets
// listeners, clusters and endpoints, with the same timeouts, retries and access
// log as the lab's agent has from the same configuration.
//
// Envoy listens on and connects to real addresses and has no security groups.
// On the netns fabric the kernel has both. On one whose Net is fabric.Mapped,
// endpoints are the addresses that the fabric's table has for the logical ones,
// and one that a security group forbids is an address that swallows.
package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/agent"
)

// Addresses says where an Envoy listens, which it cannot report itself, and
// what it calls from.
type Addresses struct {
	// Ingress has a listener's address for each of the configuration's
	// Ingress, in order. With an override its port is the override; without
	// one it is where the redirect of the container port leads.
	Ingress []netip.AddrPort
	// Outbound is where connections to virtual addresses arrive that Aliases
	// has no address for. Without Aliases that is all of them: which endpoint is
	// meant is read from their original destination. One that no client alias
	// has is closed. Needed only with Egress.
	Outbound netip.AddrPort
	// Aliases has an address for each client alias, on a fabric where no kernel
	// redirects.
	Aliases map[netip.AddrPort]netip.AddrPort
	// From is the address that other tasks are called from; the zero Addr for
	// what the kernel chooses.
	From netip.Addr
	// Admin is the Unix socket of the admin interface, as on Fargate; empty for
	// none. One that begins with "@" has a name and no file (Linux), and is
	// seen in the task's network namespace alone.
	Admin string
	// Control is the Unix socket of a control plane, from which Envoy gets all
	// clusters, endpoints and listeners. Empty writes them into the bootstrap,
	// once and for all.
	Control string
	// AccessLog is a file for access log lines; empty for standard output,
	// where AWS's agent writes them. It matters only when cfg has an AccessLog.
	AccessLog string
	// InjectLog is a file for what was injected; it matters only when cfg has an Inject.
	InjectLog string
}

// DrainTime is how long Envoy takes to drain, as AWS's agent starts it.
const DrainTime = 20 * time.Second

// Args are the arguments that run Envoy with a bootstrap file and so many worker
// threads: those of AWS's agent (semantics, section 12), which has 2 threads,
// and two that the lab needs. Several Envoys of a machine would share memory for
// hot restarts, which the lab never makes; and the access log is written once a
// second, as the lab's own agent does.
func Args(bootstrap string, workers int) []string {
	return []string{"-c", bootstrap, "-l", "info", "--concurrency", strconv.Itoa(max(1, workers)),
		"--drain-time-s", strconv.Itoa(int(DrainTime.Seconds())), "--disable-hot-restart", "--file-flush-interval-msec", "1000"}
}

// Bootstrap returns the bootstrap of an Envoy that does what the lab's agent
// does with cfg. With a control plane its resources come from there; without
// one they are in it, and its egress endpoints are at hosts (as in
// agent.Update). Every message in it satisfies the constraints of Envoy's own
// definitions.
//
// What it leaves out is a scaled clock. Certificates and their keys stand in it,
// and in what a control plane serves, where AWS's agent has them by a service
// of their own, for rotation.
func Bootstrap(cfg agent.Config, hosts agent.Update, at Addresses) (*bootstrapv3.Bootstrap, error) {
	b := &bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: cfg.Task, Cluster: cfg.Task},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{},
		ClusterManager: &bootstrapv3.ClusterManager{
			OutlierDetection: &bootstrapv3.ClusterManager_OutlierDetection{EventLogPath: "/dev/stdout"},
		},
	}
	if at.Admin != "" {
		pipe := &corev3.Pipe{Path: at.Admin}
		if !strings.HasPrefix(at.Admin, "@") {
			pipe.Mode = 0o600
		}
		b.Admin = &bootstrapv3.Admin{Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: pipe}}}
	}
	g, err := newGenerator(cfg, at)
	if err != nil {
		return nil, err
	}
	if at.Control != "" {
		b.StaticResources.Clusters = []*clusterv3.Cluster{g.controlCluster(at.Control)}
		if cfg.Zone != "" {
			b.Node.Locality, b.ClusterManager.LocalClusterName = locality(cfg.Zone), ownService
			b.StaticResources.Clusters = append(b.StaticResources.Clusters, g.ownCluster())
		}
		b.DynamicResources = dynamic()
	} else {
		b.StaticResources.Clusters = g.clusters(func(e agent.Egress) []netip.AddrPort { return hosts.Hosts[key(e)] })
		b.StaticResources.Listeners = g.listeners()
	}
	if g.err != nil {
		return nil, g.err
	}
	return b, Validate(b)
}

// key is the name of an egress endpoint in agent.Update.
func key(e agent.Egress) string { return fmt.Sprintf("%s:%d", e.Name, e.At.Port()) }

// generator makes the parts; the first error sticks.
type generator struct {
	cfg agent.Config
	at  Addresses
	log string
	err error
}

// newGenerator fails when Envoy cannot be what cfg and at ask for.
func newGenerator(cfg agent.Config, at Addresses) (*generator, error) {
	if len(at.Ingress) != len(cfg.Ingress) {
		return nil, fmt.Errorf("envoy for task %s: %d ingress addresses for %d endpoints", cfg.Task, len(at.Ingress), len(cfg.Ingress))
	}
	if cfg.Scale > 1 {
		return nil, fail.Newf(fail.Usage, "use the lab's own agent for it", "Envoy runs on no scaled clock")
	}
	for i, in := range cfg.Ingress {
		if in.Listen != 0 && at.Aliases == nil && at.Ingress[i].Port() != in.Listen {
			return nil, fmt.Errorf("envoy for task %s: endpoint %s must listen on its override %d, not on %s", cfg.Task, in.Discovery, in.Listen, at.Ingress[i])
		}
	}
	for _, e := range cfg.Egress {
		if at.Aliases != nil && !at.Aliases[e.At].IsValid() {
			return nil, fmt.Errorf("envoy for task %s: there is no address for %s", cfg.Task, key(e))
		}
	}
	if len(cfg.Egress) > 0 && !at.Outbound.IsValid() {
		return nil, fmt.Errorf("envoy for task %s: there is no address for outbound connections", cfg.Task)
	}
	return &generator{cfg: cfg, at: at, log: at.AccessLog}, nil
}

// pack wraps a message as Envoy's typed extensions want it, in the same bytes
// every time: other bytes are another listener to Envoy, which then drains the
// old one.
func (g *generator) pack(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true})
	if err != nil && g.err == nil {
		g.err = err
	}
	return a
}

// JSON writes a message as Envoy reads it, with the field names of its
// documentation and the same bytes every time.
func JSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer // protojson varies its blanks on purpose
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// name makes an Envoy name of an endpoint's.
func name(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "_")
}
