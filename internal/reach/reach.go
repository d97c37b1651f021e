// Package reach predicts a deployment without running it: which path a request
// takes, what its caller sees, and which security-group rule lets it pass or
// stops it. What is wrong with a deployment is for package check to say.
//
// Predict answers for every caller it finds; a Predictor answers single
// questions. Both work from documented behaviour (see Outcome.Basis) and answer
// Unknown where the source or the documentation does not settle it.
//
// The package neither runs anything nor knows what runs it: the lab observes
// what reach predicts, and a test compares the two.
package reach

import (
	"net/netip"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options adjusts a prediction. The zero value is usable.
type Options struct {
	// Callers are callers without Service Connect whose paths are asked for:
	// a RunTask, a Lambda function, a CloudShell.
	Callers []Caller
	// App says what the app of a service does; nil means AppOf.
	App func(*topology.Service) App
	// ConnectTimeout is how long an agent tries one TCP connection to a task.
	// AWS does not document it; 0 means 5 s, Envoy's own default.
	ConnectTimeout time.Duration
	// MaxPairs bounds the client/endpoint pairs predicted per namespace; 0
	// means 400. Above it only pairs are predicted that the source hints at,
	// and Report.Notes says so.
	MaxPairs int
}

const (
	defaultConnectTimeout = 5 * time.Second
	defaultMaxPairs       = 400
)

// Caller is who sends a request.
type Caller struct {
	// Kind is one of the Caller constants.
	Kind CallerKind `json:"kind"`
	// Name is for people: "client-service", "batch job".
	Name string `json:"name"`
	// Service is the calling service, for CallerService.
	Service topology.ID `json:"service,omitempty"`
	// Groups and Subnets place a caller that is not a service; without
	// groups, what its own security groups let out is not asked, and without
	// subnets and addresses it is anywhere in the topology's only VPC.
	Groups    []topology.ID  `json:"groups,omitempty"`
	Subnets   []topology.ID  `json:"subnets,omitempty"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Lookup is how the caller looks up the name of an endpoint.
	Lookup call.Lookup `json:"lookup,omitempty"`
}

// CallerKind says what kind of thing a caller is.
type CallerKind string

// The kinds of caller.
const (
	CallerService      CallerKind = "service"       // a task of an ECS service of the topology
	CallerAdmitted     CallerKind = "admitted"      // anybody whom the load balancer's security group admits
	CallerHealth       CallerKind = "health-check"  // an ALB node probing a target
	CallerStandalone   CallerKind = "run-task"      // a task that no service runs: RunTask, scheduled, Step Functions
	CallerLambda       CallerKind = "lambda"        // a Lambda function in the VPC
	CallerCloudShell   CallerKind = "cloudshell"    // a VPC CloudShell
	CallerWithoutAgent CallerKind = "without-agent" // anything else in the VPC without Service Connect
)

// App is what is assumed of a service's app, because templates do not say it.
type App struct {
	// Bind says on which addresses the app listens; the zero value is all of them.
	Bind Bind
	// Ports are the ports the app listens on. Nil means every TCP container
	// port that the task definition declares, and nobody knows which others.
	Ports []int
	// Status and Body answer every path that is not in Paths. Status 0 means
	// an app that answers each request and health check as its caller wants:
	// 200 to requests, a matching code to probes.
	Status int
	Body   string
	// Paths holds the status by exact path, e.g. {"/healthz": 200}.
	Paths map[string]int
	// Delay is how long the app takes for an answer; 0 means at once.
	Delay time.Duration
	// Prompt lists the paths that it answers at once in spite of Delay.
	Prompt []string
}

// Bind is where an app listens.
type Bind int

// The addresses an app may listen on.
const (
	BindAll       Bind = iota // all addresses
	BindLoopback              // 127.0.0.1 only
	BindInterface             // the task's own address only, not loopback
)

// status returns what the app answers on path, and whether that is known
// rather than assumed.
func (a App) status(path string) (int, bool) {
	if s, ok := a.Paths[path]; ok {
		return s, true
	}
	if a.Status != 0 {
		return a.Status, true
	}
	return 200, false
}

// Predict returns the predicted path and outcome of every caller in t, and
// the state of every target. It is deterministic and safe for concurrent use
// with other readers of t.
func Predict(t *topology.Topology, o Options) (*Report, error) {
	p, err := New(t, o)
	if err != nil {
		return nil, err
	}
	return p.Report(), nil
}
