// Package plan is the design of an experiment: which arms, how requests are
// dealt to them, how many replicates and windows, and what the plan can hope
// to see. A Plan is plain data with a hash; everything that is random in a
// run follows from its seed.
package plan

import "github.com/hoplab/hoplab/loadtest/samplefile"

// Schema is the value of Plan.Schema.
const Schema = "hoplab/plan/v1"

// Names of the arms; see the vocabulary in the README.
const (
	ArmAgent  = "agent"  // client → alb → agent → app
	ArmBypass = "bypass" // client → alb → app
	ArmMesh   = "mesh"   // client → client agent → agent → app
	// ArmMeshTLS is the path of ArmMesh with TLS between the two agents.
	ArmMeshTLS = "mesh-tls"
	ArmDirect  = "direct" // client → app
	// TwinSuffix marks the A/A twin of an arm: the same path with processes
	// of its own, so that any difference to the arm is noise.
	TwinSuffix = "-twin"
)

// What runs as the agents of a run on the lab.
const (
	AgentEnvoy = "envoy" // a real Envoy; which one stands in the run's environment
	AgentLab   = "lab"   // the lab's own
)

// AccessLogOff is the AccessLog of a plan whose agents write none.
const AccessLogOff = "OFF"

// Plan is one experiment. Durations are seconds, rates requests per second.
type Plan struct {
	Schema  string `json:"schema"`
	Profile string `json:"profile"` // "standard", "quick", "article" or "custom"
	Target  string `json:"target"`  // "lab", "aws" or "endpoints"
	Fabric  string `json:"fabric"`  // "loopback" or "netns"; "" elsewhere
	// Agent is AgentEnvoy or AgentLab; "" on aws, which brings its own, and in
	// the plans of a time when the lab had only its own. See LabAgent.
	Agent  string `json:"agent,omitempty"`
	Design string `json:"design"` // "random", "blocks", "article"
	Seed   uint64 `json:"seed"`
	Arms   []Arm  `json:"arms"`
	// RatePerS is the total over all arms.
	RatePerS   float64 `json:"rate_per_s"`
	Replicates int     `json:"replicates"`
	ReplicateS float64 `json:"replicate_s"` // measured seconds of a replicate, warm-up not counted
	WarmupS    float64 `json:"warmup_s"`
	WindowS    float64 `json:"window_s"`
	KeepAwake  bool    `json:"keep_awake"`
	OneCore    bool    `json:"one_core"` // lab and load generator share one core
	KeepAlive  bool    `json:"keep_alive"`
	Client     string  `json:"client"` // "native" or "http"
	// RequestBytes and ResponseBytes are the sizes of the bodies. A request
	// without one is a GET, with one a POST; a response of 0 is the app's own.
	RequestBytes  int `json:"request_bytes,omitempty"`
	ResponseBytes int `json:"response_bytes,omitempty"`
	// AppProtocol, "http" or "http2", is that of every endpoint, and AccessLog,
	// "TEXT", "JSON" or "OFF", the format in which every agent logs; "" leaves
	// both as the templates have them.
	AppProtocol string `json:"app_protocol,omitempty"`
	AccessLog   string `json:"access_log,omitempty"`
	// EnvoyWorkers is how many worker threads each Envoy has; 0 without Envoy.
	EnvoyWorkers int     `json:"envoy_workers,omitempty"`
	VUs          int     `json:"vus"`
	TimeoutS     float64 `json:"timeout_s"`
	// Generators is the number of load processes of a replicate; 1 on the lab.
	Generators int       `json:"generators"`
	Quantiles  []float64 `json:"quantiles"` // in (0,1), ascending; the reported ones
	Level      float64   `json:"level"`     // confidence level, e.g. 0.95
	Budgets    []Budget  `json:"budgets,omitempty"`
	// StopAt, if not nil, lets the run end before Replicates; see Stop.
	StopAt *Stop `json:"stop_at,omitempty"`
	// Request is what is sent to endpoints that hoplab did not start; nil elsewhere.
	Request *samplefile.Request `json:"request,omitempty"`
	// Restart is the shell command that starts the endpoints' processes anew
	// before each replicate; "" when nothing can.
	Restart string `json:"restart,omitempty"`
	// Alike is set when the user said that nothing in a response tells one arm
	// from another.
	Alike bool `json:"alike,omitempty"`
	// Topology is the digest of what was deployed (templates), so that results
	// of different deployments do not merge.
	Topology string `json:"topology"`
}

// Arm is one configuration under comparison, with the path it must take.
type Arm struct {
	Name   string   `json:"name"`
	TwinOf string   `json:"twin_of,omitempty"` // set on the A/A twin
	Weight float64  `json:"weight"`
	Path   []string `json:"path"` // "client", "alb", "agent", "app"
	// Ports says in words, for each stop of Path, which port counts there; nil when not known.
	Ports  []string `json:"ports,omitempty"`
	Expect Expect   `json:"expect"`
	// Endpoint is where the arm is called, for the target endpoints; else nil.
	Endpoint *Endpoint `json:"endpoint,omitempty"`
}

// Expect is the evidence that every response of an arm must carry.
type Expect struct {
	// AgentHeaders is 1 when the response must carry Envoy's headers, else 0.
	AgentHeaders int `json:"agent_headers"`
	// PeerLoopback is whether the app must see a loopback peer (an agent of its own task).
	PeerLoopback bool `json:"peer_loopback"`
	// AgentHops is the number of agents in Path: 0, 1 or 2.
	AgentHops int `json:"agent_hops"`
	// TLS is whether the two agents in Path must speak TLS with each other.
	TLS    bool `json:"tls,omitempty"`
	Status int  `json:"status"`
}

// Budget is a limit on a quantile's difference, e.g. p99 <= +2ms for agent - bypass.
type Budget struct {
	Text     string  `json:"text"` // as the user wrote it
	Quantile float64 `json:"quantile"`
	LimitUs  float64 `json:"limit_us"`
}

// Stop is a sequential stopping rule: looks are planned ahead, and each look
// spends its share of the error, so that stopping early keeps the level.
type Stop struct {
	Quantile    float64 `json:"quantile"`
	HalfWidthUs float64 `json:"half_width_us"`
	MinimumReps int     `json:"minimum_replicates"`
}
