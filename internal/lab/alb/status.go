package alb

import (
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// Status is a node's targets and counters.
type Status struct {
	Listeners []ListenerStatus `json:"listeners"`
	Groups    []GroupStatus    `json:"groups"`
}

// ListenerStatus counts one listener, after the metrics of AWS/ApplicationELB.
type ListenerStatus struct {
	Port        uint16 `json:"port"`
	Protocol    string `json:"protocol"` // HTTP or HTTPS
	Connections int64  `json:"connections"`
	// Requests counts those for which a target could be chosen (RequestCount).
	Requests  int64            `json:"requests"`
	Target    map[string]int64 `json:"target,omitempty"` // HTTPCode_Target_*, "2xx" ... "5xx"
	ELB       map[int]int64    `json:"elb,omitempty"`    // responses of the load balancer's own, by status
	Redirects int64            `json:"redirects"`
	Fixed     int64            `json:"fixed"`
	BytesIn   int64            `json:"bytes_in"`
	BytesOut  int64            `json:"bytes_out"`
	// Desync counts the requests that are not compliant by their class,
	// "Acceptable" or "Ambiguous" (DesyncMitigationMode_NonCompliant_Request_Count).
	Desync map[string]int64 `json:"desync,omitempty"`
	// ResponseS is the sum of the targets' response times (TargetResponseTime).
	ResponseS float64 `json:"response_s"`
}

// GroupStatus is a target group with its targets.
type GroupStatus struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Requests int64          `json:"requests"`
	Targets  []TargetStatus `json:"targets"`
	Inject   inject.Count   `json:"inject"`
}

// TargetStatus is one target's health and counters.
type TargetStatus struct {
	Address          string `json:"address"`
	State            State  `json:"state"`
	Reason           string `json:"reason,omitempty"`
	Description      string `json:"description,omitempty"`
	Requests         int64  `json:"requests"`
	Probes           int64  `json:"probes"` // health checks finished
	Connections      int64  `json:"connections"`
	ConnectionErrors int64  `json:"connection_errors"`
}

type stats struct {
	connections, requests, redirects, fixed atomic.Int64
	targets                                 [6]atomic.Int64
	elb                                     [600]atomic.Int64
	threats                                 [threats]atomic.Int64
	bytesIn, bytesOut, responseTime         atomic.Int64
}

func (s *stats) own(status int)    { s.elb[min(status, 599)].Add(1) }
func (s *stats) target(status int) { s.targets[min(status/100, 5)].Add(1) }

func (s *stats) bytes(x *relay.Exchange) {
	s.bytesIn.Add(x.BytesIn)
	s.bytesOut.Add(x.BytesOut)
}

// Status returns the node's state; counters are read one by one while
// requests go on.
func (a *Node) Status() Status {
	var st Status
	now := a.setup.Load()
	for _, l := range now.listeners {
		st.Listeners = append(st.Listeners, l.status())
	}
	for _, cfg := range now.cfg.Groups {
		st.Groups = append(st.Groups, now.groups[cfg.ID].status())
	}
	return st
}

func (l *listener) status() ListenerStatus {
	s := &l.stats
	st := ListenerStatus{
		Port: l.cfg.Port, Protocol: l.cfg.Protocol, Connections: s.connections.Load(), Requests: s.requests.Load(),
		Target: map[string]int64{}, ELB: map[int]int64{}, Redirects: s.redirects.Load(), Fixed: s.fixed.Load(),
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
		ResponseS: l.node.clock.Modelled(time.Duration(s.responseTime.Load())).Seconds(),
	}
	for i := 1; i < len(s.targets); i++ {
		if n := s.targets[i].Load(); n > 0 {
			st.Target[itoa(i)+"xx"] = n
		}
	}
	for class := acceptable; class < threats; class++ {
		if n := s.threats[class].Load(); n > 0 {
			if st.Desync == nil {
				st.Desync = map[string]int64{}
			}
			st.Desync[class.String()] = n
		}
	}
	for code := range s.elb {
		if n := s.elb[code].Load(); n > 0 {
			st.ELB[code] = n
		}
	}
	return st
}

func (g *group) status() GroupStatus {
	st := GroupStatus{ID: g.cfg.ID, Name: g.cfg.Name, Requests: g.requests.Load(), Inject: g.spin.Count(), Targets: []TargetStatus{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range *g.targets.Load() {
		st.Targets = append(st.Targets, t.status())
	}
	for _, t := range g.leaving {
		st.Targets = append(st.Targets, t.status())
	}
	return st
}

func (t *target) status() TargetStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return TargetStatus{
		Address: t.name, State: t.state, Reason: t.reason, Description: t.description,
		Requests: t.requests.Load(), Probes: t.probes, Connections: t.connections.Load(), ConnectionErrors: t.connErrors.Load(),
	}
}
