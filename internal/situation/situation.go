// Package situation is the catalogue of named configurations whose outcome is
// known: the rows of the table in section 10 of the semantics that need no
// AWS. Each is a deployment, one call, and what its caller sees.
package situation

import (
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/scenario"
)

// Situation is one row.
type Situation struct {
	Name string
	Row  int    // of the table
	What string // one line
	// Config is the deployment.
	Config scenario.Config
	// Call says who calls what; nil when only the target's state matters.
	Call *Call
	// Status and Body are the documented answer; Status 0 means none, and Curl
	// then says what curl prints first.
	Status int
	Body   string // exact unless it ends in "…"
	Curl   string // alternatives are separated by Or
	// Target is the documented state and reason of the target, "" when not at issue.
	Target string
	// Proof is "agent" or "app": who wrote the response's server header.
	Proof string
	Why   string // for people who learn from it
}

// Or separates what curl may print, where it is a matter of which packet
// comes first.
const Or = " or "

// Call is a request.
type Call struct {
	FromClient bool   // the client service; else a host of the VPC without Service Connect
	To         string // "alb" or "name"
	Port       int    // in the URL; 0 for the port that is meant to be called
	HTTPS      bool   // to the load balancer's listener on 443
	Path       string
	Lookup     call.Lookup // how the caller looks the name up
}

var (
	throughALB  = &Call{To: "alb", Path: "/"}
	byName      = &Call{FromClient: true, To: "name", Path: "/"}
	byNameAlone = &Call{To: "name", Path: "/"}
)

// Find returns the situation of that name.
func Find(name string) (Situation, bool) {
	i := slices.IndexFunc(catalogue, func(s Situation) bool { return s.Name == name })
	if i < 0 {
		return Situation{}, false
	}
	return catalogue[i], true
}

// All returns the catalogue in the order of the table.
func All() []Situation { return slices.Clone(catalogue) }

func with(name string, change func(*scenario.Config)) scenario.Config {
	c := scenario.Default()
	c.Name = name
	change(&c)
	return c
}

func number(n int) *int { return &n }

// override is the article's: the agent on 8080, the client's rule following it.
func override(c *scenario.Config) {
	c.Override = number(8080)
	c.AppFromClient = []int{8080}
}

func env(name, value string) map[string]string { return map[string]string{name: value} }

// delay makes the app slow on every path but the health check's.
func delay(d time.Duration) map[string]string {
	return map[string]string{"DELAY": "/=" + d.String()}
}
