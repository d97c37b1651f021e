package plan

import (
	"math"

	"github.com/hoplab/hoplab/internal/stats"
)

// MinTail is how many requests the thinner tail of a quantile must hold, in
// each arm and replicate, before a claim rests on it: with fewer, one stall
// decides. At p99 that is 1000 requests of each arm in each replicate.
const MinTail = 10

// Machine is what must be assumed of a machine to say what a plan can see there.
type Machine struct {
	Name string
	// OffsetShare is the standard deviation of each start's own factor.
	OffsetShare float64
	Points      []MachinePoint // by ascending quantile
}

// MachinePoint describes one arm's latencies at a quantile, µs.
type MachinePoint struct {
	Q, Us float64
	// SpreadUs over the square root of the number of requests is the standard
	// error of the quantile: sqrt(q (1-q)) over the density there.
	SpreadUs float64
}

// Sight is what a plan can see at one quantile of its primary comparison, µs.
type Sight struct {
	Of       string
	Quantile float64
	// HalfWidthUs is the expected half-width of the interval; SmallestUs is the
	// difference that is told from zero in four of five runs. Both are +Inf for
	// a single replicate.
	HalfWidthUs, SmallestUs float64
	// ByStarts is whether the starts' own offsets make most of the width: more
	// replicates help then, and more requests do not.
	ByStarts bool
	// MayClaim is whether enough requests lie beyond the quantile for a claim;
	// if not, ReplicateS says how long each replicate would have to be.
	MayClaim   bool
	ReplicateS float64
}

// Sees says what effect the plan can see on a machine at each reported
// quantile that the machine describes. It assumes design random; one arm after
// the other sees nothing that drift could not have made.
func (p *Plan) Sees(m Machine) []Sight {
	cs := p.Contrasts()
	if len(cs) == 0 || cs[0].Twin && len(cs) > 1 {
		return nil
	}
	level := p.Level
	if p.StopAt != nil {
		level = stats.SequentialLevel(p.StopAt.MinimumReps, p.Replicates, p.Level)
	}
	var out []Sight
	for _, q := range p.Quantiles {
		for _, at := range m.Points {
			if at.Q != q {
				continue
			}
			s := p.sight(&cs[0], m.OffsetShare, at, level)
			if twin := &cs[len(cs)-1]; twin.Twin && twin != &cs[0] {
				// A difference must also exceed the A/A half-width to be believed.
				if floor := p.sight(twin, m.OffsetShare, at, level).HalfWidthUs; floor > s.HalfWidthUs {
					s.SmallestUs += floor - s.HalfWidthUs
				}
			}
			out = append(out, s)
		}
	}
	return out
}

func (p *Plan) sight(c *Contrast, offset float64, at MachinePoint, level float64) Sight {
	s := Sight{Of: c.Of, Quantile: at.Q, HalfWidthUs: math.Inf(1), SmallestUs: math.Inf(1), MayClaim: true, ReplicateS: p.ReplicateS}
	var starts, requests float64
	for i, w := range c.Weights {
		if w == 0 {
			continue
		}
		n := p.RatePerS * p.Share(i) * p.ReplicateS
		starts += w * w * offset * offset * at.Us * at.Us
		requests += w * w * at.SpreadUs * at.SpreadUs / n
		if tail := n * min(at.Q, 1-at.Q); tail < MinTail-1e-9 {
			s.MayClaim = false
			s.ReplicateS = max(s.ReplicateS, p.ReplicateS*MinTail/tail)
		}
	}
	s.ByStarts = starts > requests
	if p.Replicates < 2 || p.Design == DesignArticle {
		return s // both stay infinite
	}
	sd := math.Sqrt(starts + requests)
	df := float64(p.Replicates - 1)
	s.HalfWidthUs = stats.TQuantile((1+level)/2, df) * sd / math.Sqrt(float64(p.Replicates))
	s.SmallestUs = stats.SmallestVisible(sd, p.Replicates, level, 0.8)
	return s
}
