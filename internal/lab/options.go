// Package lab runs the data plane of an ECS Service Connect deployment on
// this machine: the load balancer, the agents, the app and the names, the
// security groups and the health checks that a template describes.
//
// It reads a topology and has no configuration of its own for ports, rules or
// health checks. What it does is section by section the behaviour written
// down in the semantics; what AWS does not document is a named option or is
// said to be unknown.
package lab

import (
	"io"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options are what a lab needs beside the topology.
type Options struct {
	Topology *topology.Topology
	// Fabric is "loopback" (also the default) or "netns".
	Fabric string
	App    App
	// Programs stand for images of single services in the app's place.
	Programs []Program
	// Dir receives logs: <service>/<task>/<container>.log and, for services with
	// an access log, agent.log. Empty means a temporary directory that Close removes.
	Dir  string
	Seed uint64
	// Agent is what runs in the place of the Service Connect agent: AgentLab
	// (also the default) or AgentEnvoy; see CheckAgent.
	Agent string
	// Envoy is the path of the program that AgentEnvoy runs.
	Envoy string
	// AgentWorkers is how many worker threads each agent has, the lab's own or
	// an Envoy; 0 means the constant of that name.
	AgentWorkers int
	// Scale is how many times faster than real the lab's timers run; below 1 means 1.
	Scale  float64
	Inject []Injection
	Twins  []Twin
	// Only, if not empty, lists the services that run, with the load balancers and
	// instances that belong to them. The names of the others are still known, with
	// no task behind them. A note says what is left out.
	Only []topology.ID
	// TasksPerService, if above 0, is the most tasks that a service starts with.
	TasksPerService int
	// ShareAgents lets agents of several tasks run in one process, which saves
	// most of their memory. What one of them takes of the CPU, and how long its
	// requests wait, then depends on the others: not for what is measured. Envoys
	// have processes of their own in any case.
	ShareAgents bool
	// Node is the command of a node process. Empty means this executable with
	// the argument "node"; a test binary passes its own.
	Node []string
	// ConnectTimeout is how long an agent tries to connect to a task, modelled
	// time. AWS does not document it; 0 means Envoy's 5 s.
	ConnectTimeout time.Duration
	// LinkDelay is how long a packet is under way between a host and its subnet,
	// in each direction and in real time; fabric netns only.
	LinkDelay time.Duration
	// KeepUnhealthy leaves tasks running that a service would replace because a
	// health check fails, so that their state can be looked at.
	KeepUnhealthy bool
	// Timing is how long starts and pauses take; the zero value is at once.
	Timing Timing
	// Log, if set, receives what child processes write to standard error.
	Log io.Writer
}

// App is the program that stands in for the containers' images.
type App struct {
	// Command is started once for each port that a container maps, with PORT,
	// LISTEN_ADDRESS and INSTANCE in its environment beside the container's
	// own. It writes a JSON line with msg "listening" and address to standard
	// output once it has bound its port, and ends on SIGTERM.
	Command []string
	// Env is added to every app's environment, as "NAME=value".
	Env []string
}

// Injection is a delay of known size in one hop, for experiments that must
// find it.
type Injection struct {
	Hop string `json:"hop"` // "alb", "agent" or "app"
	// Service selects whose requests are delayed: those to its tasks. Empty
	// means every service's.
	Service topology.ID `json:"service,omitempty"`
	// Twin selects the twin of that name instead of the deployment itself.
	Twin string `json:"twin,omitempty"`
	// Delay is what is added; share 0 means all requests.
	call.Delay
}

// Twin is a second set of everything on the way to a service: its tasks, the
// load balancers in front of it and the tasks of its client-only callers, in
// processes of their own. A caller reaches it with Caller.Twin under the same
// names and ports. Differences between a service and its twin are noise.
//
// With TLS it is the deployment that the source would be if the service's
// endpoints had TLS, whatever they have there: the agents speak it with each
// other, and a load balancer that reaches such an agent does so with HTTPS.
type Twin struct {
	Of   topology.ID `json:"of"`
	Name string      `json:"name"`
	TLS  bool        `json:"tls,omitempty"`
}
