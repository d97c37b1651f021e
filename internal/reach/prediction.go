package reach

import (
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Class is what kind of thing a caller sees. For an HTTP answer it follows
// from the status alone (below 400 ok, else http-error), so that a prediction
// and an observation can be compared field by field.
type Class string

// The classes of outcome.
const (
	OK          Class = "ok"           // an HTTP answer with a status below 400
	HTTPError   Class = "http-error"   // an HTTP answer with status 400 or more, whoever wrote it
	Reset       Class = "reset"        // the connection is accepted and then closed without an answer
	Timeout     Class = "timeout"      // the connection is never accepted: packets are dropped
	Refused     Class = "refused"      // nothing listens on the port
	NoName      Class = "no-name"      // the host name does not resolve
	DeployFails Class = "deploy-fails" // it never comes to a request: the deployment fails
	NoTraffic   Class = "no-traffic"   // the path exists and no request is sent along it
	Unknown     Class = "unknown"      // the source or the documentation does not settle it
)

// ClassOf returns the class of an HTTP answer with the status.
func ClassOf(status int) Class {
	if status >= 400 {
		return HTTPError
	}
	return OK
}

// Match says how Outcome.Body relates to the body on the wire.
type Match string

// The ways in which a body is known.
const (
	Exact    Match = "exact"    // the body is Body, byte for byte
	Contains Match = "contains" // the body contains Body; the rest depends on a build or a version
	Assumed  Match = "assumed"  // the app's own body, as App assumes it
	Open     Match = ""         // nothing is known of the body
)

// Outcome is what the caller sees.
type Outcome struct {
	Class  Class `json:"class"`
	Status int   `json:"status,omitempty"` // HTTP status; 0 without an answer
	// Body is the answer's body as far as Match says.
	Body  string `json:"body,omitempty"`
	Match Match  `json:"body_match,omitempty"`
	// Location is where a redirect points.
	Location string `json:"location,omitempty"`
	// By names the role that wrote the answer or ended the connection: "app",
	// "agent", "client agent", "alb", "network", "resolver", "ecs".
	By string `json:"by,omitempty"`
	// Curl is what curl prints on stderr, up to the part that depends on its
	// version or a clock; empty when it prints only the body, or when the
	// class does not settle the text.
	Curl string `json:"curl,omitempty"`
	// After is the least time until the caller sees the outcome. TimeKnown
	// tells "at once" from "depends on the caller or is not documented".
	After     time.Duration `json:"-"`
	TimeKnown bool          `json:"-"`
	// Error is the text of a failed deployment, where it is documented.
	Error string `json:"error,omitempty"`
	// Why is one sentence for people.
	Why string `json:"why"`
	// Basis names the sections of the semantics that say so, and the rows of its table.
	Basis semantics.Ref `json:"basis,omitzero"`
	// Inferred is set when a step was inferred from documented facts and not
	// itself documented or seen.
	Inferred bool `json:"inferred,omitempty"`
}

// Prediction is the predicted path of one kind of request.
type Prediction struct {
	// ID is stable for a topology: "mesh/<client>/<name>:<port>" and so on.
	ID     string `json:"id"`
	Kind   Kind   `json:"kind"`
	Caller Caller `json:"caller"`
	// URL is what the caller calls. For a load balancer the host is its
	// label and means its DNS name; for a task it means the task's address.
	URL string `json:"url"`
	// What says it for people: `listener 80, default action`.
	What string `json:"what"`
	// LoadBalancer, Listener, TargetGroup and Service are on the path, as far as it has them.
	LoadBalancer topology.ID `json:"load_balancer,omitempty"`
	Listener     topology.ID `json:"listener,omitempty"`
	Rule         topology.ID `json:"listener_rule,omitempty"`
	TargetGroup  topology.ID `json:"target_group,omitempty"`
	Service      topology.ID `json:"service,omitempty"`
	// Share is the part of the listener's matching requests that goes this way, 0 to 1.
	Share float64 `json:"share,omitempty"`
	// Path is the ordered hops in the words of the design: "client → alb → agent → app".
	// A blocked path ends where it ends.
	Path string `json:"path"`
	Hops []Hop  `json:"hops,omitempty"`
	// Outcome is what the caller sees.
	Outcome Outcome `json:"outcome"`
	// Target is the predicted target state, for a health check.
	Target *TargetState `json:"target,omitempty"`
	// Blocks lists what blocks the path, the first one first.
	Blocks []Block `json:"blocks,omitempty"`
	// Otherwise is what the caller sees under another condition that the source leaves open.
	Otherwise *Alternative `json:"otherwise,omitempty"`
	// Evidence is what would prove the path.
	Evidence *Evidence `json:"evidence,omitempty"`
	// Assumes lists what the source does not say and the prediction takes for granted.
	Assumes []string `json:"assumes,omitempty"`
	// Remarks are further things worth knowing about this path.
	Remarks []string `json:"remarks,omitempty"`
	// Likely is set when the source hints that the caller uses this path, or
	// with a what-if or direct access the path it departs from. Rules look only
	// at likely paths.
	Likely bool `json:"likely"`
	// Hint is what in the source says that the caller uses the path.
	Hint Hint `json:"hint,omitempty"`
}

// Kind groups predictions.
type Kind string

// The kinds of prediction.
const (
	KindALB     Kind = "alb"     // through a listener
	KindMesh    Kind = "mesh"    // a Service Connect client on an endpoint's alias port
	KindWhatIf  Kind = "what-if" // the same client with a port that is no alias port
	KindHealth  Kind = "health"  // an ALB health check
	KindDirect  Kind = "direct"  // the task's own address
	KindURL     Kind = "url"     // a URL of a service's containers that names nobody, or tasks by their DNS name
	KindOutside Kind = "outside" // a caller without Service Connect on an endpoint's name
)

// Alternative is an outcome under a condition.
type Alternative struct {
	If      string  `json:"if"`
	Outcome Outcome `json:"outcome"`
}

// Evidence is what one request on the path leaves behind.
type Evidence struct {
	// AgentHops counts the agents that read the request: 0 to 2.
	AgentHops int `json:"agent_hops"`
	// Peer is the peer address that the app sees: "loopback" from an agent,
	// "alb" from a load balancer node, "client" from the caller itself.
	Peer string `json:"peer"`
	// ServerHeader is "envoy" when an agent speaks HTTP on the path, else "app".
	ServerHeader string `json:"server_header"`
	// Counted says whether the server's agent counts the request in its metrics.
	Counted bool `json:"counted_by_server_agent"`
}

// Hop is one connection: From dials To on Port.
type Hop struct {
	From string      `json:"from"` // role: client, alb, nlb, "client agent", agent, app
	To   string      `json:"to"`
	At   topology.ID `json:"at,omitempty"` // the resource that To belongs to
	Name string      `json:"name"`         // its label
	Port int         `json:"port"`
	// PortEnd is the last port of a range, one of which is dialled: the host
	// ports that Docker chooses.
	PortEnd int `json:"port_end,omitempty"`
	// PortSymbol stands for a port that is not settled; Port is 0 then.
	PortSymbol string `json:"port_symbol,omitempty"`
	// Through says what brings the bytes to To when it is not the dialled
	// listener itself: "redirect" for the in-task redirect of the default
	// mode, "loopback" inside a task, "vip" from app to its own agent.
	Through string `json:"through,omitempty"`
	// Admits lists the security-group rules that admit the hop.
	Admits []Admission `json:"admits,omitempty"`
	// State is "open", "closed" or "unknown".
	State string `json:"state"`
}

// Ports writes the port that is dialled, a range, or the symbol of one that is
// not settled.
func (h Hop) Ports() string {
	return span{from: h.Port, to: max(h.Port, h.PortEnd), symbol: h.PortSymbol}.String()
}

// The states of a hop.
const (
	HopOpen    = "open"
	HopClosed  = "closed"
	HopUnknown = "unknown"
)

// Admission is a rule that lets a hop pass.
type Admission struct {
	Group     topology.ID `json:"group"`
	Label     string      `json:"label"`
	Direction Direction   `json:"direction"`
	Rule      topology.ID `json:"rule,omitempty"` // the rule's own resource, when it has one
	Text      string      `json:"text"`           // "tcp 80 from AlbSg"
}

// Direction of a security-group rule.
type Direction string

// The two directions.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
)

// Block is where a path is closed, and what would open it.
type Block struct {
	// At is the security group, or another resource that ends the path.
	At   topology.Origin `json:"at"`
	Name string          `json:"name"`
	Why  string          `json:"why"`
	// Hop is the index in Prediction.Hops of the blocked hop.
	Hop int `json:"hop"`
	// Nearest describes the rule of At that came closest, if any.
	Nearest string `json:"nearest,omitempty"`
	// Open is the rule that would open the path here; nil when the block is no security group.
	Open *OpenRule `json:"open,omitempty"`
}

// OpenRule is a security-group rule to add.
type OpenRule struct {
	Group     topology.ID `json:"group"`
	Label     string      `json:"label"`
	Direction Direction   `json:"direction"`
	Protocol  string      `json:"protocol"`
	Port      int         `json:"port"`
	PortEnd   int         `json:"port_end,omitempty"` // the last port of a range
	// Peer is a group, or PeerCIDR a range.
	Peer      topology.ID `json:"peer,omitempty"`
	PeerLabel string      `json:"peer_label,omitempty"`
	PeerCIDR  string      `json:"peer_cidr,omitempty"`
}

func (r OpenRule) ports() string {
	if r.PortEnd > r.Port {
		return span{from: r.Port, to: r.PortEnd}.String()
	}
	return strconv.Itoa(r.Port)
}

// String returns the rule as a person would write it: "AppSg: ingress tcp 8080 from ClientSg".
func (r OpenRule) String() string {
	prep := "from"
	if r.Direction == Egress {
		prep = "to"
	}
	peer := r.PeerLabel
	if peer == "" {
		peer = r.PeerCIDR
	}
	return r.Label + ": " + string(r.Direction) + " " + r.Protocol + " " + r.ports() + " " + prep + " " + peer
}

// TargetState is the state of a registered target.
type TargetState struct {
	TargetGroup topology.ID `json:"target_group"`
	Service     topology.ID `json:"service,omitempty"`
	Port        int         `json:"port"`       // the registered port
	CheckPort   int         `json:"check_port"` // where the probe goes
	// State and Reason are the names of the ELB API: "healthy", "unhealthy"
	// with "Target.Timeout", "unused" with "Target.NotInUse"; State "unknown"
	// when it is not settled.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Codes is the status that a mismatch was found with; 0 otherwise.
	Code int `json:"code,omitempty"`
}

// Target states and reasons as the ELB API names them.
const (
	StateHealthy     = "healthy"
	StateUnhealthy   = "unhealthy"
	StateUnused      = "unused"
	StateUnavailable = "unavailable"
	StateUnknown     = "unknown"

	ReasonTimeout  = "Target.Timeout"
	ReasonMismatch = "Target.ResponseCodeMismatch"
	ReasonFailed   = "Target.FailedHealthChecks"
	ReasonNotInUse = "Target.NotInUse"
	ReasonDisabled = "Target.HealthCheckDisabled"
)

// PortRow is one line of a service's three-port table.
type PortRow struct {
	Service  topology.ID `json:"service"`
	Label    string      `json:"label"`
	Endpoint string      `json:"endpoint"` // the name callers use, "" for a port without endpoint
	PortName string      `json:"port_name"`
	Mode     string      `json:"port_mode"` // "default", "override", "none", "unknown"
	// The three ports; 0 when not known or not there.
	ClientPort    int    `json:"client_port"`
	IngressPort   int    `json:"ingress_port"`
	ContainerPort int    `json:"container_port"`
	AppProtocol   string `json:"app_protocol"` // "tcp" when unset
	TLS           bool   `json:"tls"`
	// Why explains an unknown or a port that does not exist.
	Why string `json:"why,omitempty"`
}

// Report is everything that Predict says.
type Report struct {
	Topology    string       `json:"topology"`
	Ports       []PortRow    `json:"ports"`
	Predictions []Prediction `json:"predictions"`
	// Notes says what was left out, and why.
	Notes []string `json:"notes,omitempty"`
	// Names holds the names of the deployment's parts, for who folds what is said
	// alike of many.
	Names map[string]bool `json:"-"`
}

// Find returns the prediction with the ID, or nil.
func (r *Report) Find(id string) *Prediction {
	for i := range r.Predictions {
		if r.Predictions[i].ID == id {
			return &r.Predictions[i]
		}
	}
	return nil
}
