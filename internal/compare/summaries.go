package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// trend is what a summary of k6 says of one metric: its statistics by name.
type trend map[string]float64

// summaryMetrics reads a k6 summary in any of its forms: --summary-export, whose
// metrics hold their statistics themselves; handleSummary's data, which holds
// them in values; and the machine-readable one of k6 1.5 and later, with a list
// of metrics.
//
// f gets what the file declares of them; --summary-export declares nothing.
func summaryMetrics(in *input, f *found) (map[string]trend, error) {
	r, done, err := in.open()
	if err != nil {
		return nil, err
	}
	defer done()
	var doc struct {
		Metrics map[string]map[string]json.RawMessage `json:"metrics"`
		Results struct {
			Metrics []struct {
				Name     string                     `json:"name"`
				Type     string                     `json:"type"`
				Contains string                     `json:"contains"`
				Values   map[string]json.RawMessage `json:"values"`
			} `json:"metrics"`
		} `json:"results"`
	}
	if err := json.NewDecoder(skipMark(r)).Decode(&doc); err != nil {
		return nil, in.unreadable(fmt.Errorf("a summary of k6 that is not whole: %w", err))
	}
	out := map[string]trend{}
	for name, m := range doc.Metrics {
		f.saw(name, declaration{word(m["type"]), word(m["contains"])})
		if raw, ok := m["values"]; ok {
			var values map[string]json.RawMessage
			if json.Unmarshal(raw, &values) == nil {
				m = values
			}
		}
		out[name] = numbers(m)
	}
	for _, m := range doc.Results.Metrics {
		f.saw(m.Name, declaration{m.Type, m.Contains})
		out[m.Name] = numbers(m.Values)
	}
	if len(out) == 0 {
		return nil, in.unreadable(errors.New("a summary of k6 without metrics"))
	}
	return out, nil
}

// word is a JSON text, or "" when it is none.
func word(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}

// numbers takes the statistics among a metric's fields, under the names of k6's
// own summary: p90 is p(90) too.
func numbers(fields map[string]json.RawMessage) trend {
	t := trend{}
	for k, raw := range fields {
		var v float64
		if json.Unmarshal(raw, &v) != nil {
			continue
		}
		if len(k) > 1 && k[0] == 'p' && k[1] >= '0' && k[1] <= '9' {
			k = "p(" + strings.ReplaceAll(k[1:], "_", ".") + ")"
		}
		t[k] = v
	}
	return t
}

// compareSummaries puts two summaries of k6 side by side. They hold no requests,
// so nothing can be said of chance.
func compareSummaries(a, b *input, metric string) (*summary.Result, error) {
	f := newFound()
	x, err := summaryMetrics(a, f)
	if err != nil {
		return nil, err
	}
	y, err := summaryMetrics(b, f)
	if err != nil {
		return nil, err
	}
	for in, m := range map[*input]map[string]trend{a: x, b: y} {
		if _, there := m[metric]; !there {
			var names []string
			for name := range m {
				names = append(names, name)
			}
			slices.Sort(names)
			return nil, fail.Newf(fail.Usage, "compare one of its metrics: "+few(names), "%s holds no %s", in.path, metric)
		}
	}
	names := []string{a.name(), b.name()}
	if names[0] == names[1] {
		names = []string{"A", "B"}
	}
	of := names[0] + " - " + names[1]
	out := &summary.Result{Summary: summary.Summary{
		Schema: summary.Schema, Run: of, Target: analysis.TargetFiles, Verdict: summary.CannotTell,
		NoiseFloorUs: map[string]float64{}, Differences: []summary.Difference{}, Warnings: []summary.Warning{},
		Plan: summary.Plan{Profile: plan.ProfileCustom, Design: summary.DesignSummaries, Arms: names, KeepAlive: true},
		Sentences: []string{"Summaries of k6 cannot tell a difference from chance: they hold no single requests. " +
			"Their numbers stand side by side; run the tests again with k6 run --out json=FILE."},
	}}
	s := &out.Summary
	for i, m := range []map[string]trend{x, y} {
		requests := int64(m["http_reqs"]["count"])
		s.Arms = append(s.Arms, summary.Arm{Name: names[i], Requests: requests, Failed: failedOf(m, requests),
			Evidence: summary.Evidence{AgentCounter: -1}})
		warn := func(code, text string) {
			s.Warnings = append(s.Warnings, summary.Warning{Code: code, About: names[i], Text: text})
		}
		if requests == 0 {
			warn("summary", "The summary does not say how many requests there were.")
		}
		if failed := s.Arms[i].Failed; failed > 0 {
			warn("failures", fmt.Sprintf("%s of %s failed, and k6 counts their times in its statistics.",
				quantity.Count(failed), countOf(requests, "request")))
		}
	}
	for _, stat := range statsOf(x[metric], y[metric]) {
		q := summary.Quantity{Of: of, What: metric + " " + stat, Unit: unitOf(metric, stat, f), Verdict: summary.CannotTell}
		scale := 1.0
		if q.Unit == summary.UnitUs {
			scale = 1e3
		}
		if v, ok := x[metric][stat]; ok {
			v *= scale
			q.A = &v
		}
		if v, ok := y[metric][stat]; ok {
			v *= scale
			q.B = &v
		}
		if q.A != nil && q.B != nil {
			q.Estimate = *q.A - *q.B
		}
		s.Quantities = append(s.Quantities, q)
	}
	s.Round()
	out.Detail.NotShown = []string{"Any interval: a summary holds no single requests."}
	return out, nil
}

// failedOf is how many of the requests k6 called failed: older summaries have the
// share as value, newer ones as rate.
func failedOf(m map[string]trend, requests int64) int64 {
	share, there := m[failedMetric]["rate"]
	if !there {
		share = m[failedMetric]["value"]
	}
	return int64(math.Round(share * float64(requests)))
}

// statsOf lists the statistics of either, in the order of k6's own summary.
func statsOf(x, y trend) []string {
	order := []string{"count", "rate", "avg", "min", "med", "max"}
	var out []string
	for _, m := range []trend{x, y} {
		for k := range m {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	rank := func(s string) int {
		if i := slices.Index(order, s); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(out, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return out
}

// unitOf is a statistic's unit. Times are milliseconds; what is not known to be
// one is a plain number.
func unitOf(metric, stat string, f *found) string {
	switch stat {
	case "count", "rate", "passes", "fails", "value":
		return summary.UnitCount
	}
	d := f.metrics[metric]
	if d.Type == "" {
		d = declaredByK6(metric)
	}
	if d == (declaration{"trend", "time"}) {
		return summary.UnitUs
	}
	return summary.UnitCount
}

// declaredByK6 is what k6 says of its own metrics and of their parts, such as
// http_req_duration{scenario:a}.
func declaredByK6(metric string) declaration {
	name, _, _ := strings.Cut(metric, "{")
	if d, known := kinds[name]; known {
		return d
	}
	for _, own := range []string{"http_req_", "iteration_duration", "group_duration", "ws_", "grpc_", "browser_"} {
		if strings.HasPrefix(name, own) {
			return declaration{"trend", "time"}
		}
	}
	return declaration{}
}
