// Package alb is one node of an Application Load Balancer, as section 6 of
// the semantics has it: listeners, rules, target groups with their health
// checks, forwarding with its header fields, and the errors that are the
// load balancer's own.
package alb

import (
	"net/netip"
	"time"

	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/inject"
)

// Config is what a node is told once, at its start. Durations are modelled time.
type Config struct {
	Name    string `json:"name"`
	DNSName string `json:"dns_name"` // the Host for HTTP/1.0 clients that send none
	Scale   float64
	Seed    uint64
	// Idle is the connection idle timeout, on both sides.
	Idle      time.Duration `json:"idle"`
	Listeners []Listener    `json:"listeners"`
	Groups    []Group       `json:"groups"`
	// XFF is routing.http.xff_header_processing.mode: "append", "preserve" or "remove".
	XFF string `json:"xff"`
	// XFFClientPort is routing.http.xff_client_port.enabled.
	XFFClientPort bool `json:"xff_client_port"`
	// DropInvalid is routing.http.drop_invalid_header_fields.enabled.
	DropInvalid bool `json:"drop_invalid"`
	// Desync is routing.http.desync_mitigation_mode: "monitor", "defensive" (also
	// for any other value) or "strictest".
	Desync string `json:"desync"`
}

// Listener is one port.
type Listener struct {
	Port     uint16   `json:"port"`
	Protocol string   `json:"protocol"` // "HTTP" or "HTTPS"
	Default  []Action `json:"default"`
	Rules    []Rule   `json:"rules,omitempty"` // by ascending priority
	// Certificate is the one of an HTTPS listener.
	Certificate *certs.Pair `json:"certificate,omitempty"`
}

// Rule applies its actions to requests that meet all its conditions.
type Rule struct {
	Conditions []Condition `json:"conditions"`
	Actions    []Action    `json:"actions"`
}

// Condition is met when any of its values is.
type Condition struct {
	Field  string     `json:"field"`
	Name   string     `json:"name,omitempty"`
	Values []string   `json:"values,omitempty"`
	Query  []KeyValue `json:"query,omitempty"`
}

// KeyValue is one pair of a query-string condition; an empty key matches any.
type KeyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Action is what happens to a request.
type Action struct {
	Type     string     `json:"type"` // "forward", "redirect", "fixed-response"
	Forward  []Weighted `json:"forward,omitempty"`
	Redirect *Redirect  `json:"redirect,omitempty"`
	Fixed    *Fixed     `json:"fixed,omitempty"`
}

// Weighted is a target group with its weight.
type Weighted struct {
	Group  string `json:"group"`
	Weight int    `json:"weight"`
}

// Redirect holds the parts of the new URL; "#{host}" and the like stand for the old one's.
type Redirect struct {
	Protocol string `json:"protocol"`
	Host     string `json:"host"`
	Port     string `json:"port"`
	Path     string `json:"path"`
	Query    string `json:"query"`
	Status   int    `json:"status"`
}

// Fixed is a canned response.
type Fixed struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

// Group is a target group.
type Group struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // "HTTP" or "HTTPS"
	Version  string `json:"version"`  // "HTTP1", "HTTP2", "GRPC"
	Health   Health `json:"health"`
	// Algorithm is "round_robin" or "least_outstanding_requests".
	Algorithm           string        `json:"algorithm"`
	SlowStart           time.Duration `json:"slow_start"`
	DeregistrationDelay time.Duration `json:"deregistration_delay"`
	// MinimumHealthy is unhealthy_state_routing.minimum_healthy_targets.count:
	// with fewer healthy targets, requests go to all of them.
	MinimumHealthy int          `json:"minimum_healthy"`
	Inject         *inject.Spec `json:"inject,omitempty"`
}

// Health is a group's health check.
type Health struct {
	Enabled   bool          `json:"enabled"`
	Protocol  string        `json:"protocol"`
	Port      uint16        `json:"port"` // 0: the target's own
	Path      string        `json:"path"`
	Interval  time.Duration `json:"interval"`
	Timeout   time.Duration `json:"timeout"`
	Healthy   int           `json:"healthy"`
	Unhealthy int           `json:"unhealthy"`
	Matcher   string        `json:"matcher"`
}

// Update registers and deregisters targets: it lists all that are to be
// registered. Groups that are not named keep theirs.
type Update struct {
	Targets map[string][]netip.AddrPort `json:"targets"`
}

// Bound is where a node listens, by listener port.
type Bound struct {
	Listeners map[uint16]netip.AddrPort `json:"listeners"`
}

// Fixed numbers of the load balancer; see section 6 of the semantics.
const (
	connectTimeout = 10 * time.Second
	maxForwarded   = 30 // addresses in X-Forwarded-For, else 463
	// tlsTimeout is how long a TLS handshake with a client or a target may take.
	tlsTimeout = 10 * time.Second
)
