package awsrun_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// labDeployment is the lab behind the fake AWS: the golden template of both arms,
// running, with the program of the load image and k6 to call it.
type labDeployment struct {
	lab    *lab.Lab
	routes map[string]experiment.Route
	entry  string
	k6     k6.Binary
}

func deploy(t *testing.T) *labDeployment {
	t.Helper()
	layer.Full(t, "starts the lab and builds k6, which takes a minute at first")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	r, err := repo.Find()
	must(err)
	d := &labDeployment{entry: filepath.Join(t.TempDir(), "entry")}
	d.k6, err = k6.Build(ctx, r, io.Discard)
	must(err)
	app, err := r.BuildService(ctx, io.Discard)
	must(err)
	if out, err := exec.Command("go", "build", "-o", d.entry, "github.com/hoplab/hoplab/loadtest/entry").CombinedOutput(); err != nil {
		t.Fatalf("building the load program: %v\n%s", err, out)
	}
	top, err := source.Load(ctx, []string{r.Path("stacks", "testdata", "golden", "both")}, source.Options{})
	must(err)
	self, err := os.Executable()
	must(err)
	d.routes, err = experiment.Routes(top)
	must(err)
	d.lab, err = lab.Start(ctx, lab.Options{Topology: top, Fabric: "loopback", App: lab.App{Command: []string{app}},
		Dir: t.TempDir(), Scale: 1, Seed: 1, Node: []string{self, "node"}})
	must(err)
	t.Cleanup(func() {
		if err := d.lab.Close(); err != nil {
			t.Error(err)
		}
	})
	healthy, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	must(d.lab.WaitHealthy(healthy))
	return d
}

// url is where an arm is called in the lab.
func (d *labDeployment) url(t *testing.T, arm string) string {
	t.Helper()
	r := d.routes[arm]
	raw, err := d.lab.LoadBalancerURL(r.LoadBalancer, r.Port)
	if err != nil {
		t.Fatal(err)
	}
	dial, err := d.lab.DialInfo(lab.Caller{}, raw)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(dial.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = dial.Dial
	return u.String()
}

// behind puts the deployment behind the fake AWS: its URLs into the stacks'
// outputs, its counters into CloudWatch, the real load program into the tasks.
func (d *labDeployment) behind(t *testing.T, f *fakeAWS) {
	app := f.stacks["hoplab-app"]
	app["AgentAlbUrl"], app["BypassAlbUrl"] = d.url(t, plan.ArmAgent), d.url(t, plan.ArmBypass)
	f.does(func(k *fakeTask) int { return d.runTask(f, k) })
	awsrun.SetPace(awsrun.Pace{Poll: 50 * time.Millisecond, Period: time.Second, Settle: 500 * time.Millisecond,
		Metrics: 3 * time.Second, Start: 30 * time.Second, Over: 60 * time.Second})
	t.Cleanup(func() { awsrun.SetPace(fast) })
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { d.watch(ctx, f) })
	t.Cleanup(func() { cancel(); watching.Wait() })
}

// watch turns the lab's counters into CloudWatch's metrics. What came between
// two readings counts for the time half-way, so that a machine that stalls for
// a second does not move requests into another replicate's period.
func (d *labDeployment) watch(ctx context.Context, f *fakeAWS) {
	last, since := d.counters(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
		now, at := d.counters(), time.Now()
		for k, n := range now {
			f.count(k, n-last[k], since.Add(at.Sub(since)/2))
		}
		last, since = now, at
	}
}

func (d *labDeployment) counters() map[string]float64 {
	out := map[string]float64{}
	st := d.lab.Status()
	for _, arm := range []string{plan.ArmAgent, plan.ArmBypass} {
		r := d.routes[arm]
		if s := st.Service(r.Service, ""); s != nil {
			for _, task := range s.Tasks {
				if task.Agent == nil {
					continue
				}
				for _, e := range task.Agent.Ingress {
					out[agentSeries("app-"+arm, "app-"+arm)] += float64(e.Requests)
				}
			}
		}
		for _, lb := range st.LoadBalancers {
			for _, l := range lb.Listeners {
				if int(l.Port) == r.Port {
					out[albSeries("targetgroup/"+arm+"/1")] += float64(l.Requests)
				}
			}
		}
	}
	return out
}

// runTask runs the load image's program as ECS would run its container.
func (d *labDeployment) runTask(f *fakeAWS, t *fakeTask) int {
	cmd := exec.Command(d.entry, t.command...)
	cmd.Env = append(os.Environ(), "HOPLAB_BUCKET="+bucket, "HOPLAB_PREFIX=runs/", "HOPLAB_K6="+d.k6.Path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Error(err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		f.t.Error(err)
		return 1
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-t.stop:
			_ = cmd.Process.Signal(syscall.SIGTERM)
		case <-ended:
		}
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f.logLine(t, lines.Text())
	}
	err = cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// TestEndToEnd runs the whole of it: the command, the SDK over HTTP, the load
// image's own program with k6, the lab in the place of the deployed stacks, and
// metrics from the lab's agents.
func TestEndToEnd(t *testing.T) {
	d := deploy(t)
	t.Run("evidence agrees", d.agrees)
	t.Run("metrics contradict", d.contradicts)
	if endpoint, ok := motoServer(t); ok {
		t.Run("samples in moto", func(t *testing.T) { d.withMoto(t, endpoint) })
	}
}

func (d *labDeployment) agrees(t *testing.T) {
	f := newFakeAWS(t)
	d.behind(t, f)
	dir := filepath.Join(t.TempDir(), "deployed")
	// A busy machine may rightly say that it cannot tell; it may not refuse.
	a := hoplab(t, dir, "run", "--target", "aws", "--yes", "--out", dir, "--seed", "7", "--replicates", "3", "--rate", "100", "--duration", "2s", "--warmup", "500ms", "--window", "500ms")
	if a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	s := a.summary()
	if s.Partial != nil || len(s.Contradictions) > 0 {
		t.Errorf("partial %v, contradictions %v", s.Partial, s.Contradictions)
	}
	for _, arm := range s.Arms {
		hops := map[string]string{"agent": "1", "bypass": "0", "bypass-twin": "0"}[arm.Name]
		if arm.Requests == 0 || arm.Evidence.AgentHops[hops] != arm.Requests-arm.Failed || arm.Evidence.Missing > 0 {
			t.Errorf("arm %s: %d requests, %d failed, proof %+v", arm.Name, arm.Requests, arm.Failed, arm.Evidence)
		}
	}
	for i := 1; i <= 3; i++ {
		var ev struct {
			CloudWatch []struct {
				Low, High, Sum float64
				Settled        bool
			}
		}
		data, err := os.ReadFile(filepath.Join(dir, "replicates", "0"+string(rune('0'+i)), "evidence.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &ev); err != nil {
			t.Fatal(err)
		}
		if len(ev.CloudWatch) != 4 {
			t.Errorf("replicate %d has %d metrics; want the agents' and the load balancer's of both services", i, len(ev.CloudWatch))
		}
		for _, m := range ev.CloudWatch {
			if !m.Settled || m.Sum < m.Low || m.Sum > m.High {
				t.Errorf("replicate %d: %+v", i, m)
			}
		}
	}
	if !strings.Contains(a.err, "load task sends the load") {
		t.Errorf("no progress from the task's log:\n%s", a.err)
	}
	f.nothingLeft(t)
}

// contradicts lets the agents' metrics change places: they contradict the
// headers that every response carried.
func (d *labDeployment) contradicts(t *testing.T) {
	f := newFakeAWS(t)
	agent, bypass := agentSeries("app-agent", "app-agent"), agentSeries("app-bypass", "app-bypass")
	f.alias = map[string]string{agent: bypass, bypass: agent}
	d.behind(t, f)
	dir := filepath.Join(t.TempDir(), "contradicted")
	hoplab(t, dir, "run", "--target", "aws", "--yes", "--out", dir, "--seed", "7", "--replicates", "1", "--rate", "100", "--duration", "1s", "--warmup", "200ms", "--window", "500ms").
		want(fail.Refused, "CloudWatch contradicts the samples")
	f.nothingLeft(t)
}
