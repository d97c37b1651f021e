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

// Delay is a delay of known size for a share of the requests, for experiments
// that must find it. The zero value delays nothing.
type Delay struct {
	Spin  time.Duration `json:"spin"`
	Share float64       `json:"share"` // of the requests, in (0, 1]
}

// Us returns the delay in microseconds, the unit of samples.
func (d Delay) Us() float64 { return float64(d.Spin) / float64(time.Microsecond) }
