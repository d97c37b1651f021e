package compare_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
)

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

// An error names what left nothing over.
func TestNothingIsLeft(t *testing.T) {
	in := file(t, "a.json", ndjson(mixed.requests(1)[:200]))
	where := func(text string) []compare.Filter {
		f, err := compare.ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		return []compare.Filter{f}
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		o    compare.Options
		want string
	}{
		"a filter": {compare.Options{A: []string{in}, By: "arm", Where: where("status=500")}, "--where leaves nothing of it"},
		"a filter and values": {compare.Options{A: []string{in}, By: "arm", Values: []string{"x", "y"}, Where: where("status=200")},
			"--where and --values leave nothing"},
		"no such tag":   {compare.Options{A: []string{in}, By: "colour", Where: where("status=200")}, `no request has a tag "colour"`},
		"no such value": {compare.Options{A: []string{in}, By: "arm", Values: []string{"x", "y"}}, "no request has arm = x or y"},
		"a directory":   {compare.Options{A: []string{dir}, B: []string{in}}, "is a directory without a plan.json"},
	} {
		if _, err := compare.Run(c.o); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), c.want) || fail.HintOf(err) == "" {
			t.Errorf("%s: %v, hint %q; want %q", name, err, fail.HintOf(err), c.want)
		}
	}
}
