package sim

import (
	"math"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/plan"
)

// Machine is what a plan needs to know of a machine with this noise, at the
// given quantiles. Drift is left out: it moves all arms alike.
func (n *Noise) Machine(name string, qs []float64) plan.Machine {
	m := plan.Machine{Name: name, OffsetShare: n.Offset}
	still := []float64{1}
	for _, q := range qs {
		us := n.quantile(q, still, 1, call.Delay{})
		h := us * 1e-3
		density := (n.CDF(us+h) - n.CDF(us-h)) / (2 * h)
		m.Points = append(m.Points, plan.MachinePoint{Q: q, Us: us, SpreadUs: math.Sqrt(q*(1-q)) / density})
	}
	return m
}
