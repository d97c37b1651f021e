// Package envoy lets a real Envoy take the place of the lab's own agent, so
// that the two can be compared. It writes the configuration that Amazon ECS
// would give it, as far as that is known (section 3 of the semantics), and
// looks after the process.
//
// Envoy needs real addresses and the kernel's redirects, which the netns
// fabric has and the loopback fabric has not.
package envoy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/clock"
)

// Places are the ports and files that a configuration refers to.
type Places struct {
	Ingress []uint16 // listener of each of the configuration's ingresses
	Egress  uint16   // listener for virtual addresses; 0 without egress
	Admin   string   // path of the admin interface's Unix socket
	Dir     string   // of the endpoint files, one for each egress
	// Certificate is what ingresses with TLS show.
	Certificate *certs.Pair
}

// object is a JSON object. The configuration is written as such and not with
// Envoy's Go types, because those would cost every node process their
// registration at start; a test reads it back with them and validates it.
type object = map[string]any

// Bootstrap returns Envoy's configuration for an agent.
func Bootstrap(cfg agent.Config, p Places) ([]byte, error) {
	b := builder{cfg: cfg, at: p, clock: clock.New(cfg.Scale)}
	var listeners, clusters []any
	for i, in := range cfg.Ingress {
		listeners = append(listeners, b.ingress(i, in))
		clusters = append(clusters, b.app(i, in))
	}
	if len(cfg.Egress) > 0 {
		listeners = append(listeners, b.egress())
		for i, e := range cfg.Egress {
			clusters = append(clusters, b.tasks(i, e))
		}
	}
	return json.MarshalIndent(object{
		"node":             object{"id": cfg.Task, "cluster": "hoplab"},
		"admin":            object{"address": object{"pipe": object{"path": p.Admin}}},
		"static_resources": object{"listeners": listeners, "clusters": clusters},
	}, "", "  ")
}

type builder struct {
	cfg   agent.Config
	at    Places
	clock clock.Clock
}

func ingressName(i int) string { return fmt.Sprintf("ingress_%d", i) }
func egressName(i int) string  { return fmt.Sprintf("egress_%d", i) }

func socket(ip string, port uint16) object {
	return object{"socket_address": object{"address": ip, "port_value": port}}
}

const typePrefix = "type.googleapis.com/envoy."

func typed(kind string, o object) object {
	o["@type"] = typePrefix + kind
	return o
}

// seconds writes a duration as protobuf's JSON does.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3fs", d.Seconds()) }

func (b *builder) ingress(i int, in agent.Ingress) object {
	chain := object{"filters": []any{b.filter(ingressName(i), in.Protocol, in.Timeouts, false)}}
	if in.TLS {
		chain["transport_socket"] = object{"name": "tls", "typed_config": typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", object{
			"common_tls_context": object{
				"tls_params": object{"tls_minimum_protocol_version": "TLSv1_3"},
				"tls_certificates": []any{object{
					"certificate_chain": object{"inline_string": string(b.at.Certificate.Cert)},
					"private_key":       object{"inline_string": string(b.at.Certificate.Key)},
				}},
			}})}
	}
	return object{
		"name": ingressName(i), "traffic_direction": "INBOUND", "address": socket("0.0.0.0", b.at.Ingress[i]),
		"filter_chains": []any{chain},
	}
}

// egress is one listener for all virtual addresses: the original destination
// chooses the chain, and a port without an alias has none, upon which Envoy
// closes the connection.
func (b *builder) egress() object {
	var chains []any
	for i, e := range b.cfg.Egress {
		chains = append(chains, object{
			"name": fmt.Sprintf("%s:%d", e.Name, e.At.Port()),
			"filter_chain_match": object{
				"destination_port": e.At.Port(),
				"prefix_ranges":    []any{object{"address_prefix": e.At.Addr().String(), "prefix_len": 32}},
			},
			"filters": []any{b.filter(egressName(i), e.Protocol, e.Timeouts, true)},
		})
	}
	return object{
		"name": "egress", "traffic_direction": "OUTBOUND", "address": socket("0.0.0.0", b.at.Egress),
		"listener_filters": []any{object{"name": "original_dst", "typed_config": typed("extensions.filters.listener.original_dst.v3.OriginalDst", object{})}},
		"filter_chains":    chains,
	}
}

// filter is the network filter of one endpoint, which sends to the cluster of
// the same name.
func (b *builder) filter(name string, p agent.Protocol, t agent.Timeouts, retry bool) object {
	if p == agent.TCP {
		return object{"name": "tcp", "typed_config": typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", object{
			"stat_prefix": name, "cluster": name, "idle_timeout": seconds(b.clock.Real(t.Idle)),
		})}
	}
	route := object{"cluster": name, "timeout": seconds(b.clock.Real(t.PerRequest))}
	if retry {
		route["retry_policy"] = object{
			"retry_on": "connect-failure", "num_retries": 2, "host_selection_retry_max_attempts": 3,
			"retry_host_predicate": []any{object{"name": "previous_hosts", "typed_config": typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", object{})}},
		}
	}
	manager := object{
		"stat_prefix": name, "codec_type": "AUTO",
		"stream_idle_timeout":          seconds(b.clock.Real(t.Idle)),
		"common_http_protocol_options": object{"idle_timeout": seconds(b.clock.Real(t.Idle))},
		"http_filters":                 []any{object{"name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router", object{})}},
		"route_config": object{"name": name, "virtual_hosts": []any{object{
			"name": name, "domains": []any{"*"}, "routes": []any{object{"match": object{"prefix": "/"}, "route": route}},
		}}},
		"upgrade_configs": []any{object{"upgrade_type": "websocket"}},
	}
	if p == agent.HTTP {
		manager["codec_type"] = "HTTP1"
	}
	if b.cfg.AccessLog != nil {
		manager["access_log"] = []any{b.accessLog()}
	}
	return object{"name": "http", "typed_config": typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager)}
}

// accessLog has the fields of section 4 of the semantics.
func (b *builder) accessLog() object {
	path := "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%"
	if b.cfg.AccessLog.Query {
		path = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
	}
	format := object{"json_format": object{
		"start_time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": path, "protocol": "%PROTOCOL%",
		"response_code": "%RESPONSE_CODE%", "bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%",
		"duration": "%DURATION%", "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
		"forwarded_for": "%REQ(X-FORWARDED-FOR)%", "user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%",
		"authority": "%REQ(:AUTHORITY)%", "upstream_host": "%UPSTREAM_HOST%",
	}}
	if b.cfg.AccessLog.Format != "JSON" {
		format = object{"text_format_source": object{"inline_string": `[%START_TIME%] "%REQ(:METHOD)% ` + path + ` %PROTOCOL%" %RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"}}
	}
	return object{"name": "file", "typed_config": typed("extensions.access_loggers.file.v3.FileAccessLog", object{
		"path": b.cfg.AccessLog.Path, "log_format": format,
	})}
}

// app is the cluster of an ingress: the container port on the task's loopback.
func (b *builder) app(i int, in agent.Ingress) object {
	return b.protocol(in.Protocol, object{
		"name": ingressName(i), "type": "STATIC", "connect_timeout": b.connectTimeout(),
		"load_assignment": assignment(ingressName(i), []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), in.App)}),
	})
}

// tasks is the cluster of an egress endpoint. Its members come from a file
// that is replaced when tasks come and go, and outlier detection avoids those
// that cannot be connected to.
func (b *builder) tasks(i int, e agent.Egress) object {
	c := object{
		"name": egressName(i), "type": "EDS", "lb_policy": "ROUND_ROBIN", "connect_timeout": b.connectTimeout(),
		"eds_cluster_config": object{"eds_config": object{
			"resource_api_version": "V3", "path_config_source": object{"path": b.at.endpoints(i)},
		}},
		"outlier_detection": object{
			"split_external_local_origin_errors": true, "consecutive_local_origin_failure": 5, "enforcing_consecutive_local_origin_failure": 100,
			"enforcing_consecutive_5xx": 0, "enforcing_consecutive_gateway_failure": 0, "enforcing_success_rate": 0, "enforcing_local_origin_success_rate": 0,
			"interval":           seconds(b.clock.Real(10 * time.Second)),
			"base_ejection_time": seconds(b.clock.Real(30 * time.Second)), "max_ejection_time": seconds(b.clock.Real(300 * time.Second)),
		},
	}
	if e.TLS {
		c["transport_socket"] = object{"name": "tls", "typed_config": typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext", object{
			"sni": e.Name, "common_tls_context": object{"tls_params": object{"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}},
		})}
	}
	return b.protocol(e.Protocol, c)
}

func (b *builder) connectTimeout() string {
	d := b.cfg.ConnectTimeout
	if d == 0 {
		d = 5 * time.Second // Envoy's default
	}
	return seconds(b.clock.Real(d))
}

// protocol says what a cluster's members speak.
func (b *builder) protocol(p agent.Protocol, cluster object) object {
	if p == agent.HTTP2 || p == agent.GRPC {
		cluster["typed_extension_protocol_options"] = object{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("extensions.upstreams.http.v3.HttpProtocolOptions", object{
				"explicit_http_config": object{"http2_protocol_options": object{}},
			}),
		}
	}
	return cluster
}

func (p Places) endpoints(i int) string { return filepath.Join(p.Dir, egressName(i)+".json") }

// Endpoints returns the content of the endpoint file of the i-th egress.
func Endpoints(i int, hosts []netip.AddrPort, version int) ([]byte, error) {
	return json.MarshalIndent(object{
		"version_info": fmt.Sprint(version),
		"resources":    []any{typed("config.endpoint.v3.ClusterLoadAssignment", assignment(egressName(i), hosts))},
	}, "", "  ")
}

func assignment(cluster string, hosts []netip.AddrPort) object {
	members := []any{}
	for _, h := range hosts {
		members = append(members, object{"endpoint": object{"address": socket(h.Addr().String(), h.Port())}})
	}
	return object{"cluster_name": cluster, "endpoints": []any{object{"lb_endpoints": members}}}
}
