// Package call holds what prediction, lab, experiments and simulations say
// alike of a call: what its caller saw, and by how much a hop was delayed.
//
// Who calls is not here: a prediction needs somebody's security groups and
// addresses, a lab the process that shall make the call.
package call

import (
	"net/http"
	"time"
)

// Observation is what a caller saw of one request, in curl's words.
type Observation struct {
	Status int         `json:"status"` // 0 when there was no response
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body"` // as it arrived
	// Error is empty, or curl's message such as
	// "curl: (56) Recv failure: Connection reset by peer"; Exit is its exit code.
	Error string `json:"error,omitempty"`
	Exit  int    `json:"exit"`
	// Elapsed is modelled time.
	Elapsed time.Duration `json:"elapsed"`
}

// Lookup is how a program turns a name into an address to connect to. The
// names of Service Connect have two, 127.255.0.n and 2600:f0f0::n, and a task
// without IPv6 reaches only the first.
type Lookup string

// The ways to look a name up.
const (
	// LookupAll asks the hosts file and DNS and tries each address until one
	// connects, as curl, Go and browsers do.
	LookupAll Lookup = ""
	// LookupFirst takes the first address of those, which is the IPv6 one, and
	// tries no other.
	LookupFirst Lookup = "first"
	// LookupDNS asks the VPC's resolver itself and never reads the hosts file,
	// as nginx's resolver directive does.
	LookupDNS Lookup = "dns"
)

// Delay is a delay of known size for a share of the requests, for experiments
// that must find it. The zero value delays nothing.
type Delay struct {
	Spin  time.Duration `json:"spin"`
	Share float64       `json:"share"` // of the requests, in (0, 1]
}

// Us returns the delay in microseconds, the unit of samples.
func (d Delay) Us() float64 { return float64(d.Spin) / float64(time.Microsecond) }
