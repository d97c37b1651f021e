package analysis

import (
	"slices"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// proveEndpoint judges an outcome of an address that hoplab did not start: the
// watched headers must say what the plan wants of them.
func proveEndpoint(e plan.Expect, proofs []plan.HeaderProof, load *samplefile.Load, o samplefile.Outcome) proof {
	if o.Error != "" || o.Status != e.Status {
		return proof{}
	}
	p := proof{ok: true, bytes: o.HeaderBytes + o.BodyBytes, reused: o.Reused}
	said := load.SplitSeen(o.Seen)
	for _, h := range proofs {
		i := slices.IndexFunc(load.Watch, func(w samplefile.Watched) bool { return w.Name == h.Name })
		switch {
		case i < 0 || said == nil:
			p.against = "say in their headers what no plan expects"
		case !h.Holds(said[i]):
			p.against = "do not say " + h.String()
			if h.Want == plan.WantAbsent {
				p.against = "say " + plan.HeaderProof{Name: h.Name, Want: plan.WantPresent}.String() + ", which no response did before"
			}
		default:
			continue
		}
		return p
	}
	return p
}

// endpointEvidence is the proof of an arm at an address that hoplab did not
// start: what its responses had to say, and how many said it.
func endpointEvidence(e *plan.Endpoint, t *armCount) summary.Evidence {
	out := summary.Evidence{AgentHops: map[string]int64{}, AgentCounter: -1, ResponseBytes: medianSize(t.bytes)}
	for _, n := range t.against {
		out.Contradictions += n
	}
	out.Held = t.requests - t.failed - out.Contradictions
	for _, h := range e.Proof {
		out.Headers = append(out.Headers, h.String())
	}
	if len(out.Headers) > 0 {
		out.By = []string{"response headers"}
	}
	return out
}

// warnEndpoints says what a run against processes that hoplab did not start
// cannot show.
func (s *study) warnEndpoints(w *warnings) {
	if s.plan.Target != plan.TargetEndpoints {
		return
	}
	if s.plan.Restart == "" {
		w.add("not-restarted", "run", "Nothing but the load generator was started anew between replicates: the interval speaks of these processes as they are, and another start of them may differ by more.")
	}
	if s.plan.Alike {
		w.add("alike", "run", "Nothing in the responses tells the arms apart, as was said with --alike: that each request went its arm's way rests on the addresses alone.")
	}
}
