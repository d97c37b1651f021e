package compare

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/hist"
)

// event is one timed request of a file, or what the file says of the request
// before it.
type event struct {
	at time.Time
	// latency is rounded to 100 ns, the resolution of everything downstream.
	latency time.Duration
	tags    *tagSet
	line    int64 // within its segment; see readSegments
	kind    kind
}

// kind is what an event says.
type kind uint8

const (
	aRequest kind = iota
	// itFailed and itHeld are k6's http_req_failed of a request whose tags say
	// nothing of its outcome.
	itFailed
	itHeld
)

// tagSet is the tags of a request, made once for all requests that carry the
// same ones.
type tagSet struct {
	values map[string]string
	failed bool
	why    string // of a failed request, e.g. "status 503"
	// silent is set when nothing in the tags says whether the request failed.
	silent bool
	// prepares is set on requests of k6's setup() and teardown().
	prepares bool
}

// expectedTag is where k6 says what the script's response callback thought of an
// answer.
const expectedTag = "expected_response"

// newTagSet reads from k6's system tags whether a request failed. What the
// script's response callback said (expected_response) counts before everything
// else: k6 keeps error_code on responses that were expected.
func newTagSet(values map[string]string, metric string) *tagSet {
	t := &tagSet{values: values, prepares: prepares(values)}
	status, hasStatus := values["status"]
	err := firstOf(values["error_code"], values["error"])
	switch {
	case strings.HasPrefix(metric, "grpc_"):
		if status != "" && status != "0" {
			t.failed, t.why = true, "gRPC status "+status
		}
	case values[expectedTag] == "true":
	case values[expectedTag] == "false" && status == "0", err == "" && hasStatus && status == "0":
		t.failed, t.why = true, "no response"
		if err != "" {
			t.why = "error " + err
		}
	case values[expectedTag] == "false":
		t.failed, t.why = true, "status "+firstOf(status, "not expected")
	case err != "":
		t.failed, t.why = true, "error "+err
	case len(status) == 3 && (status[0] == '4' || status[0] == '5'):
		t.failed, t.why = true, "status "+status
	default:
		t.silent = !hasStatus
	}
	return t
}

// prepares tells k6's setup() and teardown() from a group that a script named
// so: they run outside of every scenario.
func prepares(values map[string]string) bool {
	for _, name := range []string{"::setup", "::teardown"} {
		if g := values["group"]; g == name || strings.HasPrefix(g, name+"::") {
			return values["scenario"] == ""
		}
	}
	return false
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// noLatency is a value that no clock can have measured.
type noLatency struct{ ms float64 }

func (e noLatency) Error() string {
	return fmt.Sprintf("a latency of %v ms: expected 0 to %v", e.ms, hist.Max.Milliseconds())
}

// latencyOf turns k6's milliseconds into a latency, or fails with noLatency.
func latencyOf(ms float64) (time.Duration, error) {
	if math.IsNaN(ms) || ms < 0 || ms > float64(hist.Max.Milliseconds()) {
		return 0, noLatency{ms}
	}
	return time.Duration(math.Round(ms*1e4)) * 100, nil
}

// sink takes events one by one; an error ends the reading.
type sink func(event) error
