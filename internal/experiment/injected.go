package experiment

import (
	"slices"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
)

// injected says what became of the delays that were asked for, by arm. Load
// balancers and agents time theirs. Apps do not count, so of theirs it is only
// known what was asked: Count is 0.
func (r *rig) injected(asked []Injection, before, after lab.Status) []run.Injected {
	var out []run.Injected
	for _, in := range asked {
		for _, a := range r.plan.Arms {
			if in.Arm != "" && in.Arm != a.Name || !slices.Contains(a.Path, in.Hop) {
				continue
			}
			from, to := r.spun(a, in.Hop, &before), r.spun(a, in.Hop, &after)
			n := run.Injected{Hop: in.Hop, Arm: a.Name, AskedUs: in.Us(), Share: in.Share, Count: to.Delayed - from.Delayed}
			if n.Count > 0 {
				n.RealisedUs = float64((to.Realised - from.Realised).Nanoseconds()) / 1e3 / float64(n.Count)
			}
			out = append(out, n)
		}
	}
	return out
}

// spun is what the arm's processes of one hop have counted so far.
func (r *rig) spun(a plan.Arm, hop string, st *lab.Status) (sum inject.Count) {
	rt, twin := r.route(a)
	add := func(c inject.Count) {
		sum.Delayed += c.Delayed
		sum.Realised += c.Realised
	}
	switch hop {
	case "alb":
		for _, b := range st.LoadBalancers {
			if b.ID == rt.LoadBalancer && b.Twin == twin {
				for _, g := range b.Groups {
					add(g.Inject)
				}
			}
		}
	case "agent":
		if s := st.Service(rt.Service, twin); s != nil {
			for _, t := range s.Tasks {
				if t.Agent != nil {
					add(t.Agent.Inject)
				}
			}
		}
	}
	return sum
}
