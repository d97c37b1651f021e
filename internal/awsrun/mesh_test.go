package awsrun_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// TestMeshRunsInTheClientService: the load goes to a task of the service, which
// is back at no tasks and its own definition after each replicate.
func TestMeshRunsInTheClientService(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	dir := filepath.Join(t.TempDir(), "mesh")
	a := hoplab(t, dir, runArgs(dir, "--arms", "agent,mesh", "--no-aa", "--replicates", "2")...)
	if a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	for _, arm := range a.summary().Arms {
		want := map[string]string{"agent": "1", "mesh": "2"}[arm.Name]
		if arm.Evidence.AgentHops[want] != arm.Requests || arm.Requests == 0 {
			t.Errorf("arm %s: %d requests, proof %+v; want %s agent hops", arm.Name, arm.Requests, arm.Evidence, want)
		}
	}
	f.nothingLeft(t)
	if got := f.services[meshName].definition; got != arnPrefix+"task-definition/LoadMesh:3" {
		t.Errorf("the service is left with %s", got)
	}
	if len(f.taskDefs) != 2 {
		t.Errorf("%d task definitions; want the 2 of the stacks", len(f.taskDefs))
	}
	if n := f.ops["ecs:RunTask"]; n != 0 {
		t.Errorf("%d standalone tasks were started", n)
	}
}

func TestAServiceInUseIsRefused(t *testing.T) {
	f := newFakeAWS(t)
	f.set(func() { f.services[meshName].desired = 1 })
	dir := filepath.Join(t.TempDir(), "second")
	hoplab(t, dir, runArgs(dir, "--arms", "agent,mesh", "--no-aa")...).
		want(fail.Usage, "service "+meshName+" has a desired count of 1, which this run did not set", "aws ecs update-service --region "+region+" --cluster "+cluster+" --service "+meshName+" --desired-count 0")
	if n := len(f.of("second")); n != 0 {
		t.Errorf("%d tasks were started", n)
	}
}

func TestMeshThatFailsIsScaledBack(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	f.does(func(k *fakeTask) int {
		l, _ := samplefile.ParseLoad([]byte(k.command[0]))
		if l.Replicate == 1 {
			return f.synthesize(k)
		}
		f.logLine(k, `{"level":"ERROR","msg":"failed","error":"k6 died"}`)
		f.holdOn(k)
		return 5
	})
	dir := filepath.Join(t.TempDir(), "mesh")
	hoplab(t, dir, runArgs(dir, "--arms", "agent,mesh", "--no-aa", "--replicates", "2")...).want(fail.Environment, "the load task failed: k6 died")
	f.healAndResume(t, dir)
}

func TestRestartAppReplacesTasks(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	dir := filepath.Join(t.TempDir(), "fresh")
	a := hoplab(t, dir, runArgs(dir, "--restart-app", "--replicates", "2")...)
	if a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	for _, name := range []string{"app-agent", "app-bypass"} {
		if n := f.services[name].restarts; n != 2 {
			t.Errorf("%s was restarted %d times; want once for each of 2 replicates", name, n)
		}
	}
	if !strings.Contains(a.err, "restarting app-agent") {
		t.Errorf("no progress:\n%s", a.err)
	}
}

// TestAccountIsPinned: with --account nothing but the caller's identity is asked
// of another account.
func TestAccountIsPinned(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	newFakeAWS(t)
	dir := filepath.Join(t.TempDir(), "pinned")
	a := hoplab(t, dir, runArgs(dir, "--account", "999999999999", "--replicates", "1")...)
	a.want(fail.Usage, "--account asks for 999999999999")
	if strings.Contains(a.err, "looking at the stacks") {
		t.Errorf("it went on:\n%s", a.err)
	}
	_, right, ok := strings.Cut(a.err, "of account ")
	if !ok || len(right) < 12 {
		t.Fatalf("the error names no account:\n%s", a.err)
	}
	if a = hoplab(t, dir, runArgs(dir, "--account", right[:12], "--replicates", "2")...); a.code != fail.OK && a.code != fail.CannotTell {
		t.Errorf("with the account of the credentials: exit code %d\n%s", a.code, a.err)
	}
}

// TestResumeOfTwo: who resumes a run that another process carries out is refused.
func TestResumeOfTwo(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	newFakeAWS(t)
	dir := filepath.Join(t.TempDir(), "twice")
	if a := hoplab(t, dir, runArgs(dir, "--replicates", "2")...); a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s", a.code, a.err)
	}
	d, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	a := hoplab(t, dir, "run", "--yes", "--resume", dir)
	a.want(fail.Usage, "is being written by process ")
}
