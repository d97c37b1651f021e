package compare

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
)

// proof joins a load balancer's access log with those of Service Connect agents:
// which of its requests passed an agent.
type proof struct {
	arms map[string]*joined
	join string
}

type joined struct{ passed, not, failed int64 }

// of is an arm's path and evidence.
func (p *proof) of(arm string) (string, summary.Evidence) {
	j := p.arms[arm]
	e := summary.Evidence{AgentHops: map[string]int64{}, AgentCounter: -1, By: []string{p.join}}
	path := "client → alb → app"
	if j == nil {
		return path, e
	}
	if j.passed > 0 {
		e.AgentHops["1"] = j.passed
	}
	if j.not > 0 {
		e.AgentHops["0"] = j.not
	}
	if j.passed > j.not {
		path = "client → alb → agent → app"
	}
	return path, e
}

// joinWithin is how far an agent's entry may lie from the load balancer's, in ms:
// their clocks differ, and both round.
const joinWithin = 1000

// seen is a request in one of the logs: when it ended, and how long it took, in ms.
type seen struct {
	end  int64
	took int32
	arm  int32
}

// joinKey is what the entries of one request have in common in both logs.
func joinKey(method, path, status, client string) string {
	return method + " " + path + " " + status + " " + client
}

// prove reads the agents' logs, and the load balancer's again. It keeps every
// entry of both: 16 bytes each.
func (c *comparison) prove() error {
	o := c.o
	if o.By == "" || c.recordings[0].in.form != formALB {
		return fail.Newf(fail.Usage, "e.g. hoplab compare --by target_group alb.log.gz --agent-log agent.log",
			"--agent-log joins agents' logs with one of a load balancer")
	}
	agents, err := openAll(o.AgentLog)
	if err != nil {
		return err
	}
	byAgent := map[string][]seen{}
	read := map[fingerprint]*input{}
	for _, in := range agents {
		var print fingerprint
		if !in.form.isAgent() {
			return fail.Newf(fail.Usage, "give the log of the agent's container, in AWS's text or JSON format",
				"%s is no access log of a Service Connect agent", in.path)
		}
		err := in.read(&wanted{metric: agentMetric, tags: []string{"client"}}, newFound(), func(e event) error {
			print.add(&e)
			v := e.tags.values
			k := joinKey(v["method"], v["name"], v["status"], v["client"])
			byAgent[k] = append(byAgent[k], seen{end: e.at.UnixMilli(), took: int32(e.latency.Milliseconds())})
			return nil
		})
		if err == nil && print.requests > 0 && read[print] != nil {
			err = sameRequests(read[print], in, print)
		}
		if err != nil {
			return err
		}
		read[print] = in
	}
	byALB, arms, err := c.answeredByALB()
	if err != nil {
		return err
	}
	c.paths = &proof{arms: arms, join: "agent's access log, joined by time, client, method, path and status"}
	names := slices.Sorted(maps.Keys(arms))
	for key, entries := range byALB {
		for arm, n := range match(entries, byAgent[key], len(names)) {
			arms[names[arm]].passed += n
			arms[names[arm]].not -= n
		}
	}
	return nil
}

// answeredByALB lists the answered requests of the load balancer's log by what
// they have in common with an agent's, and counts them by arm as not proved.
func (c *comparison) answeredByALB() (map[string][]seen, map[string]*joined, error) {
	o := c.o
	arms := map[string]*joined{}
	for _, p := range c.parts {
		arms[p.name] = &joined{}
	}
	names := slices.Sorted(maps.Keys(arms))
	out := map[string][]seen{}
	w := &wanted{metric: albTargetMetric, tags: []string{o.By, "target_status_code", "client"}}
	for _, f := range o.Where {
		w.tags = append(w.tags, f.tag)
	}
	g := &gatherer{o: o}
	for _, in := range c.logs {
		err := in.read(w, newFound(), func(e event) error {
			v := e.tags.values
			j := arms[v[o.By]]
			if j == nil || !g.keeps(e.tags) || g.isEarly(&e) {
				return nil
			}
			if e.tags.failed {
				j.failed++
				return nil
			}
			j.not++
			arm, _ := slices.BinarySearch(names, v[o.By])
			k := joinKey(v["method"], v["name"], v["target_status_code"], v["client"])
			out[k] = append(out[k], seen{end: e.at.UnixMilli(), took: int32(e.latency.Milliseconds()), arm: int32(arm)})
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return out, arms, nil
}

// match gives every entry of an agent, in the order of time, the nearest request
// of the load balancer that took at least as long and is not taken: each entry
// proves one request. It returns how many it proved of each arm.
func match(alb, agent []seen, arms int) []int64 {
	byEnd := func(a, b seen) int { return cmp.Compare(a.end, b.end) }
	slices.SortStableFunc(alb, byEnd)
	slices.SortStableFunc(agent, byEnd)
	taken := make([]bool, len(alb))
	proved := make([]int64, arms)
	for _, a := range agent {
		at, _ := slices.BinarySearchFunc(alb, a, byEnd)
		best, cost := -1, int64(math.MaxInt64)
		look := func(i int) (further bool) {
			distance := max(alb[i].end-a.end, a.end-alb[i].end)
			if distance > joinWithin || distance >= cost {
				return false
			}
			// Rounding moves either time by a millisecond.
			if longer := int64(alb[i].took - a.took); !taken[i] && longer >= -2 && distance+max(longer, -longer) < cost {
				best, cost = i, distance+max(longer, -longer)
			}
			return true
		}
		for i := at; i < len(alb) && look(i); i++ {
		}
		for i := at - 1; i >= 0 && look(i); i-- {
		}
		if best >= 0 {
			taken[best] = true
			proved[alb[best].arm]++
		}
	}
	return proved
}
