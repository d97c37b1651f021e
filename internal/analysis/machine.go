package analysis

import (
	"math"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/stats"
)

// Machine describes the machine of a run as a plan needs it to say what it can
// see there: latencies and their spread from the primary comparison's arms, the
// starts' own offset from the A/A twin where there is one. It needs two
// replicates that count; else Points is empty.
func Machine(d *run.Dir) (plan.Machine, error) {
	s, err := read(d)
	if err != nil || len(s.used) < 2 || len(s.contrasts) == 0 {
		return plan.Machine{}, err
	}
	m := plan.Machine{Name: "this machine, as in " + d.Name()}
	c := s.contrasts[len(s.contrasts)-1]
	for q, quantile := range s.plan.Quantiles {
		p := plan.MachinePoint{Q: quantile}
		var spread, n float64
		for _, r := range s.used {
			for a, w := range c.Weights {
				if w != 0 {
					p.Us += r.value[a][s.at(q)]
					spread += r.square[a][q] * float64(r.n[a])
					n++
				}
			}
		}
		p.Us /= n
		p.SpreadUs = math.Sqrt(spread / n)
		m.Points = append(m.Points, p)
		if quantile == s.primary && p.Us > 0 {
			var sum float64
			for _, w := range c.Weights {
				sum += w * w
			}
			between := stats.Between(c.replicates(s.used, s.at(q)), c.squares(s.used, q))
			m.OffsetShare = between / p.Us / math.Sqrt(sum)
		}
	}
	return m, nil
}
