package reach

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/call"
)

// ClassSeen returns the class of what was seen.
func ClassSeen(o call.Observation) Class {
	switch {
	case o.Status != 0:
		return ClassOf(o.Status)
	case o.Exit == 6:
		return NoName
	case o.Exit == 7:
		return Refused
	case o.Exit == 28:
		return Timeout
	case o.Exit == 52, o.Exit == 56:
		return Reset
	}
	return Unknown
}

// Disagrees says where an observation contradicts the outcome, or "" when it
// does not. An unknown outcome contradicts nothing. What the outcome leaves
// open (a body that depends on a build, a message that depends on a clock) is
// not compared.
func (o Outcome) Disagrees(seen call.Observation) string {
	if o.Class == Unknown {
		return ""
	}
	var diffs []string
	if c := ClassSeen(seen); c != o.Class {
		diffs = append(diffs, fmt.Sprintf("class %s, seen %s", o.Class, c))
	}
	if o.Status != seen.Status {
		diffs = append(diffs, fmt.Sprintf("status %d, seen %d", o.Status, seen.Status))
	}
	switch {
	case o.Match == Exact && o.Body != seen.Body, o.Match == Assumed && o.Body != seen.Body:
		diffs = append(diffs, fmt.Sprintf("body %q, seen %q", o.Body, seen.Body))
	case o.Match == Contains && !strings.Contains(seen.Body, o.Body):
		diffs = append(diffs, fmt.Sprintf("body containing %q, seen %q", o.Body, seen.Body))
	}
	if o.Curl != "" && !strings.HasPrefix(seen.Error, o.Curl) {
		diffs = append(diffs, fmt.Sprintf("message %q, seen %q", o.Curl, seen.Error))
	}
	return strings.Join(diffs, "; ")
}
