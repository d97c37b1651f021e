package compare_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
)

// What a metric holds decides whether it is compared.
func TestOnlyTimesAreCompared(t *testing.T) {
	var b bytes.Buffer
	rng := rand.New(rand.NewPCG(1, 1))
	metrics := []struct{ name, kind, contains string }{
		{"lcp", "trend", "time"}, {"cls", "trend", "default"}, {"size", "trend", "data"}, {"http_reqs", "counter", "default"},
		{"data_received", "counter", "data"}, {"vus", "gauge", "default"}, {"ok", "rate", "default"}, {"skew", "trend", "time"}}
	for _, m := range metrics {
		fmt.Fprintf(&b,
			`{"type":"Metric","data":{"name":%q,"type":%q,"contains":%q,"thresholds":[],"submetrics":null},"metric":%q}`+"\n", m.name, m.kind, m.contains, m.name)
	}
	for i := range 1500 {
		for _, m := range metrics {
			v := 3 + rng.Float64()
			switch m.name {
			case "size":
				v = 9_000_003
			case "skew":
				v = rng.NormFloat64()
			}
			fmt.Fprintf(&b,
				`{"metric":%q,"type":"Point","data":{"time":"2026-03-02T09:00:%02d.%03dZ","value":%.6f,"tags":{"group":"","scenario":"ui"}}}`+"\n", m.name, i/25, i%25*40, v)
		}
	}
	one, two := file(t, "a.json", b.Bytes()), file(t, "b.json", b.Bytes())
	for _, m := range metrics {
		r, err := compare.Run(compare.Options{A: []string{one}, B: []string{two}, Metric: m.name})
		if m.kind == "trend" && m.contains == "time" {
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
			} else if m.name == "skew" && !strings.Contains(words(&r.Summary), "left out that no clock can have measured") {
				t.Errorf("negative values: %s", words(&r.Summary))
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "no latency") || !strings.Contains(fail.HintOf(err), "--metric lcp, skew") {
			t.Errorf("%s: got %v, hint %q; want it refused and the times named", m.name, err, fail.HintOf(err))
		}
	}
	// What CSV does not declare, k6's own metrics do.
	csv := file(t, "m.csv",
		[]byte("metric_name,timestamp,metric_value,extra_tags,metadata\nhttp_reqs,1772442000,1,,\nws_connecting,1772442000,1,,\n"))
	if _, err := compare.Run(compare.Options{A: []string{csv}, B: []string{csv},
		Metric: "http_reqs"}); err == nil || !strings.Contains(err.Error(), "a counter") {
		t.Errorf("http_reqs in CSV: %v", err)
	}
	if _, err := compare.Run(compare.Options{A: []string{csv},
		B: []string{csv}}); err == nil || !strings.Contains(fail.HintOf(err), "ws_connecting") {
		t.Errorf("the metrics that a file has: %v, %q", err, fail.HintOf(err))
	}
}

func TestGRPCStatuses(t *testing.T) {
	var b bytes.Buffer
	for i := range 1200 {
		status := 0
		if i%10 == 0 {
			status = 14
		}
		fmt.Fprintf(&b,
			`{"metric":"grpc_req_duration","type":"Point","data":{"time":"2026-03-02T09:00:%02d.%03dZ","value":%d.5,"tags":{"method":"/x/Y","status":"%d"}}}`+"\n", i/20, i%20*50, 2+i%3, status)
	}
	r := must(t, compare.Options{A: []string{file(t, "a", b.Bytes())}, B: []string{file(t, "b", b.Bytes())}, Metric: "grpc_req_duration"})
	if a := r.Summary.Arms[0]; a.Requests != 1200 || a.Failed != 120 || !strings.Contains(words(&r.Summary), "gRPC status 14: 120") {
		t.Errorf("%d requests, %d failed, %s", a.Requests, a.Failed, words(&r.Summary))
	}
}

// A trend of whole milliseconds resolves no less.
func TestTheGridOfTheData(t *testing.T) {
	rs := mixed.requests(1)
	for i := range rs {
		rs[i].ms = math.Round(10 * rs[i].ms)
	}
	path := file(t, "grid.json", ndjson(rs))
	r := must(t, compare.Options{A: []string{path}, By: "arm", Budgets: []string{"mean <= 2ms", "above 4ms <= 90%"}})
	for _, d := range r.Summary.Differences {
		if d.HighUs-d.LowUs < 1000 {
			t.Errorf("p%v: [%v, %v] is narrower than the grid", 100*d.Quantile, d.LowUs, d.HighUs)
		}
	}
	if !warned(&r.Summary, "grid") || r.Summary.Budgets[0].Verdict != summary.Within {
		t.Errorf("budget on the mean: %+v, %s", r.Summary.Budgets, words(&r.Summary))
	}
	above := 0
	for _, q := range r.Summary.Quantities {
		if strings.HasPrefix(q.What, "above ") && q.Level > 0 && q.Unit == summary.UnitShare {
			above++
		}
	}
	if above < 3 {
		t.Errorf("%d shares above a millisecond in %+v", above, r.Summary.Quantities)
	}
	_, err := compare.Run(compare.Options{A: []string{path}, By: "arm", Budgets: []string{"p50 <= +200us"}})
	if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(),
		"below the grid") || !strings.Contains(fail.HintOf(err), "mean <= +200us") {
		t.Errorf("a budget below the grid: %v, hint %q", err, fail.HintOf(err))
	}
}
