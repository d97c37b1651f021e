package analysis

import (
	"math"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/stats"
)

// Machine describes the machine of a run as a plan needs it to say what it can
// see there: latencies and their spread from the last comparison's arms, the
// starts' own offset from the comparison whose replicates differ most. The A/A
// twin alone would say too little: a machine that is slower in one replicate
// than in the next stretches an effect, and leaves twins equal. It needs two
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
			for i := range s.contrasts {
				m.OffsetShare = max(m.OffsetShare, s.offset(&s.contrasts[i], q)/p.Us)
			}
		}
	}
	return m, nil
}

// offset is the standard deviation of one arm's own offset in each start, µs,
// if the arms' offsets are all that makes the replicates of a comparison differ
// beyond their requests.
func (s *study) offset(c *contrast, q int) float64 {
	var sum float64
	for _, w := range c.Weights {
		sum += w * w
	}
	return stats.Between(c.replicates(s.used, s.at(q)), c.squares(s.used, q)) / math.Sqrt(sum)
}
