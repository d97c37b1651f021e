// Package metrics keeps the past of counters as CloudWatch does: sums over
// periods of time, by namespace, name and dimensions. It knows no lab and no
// protocol; whoever reads counters adds what they say.
package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Metric is what is counted. Dimensions are part of its name: a metric with one
// dimension less is another metric.
type Metric struct {
	Namespace, Name string
	Dimensions      map[string]string
}

// key is the same for the same metric.
func (m *Metric) key() string {
	var b strings.Builder
	b.WriteString(m.Namespace + "\x00" + m.Name)
	for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
		b.WriteString("\x00" + name + "\x00" + m.Dimensions[name])
	}
	return b.String()
}

// Sample is one reading of a counter.
type Sample struct {
	Metric
	Unit string // as CloudWatch has it: "Count", "Bytes", "Seconds", "Milliseconds"
	// Source is who counts, a process for instance. Metrics add up what all of
	// their sources count.
	Source string
	// Value is the counter. It only grows; one that is less than before has begun
	// anew. Of a Gauge it is the value now.
	Value float64
	// Of, for a metric whose average is wanted, counts what Value adds up.
	Of    float64
	Gauge bool
}

// Resolution is the shortest period that a store keeps apart unless it is told
// another, Keep how long ago the oldest may be.
const (
	Resolution = 5 * time.Second
	Keep       = 3 * time.Hour // what CloudWatch keeps of periods below a minute
)

// maxSeries and maxSources bound what is kept: the metrics, and the sources of each.
const (
	maxSeries  = 5000
	maxSources = 1000
)

// Point is a period of a metric.
type Point struct {
	At                   time.Time // its beginning
	Sum, Count, Min, Max float64   // Count is of values, for averages
}

func (p *Point) add(sum, count, lowest, highest float64) {
	if p.Count == 0 {
		p.Min, p.Max = lowest, highest
	}
	p.Sum, p.Count = p.Sum+sum, p.Count+count
	p.Min, p.Max = min(p.Min, lowest), max(p.Max, highest)
}

// Store is safe for concurrent use. The zero value is not usable: see NewStore.
type Store struct {
	resolution time.Duration

	mu     sync.Mutex
	series map[string]*series
}

type series struct {
	metric Metric
	unit   string
	last   map[string]reading // by source
	points []Point            // by time, each as long as the store's resolution
}

// reading is what a source said last, and when.
type reading struct {
	value, of float64
	at        time.Time
}

// silent is how long a source is remembered that is read no more: a process that
// does not answer for a while must not have its count taken for new.
const silent = 10 * time.Minute

// NewStore returns an empty store that keeps periods of the given length apart.
func NewStore(resolution time.Duration) *Store {
	return &Store{resolution: resolution, series: map[string]*series{}}
}

// Resolution is the shortest period of the store.
func (s *Store) Resolution() time.Duration { return s.resolution }

// Add takes in what counters say that have been read by a moment. What was counted
// since the last reading counts for that moment: on a machine that stalls it is
// late, as metrics may be, and never before it happened, which no reader expects.
// The first reading of a source counts all that it has.
func (s *Store) Add(samples []Sample, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gauges := map[*series]float64{}
	for _, x := range samples {
		r := s.of(&x)
		if r == nil {
			continue
		}
		if x.Gauge {
			gauges[r] += x.Value
			continue
		}
		before := r.last[x.Source]
		if x.Value < before.value || x.Of < before.of {
			before = reading{}
		}
		if _, known := r.last[x.Source]; known || len(r.last) < maxSources {
			r.last[x.Source] = reading{x.Value, x.Of, now}
		}
		if n := x.Value - before.value; n > 0 {
			count := x.Of - before.of
			if count <= 0 {
				count = 1
			}
			r.at(now.Truncate(s.resolution)).add(n, count, n/count, n/count)
		}
	}
	for r, v := range gauges {
		r.at(now.Truncate(s.resolution)).add(v, 1, v, v)
	}
	s.forget(now)
}

// of returns the series of a sample; nil when there are too many.
func (s *Store) of(x *Sample) *series {
	k := x.key()
	r := s.series[k]
	if r == nil && len(s.series) < maxSeries {
		r = &series{metric: x.Metric, unit: x.Unit, last: map[string]reading{}}
		s.series[k] = r
	}
	return r
}

// at returns the period that begins at a time.
func (r *series) at(t time.Time) *Point {
	i, found := slices.BinarySearchFunc(r.points, t, func(p Point, t time.Time) int { return p.At.Compare(t) })
	if !found {
		r.points = slices.Insert(r.points, i, Point{At: t})
	}
	return &r.points[i]
}

// forget drops what is older than Keep, and series of which nothing is left.
func (s *Store) forget(now time.Time) {
	oldest := now.Add(-Keep)
	for k, r := range s.series {
		maps.DeleteFunc(r.last, func(_ string, l reading) bool { return now.Sub(l.at) > silent })
		i, _ := slices.BinarySearchFunc(r.points, oldest, func(p Point, t time.Time) int { return p.At.Compare(t) })
		if r.points = slices.Delete(r.points, 0, i); len(r.points)+len(r.last) == 0 {
			delete(s.series, k)
		}
	}
}

// Points returns the periods of a metric that begin from one time on and before
// another and have data, in order, and the metric's unit. period is at least
// the store's resolution and a multiple of it.
func (s *Store) Points(m Metric, from, to time.Time, period time.Duration) (points []Point, unit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.series[m.key()]
	if r == nil {
		return nil, ""
	}
	for _, p := range r.points {
		at := p.At.Truncate(period)
		if at.Before(from.Truncate(period)) || !at.Before(to) {
			continue
		}
		if len(points) == 0 || !points[len(points)-1].At.Equal(at) {
			points = append(points, Point{At: at})
		}
		points[len(points)-1].add(p.Sum, p.Count, p.Min, p.Max)
	}
	return points, r.unit
}

// List returns the metrics with data for which keep is true, in the order of
// their names and dimensions.
func (s *Store) List(keep func(*Metric) bool) (out []Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.series {
		if len(r.points) > 0 && keep(&r.metric) {
			out = append(out, r.metric)
		}
	}
	slices.SortFunc(out, func(x, y Metric) int { return cmp.Compare(x.key(), y.key()) })
	return out
}
