package labctl

import (
	"encoding/json"
	"time"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// Request is one line of JSON from client to server.
type Request struct {
	Op      string        `json:"op"`
	Caller  lab.Caller    `json:"caller"`
	URL     string        `json:"url,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	Service topology.ID   `json:"service,omitempty"`
	Task    string        `json:"task,omitempty"`
	Count   int           `json:"count,omitempty"`
	// Part is what of a task OpKill kills; with LoadBalancer it kills that one's
	// node instead.
	Part         lab.Part    `json:"part,omitempty"`
	LoadBalancer topology.ID `json:"load_balancer,omitempty"`
	// Argv and Dir are for OpExec; stdin, stdout and stderr come as file
	// descriptors beside the line. Env is for it and for OpRedeploy.
	Argv []string `json:"argv,omitempty"`
	Dir  string   `json:"dir,omitempty"`
	Env  []string `json:"env,omitempty"`
	// Made is for OpApply: what the lab is to be made of from now on.
	Made *Made `json:"made,omitempty"`
}

// The operations of a lab.
const (
	OpStarted  = "started"  // wait until the lab is up, or say why it is not
	OpInfo     = "info"     // Info
	OpStatus   = "status"   // lab.Status
	OpCurl     = "curl"     // call.Observation
	OpTrace    = "trace"    // lab.Trace
	OpDial     = "dial"     // lab.DialInfo
	OpKill     = "kill"     // kill -9 of a task, an agent or a load balancer
	OpDrain    = "drain"    // stop one task in good order
	OpScale    = "scale"    // set a service's desired count
	OpRedeploy = "redeploy" // replace a service's tasks
	OpApply    = "apply"    // make it that of another source; []lab.Change
	OpSettled  = "settled"  // wait until no deployment is under way, or say which failed
	OpExec     = "exec"     // run a program inside a task; int, its exit code
	OpDown     = "down"     // stop the lab
)

// Response is one line of JSON back.
type Response struct {
	Error string          `json:"error,omitempty"`
	Hint  string          `json:"hint,omitempty"`
	Code  int             `json:"code,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Info is what a lab was started from.
type Info struct {
	Source string    `json:"source"`
	Fabric string    `json:"fabric"`
	Scale  float64   `json:"scale"`
	PID    int       `json:"pid"`
	Since  time.Time `json:"since"`
	// Made is what to read to have the deployment again.
	Made Made `json:"made"`
	// Endpoint is the address of the local AWS account that owns the lab; empty for
	// a lab of its own.
	Endpoint string `json:"endpoint,omitempty"`
}

// Made names the source of a lab: a situation, or paths with the values that
// they were read with. Paths are absolute, or relative to Dir.
type Made struct {
	Situation string   `json:"situation,omitempty"`
	Dir       string   `json:"dir,omitempty"`
	Paths     []string `json:"paths,omitempty"`
	Synth     bool     `json:"synth,omitempty"`
	Params    []string `json:"params,omitempty"`
	Context   []string `json:"context,omitempty"`
	Vars      []string `json:"vars,omitempty"`
	VarFiles  []string `json:"var_files,omitempty"`
	// Changes are made in what was read, in their order.
	Changes []change.Change `json:"changes,omitempty"`
}
