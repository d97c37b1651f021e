package learn

import (
	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/reach"
)

// Schema is the schema of a Record in JSON.
const Schema = "hoplab/lesson/v1"

// Record is what a lesson showed.
type Record struct {
	Schema   string      `json:"schema"`
	Lesson   string      `json:"lesson"`
	Title    string      `json:"title"`
	Question string      `json:"question"`
	Choices  []string    `json:"choices"`
	Acts     []ActRecord `json:"acts"`
	// Answer is the number of the choice that the run bears out, from 1; 0
	// when none does.
	Answer int `json:"answer"`
	// Predicted is the learner's choice, 0 without one.
	Predicted int `json:"predicted,omitempty"`
	// Slowed is set when an act was played again on a slower clock.
	Slowed bool `json:"slowed,omitempty"`
	// Differs lists where the run left what is documented or predicted. It is
	// empty unless hoplab itself is wrong.
	Differs []string `json:"differs,omitempty"`
}

// ActRecord is one deployment.
type ActRecord struct {
	Title  string          `json:"title"`
	Scale  float64         `json:"scale"`
	Ports  []reach.PortRow `json:"ports"`
	Groups []string        `json:"groups"` // rules of the app's security group, in words
	Steps  []Shown         `json:"steps"`
}

// Shown is what one step showed; one of its parts is set.
type Shown struct {
	Key     string         `json:"key"`
	Say     string         `json:"say,omitempty"`
	Call    *Call          `json:"call,omitempty"`
	Target  *Target        `json:"target,omitempty"`
	Log     *Log           `json:"log,omitempty"`
	Finding *check.Finding `json:"finding,omitempty"`
	Deploy  *Deploy        `json:"deploy,omitempty"`
	Names   *Names         `json:"names,omitempty"`
	// Differs says where it left what is documented or predicted, or is empty.
	Differs string `json:"differs,omitempty"`
}

// Call is one request: what reach predicts beside what the lab showed.
type Call struct {
	Caller    string           `json:"caller"`
	URL       string           `json:"url"`
	Predicted reach.Prediction `json:"predicted"`
	Seen      call.Observation `json:"seen"`
	// Path is the path that the counters of the hops and the app's log show,
	// in the form of a prediction: "client → alb → agent → app".
	Path string `json:"path"`
	// Peer is the address from which the app was called, "" when it was not.
	Peer string `json:"peer,omitempty"`
}

// Target is the state of the load balancer's target.
type Target struct {
	Address   string             `json:"address"`
	State     string             `json:"state"`
	Reason    string             `json:"reason,omitempty"`
	Predicted *reach.TargetState `json:"predicted,omitempty"`
	// Probes counts the health checks that the load balancer has made,
	// Logged those that the app's log has.
	Probes int64 `json:"probes"`
	Logged int64 `json:"logged"`
}

// Log is the part of one line of the app's access log that a lesson shows.
type Log struct {
	Fields []Field `json:"fields"`
}

// Field is a name and its value.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Deploy is a deployment that AWS refuses.
type Deploy struct {
	Error string `json:"error"`
	Basis string `json:"basis"`
}

// Names are the names that a service's task can resolve, with the virtual
// addresses that stand for them.
type Names struct {
	Service string   `json:"service"`
	Task    string   `json:"task"`
	Names   []string `json:"names"`
}

// find returns what the step of that key showed, or an empty value: a choice
// about a step that was never reached does not hold.
func (r *Record) find(key string) Shown {
	for _, a := range r.Acts {
		for _, s := range a.Steps {
			if s.Key == key {
				return s
			}
		}
	}
	return Shown{}
}

// status returns the HTTP status that the call of that key got, 0 without an answer.
func (r *Record) status(key string) int {
	if c := r.find(key).Call; c != nil {
		return c.Seen.Status
	}
	return 0
}

// exit returns curl's exit code of the call of that key, -1 without the call.
func (r *Record) exit(key string) int {
	if c := r.find(key).Call; c != nil {
		return c.Seen.Exit
	}
	return -1
}

// path returns the observed path of the call of that key.
func (r *Record) path(key string) string {
	if c := r.find(key).Call; c != nil {
		return c.Path
	}
	return ""
}

// state returns the observed state and reason of the target at that key.
func (r *Record) state(key string) (state, reason string) {
	if t := r.find(key).Target; t != nil {
		return t.State, t.Reason
	}
	return "", ""
}
