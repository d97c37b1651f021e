package awsrun

import (
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/cost"
	"github.com/hoplab/hoplab/internal/plan"
)

// taskStart is what a Fargate task takes to start and stop, for estimates.
const taskStart = 90 * time.Second

// Estimate is what a run will take and cost beyond the deployment itself.
type Estimate struct {
	Time  time.Duration
	Tasks int
	Cost  cost.Estimate
}

// Estimate foresees the replicates that are left of a plan. Each one takes a
// task's start, the load, and up to two minutes until the next may begin;
// the metrics of the last take some minutes to settle.
func (s *Site) Estimate(p *plan.Plan, left int, pace Pace) Estimate {
	load := time.Duration(p.Seconds() / float64(p.Replicates) * float64(time.Second))
	each := taskStart + load + 2*pace.Period
	cpu, _ := strconv.ParseFloat(s.s.size.cpu, 64) // a size that is no number costs nothing, visibly
	mib, _ := strconv.ParseFloat(s.s.size.mib, 64)
	tasks := left * p.Generators
	return Estimate{
		Time: time.Duration(left)*each + pace.Settle, Tasks: tasks,
		Cost: cost.Run(cost.USEast1, cost.LoadTask{VCPU: cpu / 1024, GB: mib / 1024}, tasks, (taskStart + load).Seconds(), p.RatePerS/float64(p.Generators)),
	}
}
