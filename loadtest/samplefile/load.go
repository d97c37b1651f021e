// Package samplefile is what a hoplab load generator and its reader agree on:
// the instructions for one k6 process (Load), which arm an iteration belongs
// to (Draw), and the file with one record per request (Writer, Reader).
//
// It is a module of its own, without dependencies, because both the hoplab
// command and the k6 extension are built with it and must not inherit each
// other's requirements.
package samplefile

// Load tells one k6 process what to send: one replicate, or one generator's
// share of it. hoplab writes it as JSON; the script and the extension read it
// from the path in the environment variable HOPLAB_LOAD.
type Load struct {
	Schema    string    `json:"schema"`    // LoadSchema
	PlanHash  string    `json:"plan_hash"` // of the plan this replicate belongs to
	Run       string    `json:"run"`
	Target    string    `json:"target"`    // "lab" or "aws"
	Replicate int       `json:"replicate"` // from 1
	Seed      uint64    `json:"seed"`      // of the arm draw; the replicate is mixed in by Draw
	Arms      []LoadArm `json:"arms"`
	Design    string    `json:"design"` // "random", "blocks" or "article"
	RatePerS  float64   `json:"rate_per_s"`
	WarmupS   float64   `json:"warmup_s"`   // requests planned before this are recorded and never analysed
	DurationS float64   `json:"duration_s"` // measured time after the warm-up
	WindowS   float64   `json:"window_s"`
	// BlockArms, for design "blocks", names the arm index of each window in order.
	BlockArms []int `json:"block_arms,omitempty"`
	// KeepAlive is whether connections are reused; false sends every request on a new one.
	KeepAlive bool    `json:"keep_alive"`
	TimeoutS  float64 `json:"timeout_s"`
	// RequestBytes is the size of the body that every request carries, as a POST;
	// 0 sends GETs.
	RequestBytes int `json:"request_bytes,omitempty"`
	// Request is what every request is beside its size; nil is a GET of the arm's
	// URL over HTTP/1.1, or a POST of RequestBytes.
	Request *Request `json:"request,omitempty"`
	// Watch names the response headers that Outcome.Seen tells of; at most MaxWatch.
	Watch []Watched `json:"watch,omitempty"`
	// Client chooses who sends: "native" (k6/x/hoplab) or "http" (k6/http).
	Client string `json:"client"`
	// Generator and Generators say which share of the iterations is this process's; 0 of 1 for a single one.
	Generator  int `json:"generator"`
	Generators int `json:"generators"`
	// VUs is the closed loop's size for design "article", and the pre-allocated VUs otherwise.
	VUs int `json:"vus"`
	// Out is where the sample file goes; the file itself leaves it out.
	Out string `json:"out"`
}

// MaxRequestBytes bounds Load.RequestBytes: every request keeps its bytes in memory.
const MaxRequestBytes = 1 << 20

// LoadSchema is the value of Load.Schema.
const LoadSchema = "hoplab/load/v1"

// LoadArm is one arm as the load generator sees it.
type LoadArm struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Dial, when set, is the address that is really connected to ("127.0.0.1:34567"),
	// while the URL decides the Host header. Empty dials the URL's host.
	Dial string `json:"dial,omitempty"`
	// ServerName, when set, is the name in the TLS handshake that the certificate
	// must be for; empty takes the URL's host.
	ServerName string `json:"server_name,omitempty"`
	// From, when set, is the local address to connect from ("127.18.0.2"), which
	// is then the peer that the app must see. It needs Dial with an address and
	// the native client: k6/http has no such choice for each request.
	From string `json:"from,omitempty"`
	// Namespace, when set, is the descriptor, open in the k6 process, of the
	// network namespace to connect from (Linux). It needs Dial and the native
	// client, as From does. 0 is the process's own.
	Namespace int     `json:"namespace,omitempty"`
	Weight    float64 `json:"weight"` // share of the requests, relative to the other arms
}

// Draw returns the arm (an index into weights) of iteration i of a replicate.
// It depends on nothing else, so the writer, the reader and a resumed run
// agree. Weights are relative and must be non-negative with a positive sum.
// The generator is splitmix64 over seed, replicate and iteration (Steele, Lea
// and Flood 2014), whose high 53 bits make the uniform variate.
func Draw(seed uint64, replicate int, i int64, weights []float64) int {
	x := mix(mix(seed+0x9e3779b97f4a7c15*uint64(replicate)) + 0x9e3779b97f4a7c15*uint64(i+1))
	u := float64(x>>11) / (1 << 53)
	var sum float64
	for _, w := range weights {
		sum += w
	}
	u *= sum
	last := 0
	for k, w := range weights {
		if w <= 0 {
			continue
		}
		last = k
		if u < w {
			return k
		}
		u -= w
	}
	return last
}

func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
