// Package observed holds what AWS was seen to do: one file an observation,
// with its source, and the steps that show the same in a prediction and in a
// lab. A new observation is added by writing a file.
package observed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/scenario"
)

// Observation is one thing that a machine printed, or that somebody measured, on AWS.
type Observation struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Source string `json:"source"`
	// Date is as exact as the source, "" when it has none.
	Date string `json:"date"`
	// Grade is M for pasted machine output, T for a test described step by
	// step, R for a report without output, D for AWS documentation.
	Grade string `json:"grade"`
	// Configuration and Observed say what there was and what was seen, in words.
	Configuration string `json:"configuration"`
	Observed      string `json:"observed"`
	// Status is one of the Status constants.
	Status Status `json:"status"`
	// Modelled says what of it the steps show; Reason why there are none.
	Modelled string `json:"modelled"`
	Reason   string `json:"reason"`
	// Fabric limits the lab to the fabric of that name; "" for both.
	Fabric string `json:"fabric"`
	// Scale is how many times faster than real the lab's timers run, 20 by default.
	Scale float64 `json:"scale"`
	// Replace lets services replace unhealthy tasks, as they do; else those
	// stay to be looked at.
	Replace bool `json:"replace"`
	// Profile are the start times and pauses, by name; "" for none. TaskStart,
	// if set, is that of the profile in this observation.
	Profile   string   `json:"profile"`
	TaskStart Duration `json:"task_start"`
	// Deployment changes scenario.Default by the names of its fields.
	Deployment json.RawMessage `json:"deployment"`
	Steps      []Step          `json:"steps"`
}

// Status says how far hoplab goes with an observation.
type Status string

// The statuses.
const (
	Reproduced  Status = "reproduced"   // the lab shows it, and the prediction agrees where it says anything
	Predicted   Status = "predicted"    // a prediction or a rule says it; there is nothing to run
	NotModelled Status = "not modelled" // with a reason
)

// Step is one thing to do or to look at; one of its fields is set.
type Step struct {
	Call *Call `json:"call"` // one request, or several alike
	Raw  *Raw  `json:"raw"`  // one request byte by byte
	Loop *Loop `json:"loop"` // requests while something is done
	// Operate is "kill client-service", "scale AppService 0", "stop AppService",
	// "redeploy client-service", or "roll back AppService STATUS=500": a revision
	// that must not get through.
	Operate string   `json:"operate"`
	Hosts   *Hosts   `json:"hosts"`   // a task's hosts file
	Exec    *Exec    `json:"exec"`    // a program in a task, where the fabric allows it
	TLS     *TLS     `json:"tls"`     // a TLS handshake
	Target  *Target  `json:"target"`  // the first target's health
	Events  *Events  `json:"events"`  // a service's events
	Log     *Log     `json:"log"`     // an agent's access log
	Workers *Workers `json:"workers"` // how many workers an agent has
	Entries *Entries `json:"entries"` // what Cloud Map lists
	Stable  *Stable  `json:"stable"`  // what services-stable says
	Finding *Finding `json:"finding"` // of a check
	Deploy  string   `json:"deploy"`  // the error with which AWS refuses the deployment
}

// Call is a request that must be seen, and be predicted, as Want says.
type Call struct {
	From   string `json:"from"` // service name; "" for a host of the VPC without Service Connect
	To     string `json:"to"`   // "alb", "task" (the app's first), or a host
	Port   int    `json:"port"` // 0 for the one that is meant to be called
	Path   string `json:"path"`
	Lookup string `json:"lookup"`
	// Times makes the call again, on one connection when Keep is set.
	Times int  `json:"times"`
	Keep  bool `json:"keep"`
	Want  Want `json:"want"`
	// Unpredicted is set where no prediction speaks of the call.
	Unpredicted bool `json:"unpredicted"`
}

// Want is what is documented of a call; what is empty is not compared.
type Want struct {
	Status int               `json:"status"`
	Body   string            `json:"body"` // the beginning
	Bytes  int               `json:"bytes"`
	Header map[string]string `json:"header"` // "" for a header that must not be there
	Curl   string            `json:"curl"`   // the beginning of curl's message
	// Within bounds the modelled time that the call took.
	Within [2]Duration `json:"within"`
	// Tasks is how many tasks answered, of several calls.
	Tasks int `json:"tasks"`
}

// Raw sends bytes and looks at lines of the response.
type Raw struct {
	From string `json:"from"`
	To   string `json:"to"`
	Send string `json:"send"` // a request's head, a line a line
	// Want are patterns that lines must match, in this order.
	Want []string `json:"want"`
	// Cut bounds the modelled time after which the response was cut off; Open
	// is how long it must go on instead.
	Cut  [2]Duration `json:"cut"`
	Open Duration    `json:"open"`
}

// Loop sends a request again and again while something is done.
type Loop struct {
	Call    Call     `json:"call"`
	Every   Duration `json:"every"` // modelled
	Operate string   `json:"operate"`
	For     Duration `json:"for"` // modelled, after it was done
	// Statuses are the statuses as they change: [200, 503, 200].
	Statuses []int `json:"statuses"`
	// Changes bound the modelled time of each change after the operation.
	Changes [][2]Duration `json:"changes"`
	// Slowest bounds what a failed answer took, in real time: what AWS answers at
	// once waits for no clock. The lab's shortest wait, a try to connect, must be
	// longer at the observation's scale.
	Slowest Duration `json:"slowest"`
}

// Hosts compares a task's hosts file by patterns, a line a line; Has looks for lines only.
type Hosts struct {
	Of   string   `json:"of"`
	Want []string `json:"want"`
	Has  []string `json:"has"`
	Not  []string `json:"not"` // words that are nowhere in it
}

// Exec runs a program in a task and compares its output by a pattern.
type Exec struct {
	In   string   `json:"in"`
	Run  []string `json:"run"`
	Want []string `json:"want"`
	Exit int      `json:"exit"`
}

// TLS compares the names of the certificate that a port presents.
type TLS struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Names []string `json:"names"`
}

// Target compares the first target's health once it is no longer initial.
type Target struct {
	State       string `json:"state"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
	// Probes is the highest number of health checks in an interval.
	Unpredicted bool `json:"unpredicted"`
}

// Events waits until patterns match events of a service, in this order.
type Events struct {
	Of   string   `json:"of"`
	Want []string `json:"want"`
	Not  []string `json:"not"`
	// Count bounds how often a pattern matches.
	Count map[string]int `json:"count"`
}

// Log compares the keys of the first line of an agent's JSON access log.
type Log struct {
	Of   string         `json:"of"`
	Keys []string       `json:"keys"`
	Want map[string]any `json:"want"`
}

// Finding is what a check finds, or with Absent does not.
type Finding struct {
	Rule   string `json:"rule"`
	Text   string `json:"text"` // part of its message
	Absent bool   `json:"absent"`
	// Before changes the deployment, by the names of scenario.Config's fields, to
	// the one that it takes the place of.
	Before json.RawMessage `json:"before"`
}

// Workers counts the workers of a caller's agent: connections of one worker
// take turns with each other among the tasks, of which there must be three.
type Workers struct {
	From        string `json:"from"`
	To          string `json:"to"`
	Connections int    `json:"connections"`
	Want        int    `json:"want"`
}

// Entries are what Cloud Map lists of the deployment's only namespace, all of it.
type Entries struct {
	Want []Entry `json:"want"`
}

// Entry is a service of Cloud Map; Name and the attributes are patterns.
type Entry struct {
	Name       string            `json:"name"`
	Instances  int               `json:"instances"`
	Attributes map[string]string `json:"attributes"` // of each instance, no others
}

// Stable waits until a service is as the waiter services-stable wants it.
type Stable struct {
	Of string `json:"of"`
}

// Duration is a time.Duration as text: "15s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// lab reports whether the step needs a running lab.
func (s *Step) lab() bool { return s.Finding == nil && s.Deploy == "" }

// Load reads the observations of a directory in the order of their numbers.
// It fails on a file that says less than an observation must.
func Load(dir string) ([]Observation, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []Observation
	for _, f := range files {
		o, err := read(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b Observation) int { return a.Number - b.Number })
	for i := range out {
		if i > 0 && out[i].Number == out[i-1].Number {
			return nil, fmt.Errorf("two observations have the number %d", out[i].Number)
		}
	}
	return out, nil
}

// read reads one file. It goes through JSON, so that names are looked up
// without case and unknown ones are refused.
func read(path string) (o Observation, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return o, err
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return o, err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return o, err
	}
	if err := strict(raw, &o); err != nil {
		return o, err
	}
	if want := fmt.Sprintf("%02d-", o.Number); !strings.HasPrefix(filepath.Base(path), want) {
		return o, fmt.Errorf("the name of observation %d must begin with %s", o.Number, want)
	}
	return o, o.check()
}

func strict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// check says what an observation lacks.
func (o *Observation) check() error {
	runs := slices.ContainsFunc(o.Steps, func(s Step) bool { return s.lab() })
	switch {
	case o.Title == "", o.Source == "", o.Observed == "", o.Configuration == "":
		return fmt.Errorf("title, source, configuration and observed must say something")
	case !slices.Contains([]string{"M", "T", "R", "D"}, o.Grade):
		return fmt.Errorf("grade %q is none of M, T, R, D", o.Grade)
	case o.Status == Reproduced && !runs:
		return fmt.Errorf("it is marked reproduced and no step runs in a lab")
	case o.Status == Predicted && (runs || len(o.Steps) == 0):
		return fmt.Errorf("it is marked predicted, so it needs steps, and none that runs in a lab")
	case o.Status == NotModelled && (len(o.Steps) > 0 || o.Reason == ""):
		return fmt.Errorf("it is marked not modelled, so it needs a reason and no steps")
	case o.Status != NotModelled && o.Modelled == "":
		return fmt.Errorf("modelled must say what of it the steps show")
	case !slices.Contains([]Status{Reproduced, Predicted, NotModelled}, o.Status):
		return fmt.Errorf("status %q does not exist", o.Status)
	}
	_, err := o.Config()
	return err
}

// Config returns the observation's deployment.
func (o *Observation) Config() (scenario.Config, error) {
	c := scenario.Default()
	c.Name = fmt.Sprintf("observation-%d", o.Number)
	if len(o.Deployment) == 0 {
		return c, nil
	}
	return c, strict(o.Deployment, &c)
}
