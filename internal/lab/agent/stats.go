package agent

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/inject"
)

// Status is what an agent has counted since its start.
type Status struct {
	// Ingress is by discovery name: what the metrics with DiscoveryName count.
	Ingress []EndpointStatus `json:"ingress,omitempty"`
	// Egress is by client port and name: what those with TargetDiscoveryName count.
	Egress []EndpointStatus `json:"egress,omitempty"`
	Inject inject.Count     `json:"inject"`
	// PID is the process of the Envoy that is in the agent's place, if one is.
	PID int `json:"pid,omitempty"`
}

// EndpointStatus counts one endpoint of an agent.
type EndpointStatus struct {
	Discovery string `json:"discovery"`
	Name      string `json:"name,omitempty"` // name and client port of an egress endpoint
	// Requests counts all requests; HealthChecks those of them that an ALB's
	// health check sent, told by its User-Agent.
	Requests     int64            `json:"requests"`
	HealthChecks int64            `json:"health_checks"`
	GRPCRequests int64            `json:"grpc_requests"`
	Codes        map[string]int64 `json:"codes,omitempty"` // "2xx" ... "5xx", "none" when no response was sent
	// NewConnections and ActiveConnections are of the side that calls the agent,
	// UpstreamConnections were opened by it.
	NewConnections      int64 `json:"new_connections"`
	ActiveConnections   int64 `json:"active_connections"`
	UpstreamConnections int64 `json:"upstream_connections"`
	// Upstream has what else was counted on that side and is not 0, by the names in
	// UpstreamCounters.
	Upstream map[string]int64 `json:"upstream,omitempty"`
	// Handshakes is how many of the new connections became TLS ones.
	Handshakes int64 `json:"handshakes,omitempty"`
	BytesIn    int64 `json:"bytes_in"`
	BytesOut   int64 `json:"bytes_out"`
	// ResponseMs is the sum of the upstream's response times.
	ResponseMs float64          `json:"response_ms"`
	PerTarget  map[string]int64 `json:"per_target,omitempty"`
	Ejected    []string         `json:"ejected,omitempty"` // hosts that outlier detection avoids now
}

// UpstreamCounters are Envoy's names for what it counts of a cluster, without
// upstream_ before them.
var UpstreamCounters = []string{
	connectFail: "cx_connect_fail", connectTimeout: "cx_connect_timeout", connectionOverflow: "cx_overflow",
	upstreamRequests: "rq_total", pendingFailure: "rq_pending_failure_eject", pendingOverflow: "rq_pending_overflow",
	cancelled: "rq_cancelled", timedOut: "rq_timeout", retried: "rq_retry", retrySucceeded: "rq_retry_success",
	retryLimited: "rq_retry_limit_exceeded", retryOverflow: "rq_retry_overflow",
}

// The counters of UpstreamCounters, and connections, which has a field of its own.
const (
	connectFail = iota
	connectTimeout
	connectionOverflow
	upstreamRequests
	pendingFailure
	pendingOverflow
	cancelled
	timedOut
	retried
	retrySucceeded
	retryLimited
	retryOverflow
	connections
	upstreamCounters
)

type stats struct {
	requests, probes, grpc    atomic.Int64
	codes                     [7]atomic.Int64 // by status/100, 0 for none, 6 for those that have no class
	opens, active             atomic.Int64
	handshakes                atomic.Int64 // TLS
	bytesIn, bytesOut, served atomic.Int64
	upstream                  [upstreamCounters]atomic.Int64
}

func newStats() *stats { return &stats{} }

func (s *stats) opened() { s.opens.Add(1); s.active.Add(1) }
func (s *stats) closed() { s.active.Add(-1) }

func (s *stats) tunnelled(in, out int64) {
	s.bytesIn.Add(in)
	s.bytesOut.Add(out)
}

// begin counts a request before its answer is sent, so that who has the answer
// reads counters that include it.
func (s *stats) begin(probe bool) {
	s.requests.Add(1)
	if probe {
		s.probes.Add(1)
	}
}

// answer counts a response by its status, 0 when there is none, and the time
// that the upstream took.
func (s *stats) answer(status int, served time.Duration) {
	s.codes[min(status/100, len(s.codes)-1)].Add(1)
	s.served.Add(int64(served))
}

// Status returns the counters. They are read one by one while requests go
// on, so they need not add up to the last request.
func (a *Agent) Status() Status {
	st := Status{Inject: a.spin.Count()}
	for _, d := range a.ingress {
		st.Ingress = append(st.Ingress, a.statusOf(d))
	}
	for _, e := range a.cfg.Egress {
		es := a.statusOf(a.egress[e.At])
		es.Name = fmt.Sprintf("%s:%d", e.Name, e.At.Port())
		st.Egress = append(st.Egress, es)
	}
	return st
}

func (a *Agent) statusOf(ep *endpoint) EndpointStatus {
	s := ep.stats
	es := EndpointStatus{
		Discovery: ep.name, Requests: s.requests.Load(), HealthChecks: s.probes.Load(), GRPCRequests: s.grpc.Load(),
		Codes: map[string]int64{}, PerTarget: map[string]int64{},
		NewConnections: s.opens.Load(), ActiveConnections: s.active.Load(), UpstreamConnections: s.upstream[connections].Load(),
		Handshakes: s.handshakes.Load(),
		BytesIn:    s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
		ResponseMs: float64(a.clock.Modelled(time.Duration(s.served.Load())).Microseconds()) / 1000,
	}
	for i := range len(s.codes) - 1 {
		if n := s.codes[i].Load(); n > 0 {
			es.Codes[[...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[i]] = n
		}
	}
	for i, name := range UpstreamCounters {
		if n := s.upstream[i].Load(); n > 0 {
			if es.Upstream == nil {
				es.Upstream = map[string]int64{}
			}
			es.Upstream[name] = n
		}
	}
	now := time.Now()
	for _, h := range *ep.hosts.hosts.Load() {
		es.PerTarget[h.addr.String()] = h.requests.Load()
		if h.ejected(now) {
			es.Ejected = append(es.Ejected, h.addr.String())
		}
	}
	return es
}
