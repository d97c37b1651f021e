package page

import (
	"net/http"
	"reflect"

	"github.com/hoplab/hoplab/internal/change"
)

// Answer is what was predicted of a request and what was seen of it.
type Answer struct {
	Error     string `json:"error,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Predicted []Path `json:"predicted,omitempty"`
	Seen      *Seen  `json:"seen,omitempty"`
	// Differs says in what all predictions disagree with what was seen; "" when one agrees.
	Differs string `json:"differs,omitempty"`
}

// Seen is what the caller saw, and which hops the request passed.
type Seen struct {
	URL     string      `json:"url"`  // as it was sent
	Sent    http.Header `json:"sent"` // by the caller
	Status  int         `json:"status,omitempty"`
	Header  http.Header `json:"header,omitempty"`
	Body    string      `json:"body,omitempty"`
	Error   string      `json:"error,omitempty"`
	Elapsed float64     `json:"elapsed_s"` // modelled seconds
	Took    float64     `json:"took_s"`    // seconds on this machine
	Hops    []Hop       `json:"hops"`      // in the order in which the request passed them
}

// Hop is a part of a host that counted the request.
type Hop struct {
	Host string `json:"host"`
	Part string `json:"part"`
	Name string `json:"name"`
	N    int64  `json:"n"` // how often it was counted
	// Ms is how long the hop waited for the answer of the next one, or an app took,
	// in modelled milliseconds; null where the hop does not know it of this one request.
	Ms *float64 `json:"ms"`
	// Log are the hop's access-log lines of the request; NoLog says why there are none.
	Log   []string `json:"log,omitempty"`
	NoLog string   `json:"no_log,omitempty"`
	Heads Heads    `json:"heads"`
}

// Heads are the heads of a request and of its answer as they came to a hop and
// as they left it, a line each; nil where nobody saw them.
type Heads struct {
	RequestIn   []string `json:"request_in,omitempty"`
	RequestOut  []string `json:"request_out,omitempty"`
	ResponseIn  []string `json:"response_in,omitempty"`
	ResponseOut []string `json:"response_out,omitempty"`
}

// Shown is the request that a page shows as it opens.
type Shown struct {
	Caller string  `json:"caller"`
	Path   *Path   `json:"path,omitempty"`
	Answer *Answer `json:"answer,omitempty"`
}

// Plain makes every text of an answer one line that a browser shows as it is.
func (a *Answer) Plain() { show(reflect.ValueOf(a)) }

// Share is the page of what somebody looks at: the model as a file that stands
// alone, opened at the request that is shown.
func (m *Model) Share(s Shown) *Model {
	out := *m
	out.Live, out.Changing, out.Shown = false, nil, &s
	if m.Changing != nil { // what was changed belongs to what is shown
		out.Changing = &Changing{Offers: []change.Offer{}, Made: m.Changing.Made}
	}
	show(reflect.ValueOf(out.Shown))
	return &out
}
