package awsrun_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// TestMain lets the test binary stand in for the processes that are started here:
// a node of the lab, the program of a load task, and hoplab itself.
func TestMain(m *testing.M) {
	labtest.Node()
	awsrun.SetPace(quick)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "hoplab":
			os.Exit(cli.Main(os.Args[2:], strings.NewReader(""), os.Stdout, os.Stderr))
		case programCommand:
			os.Exit(asProgram(os.Args[2:]))
		}
	}
	code := m.Run()
	if err := uninstall(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// quick is the pace of these tests: the account's shortest period, and a patience
// that a busy machine does not exhaust.
var quick = awsrun.Pace{Poll: 30 * time.Millisecond, Period: time.Second, Settle: 300 * time.Millisecond,
	Metrics: 15 * time.Second, Start: 30 * time.Second, Over: 30 * time.Second}

// impatient is quick with less patience, for the rest of the test.
func impatient(t *testing.T, change func(*awsrun.Pace)) {
	t.Helper()
	p := quick
	change(&p)
	awsrun.SetPace(p)
	t.Cleanup(func() { awsrun.SetPace(quick) })
}

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
	return append([]string{"run", "--target", "aws", "--yes", "--out", dir, "--seed", "7", "--replicates", "2", "--rate", "200",
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

// done fails the test unless the run came to its end, with a verdict or, on a busy
// machine, none.
func (a answer) done() {
	a.t.Helper()
	if a.code != fail.OK && a.code != fail.CannotTell {
		a.t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
}

func TestRunMeasuresBothArms(t *testing.T) {
	d := newDeployment(t)
	dir := filepath.Join(t.TempDir(), "first")
	a := hoplab(t, dir, runArgs(dir, "--account", account)...)
	a.done()
	a.want(a.code, "account "+account, "region "+region, "beyond the stacks themselves", "load task sends the load")
	s := a.summary()
	if s.Target != "aws" || s.Partial != nil || len(s.Contradictions) > 0 {
		t.Errorf("got target %q, partial %v, contradictions %v", s.Target, s.Partial, s.Contradictions)
	}
	for _, arm := range s.Arms {
		hops := map[string]string{"agent": "1", "bypass": "0", "bypass-twin": "0"}[arm.Name]
		if arm.Requests == 0 || arm.Evidence.AgentHops[hops] != arm.Requests || !strings.Contains(strings.Join(arm.Evidence.By, ","), "CloudWatch") {
			t.Errorf("arm %s: %d requests, evidence %+v", arm.Name, arm.Requests, arm.Evidence)
		}
	}
	for i := 1; i <= 2; i++ {
		metricsInBounds(t, filepath.Join(dir, "replicates", fmt.Sprintf("%02d", i), "evidence.json"))
	}
	d.nothingLeft(t)
	if n := d.programs.of("first"); n != 2 {
		t.Errorf("%d load tasks; want a fresh one for each of 2 replicates", n)
	}
	t.Run("rendered again", func(t *testing.T) { renderedAgain(t, dir) })
}

// metricsInBounds reads the metrics of a replicate in which both arms were
// measured through the load balancer.
func metricsInBounds(t *testing.T, path string) {
	t.Helper()
	var ev struct {
		CloudWatch []struct {
			Low, High, Sum float64
			Settled        bool
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &ev); err != nil {
		t.Fatal(err)
	}
	if len(ev.CloudWatch) != 4 {
		t.Errorf("%s has %d metrics; want the agents' and the load balancer's of both services", path, len(ev.CloudWatch))
	}
	for _, m := range ev.CloudWatch {
		if !m.Settled || m.Sum < m.Low || m.Sum > m.High {
			t.Errorf("%s: %+v", path, m)
		}
	}
}

// renderedAgain renders the report from the directory alone.
func renderedAgain(t *testing.T, dir string) {
	before, _ := os.ReadFile(filepath.Join(dir, "report.html"))
	for _, method := range []string{"sent its load from a fresh task", "under another name and on the same tasks"} {
		if !bytes.Contains(before, []byte(method)) {
			t.Errorf("the page does not say how it was done in AWS: %q", method)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	hoplab(t, dir, "report", dir).done()
	if after, _ := os.ReadFile(filepath.Join(dir, "report.html")); !bytes.Equal(before, after) {
		t.Error("the page differs when it is rendered again")
	}
}

// TestResumeOfTwo: who resumes a run that another process carries out is refused.
func TestResumeOfTwo(t *testing.T) {
	d := newDeployment(t)
	d.does(func(*loadTask) int { return 7 })
	dir := filepath.Join(t.TempDir(), "twice")
	hoplab(t, dir, runArgs(dir)...).want(fail.Environment, "exit code 7")
	r, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := r.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	hoplab(t, dir, "run", "--yes", "--resume", dir).want(fail.Usage, "is being written by process ")
	if n := d.programs.of("twice"); n != 1 {
		t.Errorf("%d load tasks; want that of the first run", n)
	}
}

// TestMetricsThatContradictTheHeadersRefuseTheRun: somebody else's requests are in
// the metrics and in no sample.
func TestMetricsThatContradictTheHeadersRefuseTheRun(t *testing.T) {
	d := newDeployment(t)
	const others = 60 // more than what health checks may come to
	for _, c := range []struct {
		name string
		call func(*loadTask)
		want string
	}{
		{"the agent of the bypass arm has counted",
			func(*loadTask) { d.call(t, "client-service", d.outputs["BypassEndpoint"], others) }, "DiscoveryName app-bypass"},
		{"the load balancer has counted too much", func(k *loadTask) {
			client := k.client()
			defer client.CloseIdleConnections()
			for range others {
				if _, err := exchange(client, d.outputs["BypassAlbUrl"]); err != nil {
					t.Error(err)
				}
			}
		}, "TargetGroup " + d.outputs["BypassTargetGroupFullName"]},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.does(func(k *loadTask) int {
				c.call(k)
				return k.send()
			})
			dir := filepath.Join(t.TempDir(), "run")
			a := hoplab(t, dir, runArgs(dir, "--replicates", "1")...)
			a.want(fail.Refused, "CloudWatch contradicts the samples of replicate 1", c.want)
			d.nothingLeft(t)
			hoplab(t, dir, "report", dir).want(fail.Refused, c.want)
		})
	}
}

// TestAccountIsPinned: with --account nothing but the caller's identity is asked
// of another account.
func TestAccountIsPinned(t *testing.T) {
	d := newDeployment(t)
	dir := filepath.Join(t.TempDir(), "pinned")
	hoplab(t, dir, runArgs(dir, "--account", "999999999999")...).
		want(fail.Usage, "--account asks for 999999999999", "of account "+account)
	if n := d.count("query:GetCallerIdentity"); n != 1 || len(d.ops) != 1 {
		t.Errorf("calls %v; want who it is, once, and no other", d.ops)
	}
}
