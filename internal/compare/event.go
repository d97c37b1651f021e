package compare

import (
	"fmt"
	"math"
	"time"
)

// event is one timed request of a result file.
type event struct {
	at time.Time
	// latency is rounded to 100 ns, the resolution of everything downstream.
	latency time.Duration
	tags    *tagSet
	line    int64 // within its segment; see readSegments
}

// tagSet is the tags of a request, made once for all requests that carry the
// same ones.
type tagSet struct {
	values map[string]string
	failed bool
	why    string // of a failed request, e.g. "status 503"
}

// newTagSet reads from k6's system tags whether the request failed: a response
// that the script did not expect, an error, or no response at all.
func newTagSet(values map[string]string) *tagSet {
	t := &tagSet{values: values}
	status, hasStatus := values["status"]
	switch {
	case values["error"] != "" || values["error_code"] != "":
		t.failed, t.why = true, "error "+firstOf(values["error_code"], values["error"])
	case hasStatus && status == "0":
		t.failed, t.why = true, "no response"
	case values["expected_response"] == "false":
		t.failed, t.why = true, "status "+firstOf(status, "not expected")
	case values["expected_response"] == "" && len(status) == 3 && (status[0] == '4' || status[0] == '5'):
		t.failed, t.why = true, "status "+status
	}
	return t
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// latencyOf turns k6's milliseconds into a latency. What no clock can have
// measured is an error.
func latencyOf(ms float64) (time.Duration, error) {
	const most = 3600e3 * 2
	if math.IsNaN(ms) || ms < 0 || ms > most {
		return 0, fmt.Errorf("a latency of %v ms: expected 0 to %v", ms, most)
	}
	return time.Duration(math.Round(ms*1e4)) * 100, nil
}

// sink takes events one by one; an error ends the reading.
type sink func(event) error
