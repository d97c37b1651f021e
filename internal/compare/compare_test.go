package compare_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// traffic is a made-up k6 run: each request's arm and latency, at a fixed rate.
type traffic struct {
	seconds, rate float64
	arm           func(i int, rng *rand.Rand) string
	addUs         map[string]float64
	failEvery     int
}

type request struct {
	at     time.Time
	arm    string
	ms     float64
	status int
}

func (tr traffic) requests(seed uint64) []request {
	rng := rand.New(rand.NewPCG(seed, 0))
	start := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	var out []request
	for i := range int(tr.seconds * tr.rate) {
		r := request{at: start.Add(time.Duration(float64(i) / tr.rate * 1e9)), arm: tr.arm(i, rng), status: 200}
		r.ms = 0.4*math.Exp(0.1*rng.NormFloat64()) + tr.addUs[r.arm]/1e3
		if tr.failEvery > 0 && i%tr.failEvery == 0 {
			r.status, r.ms = 503, 0.001
		}
		out = append(out, r)
	}
	return out
}

func ndjson(rs []request) []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"Metric","data":{"name":"http_req_duration","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"http_req_duration"}` + "\n")
	for _, r := range rs {
		when := r.at.Format(time.RFC3339Nano)
		tags := fmt.Sprintf(`{"arm":%q,"expected_response":"%v","status":"%d"}`, r.arm, r.status == 200, r.status)
		fmt.Fprintf(&b, `{"metric":"http_reqs","type":"Point","data":{"time":%q,"value":1,"tags":%s}}`+"\n", when, tags)
		fmt.Fprintf(&b, `{"metric":"http_req_duration","type":"Point","data":{"time":%q,"value":%.6f,"tags":%s}}`+"\n", when, r.ms, tags)
	}
	return b.Bytes()
}

// csvOf writes extra_tags in either order, as k6 does.
func csvOf(rs []request, stamp func(time.Time) string) []byte {
	var b bytes.Buffer
	b.WriteString("metric_name,timestamp,metric_value,expected_response,status,extra_tags,metadata\n")
	for i, r := range rs {
		extra := "arm=" + r.arm + "&block=1"
		if i%2 == 0 {
			extra = "block=1&arm=" + r.arm
		}
		fmt.Fprintf(&b, "http_reqs,%s,1.000000,%v,%d,%s,\n", stamp(r.at), r.status == 200, r.status, extra)
		fmt.Fprintf(&b, "http_req_duration,%s,%.6f,%v,%d,%s,\n", stamp(r.at), r.ms, r.status == 200, r.status, extra)
	}
	return b.Bytes()
}

func seconds(t time.Time) string { return fmt.Sprint(t.Unix()) }

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func must(t *testing.T, o compare.Options) *summary.Result {
	t.Helper()
	r, err := compare.Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(t *testing.T, s *summary.Summary, of string, q float64) summary.Difference {
	t.Helper()
	for _, d := range s.Differences {
		if d.Of == of && d.Quantile == q {
			return d
		}
	}
	t.Fatalf("no difference %q at %v in %+v", of, q, s.Differences)
	return summary.Difference{}
}

func warned(s *summary.Summary, code string) bool {
	for _, w := range s.Warnings {
		if w.Code == code {
			return true
		}
	}
	for _, d := range s.Differences {
		for _, w := range d.Warnings {
			if w.Code == code {
				return true
			}
		}
	}
	return false
}

var mixed = traffic{seconds: 60, rate: 400, addUs: map[string]float64{"slow": 120},
	arm: func(_ int, rng *rand.Rand) string { return []string{"fast", "slow"}[rng.IntN(2)] }}

// The same requests must give the same answer, whichever file they come in.
func TestEveryFormatGivesTheKnownAnswer(t *testing.T) {
	rs := mixed.requests(1)
	micro := func(t time.Time) string { return fmt.Sprint(t.UnixMicro()) }
	rfc := func(t time.Time) string { return t.Format(time.RFC3339Nano) }
	var first summary.Difference
	for i, c := range []struct {
		name string
		data []byte
	}{
		{"run.json", ndjson(rs)},
		{"run.json.gz", zipped(ndjson(rs))},
		{"run.csv", csvOf(rs, rfc)},
		{"micro.csv", csvOf(rs, micro)},
		{"run.csv.gz", zipped(csvOf(rs, rfc))},
		{"seconds.csv", csvOf(rs, seconds)},
	} {
		r := must(t, compare.Options{A: []string{file(t, c.name, c.data)}, By: "arm", Values: []string{"slow", "fast"}})
		d := find(t, &r.Summary, "slow - fast", 0.5)
		if d.LowUs > 120 || d.HighUs < 120 || d.HighUs-d.LowUs > 10 {
			t.Errorf("%s: got %.1f [%.1f, %.1f]; want 120 inside a narrow interval", c.name, d.EstimateUs, d.LowUs, d.HighUs)
		}
		if r.Summary.Verdict != summary.Different || analysis.Code(&r.Summary) != fail.OK {
			t.Errorf("%s: verdict %q", c.name, r.Summary.Verdict)
		}
		if !warned(&r.Summary, "one-start") || warned(&r.Summary, "unpaired") {
			t.Errorf("%s: warnings %+v", c.name, r.Summary.Warnings)
		}
		if i == 0 {
			first = d
		} else if d.EstimateUs != first.EstimateUs {
			t.Errorf("%s: estimate %v; the first format gave %v", c.name, d.EstimateUs, first.EstimateUs)
		}
		if want := "`slow` is slower than `fast` by 1"; !strings.HasPrefix(r.Summary.Sentences[0], want) {
			t.Errorf("%s: sentence %q; want it to begin with %q", c.name, r.Summary.Sentences[0], want)
		}
	}
}

func TestTwoFilesAreComparedApart(t *testing.T) {
	one := func(name string, us float64, seed uint64) string {
		tr := traffic{seconds: 40, rate: 300, addUs: map[string]float64{"x": us}, arm: func(int, *rand.Rand) string { return "x" }}
		return file(t, name, ndjson(tr.requests(seed)))
	}
	a, b := one("with.json", 150, 1), one("without.json", 0, 2)
	r := must(t, compare.Options{A: []string{a}, B: []string{b}})
	d := find(t, &r.Summary, "with.json - without.json", 0.5)
	if d.LowUs > 150 || d.HighUs < 150 || d.EstimateUs < 140 || d.EstimateUs > 160 {
		t.Errorf("got %.1f [%.1f, %.1f]; want 150 inside", d.EstimateUs, d.LowUs, d.HighUs)
	}
	if !warned(&r.Summary, "separate-runs") {
		t.Errorf("no warning on separate runs: %+v", r.Summary.Warnings)
	}
	if s := r.Summary.Arms[0]; s.Requests != 12000 || len(s.Evidence.AgentHops) != 0 || len(s.Evidence.By) != 0 {
		t.Errorf("arm %+v; want 12000 requests and no evidence", s)
	}
	same := must(t, compare.Options{A: []string{b}, B: []string{one("again.json", 0, 3)}})
	if same.Summary.Verdict != summary.CannotTell {
		t.Errorf("two like files: verdict %q", same.Summary.Verdict)
	}
	// The swapped comparison is the negative one.
	back := find(t, &must(t, compare.Options{A: []string{b}, B: []string{a}}).Summary, "without.json - with.json", 0.5)
	if back.EstimateUs != -d.EstimateUs || back.LowUs != -d.HighUs {
		t.Errorf("B - A is %v [%v, %v]; A - B is %v [%v, %v]", back.EstimateUs, back.LowUs, back.HighUs, d.EstimateUs, d.LowUs, d.HighUs)
	}
	alone := must(t, compare.Options{A: []string{a}, B: []string{b}, Budgets: []string{"p50 <= 200us"}})
	if alone.Summary.Verdict != summary.CannotTell || alone.Summary.Budgets[0].Verdict != summary.CannotTell {
		t.Errorf("one run a side: verdict %q", alone.Summary.Verdict)
	}
	over := must(t, compare.Options{A: []string{a}, B: []string{b}, Budgets: []string{"p50 <= 100us"}, AssumeSteady: true})
	within := must(t, compare.Options{A: []string{a}, B: []string{b}, Budgets: []string{"p50 <= 200us"}, AssumeSteady: true})
	if analysis.Code(&over.Summary) != fail.Finding || analysis.Code(&within.Summary) != fail.OK || within.Summary.Verdict != summary.Within {
		t.Errorf("budgets: %q and %q; want over and within", over.Summary.Verdict, within.Summary.Verdict)
	}
}

func TestArmsThatTookTurnsInOneFile(t *testing.T) {
	sequential := traffic{seconds: 60, rate: 300, addUs: map[string]float64{"b": 100}, arm: func(i int,
		_ *rand.Rand) string {
		return []string{"a", "b"}[i/9000]
	}}
	r := must(t, compare.Options{A: []string{file(t, "seq.json", ndjson(sequential.requests(1)))}, By: "arm"})
	d := find(t, &r.Summary, "a - b", 0.5)
	if !warned(&r.Summary, "unpaired") || math.Abs(d.EstimateUs+100) > 10 {
		t.Errorf("one after the other: got %.1f, warnings %+v; want -100 and a warning", d.EstimateUs, d.Warnings)
	}
	blocks := traffic{seconds: 120, rate: 300, addUs: map[string]float64{"b": 100}, arm: func(i int,
		_ *rand.Rand) string {
		return []string{"a", "b"}[i/600%2]
	}}
	r = must(t, compare.Options{A: []string{file(t, "blocks.json", ndjson(blocks.requests(1)))}, By: "arm"})
	d = find(t, &r.Summary, "a - b", 0.5)
	if warned(&r.Summary, "unpaired") || d.LowUs > -100 || d.HighUs < -100 {
		t.Errorf("blocks of 2 s: got [%.1f, %.1f], warnings %+v; want -100 inside, paired", d.LowUs, d.HighUs, d.Warnings)
	}
}

func TestFailuresOfAForeignFileCountApart(t *testing.T) {
	tr := mixed
	tr.failEvery = 10
	r := must(t, compare.Options{A: []string{file(t, "f.json", ndjson(tr.requests(1)))}, By: "arm"})
	a := r.Summary.Arms[0]
	if a.Failed == 0 || a.Latency.Min < 100 || !warned(&r.Summary, "failures") {
		t.Errorf("%d failed, fastest %v us, warnings %+v", a.Failed, a.Latency.Min, r.Summary.Warnings)
	}
	if !strings.Contains(fmt.Sprint(r.Summary.Warnings), "status 503") {
		t.Errorf("the warning does not say what failed: %+v", r.Summary.Warnings)
	}
	tr.failEvery = 1
	none := must(t, compare.Options{A: []string{file(t, "none.json", ndjson(tr.requests(1)))}, By: "arm"})
	if none.Summary.Verdict != summary.CannotTell || !strings.Contains(none.Summary.Sentences[0], "no answered request") {
		t.Errorf("verdict %q, %q", none.Summary.Verdict, none.Summary.Sentences)
	}
}

func recorded(t *testing.T, seed uint64, agentUs float64, change func(*sim.Recording)) *run.Dir {
	t.Helper()
	p, err := plan.New(plan.ProfileStandard)
	if err != nil {
		t.Fatal(err)
	}
	p.Seed = seed
	p.RatePerS, p.Replicates, p.ReplicateS = 500, 6, 10
	rec := sim.Recording{Plan: p, Noise: sim.Noise{BaseUs: 400, Sigma: 0.1, Slow: 0.01, SlowS: 30, Offset: 0.01},
		Delays: map[string]call.Delay{"agent": {Spin: time.Duration(agentUs * 1e3), Share: 1}}}
	if change != nil {
		change(&rec)
	}
	d, err := rec.Write(filepath.Join(t.TempDir(), fmt.Sprintf("run%d", seed)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTwoRunsAreComparedByTheirReplicates(t *testing.T) {
	a, b := recorded(t, 1, 250, nil), recorded(t, 2, 150, nil)
	r := must(t, compare.Options{A: []string{a.Path}, B: []string{b.Path}})
	d := find(t, &r.Summary, "agent - bypass: A - B", 0.5)
	if d.LowUs > 100 || d.HighUs < 100 || d.Replicates != 12 || r.Summary.Verdict != summary.Different {
		t.Errorf("got %.1f [%.1f, %.1f], %d replicates, %q; want 100 inside, 12, different", d.EstimateUs, d.LowUs,
			d.HighUs, d.Replicates, r.Summary.Verdict)
	}
	if want := "The difference agent - bypass is larger in A than in B by "; !strings.HasPrefix(r.Summary.Sentences[0], want) {
		t.Errorf("sentence %q; want it to begin with %q", r.Summary.Sentences[0], want)
	}
	if by := find(t, &r.Summary, "bypass: A - B", 0.5); by.LowUs > 0 || by.HighUs < 0 {
		t.Errorf("bypass did not change: got [%.1f, %.1f]", by.LowUs, by.HighUs)
	}
	if !warned(&r.Summary, "separate-runs") || len(r.Summary.Arms) != 6 {
		t.Errorf("%d arms, warnings %+v", len(r.Summary.Arms), r.Summary.Warnings)
	}
	other := recorded(t, 3, 150, func(r *sim.Recording) { r.Plan.RatePerS = 400 })
	if _, err := compare.Run(compare.Options{A: []string{a.Path},
		B: []string{other.Path}}); err == nil || !strings.Contains(err.Error(), "rate_per_s is 500 in A and 400 in B") {
		t.Errorf("different rates: got %v", err)
	}
	forged := recorded(t, 4, 150, func(r *sim.Recording) {
		r.Each = func(_ int, rec *samplefile.Record) {
			if rec.Arm == 1 && rec.Iteration == 2000 {
				rec.Outcome.AgentHeaders, rec.Outcome.Peer = 1, "127.0.0.1"
			}
		}
	})
	refused := must(t, compare.Options{A: []string{a.Path}, B: []string{forged.Path}})
	if refused.Summary.Verdict != summary.Refused || len(refused.Summary.Differences) != 0 || analysis.Code(&refused.Summary) != fail.Refused {
		t.Errorf("a forged run: verdict %q, %d differences", refused.Summary.Verdict, len(refused.Summary.Differences))
	}
	short := recorded(t, 5, 150, func(r *sim.Recording) { r.Plan.Replicates = 1 })
	if one := must(t, compare.Options{A: []string{short.Path}, B: []string{a.Path}}); one.Summary.Verdict != summary.CannotTell {
		t.Errorf("one replicate: verdict %q", one.Summary.Verdict)
	}
}

func TestASampleFileIsAResultFileToo(t *testing.T) {
	d := recorded(t, 1, 170, nil)
	path := filepath.Join(d.Path, "replicates", "01", "samples.hop")
	r := must(t, compare.Options{A: []string{path}, By: "arm", Values: []string{"agent", "bypass"}})
	if got := find(t, &r.Summary, "agent - bypass", 0.5); math.Abs(got.EstimateUs-170) > 20 {
		t.Errorf("got %.1f; want about 170", got.EstimateUs)
	}
	if n := r.Summary.Arms[0].Requests + r.Summary.Arms[1].Requests; n < 3000 || n > 3700 {
		t.Errorf("%d requests; want two thirds of 5000, without the warm-up", n)
	}
}

func TestErrorsNameFileAndLine(t *testing.T) {
	good := ndjson(mixed.requests(1))
	csvData := csvOf(mixed.requests(1), seconds)
	d := recorded(t, 1, 170, nil)
	for _, c := range []struct {
		name string
		o    compare.Options
		want string
	}{
		{"nothing", compare.Options{}, "no file"},
		{"one file", compare.Options{A: []string{"x"}}, "only one file"},
		{"two and by", compare.Options{A: []string{"x"}, B: []string{"y"}, By: "arm"}, "two sides"},
		{"missing", compare.Options{A: []string{"/nonexistent/a"}, B: []string{"y"}}, "cannot read /nonexistent/a"},
		{"empty", compare.Options{A: []string{file(t, "e.json", nil)}, B: []string{"y"}}, "is empty"},
		{"no result file", compare.Options{A: []string{file(t, "e.txt", []byte("hello world"))}, B: []string{"y"}}, "no result file"},
		{"garbled", compare.Options{A: []string{file(t, "g.json", append(append([]byte{}, good[:1000]...),
			good[1500:]...))}, By: "arm"}, "line 7: not a line of k6's JSON output"},
		{"csv value", compare.Options{A: []string{file(t, "v.csv", bytes.Replace(csvData,
			[]byte("http_req_duration,1795233600,0."), []byte("http_req_duration,1795233600,x."), 1))}, By: "arm"}, "line 3"},
		{"csv without columns", compare.Options{A: []string{file(t, "h.csv", []byte("metric_name,foo\n"))}, By: "arm"}, "line 1"},
		{"csv row", compare.Options{A: []string{file(t, "r.csv", append(append(bytes.Clone(csvData),
			"http_reqs,1\n"...), csvData[70:]...))}, By: "arm"}, "wrong number of fields"},
		{"csv open quote", compare.Options{A: []string{file(t, "q.csv", append(append(bytes.Clone(csvData), '"'),
			bytes.Repeat(csvData, 60)...))}, By: "arm"}, "quote"},
		{"unknown tag", compare.Options{A: []string{file(t, "ok.json", good)}, By: "nope"}, `no request has a tag "nope"`},
		{"unknown metric", compare.Options{A: []string{file(t, "ok.json", good)}, By: "arm", Metric: "nope"}, "holds no nope"},
		{"budget", compare.Options{A: []string{file(t, "ok.json", good)}, By: "arm", Budgets: []string{"p99 < 1"}}, "budget"},
		{"run and file", compare.Options{A: []string{d.Path}, B: []string{file(t, "ok.json", good)}},
			"is a run directory and another is not"},
		{"run by tag", compare.Options{A: []string{d.Path}, By: "arm"}, "is a run directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compare.Run(c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v; want an error with %q", err, c.want)
			}
			if fail.CodeOf(err) != fail.Usage {
				t.Errorf("exit code %d; want %d", fail.CodeOf(err), fail.Usage)
			}
		})
	}
}

func TestAClockThatJumpsDoesNotHang(t *testing.T) {
	rs := mixed.requests(1)
	rs[5000].at = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
	rs[6000].at = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	r := must(t, compare.Options{A: []string{file(t, "jump.json", ndjson(rs))}, By: "arm"})
	if n := r.Summary.Arms[0].Requests + r.Summary.Arms[1].Requests; n != int64(len(rs)) {
		t.Errorf("%d requests counted; want all %d", n, len(rs))
	}
	if d := find(t, &r.Summary, "fast - slow", 0.5); d.Level == 0 || d.LowUs > -120 || d.HighUs < -120 {
		t.Errorf("got [%v, %v] at level %v; want -120 inside", d.LowUs, d.HighUs, d.Level)
	}
}

// A value that appears late must not be lost, nor must a tag that is missing on
// some requests end the comparison.
func TestAValueThatComesLate(t *testing.T) {
	late := traffic{seconds: 120, rate: 400, arm: func(i int, rng *rand.Rand) string {
		if i > 30_000 {
			return []string{"a", "b", "c"}[rng.IntN(3)]
		}
		return []string{"a", "b", ""}[rng.IntN(3)]
	}}
	path := file(t, "late.json", ndjson(late.requests(1)))
	r := must(t, compare.Options{A: []string{path}, By: "arm"})
	if len(r.Summary.Arms) != 3 || r.Summary.Arms[2].Name != "c" || r.Summary.Arms[2].Requests < 5000 {
		t.Errorf("arms %+v; want a, b and c", r.Summary.Arms)
	}
	only := traffic{seconds: 120, rate: 400, arm: func(i int, _ *rand.Rand) string { return []string{"a", "b"}[i/24_000] }}
	r = must(t, compare.Options{A: []string{file(t, "only.json", ndjson(only.requests(1)))}, By: "arm"})
	if len(r.Summary.Arms) != 2 {
		t.Errorf("arms %+v; want a and b", r.Summary.Arms)
	}
}
