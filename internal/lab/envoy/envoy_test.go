package envoy

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/topology"
)

//go:generate go test . -run 'TestGolden$|TestDynamic|TestMapped' -count=1 -update

// config is what the lab tells the agent of a service in a golden assembly;
// addresses stand for what a lab draws.
func config(t *testing.T, variant string, client bool) (agent.Config, agent.Update, Addresses) {
	t.Helper()
	topo := cfntest.Read(t, filepath.Join("../../../stacks/testdata/golden", variant))
	at := Addresses{Outbound: addr("127.0.0.1:40001"), Admin: "/tmp/envoy_admin.sock"}
	cfg := agent.Config{Task: "0123abcd", AccessLog: &agent.AccessLog{Format: "TEXT"}}
	hosts := agent.Update{Hosts: map[string][]netip.AddrPort{}}
	index := topology.NewIndex(topo)
	for _, s := range topo.Services {
		if s.Connect == nil || (len(s.Connect.Endpoints) == 0) != client {
			continue
		}
		for _, e := range index.Endpoints(s.ID) {
			p := agent.Protocol(e.Protocol.Or(""))
			in := agent.Ingress{Discovery: e.Config.Discovery().Or(""), Protocol: p, App: uint16(e.ContainerPort.Or(0)),
				Listen: uint16(e.Config.IngressPortOverride.Or(0)), Timeouts: agent.DefaultTimeouts(p)}
			listen := uint16(40000) // ephemeral, behind the redirect
			if in.Listen != 0 {
				listen = in.Listen
			}
			cfg.Ingress = append(cfg.Ingress, in)
			at.Ingress = append(at.Ingress, netip.AddrPortFrom(netip.IPv4Unspecified(), listen))
		}
		if !client {
			continue
		}
		for _, n := range index.NamespaceOf(s.Connect).Numbered {
			p := agent.Protocol(n.Endpoint.Protocol.Or(""))
			e := agent.Egress{Name: n.Name.Or(""), Discovery: n.Endpoint.Config.Discovery().Or(""), Protocol: p, Timeouts: agent.DefaultTimeouts(p),
				At: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 0, byte(n.Index)}), uint16(n.Port.Or(0)))}
			cfg.Egress = append(cfg.Egress, e)
			ingress := uint16(n.Endpoint.IngressPort.Or(0))
			hosts.Hosts[key(e)] = []netip.AddrPort{
				netip.AddrPortFrom(netip.MustParseAddr("10.0.1.10"), ingress), netip.AddrPortFrom(netip.MustParseAddr("10.0.2.11"), ingress),
			}
		}
	}
	if len(cfg.Ingress)+len(cfg.Egress) == 0 {
		t.Fatalf("%s has no Service Connect service of that kind", variant)
	}
	return cfg, hosts, at
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestGolden: the article's deployment, both port modes, both sides.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file, variant string
		client        bool
	}{{"server-default", "agent", false}, {"server-override", "bypass", false}, {"client-default", "agent", true},
		{"client-override", "bypass", true}} {
		t.Run(c.file, func(t *testing.T) {
			b, err := Bootstrap(config(t, c.variant, c.client))
			if err != nil {
				t.Fatal(err)
			}
			check(t, c.file, b)
		})
	}
}

// TestDynamic: the bootstrap of an Envoy with a control plane holds nothing else.
func TestDynamic(t *testing.T) {
	cfg, hosts, at := config(t, "agent", true)
	cfg.Zone, at.Control = "eu-west-1a", "/tmp/envoy_control.sock"
	b, err := Bootstrap(cfg, hosts, at)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "dynamic", b)
}

func check(t *testing.T, file string, b *bootstrapv3.Bootstrap) {
	t.Helper()
	got, err := inYAML(b)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", file+".yaml"), got)
}

// inYAML writes a message as most Envoy configurations are written.
func inYAML(m proto.Message) ([]byte, error) {
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

// aliases gives each client alias an address, as a fabric without redirects does.
func aliases(cfg agent.Config) map[netip.AddrPort]netip.AddrPort {
	out := map[netip.AddrPort]netip.AddrPort{}
	for i, e := range cfg.Egress {
		out[e.At] = netip.AddrPortFrom(netip.MustParseAddr("127.9.8.7"), uint16(41000+i))
	}
	return out
}

// TestMapped: a fabric without redirects gives each alias an address, and the
// address from which other tasks are called.
func TestMapped(t *testing.T) {
	cfg, hosts, at := protocols()
	at.Aliases, at.From = aliases(cfg), netip.MustParseAddr("127.9.8.7")
	b, err := Bootstrap(cfg, hosts, at)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "mapped", b)
	delete(at.Aliases, cfg.Egress[0].At)
	if _, err := Bootstrap(cfg, hosts, at); err == nil || !strings.Contains(err.Error(), "there is no address for http.ns:80") {
		t.Errorf("%v", err)
	}
}

// TestSameBytes: a configuration is the same message every time, or the control
// plane would tell Envoy to replace what has not changed.
func TestSameBytes(t *testing.T) {
	cfg, hosts, at := protocols()
	first, err := Bootstrap(cfg, hosts, at)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Bootstrap(cfg, hosts, at)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(first, again) {
			t.Fatal("the same configuration is another message")
		}
	}
}

// TestUninspected: what an app may say first is not waited for.
func TestUninspected(t *testing.T) {
	cfg, hosts, at := protocols()
	for range 2 { // the second TCP endpoint is on another port
		b, err := Bootstrap(cfg, hosts, at)
		if err != nil {
			t.Fatal(err)
		}
		l := b.StaticResources.Listeners[len(b.StaticResources.Listeners)-1]
		var ports []int32
		rule := l.ListenerFilters[1].FilterDisabled
		for _, r := range append(rule.GetOrMatch().GetRules(), rule) {
			if p := r.GetDestinationPortRange(); p != nil {
				ports = append(ports, p.Start)
				if p.End != p.Start+1 {
					t.Errorf("ports %d to %d", p.Start, p.End-1)
				}
			}
		}
		want := []int32{80}
		if len(cfg.Egress) > 4 {
			want = append(want, 3306)
		}
		if !slices.Equal(ports, want) {
			t.Errorf("not inspected are %v, want %v", ports, want)
		}
		cfg.Egress = append(cfg.Egress, agent.Egress{Name: "db.ns", Protocol: agent.TCP, At: addr("127.255.0.9:3306")})
	}
}

// protocols is a task with an endpoint of each protocol, on both sides.
func protocols() (agent.Config, agent.Update, Addresses) {
	cfg := agent.Config{Task: "t", ConnectTimeout: time.Second, AccessLog: &agent.AccessLog{Format: "JSON", Query: true}}
	at := Addresses{Outbound: addr("127.0.0.1:40001"), AccessLog: "/tmp/access.log"}
	hosts := agent.Update{Hosts: map[string][]netip.AddrPort{}}
	for i, p := range []agent.Protocol{agent.HTTP, agent.HTTP2, agent.GRPC, agent.TCP} {
		cfg.Ingress = append(cfg.Ingress, agent.Ingress{Discovery: string(p), Protocol: p, App: uint16(80 + i), Timeouts: agent.Timeouts{}})
		at.Ingress = append(at.Ingress, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(40010+i)))
		e := agent.Egress{Name: string(p) + ".ns", Discovery: string(p), Protocol: p, Timeouts: agent.DefaultTimeouts(p),
			At: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 0, byte(i + 1)}), 80)}
		cfg.Egress = append(cfg.Egress, e)
		hosts.Hosts[key(e)] = []netip.AddrPort{addr("10.0.0.9:80")}
	}
	return cfg, hosts, at
}

func TestProtocols(t *testing.T) {
	b, err := Bootstrap(protocols())
	if err != nil {
		t.Fatal(err)
	}
	text, err := JSON(b)
	if err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{
		`"retry_on": "connect-failure"`:                        3, // HTTP, HTTP/2, gRPC; egress only
		`"num_retries": 2`:                                     3,
		`"name": "envoy.retry_host_predicates.previous_hosts"`: 3,
		`"name": "envoy.filters.network.tcp_proxy"`:            2,
		`"http2_protocol_options": {}`:                         4,
		`"http_protocol_options": {}`:                          2,
		`"consecutive_local_origin_failure": 5`:                4,
		`"connect_timeout": "1s"`:                              8,
		`"timeout": "15s"`:                                     3,
		`"timeout": "0s"`:                                      3,
		`"idle_timeout": "3600s"`:                              1,
		`"stream_idle_timeout": "300s"`:                        3,
		`"grpc_status": "%GRPC_STATUS%"`:                       2,
		`"stream_id": "%STREAM_ID%"`:                           4,
		`"path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"`:         6,
		`"connection_id": "%CONNECTION_ID%"`:                   2,
		`"name": "envoy.filters.listener.original_dst"`:        1,
		`"prefix_len": 32`:                                     4,
		`"prefix_len": 128`:                                    4, // the IPv6 twins
		`"path": "/tmp/access.log"`:                            8,
	} {
		if got := strings.Count(string(text), want); got != n {
			t.Errorf("%s stands %d times, want %d", want, got, n)
		}
	}
}

// TestSameBothWays: YAML and JSON are the same bootstrap, and reading either
// gives the message back.
func TestSameBothWays(t *testing.T) {
	b, err := Bootstrap(protocols())
	if err != nil {
		t.Fatal(err)
	}
	j, err := JSON(b)
	if err != nil {
		t.Fatal(err)
	}
	y, err := inYAML(b)
	if err != nil {
		t.Fatal(err)
	}
	var from any
	if err := yaml.Unmarshal(y, &from); err != nil {
		t.Fatal(err)
	}
	var fromYAML, fromJSON bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(j, &fromJSON); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(again, &fromYAML); err != nil {
		t.Fatal(err)
	}
	for format, m := range map[string]*bootstrapv3.Bootstrap{"JSON": &fromJSON, "YAML": &fromYAML} {
		// As text: packed maps have no order, so equal messages may differ in bytes.
		if again, err := JSON(m); err != nil || string(again) != string(j) {
			t.Errorf("%s: what is read is not what was written: %v", format, err)
		}
	}
}

// TestValidateSeesWhatIsPacked: a fault in a filter's own configuration, which
// the outer message's method cannot see.
func TestValidateSeesWhatIsPacked(t *testing.T) {
	inner, err := anypb.New(&tcpv3.TcpProxy{}) // without stat_prefix and cluster
	if err != nil {
		t.Fatal(err)
	}
	outer := &corev3.TypedExtensionConfig{Name: "x", TypedConfig: inner}
	if outer.ValidateAll() != nil {
		t.Fatal("the outer message is expected to be content")
	}
	if err := Validate(outer); err == nil || !strings.Contains(err.Error(), "StatPrefix") {
		t.Errorf("%v, want a complaint about the packed StatPrefix", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*agent.Config, *Addresses)
		want string
	}{
		{"scaled clock", func(c *agent.Config, _ *Addresses) { c.Scale = 10 }, "runs on no scaled clock"},
		{"no place to listen", func(_ *agent.Config, p *Addresses) { p.Ingress = p.Ingress[1:] }, "3 ingress addresses for 4 endpoints"},
		{"not on the override", func(c *agent.Config, _ *Addresses) { c.Ingress[0].Listen = 8080 }, "must listen on its override 8080"},
		{"no outbound", func(_ *agent.Config, p *Addresses) { p.Outbound = netip.AddrPort{} }, "no address for outbound connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, hosts, at := protocols()
			c.edit(&cfg, &at)
			if _, err := Bootstrap(cfg, hosts, at); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
