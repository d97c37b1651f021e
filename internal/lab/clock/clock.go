// Package clock compresses time. The lab's timers (request timeouts, health
// check intervals, outlier ejection) run on a Clock, so that a 15 s timeout
// can be watched in 150 ms. Nothing else is scaled: work takes what it takes.
package clock

import "time"

// Clock converts between the durations of the modelled system and those of
// this machine. The zero value does not scale.
type Clock struct {
	factor float64
}

// New returns a clock on which modelled time passes factor times as fast as
// real time. Factors of 1 and below (and NaN) mean real time.
func New(factor float64) Clock {
	if !(factor > 1) {
		return Clock{}
	}
	return Clock{factor: factor}
}

// Factor returns how many modelled seconds pass in a real one; 1 or more.
func (c Clock) Factor() float64 {
	if c.factor == 0 {
		return 1
	}
	return c.factor
}

// Real returns the real duration of d modelled time, at least 1 ms for a
// positive d: shorter timers would measure the scheduler.
func (c Clock) Real(d time.Duration) time.Duration {
	if c.factor == 0 || d <= 0 {
		return d
	}
	return max(time.Duration(float64(d)/c.factor), time.Millisecond)
}

// Modelled returns the modelled duration of d real time.
func (c Clock) Modelled(d time.Duration) time.Duration {
	if c.factor == 0 {
		return d
	}
	return time.Duration(float64(d) * c.factor)
}
