package compare_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
)

// cases are files in the forms that are found in the field, each with a value
// that was computed apart: pooled quantiles of the requests that count, and a
// bootstrap over whole windows of 2 s.
const cases = "testdata/cases"

func pair(dir string) compare.Options {
	return compare.Options{A: []string{filepath.Join(cases, dir, "a.json.gz")}, B: []string{filepath.Join(cases, dir, "b.json.gz")}}
}

func TestCasesGiveTheRightValue(t *testing.T) {
	for _, c := range []struct {
		dir      string
		want     [3]float64    // ms at p50, p90 and p99
		interval [3][2]float64 // ms, of the value that was computed apart
		requests [2]int64
		failed   [2]int64
		says     []string // among sentences and warnings
	}{
		{"stall", [3]float64{.170, 48.655, 49.823}, [3][2]float64{{.001, .481}, {-.001, 49.547}, {-.003, 49.956}},
			[2]int64{1500, 1500}, [2]int64{}, nil},
		{"sign", [3]float64{.070, 7.027, 9.262}, [3][2]float64{{-.099, .381}, {-.101, 8.631}, {-.103, 9.504}},
			[2]int64{1500, 1500}, [2]int64{}, nil},
		{"warm-up", [3]float64{.090, 3.020, 8.885}, [3][2]float64{{-.104, .496}, {-.096, 7.302}, {-.138, 13.159}},
			[2]int64{3000, 3000}, [2]int64{}, nil},
		{"setup", [3]float64{-.075, -.151, .067}, [3][2]float64{{-.121, -.030}, {-.244, -.068}, {-.511, .456}},
			[2]int64{3000, 3000}, [2]int64{},
			[]string{"300 requests of setup() and teardown() left out"}},
		{"mix", [3]float64{2.992, .573, 1.053}, [3][2]float64{{2.774, 3.254}, {.258, .906}, {.069, 1.885}},
			[2]int64{3000, 3000}, [2]int64{},
			[]string{"another mix of requests", "name /report is 60 % of `a.json.gz`"}},
		{"no-status", [3]float64{0, -.02, .06}, [3][2]float64{{-.07, .07}, {-.18, .09}, {-1.26, 1.3}}, [2]int64{3000,
			3000}, [2]int64{909, 0},
			[]string{"30 % of `a.json.gz` failed", "909 of 3,000 requests failed"}},
		{"expected-404", [3]float64{.447, -.364, -2.013}, [3][2]float64{{.412, .487}, {-.452, -.272}, {-3.213, -1.501}},
			[2]int64{3000, 3000}, [2]int64{}, nil},
		{"dropped", [3]float64{.026, .094, .482}, [3][2]float64{{-.032, .079}, {.010, .165}, {-.185, .984}},
			[2]int64{3000, 3000}, [2]int64{},
			[]string{"could not start 1,453 iterations"}},
		{"unlike-runs", [3]float64{-.144, -.181, -.686}, [3][2]float64{{-.217, -.066}, {-.277, -.031}, {-1.517, .976}},
			[2]int64{1200, 3000}, [2]int64{},
			[]string{"another rate", "`a.json.gz` ran at 19.9 requests/s and `b.json.gz` at 203"}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			o := pair(c.dir)
			o.Budgets = []string{"p90 <= 2ms"}
			r := must(t, o)
			s := &r.Summary
			for i, q := range []float64{0.5, 0.9, 0.99} {
				d := find(t, s, "a.json.gz - b.json.gz", q)
				est, low, high := d.EstimateUs/1e3, d.LowUs/1e3, d.HighUs/1e3
				width := c.interval[i][1] - c.interval[i][0]
				// Another definition of the quantile moves a tail by the distance of two values.
				if math.Abs(est-c.want[i]) > 0.003+0.12*width {
					t.Errorf("p%v: %.3f ms; want %.3f", 100*q, est, c.want[i])
				}
				if low > c.interval[i][0]+0.25*width || high < c.interval[i][1]-0.25*width {
					t.Errorf("p%v: [%.3f, %.3f] ms; want about %v", 100*q, low, high, c.interval[i])
				}
			}
			if s.Verdict != summary.CannotTell || analysis.Code(s) != fail.CannotTell || s.Budgets[0].Verdict != summary.CannotTell {
				t.Errorf("verdict %q, budget %q; one run a side carries neither", s.Verdict, s.Budgets[0].Verdict)
			}
			for i, a := range s.Arms {
				if a.Requests != c.requests[i] || a.Failed != c.failed[i] {
					t.Errorf("%s: %d requests, %d failed; want %d, %d", a.Name, a.Requests, a.Failed, c.requests[i], c.failed[i])
				}
			}
			text := words(s)
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			sound(t, s)
		})
	}
}

// words are all sentences and warnings.
func words(s *summary.Summary) string {
	text := strings.Join(s.Sentences, "\n")
	for _, w := range s.Warnings {
		text += "\n" + w.Text
	}
	return text
}

var slower = regexp.MustCompile("is (slower|faster) than .* by .* at (p[0-9.]+)")

// sound holds a result to what no result may break: every number lies in its own
// interval, and no sentence, verdict or budget rests on another one.
func sound(t *testing.T, s *summary.Summary) {
	t.Helper()
	for _, d := range s.Differences {
		if d.EstimateUs < d.LowUs || d.EstimateUs > d.HighUs {
			t.Errorf("%s at %v: the estimate %v lies outside of [%v, %v]", d.Of, d.Quantile, d.EstimateUs, d.LowUs, d.HighUs)
		}
		if d.Verdict == summary.Different && !(d.Level > 0 && (d.LowUs > 0 || d.HighUs < 0)) {
			t.Errorf("%s at %v: different by [%v, %v] at level %v", d.Of, d.Quantile, d.LowUs, d.HighUs, d.Level)
		}
	}
	for _, q := range s.Quantities {
		if q.Level > 0 && (q.Estimate < q.Low-1e-6 || q.Estimate > q.High+1e-6) {
			t.Errorf("%s: the estimate %v lies outside of [%v, %v]", q.What, q.Estimate, q.Low, q.High)
		}
	}
	for _, b := range s.Budgets {
		if b.EstimateUs < b.LowUs || b.EstimateUs > b.HighUs {
			t.Errorf("%s: the estimate %v lies outside of [%v, %v]", b.Budget, b.EstimateUs, b.LowUs, b.HighUs)
		}
		// Judged before rounding, by at most half of its step.
		if (b.Verdict == summary.Within && b.EstimateUs > b.LimitUs+0.1) || (b.Verdict == summary.Over && b.EstimateUs <= b.LimitUs-0.1) {
			t.Errorf("%s is %s, but the estimate is %v", b.Budget, b.Verdict, b.EstimateUs)
		}
	}
	if len(s.Differences) == 0 {
		return
	}
	for _, text := range s.Sentences {
		m := slower.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		for _, d := range s.Differences {
			if d.Of == s.Differences[0].Of && fmt.Sprintf("p%g", math.Round(d.Quantile*1e4)/100) == m[2] {
				if d.Verdict != summary.Different || (m[1] == "slower") != (d.EstimateUs > 0) || (m[1] == "slower") != (d.LowUs > 0) {
					t.Errorf("%q rests on %v [%v, %v], %s", text, d.EstimateUs, d.LowUs, d.HighUs, d.Verdict)
				}
			}
		}
	}
}

// Whatever was compared, the summary must be what its schema says.
func TestResultsMatchTheSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.SummarySchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:hoplab:summary:v1", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("urn:hoplab:summary:v1")
	if err != nil {
		t.Fatal(err)
	}
	mix := pair("mix")
	mix.Budgets = []string{"p99 <= 1ms", "mean <= 1ms", "above 5ms <= 1%"}
	k6 := filepath.Join(cases, "summaries", "summary-export.json")
	for name, o := range map[string]compare.Options{
		"mix": mix, "summaries": {A: []string{k6}, B: []string{filepath.Join(cases, "summaries", "handle-summary.json")}},
		"few":  {A: []string{filepath.Join(cases, "other-tools", "alb.log")}, B: []string{filepath.Join(cases, "other-tools", "sc.json")}},
		"none": {A: []string{file(t, "f.json", ndjson(traffic{seconds: 5, rate: 20, failEvery: 1, arm: mixed.arm}.requests(1)))}, By: "arm"},
	} {
		r := must(t, o)
		var b bytes.Buffer
		if err := report.JSON(&b, &r.Summary); err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, write := range []func(io.Writer) error{
			func(w io.Writer) error { return report.HTML(w, r) },
			func(w io.Writer) error { return report.Markdown(w, r) },
			func(w io.Writer) error { return report.JUnit(w, &r.Summary) },
			func(w io.Writer) error { return report.Text(w, &r.Summary, report.TextOptions{}) },
		} {
			if err := write(io.Discard); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
