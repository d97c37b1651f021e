package analysis

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// total adds up what was counted of arm i over all complete replicates.
func (s *study) total(i int) *armCount {
	t := newArmCount()
	for _, r := range s.all {
		a := r.arms[i]
		t.requests += a.requests
		t.failed += a.failed
		t.answered += a.answered
		t.sent += a.sent
		t.missing += a.missing
		t.fresh += a.fresh
		for k := range a.hops {
			t.hops[k] += a.hops[k]
		}
		addTo(t.against, a.against)
		addTo(t.byStatus, a.byStatus)
		for size, n := range a.bytes {
			t.bytes[size] += n
		}
	}
	return t
}

func addTo(to, from map[string]int64) {
	for k, n := range from {
		to[k] += n
	}
}

// answeredByArm counts the measured requests that were answered as planned.
func (s *study) answeredByArm() map[string]int64 {
	out := map[string]int64{}
	for i, a := range s.plan.Arms {
		t := s.total(i)
		out[a.Name] = t.requests - t.failed
	}
	return out
}

// armResults is one entry per arm. A refused run has counts and no latencies.
func (s *study) armResults(refused bool) []summary.Arm {
	out := []summary.Arm{}
	for i, a := range s.plan.Arms {
		t := s.total(i)
		r := summary.Arm{Name: a.Name, TwinOf: a.TwinOf, Path: pathWords(a), Requests: t.requests, Failed: t.failed,
			Dropped: s.dropped(i), Evidence: s.evidenceOf(i, t)}
		if h := s.totals[i]; !refused && h.Count() > 0 {
			q := h.QuantilesUs([]float64{0.5, 0.9, 0.95, 0.99})
			r.Latency = summary.LatencyUs{Min: h.MinUs(), P50: q[0], P90: q[1], P95: q[2], P99: q[3], Max: h.MaxUs(), Mean: h.MeanUs()}
		}
		out = append(out, r)
	}
	return out
}

// dropped shares the dropped requests out by weight: which arm one would have
// belonged to is not recorded.
func (s *study) dropped(i int) int64 {
	var all int64
	for _, r := range s.all {
		all += r.trailer.Dropped
	}
	// Whole numbers that add up: each arm takes what is left up to its share.
	var share float64
	for k := 0; k < i; k++ {
		share += s.plan.Share(k)
	}
	upTo := func(v float64) int64 { return int64(v*float64(all) + 0.5) }
	return upTo(share+s.plan.Share(i)) - upTo(share)
}

// pathWords writes a path as "client → alb → agent → app". The first of two
// agents is the client's own.
func pathWords(a plan.Arm) string {
	hops := append([]string(nil), a.Path...)
	if a.Expect.AgentHops == 2 {
		for i, h := range hops {
			if h == "agent" {
				hops[i] = "client agent"
				break
			}
		}
	}
	return strings.Join(hops, " → ")
}

// evidenceOf sums up an arm's proof. A second agent hop shows only in the
// agents' own counters; without them one hop is what is proved.
func (s *study) evidenceOf(i int, t *armCount) summary.Evidence {
	if e := s.plan.Arms[i].Endpoint; e != nil {
		return endpointEvidence(e, t)
	}
	e := summary.Evidence{AgentHops: map[string]int64{}, Missing: t.missing, AgentCounter: -1, ResponseBytes: medianSize(t.bytes)}
	one := 1
	if s.plan.Arms[i].Expect.AgentHops == 2 && s.counted(i, "egress") {
		one = 2
	}
	for k, n := range t.hops {
		if n > 0 {
			e.AgentHops[strconv.Itoa(k*one)] = n
		}
	}
	for _, n := range t.against {
		e.Contradictions += n
	}
	if t.hops[0]+t.hops[1] > 0 {
		e.By = append(e.By, "response headers")
		if t.missing < t.requests-t.failed {
			e.By = append(e.By, "peer address")
		}
	}
	for _, r := range s.all {
		for _, a := range r.evidence.Agents {
			if a.Arm == s.plan.Arms[i].Name && a.Role == "ingress" {
				e.AgentCounter = max(0, e.AgentCounter) + a.Requests
			}
		}
	}
	if e.AgentCounter >= 0 {
		e.By = append(e.By, "agent counters")
		if s.plan.Arms[i].Expect.TLS {
			e.By = append(e.By, "TLS handshakes")
		}
	}
	for _, r := range s.all {
		if len(r.evidence.CloudWatch) > 0 {
			e.By = append(e.By, "CloudWatch metrics")
			break
		}
	}
	return e
}

// counted reports whether every replicate has a counter of that role for arm i.
func (s *study) counted(i int, role string) bool {
	for _, r := range s.all {
		found := false
		for _, a := range r.evidence.Agents {
			found = found || (a.Arm == s.plan.Arms[i].Name && a.Role == role)
		}
		if !found {
			return false
		}
	}
	return len(s.all) > 0
}

func medianSize(bytes map[int]int64) int {
	sizes := make([]int, 0, len(bytes))
	var all int64
	for size, n := range bytes {
		sizes = append(sizes, size)
		all += n
	}
	sort.Ints(sizes)
	var seen int64
	for _, size := range sizes {
		if seen += bytes[size]; 2*seen >= all {
			return size
		}
	}
	return 0
}

// maxContradictions is how many are listed; the counts in the arms are complete.
const maxContradictions = 20

// contradictions lists what speaks against the plan, in the order of arms and
// replicates: responses first, then counters, then what a guard outside said.
func (s *study) contradictions(refused string) []summary.Contradiction {
	var out []summary.Contradiction
	for i, a := range s.plan.Arms {
		for _, r := range s.all {
			texts := make([]string, 0, len(r.arms[i].against))
			for text := range r.arms[i].against {
				texts = append(texts, text)
			}
			sort.Strings(texts)
			for _, text := range texts {
				out = append(out, summary.Contradiction{Arm: a.Name, Replicate: r.index, Requests: r.arms[i].against[text], Text: text})
			}
		}
	}
	for i, a := range s.plan.Arms {
		for _, r := range s.all {
			out = append(out, counterContradictions(&a, r.arms[i], r)...)
			out = append(out, metricContradictions(&a, r.arms[i], r)...)
		}
	}
	if refused != "" {
		out = append(out, summary.Contradiction{Text: refused})
	}
	return out[:min(len(out), maxContradictions)]
}

// counterContradictions compares the agents' own counters with the responses.
// An agent must have counted at least every answered request of its arm, warm-up
// included; an arm without agent hops must not show in any agent's counter.
// Between two agents there is TLS where the plan says so, and nowhere else.
func counterContradictions(a *plan.Arm, count *armCount, r *replicate) []summary.Contradiction {
	var out []summary.Contradiction
	for _, c := range r.evidence.Agents {
		if c.Arm != a.Name {
			continue
		}
		short := count.answered - c.Requests
		switch {
		case a.Expect.AgentHops == 0 && c.Requests > 0:
			out = append(out, summary.Contradiction{Arm: a.Name, Replicate: r.index, Requests: c.Requests,
				Text: "passed the agent, by its own counter"})
		case a.Expect.AgentHops > 0 && short > 0 && (c.Role == "ingress" || a.Expect.AgentHops == 2):
			out = append(out, summary.Contradiction{Arm: a.Name, Replicate: r.index, Requests: short,
				Text: fmt.Sprintf("were not counted by the %s agent", c.Role)})
		case a.Expect.AgentHops == 2 && c.Role == "ingress" && c.Requests > 0 && (c.Handshakes > 0) != a.Expect.TLS:
			text := "went between the agents in plain text: no TLS handshake was counted"
			if c.Handshakes > 0 {
				text = "may have gone between the agents in TLS: handshakes were counted"
			}
			out = append(out, summary.Contradiction{Arm: a.Name, Replicate: r.index, Requests: c.Requests, Text: text})
		}
	}
	return out
}

// metricContradictions compares Service Connect's RequestCount, which the
// server agent reports to CloudWatch by discovery name, with the responses.
// Health checks and other callers count there too, and minutes at the edges may
// be shared with another replicate, so only half or twice as much contradicts.
// Metrics that had not settled prove nothing.
func metricContradictions(a *plan.Arm, count *armCount, r *replicate) []summary.Contradiction {
	var out []summary.Contradiction
	for _, m := range r.evidence.CloudWatch {
		if m.Arm != a.Name || m.Namespace != "AWS/ECS" || m.Metric != "RequestCount" || !m.Settled || count.answered == 0 {
			continue
		}
		if _, ok := m.Dimensions["DiscoveryName"]; !ok {
			continue
		}
		half := float64(count.answered) / 2
		switch {
		case a.Expect.AgentHops == 0 && m.Sum >= half:
			out = append(out, summary.Contradiction{Arm: a.Name, Replicate: r.index,
				Requests: min(int64(m.Sum), count.answered), Text: "passed the agent, by its RequestCount in CloudWatch"})
		case a.Expect.AgentHops > 0 && m.Sum < half:
			out = append(out, summary.Contradiction{Arm: a.Name, Replicate: r.index, Requests: count.answered - int64(m.Sum),
				Text: "are missing in the agent's RequestCount in CloudWatch"})
		}
	}
	return out
}
