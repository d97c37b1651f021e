package agent

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// detection is a cluster's outlier detection, as Envoy has it. Ejections and
// returns reach the load balancing at once, unless something else has within
// mergeWindow: then they wait for its end.
type detection struct {
	since time.Time    // when the intervals began
	due   atomic.Int64 // when something is to be done, Unix ns; 0 for never

	mu      sync.Mutex
	applied time.Time // when the load balancing was told last
	pending time.Time // when it is to be told next; zero for not at all
}

// outlier is what outlier detection knows of a host. Failures that follow each
// other eject it, and it comes back when Envoy looks, which it does in intervals.
type outlier struct {
	cluster  *cluster
	failures atomic.Int32 // one after another
	until    atomic.Int64 // of the ejection, Unix ns; 0 when in use
	out      atomic.Bool  // for the load balancing

	ejections int // how many times ejectionBase the next one lasts, less one; under detection.mu
	back      time.Time
}

// ejected reports whether the host is ejected now.
func (o *outlier) ejected(now time.Time) bool {
	until := o.until.Load()
	return until != 0 && now.UnixNano() < until
}

// succeeded notes that the host was reached.
func (o *outlier) succeeded() {
	if o.failures.Load() != 0 {
		o.failures.Store(0)
	}
}

// failed notes that the host could not be reached, or did not answer. The
// outlierFailures-th time in a row ejects it: the n-th time for n times
// ejectionBase, at most for ejectionMax, and until the interval's end. n goes
// down by one for each interval in which it is not ejected. It reports whether this
// time did.
func (o *outlier) failed(now time.Time) (ejected bool) {
	c := o.cluster
	if c.local { // the app of an ingress
		return false
	}
	d := &c.detection
	d.look(*c.hosts.Load(), now)
	if o.failures.Add(1) != outlierFailures || o.ejected(now) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	interval := c.clock.Real(outlierInterval)
	if !o.back.IsZero() {
		o.ejections = max(0, o.ejections-int(now.Sub(d.since)/interval-o.back.Sub(d.since)/interval))
	}
	o.ejections++
	lasts := c.clock.Real(min(ejectionBase*time.Duration(o.ejections), ejectionMax))
	ticks := (now.Add(lasts).Sub(d.since) + interval - 1) / interval
	o.back = d.since.Add(ticks * interval)
	o.failures.Store(0)
	o.until.Store(o.back.UnixNano())
	hosts := *c.hosts.Load()
	d.changed(hosts, now, c.clock.Real(mergeWindow))
	d.plan(hosts)
	return true
}

// look does what is due: hosts come back, and the load balancing is told.
func (d *detection) look(hosts []*host, now time.Time) {
	if due := d.due.Load(); due == 0 || now.UnixNano() < due {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		var next *host
		at := d.pending
		for _, h := range hosts {
			if u := h.until.Load(); u != 0 && (at.IsZero() || u < at.UnixNano()) {
				next, at = h, time.Unix(0, u)
			}
		}
		switch {
		case at.IsZero() || at.After(now):
			d.plan(hosts)
			return
		case next != nil:
			next.until.Store(0)
			next.failures.Store(0)
			d.changed(hosts, at, next.cluster.clock.Real(mergeWindow))
		default:
			d.apply(hosts, at)
		}
	}
}

// changed notes that a host was ejected or has come back.
func (d *detection) changed(hosts []*host, at time.Time, window time.Duration) {
	switch {
	case at.Sub(d.applied) > window:
		d.apply(hosts, at)
	case d.pending.IsZero():
		d.pending = d.applied.Add(window)
	}
}

// apply tells the load balancing who is ejected.
func (d *detection) apply(hosts []*host, at time.Time) {
	for _, h := range hosts {
		h.out.Store(h.until.Load() != 0)
	}
	d.applied, d.pending = at, time.Time{}
}

// membersChanged tells the load balancing without delay.
func (d *detection) membersChanged(hosts []*host, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(hosts, now)
	d.plan(hosts)
}

// plan sets when something is due.
func (d *detection) plan(hosts []*host) {
	due := int64(math.MaxInt64)
	if !d.pending.IsZero() {
		due = d.pending.UnixNano()
	}
	for _, h := range hosts {
		if u := h.until.Load(); u != 0 {
			due = min(due, u)
		}
	}
	if due == math.MaxInt64 {
		due = 0
	}
	d.due.Store(due)
}
