// Package report renders the result of a run: text for a terminal, Markdown
// for a pull request, JUnit XML for CI, JSON for programs, and one HTML page.
//
// One value goes in, and all renderings say the same words in the same order:
// answer, proof, picture, method, limits. Every function is pure: the same
// value gives the same bytes, whatever the time, the machine or the map order.
// What a rendering does not show, it does not silently drop: a warning stands
// beside the number that it weakens, a refused run shows its contradictions
// and no latencies, and a partial run says how far it came.
package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// targetFiles is the target of a comparison of files.
const targetFiles = "files"

// fabricTask is the fabric of endpoints that a load task in AWS has called.
const fabricTask = "load task"

// notWhat says at once what the numbers are not.
func notWhat(s *summary.Summary) string {
	switch s.Target {
	case "lab":
		if sentRequests(s) == 0 {
			return "Planned for the lab on this machine, not for AWS."
		}
		var how []string
		if s.Fabric != "" {
			how = append(how, clean(s.Fabric)+" fabric")
		}
		if a := s.Agent; a != nil {
			how = append(how, strings.TrimSpace(clean(a.Name)+" "+clean(a.Version)))
		}
		with := ""
		if len(how) > 0 {
			with = " (" + strings.Join(how, "; ") + ")"
		}
		return "Measured in the lab on this machine" + with + ", not in AWS."
	case "endpoints", "aws":
		if s.Fabric != "" && s.Fabric != fabricTask {
			return "Measured in the lab on this machine, through " + clean(s.Fabric) + ", not in AWS."
		}
		if s.Target == "endpoints" {
			from := "this machine"
			if s.Fabric == fabricTask {
				from = "a load task in AWS"
			}
			return "Measured from " + from + ", at addresses that hoplab did not start; the way to them is part of every latency."
		}
		return "Measured in one AWS deployment; another account, region or day may differ."
	}
	return "Computed from files; hoplab did not send these requests."
}

// verdictWords names a verdict for people.
func verdictWords(verdict string) string {
	switch verdict {
	case summary.Within:
		return "within budget"
	case summary.Over:
		return "over budget"
	case summary.CannotTell:
		return "cannot tell"
	}
	return clean(verdict)
}

// answer returns the sentences that open every rendering. A result that was
// given none still gets one, because an empty answer would look like a good one.
func answer(s *summary.Summary) []string {
	if len(s.Sentences) > 0 {
		return cleanAll(s.Sentences)
	}
	requests := sentRequests(s)
	if requests == 0 {
		return []string{"Nothing was measured: the run holds no requests."}
	}
	return []string{"Nothing was compared: the run holds " + quantity.Count(requests) + " requests and no difference between arms."}
}

// sentRequests counts the requests of all arms.
func sentRequests(s *summary.Summary) int64 {
	var n int64
	for _, a := range s.Arms {
		n += a.Requests
	}
	return n
}

// partialWords says how far an unfinished run came.
func partialWords(p *summary.Partial) string {
	text := fmt.Sprintf("Partial: %d of %d replicates are complete", p.Replicates, p.Planned)
	if p.Why != "" {
		text += "; " + strings.TrimSuffix(clean(p.Why), ".")
	}
	return text + "."
}

// contradictionWords tells one contradiction: where, and what requests did, or
// what a guard outside the requests said.
func contradictionWords(c summary.Contradiction) string {
	where := clean(c.Arm)
	if c.Replicate > 0 {
		where = joinNonEmpty(", ", where, fmt.Sprintf("replicate %d", c.Replicate))
	}
	what := clean(c.Text)
	if c.Requests > 0 {
		what = requestsWords(c.Requests) + " " + what
	}
	return joinNonEmpty(": ", where, what)
}

// requestsWords counts requests.
func requestsWords(n int64) string {
	if n == 1 {
		return "1 request"
	}
	return quantity.Count(n) + " requests"
}

// agentsOn counts the agents on a path such as "client → client agent → app".
func agentsOn(path string) int {
	n := 0
	for _, hop := range strings.Split(path, "→") {
		if strings.HasSuffix(strings.TrimSpace(hop), "agent") {
			n++
		}
	}
	return n
}

// pathWords is an arm's path; a twin's is its arm's.
func pathWords(a summary.Arm) string {
	if a.TwinOf != "" {
		return "A/A twin of " + clean(a.TwinOf)
	}
	return clean(a.Path)
}

// proofWords says how many of an arm's answered requests proved their path.
func proofWords(a summary.Arm) string {
	answered := a.Requests - a.Failed
	e := a.Evidence
	switch {
	case a.Requests == 0:
		return "no requests"
	case len(e.Headers) > 0:
		return heldWords(e, answered)
	case len(e.AgentHops) == 0 && e.Missing == 0 && e.Contradictions == 0:
		return "the path was not recorded"
	}
	expected := agentsOn(a.Path)
	verb := "passed no agent"
	switch {
	case expected == 1:
		verb = "passed the agent"
	case expected == 2:
		verb = "passed both agents"
	case expected > 2:
		verb = fmt.Sprintf("passed %d agents", expected)
	}
	text := fmt.Sprintf("%s of %s %s", quantity.Count(e.AgentHops[strconv.Itoa(expected)]), quantity.Count(answered), verb)
	if e.Contradictions > 0 {
		text += fmt.Sprintf("; %s against the plan", quantity.Count(e.Contradictions))
	}
	if e.Missing > 0 {
		text += fmt.Sprintf("; %s without proof", quantity.Count(e.Missing))
	}
	return text
}

// heldWords says how many responses said what they had to, and what that is.
func heldWords(e summary.Evidence, answered int64) string {
	text := fmt.Sprintf("%s of %s said %s", quantity.Count(e.Held), quantity.Count(answered), strings.Join(cleanAll(e.Headers), ", "))
	if e.Contradictions > 0 {
		text += fmt.Sprintf("; %s against the plan", quantity.Count(e.Contradictions))
	}
	return text
}

// troubleWords counts what did not answer; "" when all did.
func troubleWords(a summary.Arm) string {
	var parts []string
	if a.Failed > 0 {
		parts = append(parts, quantity.Count(a.Failed)+" failed")
	}
	if a.Dropped > 0 {
		parts = append(parts, quantity.Count(a.Dropped)+" never sent")
	}
	return strings.Join(parts, ", ")
}

// planWords is the plan in one line; what a plan leaves open is left out.
func planWords(p summary.Plan) string {
	var parts []string
	if p.RatePerS > 0 {
		parts = append(parts, trimFloat(p.RatePerS)+" requests/s over "+plural(len(p.Arms), "arm"))
	} else {
		parts = append(parts, plural(len(p.Arms), "arm"))
	}
	if p.Replicates > 0 {
		text := plural(p.Replicates, "replicate")
		if p.ReplicateS > 0 {
			text += " of " + secondsWords(p.ReplicateS)
		}
		if p.WarmupS > 0 {
			text += " after " + secondsWords(p.WarmupS) + " of warm-up"
		}
		parts = append(parts, text)
	}
	if p.WindowS > 0 {
		parts = append(parts, "windows of "+secondsWords(p.WindowS))
	}
	switch {
	case p.KeepAwake && p.OneCore:
		parts = append(parts, "all on one core, kept awake")
	case p.OneCore:
		parts = append(parts, "all on one core")
	case p.KeepAwake:
		parts = append(parts, "cores kept awake")
	}
	if !p.KeepAlive {
		parts = append(parts, "a new connection for every request")
	}
	parts = append(parts, variedWords(p)...)
	return joinNonEmpty(": ", clean(p.Profile), strings.Join(parts, "; "))
}

// variedWords says what a run sent and deployed beyond GETs, the app's own
// response and the templates.
func variedWords(p summary.Plan) []string {
	var parts []string
	if p.RequestBytes > 0 {
		parts = append(parts, "request bodies of "+quantity.Bytes(p.RequestBytes))
	}
	if p.ResponseBytes > 0 {
		parts = append(parts, "response bodies of "+quantity.Bytes(p.ResponseBytes))
	}
	if p.AppProtocol != "" {
		parts = append(parts, "appProtocol "+clean(p.AppProtocol))
	}
	switch p.AccessLog {
	case "":
	case "OFF":
		parts = append(parts, "no agent with an access log")
	default:
		parts = append(parts, "every agent with an access log ("+clean(p.AccessLog)+")")
	}
	if p.EnvoyWorkers > 0 {
		parts = append(parts, "Envoy with "+plural(p.EnvoyWorkers, "worker"))
	}
	return parts
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return quantity.Count(int64(n)) + " " + thing + "s"
}

func secondsWords(s float64) string { return trimFloat(s) + " s" }

func trimFloat(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// intervalWords names an interval by its confidence level: "95 % interval".
// Level 0 means that there is none.
func intervalWords(level float64) string {
	if level <= 0 {
		return "interval"
	}
	return percentWords(level) + " interval"
}

func percentWords(level float64) string {
	return strconv.FormatFloat(math.Round(level*1e4)/1e2, 'f', -1, 64) + " %"
}

// differenceName writes "agent - bypass" with a real minus sign.
func differenceName(of string) string { return strings.Replace(clean(of), " - ", " − ", 1) }

// clean makes text from outside (arm names, errors of other programs) harmless
// to a terminal and to XML, which cannot carry control characters at all.
func clean(text string) string { return printable.Line(text) }

func cleanAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = clean(t)
	}
	return out
}
