package awsrun

import (
	"context"
	"time"
)

// Pace is how a run waits. Tests have their own; everybody else takes Real's.
type Pace struct {
	// Poll is the time between two looks at a task, a service or an execution.
	Poll time.Duration
	// Period is CloudWatch's: metrics are summed over whole periods, and no
	// two replicates share one.
	Period time.Duration
	// Settle is how long after a replicate's last period a metric without data
	// counts as zero.
	Settle time.Duration
	// Metrics bounds the wait for metrics, Start that for a task to run or a
	// service to be steady, Over what a load task may take beyond its plan.
	Metrics, Start, Over time.Duration
}

// Real is the pace of AWS.
func Real() Pace { return pace }

// pace is replaced by tests only. One-minute points are documented, their delay is
// not; five minutes are the upper end of what is advised before "no data" is
// read as zero (section 5 of the semantics).
var pace = Pace{
	Poll: 3 * time.Second, Period: time.Minute, Settle: 5 * time.Minute,
	Metrics: 20 * time.Minute, Start: 10 * time.Minute, Over: 5 * time.Minute,
}

// sleep waits for d or until ctx ends, whose error it then returns.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin is when a replicate may send its first request: with the first period
// that has not begun and that nobody else's requests can be counted in.
func (p Pace) begin(now, free time.Time) time.Time {
	if next := now.Truncate(p.Period).Add(p.Period); next.After(free) {
		return next
	}
	return free
}
