package compare_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

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

// No sentence, verdict or budget of any file may rest on an interval that
// excludes its own estimate: files of every size with steps, stalls, cold starts,
// trends, grids and few requests.
func TestNothingRestsOnAnIntervalWithoutItsEstimate(t *testing.T) {
	runs := 120
	if testing.Short() {
		runs = 30
	}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 17))
		tr := traffic{seconds: math.Exp(1 + 3.5*rng.Float64()), rate: math.Exp(1 + 4*rng.Float64()),
			failEvery: rng.IntN(3) * (2 + rng.IntN(40))}
		byTurns := rng.IntN(4)
		tr.arm = func(i int, r *rand.Rand) string {
			switch byTurns {
			case 0:
				return []string{"a", "b"}[i*2/max(1, int(tr.seconds*tr.rate))%2]
			case 1:
				return []string{"a", "b"}[i/50%2]
			}
			return []string{"a", "b"}[r.IntN(2)]
		}
		rs := tr.requests(uint64(seed))
		stallAt, stallFor, grid := rng.Float64(), rng.Float64()*0.2, []float64{0, 0, 1, 0.1}[rng.IntN(4)]
		cold, trend, tail := rng.Float64()*20*float64(rng.IntN(2)), rng.NormFloat64()*0.3, rng.Float64()*0.05
		for i := range rs {
			at := float64(i) / float64(len(rs))
			v := rs[i].ms * (1 + trend*at) * math.Exp(rng.Float64())
			if rs[i].arm == "b" && at > stallAt && at < stallAt+stallFor {
				v += 50
			}
			if rs[i].arm == "a" && at < 0.05 {
				v += cold
			}
			if rng.Float64() < tail {
				v += 1 / (0.01 + rng.Float64())
			}
			if grid > 0 {
				v = math.Round(v/grid) * grid
			}
			rs[i].ms = v
		}
		path := file(t, "any.json", ndjson(rs))
		for _, o := range []compare.Options{
			{A: []string{path}, By: "arm", Budgets: []string{"p50 <= 3ms", "p99 <= -1ms", "mean <= 1ms", "above 5ms <= 1%"}},
			{A: []string{path}, By: "arm", AssumeSteady: true},
			{A: []string{path, path}, By: "arm"},
		} {
			r, err := compare.Run(o)
			if err != nil {
				var f *fail.Error
				if !errors.As(err, &f) || f.Code != fail.Usage {
					t.Fatalf("seed %d: %v", seed, err)
				}
				continue // one arm had no request, in the smallest files
			}
			sound(t, &r.Summary)
			var n, counted int64
			for _, a := range r.Summary.Arms {
				n += a.Requests
			}
			for _, q := range rs {
				_ = q
				counted++
			}
			if want := counted * int64(len(o.A)); n != want {
				t.Errorf("seed %d: %d requests in the table; the files have %d", seed, n, want)
			}
			if t.Failed() {
				t.Fatalf("seed %d: %+v", seed, r.Summary.Sentences)
			}
		}
	}
}

func TestScenariosOneAfterTheOtherCarryNoVerdict(t *testing.T) {
	in := func(name string) compare.Options {
		return compare.Options{A: []string{filepath.Join(cases, "sequential-scenarios", name)}, By: "scenario"}
	}
	run := must(t, in("run.json.gz"))
	if run.Summary.Verdict != summary.CannotTell || !warned(&run.Summary,
		"unpaired") || !strings.Contains(words(&run.Summary), "one after the other") {
		t.Errorf("verdict %q, %s", run.Summary.Verdict, words(&run.Summary))
	}
	for _, d := range run.Summary.Differences {
		if d.P != nil || d.PHolm != nil || d.Verdict != summary.CannotTell {
			t.Errorf("p %v, Holm %v, verdict %q; nothing was tested", d.P, d.PHolm, d.Verdict)
		}
	}
	vouched := in("run.json.gz")
	vouched.AssumeSteady = true
	if r := must(t, vouched); r.Summary.Verdict != summary.Different && !strings.Contains(words(&r.Summary), "--assume-steady") {
		t.Errorf("vouched: verdict %q, %s", r.Summary.Verdict, words(&r.Summary))
	}
	if r := must(t, in("parallel.json.gz")); warned(&r.Summary, "unpaired") || !warned(&r.Summary, "one-start") {
		t.Errorf("side by side: %s", words(&r.Summary))
	}
}

func TestFiltersAndTheWarmUp(t *testing.T) {
	ping, err := compare.ParseFilter("name=http://app.test/ping")
	if err != nil {
		t.Fatal(err)
	}
	o := pair("mix")
	o.Where = []compare.Filter{ping}
	r := must(t, o)
	if d := r.Summary.Differences[0]; d.LowUs > 0 || d.HighUs < 0 || strings.Contains(words(&r.Summary), "mix") {
		t.Errorf("one kind of requests alone: [%v, %v], %s", d.LowUs, d.HighUs, words(&r.Summary))
	}
	mixed := must(t, pair("mix"))
	var kinds []string
	for _, d := range mixed.Summary.Differences {
		if d.Quantile == 0.5 {
			kinds = append(kinds, strings.TrimPrefix(d.Of, "a.json.gz - b.json.gz"))
			if d.Of != "a.json.gz - b.json.gz" && (d.LowUs > 0 || d.HighUs < 0) {
				t.Errorf("%s: [%v, %v]; within each kind and at one mix nothing differs", d.Of, d.LowUs, d.HighUs)
			}
		}
	}
	if want := []string{"", ", /ping", ", /report", ", same mix"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %q; want %q", kinds, want)
	}
	warm := pair("warm-up")
	warm.SkipS = 5
	if r := must(t, warm); math.Abs(r.Summary.Differences[1].EstimateUs) > 300 || !strings.Contains(words(&r.Summary),
		"of the warm-up left out") {
		t.Errorf("p90 without the warm-up: %v, %s", r.Summary.Differences[1].EstimateUs, words(&r.Summary))
	}
	for _, text := range []string{"", "x", "=y", "!=y"} {
		if _, err := compare.ParseFilter(text); fail.CodeOf(err) != fail.Usage {
			t.Errorf("--where %q: %v; want it refused", text, err)
		}
	}
}

func TestSeveralFilesASideAreReplicates(t *testing.T) {
	side := func(name string, us float64, from uint64) (paths []string) {
		for k := range uint64(6) {
			tr := traffic{seconds: 20, rate: 200, addUs: map[string]float64{"x": us + 10*math.Sin(float64(from+k))},
				arm: func(int, *rand.Rand) string { return "x" }}
			paths = append(paths, file(t, fmt.Sprintf("%s-%d.json", name, k), shifted(ndjson(tr.requests(from+k)), int(from+k))))
		}
		return paths
	}
	a, b := side("a", 150, 1), side("b", 0, 50)
	r := must(t, compare.Options{A: a, B: b, Budgets: []string{"p50 <= 300us"}})
	d := find(t, &r.Summary, "A - B", 0.5)
	if d.LowUs > 150 || d.HighUs < 150 || d.HighUs-d.LowUs > 60 || d.Replicates != 12 || r.Summary.Verdict != summary.Within || d.P != nil || d.PHolm == nil {
		t.Errorf("got %v [%v, %v], %d replicates, %q, p %v", d.EstimateUs, d.LowUs, d.HighUs, d.Replicates, r.Summary.Verdict, d.P)
	}
	if r := must(t, compare.Options{A: a, B: b}); r.Summary.Verdict != summary.Different {
		t.Errorf("without a budget: verdict %q", r.Summary.Verdict)
	}
	if r := must(t, compare.Options{A: a, B: b[:1]}); r.Summary.Verdict != summary.CannotTell {
		t.Errorf("one file on a side: verdict %q", r.Summary.Verdict)
	}
	arms := func(k uint64) string {
		return file(t, fmt.Sprintf("r%d.json", k), shifted(ndjson(mixed.requests(k)), int(k)))
	}
	by := must(t, compare.Options{A: []string{arms(1), arms(2), arms(3)}, By: "arm", Values: []string{"slow", "fast"}})
	d = find(t, &by.Summary, "slow - fast", 0.5)
	if d.Replicates != 3 || d.LowUs > 120 || d.HighUs < 120 || d.P == nil || by.Summary.Verdict != summary.Different {
		t.Errorf("by tag over three files: %v [%v, %v], %+v", d.EstimateUs, d.LowUs, d.HighUs, d)
	}
}

// shifted moves every request by an hour for each step.
func shifted(data []byte, hours int) []byte {
	return bytes.ReplaceAll(data, []byte("2026-11-21T04:"), []byte(fmt.Sprintf("2026-11-%02dT%02d:", 1+hours/20, hours%20)))
}

// Files cut from one run share its drift; paired, their interval is narrower.
func TestFilesCutFromOneRunArePaired(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	drift, rs := 0.0, mixed.requests(1)
	for i := range rs {
		drift = 0.9995*drift + 0.004*rng.NormFloat64()
		rs[i].ms *= math.Exp(drift)
	}
	cut := func(arm string) (out []request) {
		for _, r := range rs {
			if r.arm == arm {
				out = append(out, r)
			}
		}
		return out
	}
	a, b := ndjson(cut("slow")), ndjson(cut("fast"))
	together := must(t, compare.Options{A: []string{file(t, "a.json", a)}, B: []string{file(t, "b.json", b)}})
	apart := must(t, compare.Options{A: []string{file(t, "a.json", a)}, B: []string{file(t, "b.json", shifted(b, 3))}})
	x, y := together.Summary.Differences[0], apart.Summary.Differences[0]
	if x.EstimateUs != y.EstimateUs || (x.HighUs-x.LowUs)*1.5 > y.HighUs-y.LowUs {
		t.Errorf("cut from one run [%v, %v]; from two [%v, %v]", x.LowUs, x.HighUs, y.LowUs, y.HighUs)
	}
	for _, s := range []*summary.Summary{&together.Summary, &apart.Summary} {
		if s.Verdict != summary.CannotTell {
			t.Errorf("verdict %q without --assume-steady", s.Verdict)
		}
	}
}

// unzipped is a file's content.
func unzipped(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Each form of a sound file must give the same requests, and say what was not
// there or left out.
func TestFormsOfASoundFile(t *testing.T) {
	good := unzipped(t, filepath.Join(cases, "sound.json.gz"))
	lines := bytes.SplitAfter(good, []byte("\n"))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	half := len(lines) / 2
	between := func(text string) []byte { return join(join(lines[:half]...), []byte(text), join(lines[half:]...)) }
	var pretty, array bytes.Buffer
	array.WriteString("[")
	for i, line := range lines {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if i > 0 {
			array.WriteString(",\n ")
		}
		array.Write(line)
		pretty.WriteString(strings.NewReplacer(`{`, "{\n  ", `,"`, ",\n  \"", `}`, "\n}").Replace(string(line)) + "\n")
	}
	array.WriteString("]\n")
	var wide bytes.Buffer
	wide.WriteString("\xff\xfe")
	for _, u := range utf16.Encode([]rune(string(good))) {
		wide.WriteByte(byte(u))
		wide.WriteByte(byte(u >> 8))
	}
	zip := zipped(good)
	sheet := unzipped(t, filepath.Join(cases, "sound.csv.gz"))
	want := must(t, compare.Options{A: []string{file(t, "a.json", good)}, B: []string{file(t, "b.json", good)}}).Summary.Arms[0]
	rows := must(t, compare.Options{A: []string{file(t, "a.csv", sheet)}, B: []string{file(t, "b.csv", sheet)}}).Summary.Arms[0]
	for _, c := range []struct {
		name string
		data []byte
		of   summary.Arm
		less int64 // requests that are missing
		says string
	}{
		{"byte order mark", join([]byte("\xef\xbb\xbf"), good), want, 0, ""},
		{"utf-16", wide.Bytes(), want, 0, ""},
		{"two gzip members", join(zipped(join(lines[:half]...)), zipped(join(lines[half:]...))), want, 0, ""},
		{"crlf", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), want, 0, ""},
		{"log line between", between("time=\"2026-03-02T09:00:12Z\" level=warning msg=\"Request Failed\"\n"), want, 0, "1 line skipped"},
		{"log line in JSON", between(`{"level":"warning","msg":"Request Failed","time":"2026-03-02T09:00:12Z"}` + "\n"),
			want, 0, "1 line skipped"},
		{"banner first", join([]byte("\n     execution: local\n\n"), good), want, 0, "1 line skipped"},
		{"log line in JSON first", join([]byte(`{"level":"info","msg":"starting"}`+"\n"), good), want, 0, "1 line skipped"},
		{"summary at the end", join(good, []byte("\n  TOTAL RESULTS\n    http_req_duration....: avg=3.2ms\n")), want, 0,
			"2 lines skipped"},
		{"cut", good[:len(good)-40], want, 1, "was cut"},
		{"cut gzip", zip[:len(zip)*9/10], want, -1, "was cut"},
		{"pretty", pretty.Bytes(), want, 0, ""},
		{"array", array.Bytes(), want, 0, ""},
		{"array without an end", array.Bytes()[:array.Len()-300], want, -1, "was cut"},
		{"negative",
			between(strings.Replace(string(lines[1]), `"value":`, `"value":-`, 1)), want, 0, "1 value left out"},
		{"csv with a byte order mark", join([]byte("\xef\xbb\xbf"), sheet), rows, 0, ""},
		{"csv with semicolons", bytes.ReplaceAll(sheet, []byte(","), []byte(";")), rows, 0, ""},
		{"csv cut in gzip", zipped(sheet)[:len(zipped(sheet))*9/10], rows, -1, "was cut"},
		{"csv cut", sheet[:len(sheet)-60], rows, 1, "was cut"},
		{"csv with & alone", bytes.ReplaceAll(sheet, []byte("team=x"), []byte("q=a&b")), rows, 0, ""},
		{"csv with & and error", bytes.ReplaceAll(sheet, []byte("team=x"), []byte("filter=open&error=none&team=x")), rows, 0, ""},
		{"csv with & and status", bytes.ReplaceAll(sheet, []byte("team=x"), []byte("filter=open&status=closed&team=x")), rows, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := must(t, compare.Options{A: []string{file(t, "form", c.data)}, B: []string{file(t, "sound", good)}})
			a := r.Summary.Arms[0]
			if c.less < 0 {
				if a.Requests == 0 || a.Requests >= c.of.Requests {
					t.Errorf("%d requests; want some of %d", a.Requests, c.of.Requests)
				}
			} else if a.Requests != c.of.Requests-c.less || a.Failed != 0 || (c.less == 0 && a.Latency != c.of.Latency) {
				t.Errorf("%d requests, %d failed, p50 %v; want %d, 0, %v", a.Requests, a.Failed, a.Latency.P50,
					c.of.Requests-c.less, c.of.Latency.P50)
			}
			if text := words(&r.Summary); c.says != "" && !strings.Contains(text, c.says) {
				t.Errorf("no %q in\n%s", c.says, text)
			} else if c.says == "" && (strings.Contains(text, "skipped") || strings.Contains(text, "was cut")) {
				t.Errorf("an intact file is called damaged:\n%s", text)
			}
		})
	}
}

// Every other tool's file is named, with the step that gives something readable,
// and none is called damaged.
func TestOtherToolsAreNamed(t *testing.T) {
	is := map[string]string{
		"autocannon.json": "autocannon", "dash.ndjson": "k6's dashboard", "dlt.json": "Distributed Load Testing", "fortio.json": "fortio",
		"gatling.log": "Gatling", "hdr.hgrm": "HdrHistogram", "hdr.hlog": "HdrHistogram", "hey.csv": "hey", "influx.csv": "InfluxDB",
		"influx.lp": "InfluxDB", "influx1.csv": "InfluxDB", "locust.csv": "Locust", "nighthawk.json": "Nighthawk", "oha.csv": "oha",
		"oha.json": "oha", "otel.json": "OpenTelemetry", "prom.json": "Prometheus", "prom.txt": "Prometheus", "r.jtl": "JMeter",
		"rx.jtl": "JMeter", "vegeta-report.json": "vegeta's report", "wrk2.txt": "wrk",
	}
	read := []string{"alb.log", "cwl-events.json", "sc-cwl.txt", "sc.json", "sc.txt", "vegeta.csv", "vegeta.json"}
	entries, err := os.ReadDir(filepath.Join(cases, "other-tools"))
	if err != nil {
		t.Fatal(err)
	}
	sound := filepath.Join(cases, "sound.json.gz")
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			r, err := compare.Run(compare.Options{A: []string{filepath.Join(cases, "other-tools", e.Name())}, B: []string{sound}})
			if slices.Contains(read, e.Name()) {
				if err != nil || r.Summary.Arms[0].Requests == 0 {
					t.Errorf("not read: %v", err)
				}
				return
			}
			want, known := is[e.Name()]
			if !known || err == nil || !strings.Contains(err.Error(), want) || fail.HintOf(err) == "" || fail.CodeOf(err) != fail.Usage {
				t.Errorf("got %v, hint %q; want %q by name", err, fail.HintOf(err), want)
			} else if strings.Contains(fail.HintOf(err), "restore") {
				t.Errorf("an intact file is called damaged: %v", fail.HintOf(err))
			}
		})
	}
	for name, c := range map[string][2]string{
		"zstd":          {"\x28\xb5\x2f\xfdxxxx", "zstd"},
		"xz":            {"\xfd7zXZ\x00xx", "xz"},
		"zip":           {"PK\x03\x04xxxx", "zip"},
		"sqlite":        {"SQLite format 3\x00xxx", "SQLite"},
		"parquet":       {"PAR1xxxx", "Parquet"},
		"wrapped":       {`{"points":[{"metric":"http_req_duration","type":"Point","data":{}}]}`, "a wrapped list of results"},
		"vegeta list":   {`[{"attack":"","code":200,"timestamp":"2026-03-02T09:00:00Z","latency":1}]`, "a list of results"},
		"unknown JSON":  {`{"foo":1,"bar":2}`, "its fields are foo, bar"},
		"nginx":         {`10.0.0.1 - - [02/Mar/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5` + "\n", "web server"},
		"k6's text":     {"\n  execution: local\n\n  ✓ checks....: 100.00%\n  http_req_duration....: avg=3.2ms\n", "k6's summary as text"},
		"TCP":           {"[2026-03-02T09:00:00.002Z] 10.0.1.17 49152 5 5 10 - 127.0.0.1:8080\n", "TCP connections"},
		"hey":           {"\nSummary:\n  Total:\t20.0 secs\n", "hey"},
		"network LB":    {"tls 2.0 2026-03-02T09:00:00 net/x/1 a 10.0.0.1:1 10.0.0.2:443 5 2 1 1\n", "Network Load Balancer"},
		"cut in line 1": {`{"metric":"http_req_durat`, "cut"},
	} {
		_, err := compare.Run(compare.Options{A: []string{file(t, "x", []byte(c[0]))}, B: []string{sound}})
		if err == nil || !strings.Contains(err.Error(), c[1]) || fail.HintOf(err) == "" {
			t.Errorf("%s: got %v, hint %q; want %q", name, err, fail.HintOf(err), c[1])
		}
	}
}

func TestSummariesOfK6StandSideBySide(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(cases, "summaries"))
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d summaries, %v", len(entries), err)
	}
	last := filepath.Join(cases, "summaries", "machine-readable-1.0.0.json")
	for _, e := range entries {
		r := must(t, compare.Options{A: []string{filepath.Join(cases, "summaries", e.Name())}, B: []string{last}})
		s := &r.Summary
		if s.Verdict != summary.CannotTell || len(s.Differences) != 0 || !strings.Contains(s.Sentences[0], "--out json") {
			t.Errorf("%s: verdict %q, %q", e.Name(), s.Verdict, s.Sentences)
		}
		found := false
		for _, q := range s.Quantities {
			if q.What == "http_req_duration med" {
				found = q.A != nil && *q.A == 3100 && q.B != nil && *q.B == 3100 && q.Level == 0
			}
		}
		if !found {
			t.Errorf("%s: no median of 3.1 ms in %+v", e.Name(), s.Quantities)
		}
	}
	if _, err := compare.Run(compare.Options{A: []string{last}, B: []string{filepath.Join(cases,
		"sound.json.gz")}}); err == nil || !strings.Contains(fail.HintOf(err), "--out json") {
		t.Errorf("a summary and results: %v", err)
	}
	if _, err := compare.Run(compare.Options{A: []string{last}, B: []string{last},
		Metric: "nosuch"}); err == nil || !strings.Contains(fail.HintOf(err), "http_req_duration") {
		t.Errorf("a metric that is not there: %v, %q", err, fail.HintOf(err))
	}
}

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
