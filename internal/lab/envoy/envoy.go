// Package envoy writes the bootstrap with which a real Envoy takes the place
// of the lab's agent in a task: the same listeners, clusters, timeouts,
// retries and access log, from the same configuration, so that the two can be
// compared.
//
// Envoy listens on and connects to real addresses and has no security groups,
// so it needs the netns fabric, whose kernel has both.
package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/agent"
)

// Addresses says where an Envoy listens, which it cannot report itself.
type Addresses struct {
	// Ingress has a listener's address for each of the configuration's
	// Ingress, in order. With an override its port is the override; without
	// one it is where the redirect of the container port leads.
	Ingress []netip.AddrPort
	// Outbound is where redirected connections to virtual addresses arrive.
	// Which endpoint is meant is read from their original destination; one
	// that no client alias has is closed. Needed only with Egress.
	Outbound netip.AddrPort
	// Endpoints is a directory with a file for each egress endpoint, from which
	// Envoy reads where its tasks are whenever the file is replaced; see
	// Endpoints. Empty writes the tasks into the bootstrap, once and for all.
	Endpoints string
	// Admin is the Unix socket of the admin interface, as on Fargate; empty for
	// none. One that begins with "@" has a name and no file (Linux), and is
	// seen in the task's network namespace alone.
	Admin string
	// AccessLog is a file for access log lines; empty for standard output,
	// where AWS's agent writes them. It matters only when cfg has an AccessLog.
	AccessLog string
}

// Args are the arguments that run Envoy with a bootstrap file. Several Envoys
// of a machine would share memory for hot restarts, which the lab never makes;
// one worker thread is what a task's share of a CPU feeds; and the access log
// is written once a second, as the lab's own agent does.
func Args(bootstrap string) []string {
	return []string{"--config-path", bootstrap, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--file-flush-interval-msec", "1000"}
}

// Bootstrap returns the bootstrap of an Envoy that does what the lab's agent
// does with cfg, whose egress endpoints are at hosts (as in agent.Update).
// Every message in it satisfies the constraints of Envoy's own definitions.
//
// What it leaves out: TLS between agents (its certificates are AWS's), delay
// injection, and a scaled clock.
func Bootstrap(cfg agent.Config, hosts agent.Update, at Addresses) (*bootstrapv3.Bootstrap, error) {
	if len(at.Ingress) != len(cfg.Ingress) {
		return nil, fmt.Errorf("envoy for task %s: %d ingress addresses for %d endpoints", cfg.Task, len(at.Ingress), len(cfg.Ingress))
	}
	if cfg.Inject != nil || cfg.Scale > 1 {
		return nil, fail.Newf(fail.Usage, "use the lab's own agent for these", "Envoy injects no delays and runs on no scaled clock")
	}
	g := &generator{cfg: cfg}
	b := &bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: cfg.Task, Cluster: "service-connect"},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{},
	}
	if at.Admin != "" {
		pipe := &corev3.Pipe{Path: at.Admin}
		if !strings.HasPrefix(at.Admin, "@") {
			pipe.Mode = 0o600
		}
		b.Admin = &bootstrapv3.Admin{Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: pipe}}}
	}
	g.log, g.endpoints = at.AccessLog, at.Endpoints
	for i, in := range cfg.Ingress {
		if in.TLS {
			return nil, noTLS(in.Discovery)
		}
		if in.Listen != 0 && at.Ingress[i].Port() != in.Listen {
			return nil, fmt.Errorf("envoy for task %s: endpoint %s must listen on its override %d, not on %s", cfg.Task, in.Discovery, in.Listen, at.Ingress[i])
		}
		c := g.ingressCluster(in)
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, c)
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, g.ingressListener(in, at.Ingress[i], c.Name))
	}
	if len(cfg.Egress) > 0 {
		l, err := g.egressListener(at.Outbound)
		if err != nil {
			return nil, err
		}
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, l)
		for _, e := range cfg.Egress {
			b.StaticResources.Clusters = append(b.StaticResources.Clusters, g.egressCluster(e, hosts.Hosts[key(e)]))
		}
	}
	if g.err != nil {
		return nil, g.err
	}
	return b, Validate(b)
}

func noTLS(endpoint string) error {
	return fail.Newf(fail.Usage, "use the lab's own agent for endpoints with TLS", "endpoint %s has TLS, whose certificates only AWS can issue", endpoint)
}

// key is the name of an egress endpoint in agent.Update.
func key(e agent.Egress) string { return fmt.Sprintf("%s:%d", e.Name, e.At.Port()) }

// generator makes the parts; the first error sticks.
type generator struct {
	cfg            agent.Config
	log, endpoints string
	err            error
}

// pack wraps a message as Envoy's typed extensions want it.
func (g *generator) pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
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

// YAML writes a message as most Envoy configurations are written.
func YAML(m proto.Message) ([]byte, error) {
	raw, err := JSON(m)
	if err != nil {
		return nil, err
	}
	var n yaml.Node // JSON is YAML; the node keeps the order
	if err := yaml.Unmarshal(raw, &n); err != nil {
		return nil, err
	}
	block(&n)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err = e.Encode(&n)
	return b.Bytes(), err
}

// block sets block style on all nodes: YAML parses JSON in flow style.
func block(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		block(c)
	}
}

// name makes an Envoy name of an endpoint's.
func name(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "_")
}
