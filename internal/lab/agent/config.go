// Package agent is the Service Connect agent of a task, as section 3 of the
// semantics has it: Envoy's headers, error bodies, timeouts, retries and
// outlier detection, without Envoy. It takes what comes from outside the task
// to a container port (default mode) or to its own port (override), and what
// the task's containers send to the virtual addresses of endpoint names.
package agent

import (
	"net/netip"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/inject"
)

// Config is what an agent is told once, at its start.
type Config struct {
	Task    string    `json:"task"`           // the task's name, for logs
	Zone    string    `json:"zone,omitempty"` // its availability zone
	Scale   float64   `json:"scale"`
	Seed    uint64    `json:"seed"`
	Ingress []Ingress `json:"ingress,omitempty"`
	Egress  []Egress  `json:"egress,omitempty"`
	// AccessLog is where access log lines go; nil for none.
	AccessLog *AccessLog   `json:"access_log,omitempty"`
	Inject    *inject.Spec `json:"inject,omitempty"`
	// ConnectTimeout is how long one try to reach a task may take. AWS does not
	// document it; 0 means Envoy's default of 5 s.
	ConnectTimeout time.Duration `json:"connect_timeout,omitempty"`
	// Workers is how many worker threads the agent has, each with a turn among
	// the tasks and connections to them of its own; below 1 means 1.
	Workers int `json:"workers,omitempty"`
}

// Protocol is the AppProtocol of a port mapping.
type Protocol string

// The protocols. TCP is what an absent AppProtocol means.
const (
	TCP   Protocol = "tcp"
	HTTP  Protocol = "http"
	HTTP2 Protocol = "http2"
	GRPC  Protocol = "grpc"
)

// Ingress is one endpoint that the task serves.
type Ingress struct {
	// Discovery is the endpoint's discovery name, the metrics' DiscoveryName.
	Discovery string   `json:"discovery"`
	Protocol  Protocol `json:"protocol"`
	// Listen is the override port; 0 means an ephemeral port behind the redirect.
	Listen uint16 `json:"listen,omitempty"`
	// App is the container port, which is dialled on the task's own loopback.
	App uint16 `json:"app"`
	// Certificate, if set, makes the agent accept nothing but TLS 1.3 there.
	Certificate *certs.Pair `json:"certificate,omitempty"`
	Timeouts    Timeouts    `json:"timeouts"`
}

// Egress is one endpoint that the task can call.
type Egress struct {
	// Name is the endpoint's DNS name, Discovery the metrics' TargetDiscoveryName.
	Name      string   `json:"name"`
	Discovery string   `json:"discovery"`
	Protocol  Protocol `json:"protocol"`
	// At is the virtual address and the client port.
	At netip.AddrPort `json:"at"`
	// TLS, if set, makes the agent speak TLS 1.3 with the tasks; the client stays plain.
	TLS      *Trust   `json:"tls,omitempty"`
	Timeouts Timeouts `json:"timeouts"`
}

// Trust is whom an agent takes for the tasks of an endpoint with TLS.
type Trust struct {
	Authority []byte `json:"authority"` // certificate in PEM
	// Name is what a task's certificate must be for: <discovery name>.<namespace>.
	Name string `json:"name"`
}

// NextProtocols is what the agents of a TLS endpoint offer each other and ask
// for by ALPN.
func (p Protocol) NextProtocols() []string {
	switch p {
	case HTTP:
		return []string{"http/1.1"}
	case HTTP2, GRPC:
		return []string{"h2", "http/1.1"}
	}
	return nil
}

// Timeouts are an endpoint's timeouts in modelled time; 0 switches one off.
type Timeouts struct {
	PerRequest time.Duration `json:"per_request"`
	Idle       time.Duration `json:"idle"`
}

// DefaultTimeouts returns what Amazon ECS applies when the service sets nothing.
func DefaultTimeouts(p Protocol) Timeouts {
	if p == TCP {
		return Timeouts{Idle: time.Hour}
	}
	return Timeouts{PerRequest: 15 * time.Second, Idle: 5 * time.Minute}
}

// AccessLog configures the access log, in AWS's formats.
type AccessLog struct {
	Path   string `json:"path"`
	Format string `json:"format"` // "TEXT" or "JSON"
	Query  bool   `json:"query"`  // include query parameters
}

// Update tells a running agent where the tasks of its egress endpoints are.
// An endpoint keeps its tasks when it is not named.
type Update struct {
	// Hosts lists the tasks' ingress addresses by endpoint name and client
	// port ("name:port").
	Hosts map[string][]netip.AddrPort `json:"hosts"`
	// Zones are the availability zones of those tasks, beside those that are
	// known, and Callers how many tasks of the agent's own service each zone has;
	// nil for what it was.
	Zones   map[netip.Addr]string `json:"zones,omitempty"`
	Callers map[string]int        `json:"callers,omitempty"`
}

// Bound is where an agent listens, reported once it does.
type Bound struct {
	// Ingress has the real listener of each of Config.Ingress, in order.
	Ingress []netip.AddrPort `json:"ingress,omitempty"`
	// Outbound is for the fabric's Host.Outbound.
	Outbound map[netip.AddrPort]netip.AddrPort `json:"outbound,omitempty"`
}

// Fixed numbers of the Service Connect agent; see section 3 of the semantics.
const (
	defaultConnectTimeout = 5 * time.Second // Envoy's default; not documented for Service Connect
	retries               = 2
	// Envoy waits a random time below 25 ms before the first retry and below
	// 75 ms before the second.
	backoffBase = 25 * time.Millisecond

	outlierFailures = 5
	outlierInterval = 30 * time.Second
	ejectionBase    = 30 * time.Second
	ejectionMax     = 300 * time.Second
	// mergeWindow is Envoy's update_merge_window.
	mergeWindow = time.Second

	// Envoy's defaults: max_request_headers_kb 60, max_headers_count 100.
	maxHead   = 60 << 10
	maxFields = 100
	// Envoy's client codec has its own limit.
	maxResponseHead = 80 << 10
)
