package awsrun_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary stand in for `hoplab node`, which the lab
// starts, and for hoplab itself.
func TestMain(m *testing.M) {
	labtest.Node()
	awsrun.SetPace(fast)
	if len(os.Args) > 1 && os.Args[1] == "hoplab" {
		os.Exit(asHoplab(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// fast is the pace of tests whose load tasks compute their samples. Their
// records end at once, so a period may be short.
var fast = awsrun.Pace{Poll: 10 * time.Millisecond, Period: 100 * time.Millisecond, Settle: 50 * time.Millisecond,
	Metrics: 500 * time.Millisecond, Start: 2 * time.Second, Over: time.Second}

// answer is what one command left.
type answer struct {
	code     fail.Code
	out, err string
	dir      string
	t        *testing.T
}

// hoplab calls the command in this process.
func hoplab(t *testing.T, dir string, args ...string) answer {
	t.Helper()
	var out, err bytes.Buffer
	code := cli.Main(args, strings.NewReader(""), &out, &err)
	return answer{fail.Code(code), out.String(), err.String(), dir, t}
}

// runArgs is a short run with both arms.
func runArgs(dir string, more ...string) []string {
	return append([]string{"run", "--target", "aws", "--yes", "--out", dir, "--seed", "7", "--replicates", "3", "--rate", "200",
		"--duration", "1s", "--warmup", "200ms", "--window", "500ms"}, more...)
}

func (a answer) want(code fail.Code, texts ...string) {
	a.t.Helper()
	if a.code != code {
		a.t.Fatalf("exit code %d; want %d\n%s\n%s", a.code, code, a.out, a.err)
	}
	if i := strings.Index(a.err, "hoplab run: "); i >= 0 {
		a.t.Logf("exit code %d\n%s", a.code, a.err[i:]) // with -v, what a user reads
	}
	for _, s := range texts {
		if !strings.Contains(a.out+a.err, s) {
			a.t.Errorf("the output lacks %q:\n%s\n%s", s, a.out, a.err)
		}
	}
}

func (a answer) summary() summary.Summary {
	a.t.Helper()
	var s summary.Summary
	data, err := os.ReadFile(filepath.Join(a.dir, "summary.json"))
	if err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		a.t.Fatal(err)
	}
	return s
}

// nothingLeft fails when a load task or an execution still runs, or the client service is not
// back at no tasks.
func (f *fakeAWS) nothingLeft(t *testing.T) {
	t.Helper()
	if left := f.running(); len(left) > 0 {
		t.Errorf("load tasks are left: %v", left)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.services[meshName].desired; n != 0 {
		t.Errorf("the client service is left at %d tasks", n)
	}
}

func TestRunMeasuresBothArms(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	dir := filepath.Join(t.TempDir(), "first")
	a := hoplab(t, dir, runArgs(dir)...)
	a.want(fail.OK, "account "+account, "region "+region, "beyond the stacks themselves")
	s := a.summary()
	if s.Target != "aws" || s.Partial != nil || len(s.Contradictions) > 0 {
		t.Errorf("got target %q, partial %v, contradictions %v", s.Target, s.Partial, s.Contradictions)
	}
	for _, arm := range s.Arms {
		if arm.Requests == 0 || !strings.Contains(strings.Join(arm.Evidence.By, ","), "CloudWatch") {
			t.Errorf("arm %s: %d requests, evidence %v", arm.Name, arm.Requests, arm.Evidence.By)
		}
	}
	f.nothingLeft(t)
	if n := len(f.of("first")); n != 3 {
		t.Errorf("%d load tasks; want a fresh one for each of 3 replicates", n)
	}
	// The report is rendered again from the directory alone.
	before, _ := os.ReadFile(filepath.Join(dir, "report.html"))
	for _, method := range []string{"sent its load from a fresh task", "under another name and on the same tasks"} {
		if !bytes.Contains(before, []byte(method)) {
			t.Errorf("the page does not say how it was done in AWS: %q", method)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	hoplab(t, dir, "report", dir).want(fail.OK)
	if after, _ := os.ReadFile(filepath.Join(dir, "report.html")); !bytes.Equal(before, after) {
		t.Error("the page differs when it is rendered again")
	}
}

func TestMetricsThatContradictTheHeadersRefuseTheRun(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	for _, c := range []struct{ name, key, want string }{
		{"the agent of the bypass arm has counted", agentSeries("app-bypass", "app-bypass"), "DiscoveryName app-bypass"},
		{"the agent has counted too much", agentSeries("app-agent", "app-agent"), "DiscoveryName app-agent"},
		{"the load balancer has counted too much", albSeries("targetgroup/agent/1"), "TargetGroup targetgroup/agent/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAWS(t)
			f.extra = map[string]float64{c.key: 40}
			dir := filepath.Join(t.TempDir(), "run")
			a := hoplab(t, dir, runArgs(dir, "--replicates", "1")...)
			a.want(fail.Refused, "CloudWatch contradicts the samples of replicate 1", c.want)
			f.nothingLeft(t)
			hoplab(t, dir, "report", dir).want(fail.Refused, c.want)
		})
	}
}
