package k6

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	hop "github.com/hoplab/hoplab/loadtest/samplefile"
)

// smaller is how many times smaller a sample file is at least than k6's JSON
// output of the same run at a constant rate: 3.2 kB a request against four to
// six bytes. A closed loop and a load generator that falls behind write two
// more, for the start of each request is then no longer near its plan.
const smaller = 500

func TestASampleFileIsManyTimesSmallerThanJSON(t *testing.T) {
	t.Parallel()
	r := newTarget(t, binary(t)).both(t, 800, 6)
	t.Log(r.sizes())
	if r.ratio() < smaller {
		t.Errorf("%.0f times smaller; want at least %d", r.ratio(), smaller)
	}
}

// BenchmarkRecording shows what recording every request costs: the files that
// both outputs write of one and the same run at 800 requests/s, then the
// throughput of a closed loop of 50 users without a pause, in random order in
// every round. "none" is plain k6 without any output, "JSON" is k6's own, and
// the two clients are those of hoplab with its sample file. An iteration is a
// round of 12 s:
//
//	go test -run '^$' -bench Recording -benchtime 9x ./internal/k6
func BenchmarkRecording(b *testing.B) {
	to := newTarget(b, binary(b))
	const seconds = 3
	same := to.both(b, 800, 10)
	ways := []struct {
		name, mode string
		outs       []string
	}{
		{"none", "plain", nil},
		{"JSON", "plain", []string{"json=samples.json"}},
		{"hoplab, client http", "http", []string{"hoplab=samples.hop"}},
		{"hoplab, client native", "native", []string{"hoplab=samples.hop"}},
	}
	rates, cpus := make([][]float64, len(ways)), make([][]float64, len(ways))
	change, bytes := make([][]float64, len(ways)), make([][]float64, len(ways))
	for b.Loop() {
		round := make([]float64, len(ways))
		for _, i := range rand.Perm(len(ways)) {
			r := to.closedLoop(b, seconds, ways[i].mode, ways[i].outs...)
			round[i] = r.requests / seconds
			bytes[i] = append(bytes[i], float64(r.json+r.samples)/r.requests)
			cpus[i] = append(cpus[i], 1e6*r.cpuS/r.requests)
		}
		for i := range ways {
			rates[i], change[i] = append(rates[i], round[i]), append(change[i], 100*(round[i]/round[0]-1))
		}
	}
	b.Logf("one run: %s", same.sizes())
	table := "| output | requests/s | beside none, by round | k6's CPU µs/request | bytes/request |\n| --- | ---: | ---: | ---: | ---: |\n"
	for i, w := range ways {
		slices.Sort(change[i])
		table += fmt.Sprintf("| %s | %.0f | %+.1f %% (%+.1f to %+.1f) | %.0f | %.1f |\n", w.name, middle(rates[i]), middle(change[i]), change[i][0], change[i][len(change[i])-1], middle(cpus[i]), middle(bytes[i]))
	}
	b.Logf("medians of %d rounds of %d s\n%s", len(rates[0]), seconds, table)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(same.ratio(), "times-smaller")
}

// target is a server that counts, and the k6 that sends to it.
type target struct {
	k6     Binary
	url    string
	served *atomic.Int64
}

func newTarget(t testing.TB, k6 Binary) *target {
	served := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "Hello World")
	}))
	t.Cleanup(s.Close)
	return &target{k6, s.URL, served}
}

// recorded is what one k6 did.
type recorded struct {
	requests      float64
	cpuS          float64
	json, samples int64 // bytes of each output's file; 0 without it
}

func (r *recorded) ratio() float64 { return float64(r.json) / float64(r.samples) }

func (r *recorded) sizes() string {
	return fmt.Sprintf("%.0f requests, JSON %.1f MB (%.0f bytes a request), samples %.1f kB (%.2f), %.0f times smaller",
		r.requests, float64(r.json)/1e6, float64(r.json)/r.requests, float64(r.samples)/1e3, float64(r.samples)/r.requests, r.ratio())
}

// both runs hoplab's own script at a constant rate with both outputs at once.
// The script asks k6 for no tags of its own; here they are those that k6 adds
// by default, as in anybody's JSON.
func (to *target) both(t testing.TB, rate float64, seconds int) recorded {
	t.Helper()
	dir := t.TempDir()
	l := load(to.url, to.url)
	l.Client, l.RatePerS, l.WarmupS, l.DurationS, l.Out = hop.ClientHTTP, rate, 0, float64(seconds), "samples.hop"
	args, err := prepare(dir, l)
	if err != nil {
		t.Fatal(err)
	}
	script := args[len(args)-1]
	return to.run(t, dir, append(args[:len(args)-1], "--out", "json=samples.json", "--system-tags", defaultTags, script))
}

// defaultTags are the system tags that k6 v1 adds unless told otherwise.
const defaultTags = "proto,subproto,status,method,url,name,group,check,error,error_code,tls_version,scenario,service,expected_response"

// closedLoop has 50 users send without a pause.
func (to *target) closedLoop(t testing.TB, seconds int, mode string, outs ...string) recorded {
	t.Helper()
	dir := t.TempDir()
	l := load(to.url, to.url)
	l.Design, l.RatePerS, l.WarmupS, l.DurationS, l.VUs = hop.DesignArticle, 0, 0, float64(seconds), 50
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "load.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join("testdata", "throughput.js"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--quiet", "--no-usage-report", "--summary-mode=disabled", "--no-thresholds", "--address", ""}
	for _, out := range outs {
		args = append(args, "--out", out)
	}
	return to.run(t, dir, append(args, script), "MODE="+mode, "URL="+to.url, "SECONDS="+strconv.Itoa(seconds))
}

// run starts k6 in dir, which holds load.json, and weighs what it left.
func (to *target) run(t testing.TB, dir string, args []string, env ...string) recorded {
	t.Helper()
	cmd := exec.Command(to.k6.Path, args...)
	cmd.Dir = dir
	cmd.Env = append(append(environment(os.Environ(), dir), "GOGC=400", "HOPLAB_LOAD="+filepath.Join(dir, "load.json")), env...)
	before := to.served.Load()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := recorded{requests: float64(to.served.Load() - before), cpuS: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	for name, size := range map[string]*int64{"samples.json": &r.json, "samples.hop": &r.samples} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		*size = info.Size()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func middle(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2
}
