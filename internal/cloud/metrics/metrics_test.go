package metrics_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/metrics"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func counter(name, source string, n float64) metrics.Sample {
	return metrics.Sample{Metric: metrics.Metric{Namespace: "N", Name: name, Dimensions: map[string]string{"A": "1", "B": "2"}},
		Unit: "Count", Source: source, Value: n}
}

// add takes in a reading at a moment.
func add(s *metrics.Store, at time.Time, samples ...metrics.Sample) { s.Add(samples, at) }

func sums(s *metrics.Store, name string, period time.Duration) (out []float64) {
	m := counter(name, "", 0).Metric
	points, _ := s.Points(m, noon, noon.Add(metrics.Keep), period)
	for _, p := range points {
		out = append(out, p.Sum)
	}
	return out
}

func TestWhatIsCountedFallsIntoItsPeriod(t *testing.T) {
	s := metrics.NewStore(metrics.Resolution)
	add(s, noon, counter("c", "one", 3)) // counted before it was first read
	add(s, noon.Add(8*time.Second), counter("c", "one", 5), counter("c", "two", 7))
	add(s, noon.Add(66*time.Second), counter("c", "one", 5), counter("c", "two", 8))
	add(s, noon.Add(70*time.Second), counter("c", "one", 1)) // began anew; two is gone
	add(s, noon.Add(71*time.Second), counter("c", "one", 1))
	// 3 at noon, 2+7 at 8 s, 1 at 66 s, 1 at 70 s.
	for period, want := range map[time.Duration][]float64{
		5 * time.Second: {3, 9, 1, 1}, time.Minute: {12, 2}, 2 * time.Minute: {14},
	} {
		if got := sums(s, "c", period); !slices.Equal(got, want) {
			t.Errorf("periods of %s: %v; want %v", period, got, want)
		}
	}
	m := counter("c", "", 0).Metric
	if p, unit := s.Points(m, noon.Add(time.Minute), noon.Add(2*time.Minute), time.Minute); len(p) != 1 || p[0].Sum != 2 || unit != "Count" {
		t.Errorf("the second minute is %+v in %q; want one point with 2 in Count", p, unit)
	}
	m.Dimensions = map[string]string{"A": "1"}
	if p, _ := s.Points(m, noon, noon.Add(time.Hour), time.Minute); len(p) != 0 {
		t.Errorf("another set of dimensions is another metric, and has %+v", p)
	}
}

func TestAveragesAndGauges(t *testing.T) {
	s := metrics.NewStore(metrics.Resolution)
	timed := func(sum, n float64) metrics.Sample {
		x := counter("time", "one", sum)
		x.Of = n
		return x
	}
	gauge := func(source string, n float64) metrics.Sample {
		x := counter("hosts", source, n)
		x.Gauge = true
		return x
	}
	add(s, noon, timed(0, 0), gauge("a", 2), gauge("b", 1))
	add(s, noon.Add(time.Second), timed(30, 3), gauge("a", 0), gauge("b", 1))
	add(s, noon.Add(2*time.Second), timed(130, 4), gauge("a", 2), gauge("b", 1))
	p, _ := s.Points(counter("time", "", 0).Metric, noon, noon.Add(time.Minute), time.Minute)
	if len(p) != 1 || p[0].Sum != 130 || p[0].Count != 4 || p[0].Min != 10 || p[0].Max != 100 {
		t.Errorf("times are %+v; want 4 of 130 together, in readings of 10 to 100 on average", p)
	}
	p, _ = s.Points(counter("hosts", "", 0).Metric, noon, noon.Add(time.Minute), time.Minute)
	if len(p) != 1 || p[0].Sum != 7 || p[0].Count != 3 || p[0].Min != 1 || p[0].Max != 3 {
		t.Errorf("hosts are %+v; want three readings of 1 to 3, both sources together", p)
	}
}

func TestTheOldIsForgotten(t *testing.T) {
	s := metrics.NewStore(metrics.Resolution)
	add(s, noon, counter("old", "one", 1), counter("both", "one", 1))
	for at := time.Duration(0); at <= metrics.Keep+time.Hour; at += time.Minute { // idle, but read
		add(s, noon.Add(at), counter("both", "one", 1))
	}
	add(s, noon.Add(metrics.Keep+time.Hour+time.Minute), counter("both", "one", 3))
	var names []string
	for _, m := range s.List(func(*metrics.Metric) bool { return true }) {
		names = append(names, m.Name)
	}
	if !slices.Equal(names, []string{"both"}) {
		t.Errorf("metrics with data: %v; want both alone", names)
	}
	late := noon.Add(metrics.Keep)
	if p, _ := s.Points(counter("both", "", 0).Metric, late, late.Add(metrics.Keep), time.Minute); len(p) != 1 || p[0].Sum != 2 {
		t.Errorf("after hours without a request 2 more are %+v", p)
	}
}
