package awsrun_test

import (
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// TestRefusalsBeforeTheStart: nothing is started on what cannot work.
func TestRefusalsBeforeTheStart(t *testing.T) {
	layer.Full(t, "waits for a run's periods")
	answerWith := func(op string, status int, code, message string) func(*fakeAWS) {
		return func(f *fakeAWS) {
			f.intercept = func(got string, _ int, w http.ResponseWriter) bool {
				if got == op {
					fault(w, op, status, code, message)
				}
				return got == op
			}
		}
	}
	for _, c := range []struct {
		name  string
		with  func(*fakeAWS)
		args  []string
		code  fail.Code
		wants []string
	}{
		{"no credentials", func(*fakeAWS) { os.Unsetenv("AWS_ACCESS_KEY_ID"); os.Unsetenv("AWS_SECRET_ACCESS_KEY") }, nil,
			fail.Environment, []string{"there are no AWS credentials", "aws sso login"}},
		{"expired credentials",
			answerWith("query:GetCallerIdentity", 403, "ExpiredToken", "The security token included in the request is expired"),
			nil, fail.Environment, []string{"credentials have expired", "log in again"}},
		{"wrong keys", answerWith("query:GetCallerIdentity", 403, "InvalidClientTokenId", "The security token is invalid"),
			nil, fail.Environment, []string{"AWS does not accept the credentials"}},
		{"no region", func(*fakeAWS) { os.Unsetenv("AWS_REGION") }, nil, fail.Environment, []string{"no AWS region is set", "set AWS_REGION"}},
		{"wrong region", func(f *fakeAWS) { os.Setenv("AWS_REGION", "ap-south-1"); f.stacks = nil }, nil, fail.Usage,
			[]string{"there is no stack hoplab-app in ap-south-1", "AWS_REGION"}},
		{"no Load stack", func(f *fakeAWS) { delete(f.stacks, "hoplab-load") }, nil, fail.Usage,
			[]string{"there is no stack hoplab-load", "cdk deploy"}},
		{"nobody answers", func(*fakeAWS) { os.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") }, nil, fail.Environment,
			[]string{"no answer from 127.0.0.1:1: connection refused", "AWS_ENDPOINT_URL"}},
		{"denied", answerWith("ecs:DescribeServices", 400, "AccessDeniedException", "not authorized"), nil, fail.Environment,
			[]string{"AWS denies it", "docs/aws-policy.json"}},
		{"throttled", answerWith("ecs:DescribeServices", 400, "ThrottlingException", "Rate exceeded"), nil, fail.Environment,
			[]string{"AWS throttles the calls"}},
		{"another port mode", func(f *fakeAWS) { f.services["app-bypass"].override = 0 }, nil, fail.Usage,
			[]string{"service app-bypass is arm bypass", "ingressPortOverride (none)"}},
		{"another image than deployed", func(f *fakeAWS) { f.services["app-agent"].image = "other:1" }, nil, fail.Usage,
			[]string{"service app-agent runs image other:1"}},
		{"different images", func(f *fakeAWS) { f.services["app-agent"].digest = "sha256:9" }, nil, fail.Usage,
			[]string{"differ in more than the port mode: image sha256:9 and sha256:0123"}},
		{"an arm that is not there", func(f *fakeAWS) { delete(f.stacks["hoplab-app"], "BypassAlbUrl") }, nil, fail.Usage,
			[]string{`the plan wants arm "bypass"`, "arms=both"}},
		{"direct", nil, []string{"--arms", "agent,direct"}, fail.Usage, []string{`the plan wants arm "direct"`}},
		{"more generators than deployed", nil, []string{"--generators", "50"}, fail.Usage, []string{"deployed for 20", "generators=50"}},
		{"a flag of the lab", nil, []string{"--inject", "app=1ms"}, fail.Usage, []string{"--inject is for the lab"}},
		{"no terminal to ask on", nil, []string{"--yes=false"}, fail.Usage, []string{"about $", "add --yes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAWS(t)
			if c.with != nil {
				c.with(f)
			}
			dir := filepath.Join(t.TempDir(), "run")
			a := hoplab(t, dir, runArgs(dir, c.args...)...)
			a.want(c.code, c.wants...)
			line := a.err[strings.Index(a.err, "hoplab run: "):]
			if n := strings.Count(line, "\n"); n != 2 {
				t.Errorf("the error takes %d lines; want one and its hint:\n%s", n, line)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a run directory was made")
			}
			if n := f.ops["ecs:RunTask"] + f.ops["states:StartExecution"]; n != 0 {
				t.Errorf("%d tasks were started", n)
			}
		})
	}
}

// TestFaultsInMidRun breaks the second replicate in every way: one clear line,
// no task left, the first replicate kept, and a run that --resume finishes.
func TestFaultsInMidRun(t *testing.T) {
	layer.Full(t, "waits for a run's periods")
	during := func(op string, status int, code, message string) func(*fakeAWS, *fakeTask) int {
		return func(f *fakeAWS, k *fakeTask) int {
			f.set(func() {
				f.intercept = func(got string, _ int, w http.ResponseWriter) bool {
					if got == op {
						fault(w, op, status, code, message)
					}
					return got == op
				}
			})
			return f.synthesize(k)
		}
	}
	stops := func(code, reason, container string, exit int) func(*fakeAWS, *fakeTask) int {
		return func(f *fakeAWS, k *fakeTask) int {
			f.set(func() { k.stopCode, k.reason, k.containerReason = code, reason, container })
			return exit
		}
	}
	for _, c := range []struct {
		name  string
		work  func(*fakeAWS, *fakeTask) int
		wants []string
	}{
		{"out of memory",
			stops("EssentialContainerExited", "Essential container in task exited", "OutOfMemoryError: Container killed due to memory usage", 137),
			[]string{"ran out of memory", "--generators"}},
		{"image pull",
			stops("TaskFailedToStart", "CannotPullContainerError: pull image manifest has been retried 5 time(s)", "", -1),
			[]string{"image could not be pulled"}},
		{"no capacity", stops("TaskFailedToStart", "Capacity is unavailable at this time. Please try again later", "", -1),
			[]string{"no capacity"}},
		{"resource initialization",
			stops("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets", "", -1),
			[]string{"could not start", "unable to pull secrets"}},
		{"exit code", stops("EssentialContainerExited", "Essential container in task exited", "", 2), []string{"exit code 2", "/hoplab/load"}},
		{"the program says why", func(f *fakeAWS, k *fakeTask) int {
			f.logLine(k, `{"level":"ERROR","msg":"failed","error":"s3://b/k: AccessDenied","hint":"the task role needs s3:PutObject"}`)
			return 5
		}, []string{"the load task failed: s3://b/k: AccessDenied", "the task role needs s3:PutObject"}},
		{"somebody stops it", func(f *fakeAWS, k *fakeTask) int { f.set(k.end); return -1 },
			[]string{"the load task was stopped (UserInitiated"}},
		{"never ends", func(f *fakeAWS, k *fakeTask) int { <-k.stop; return -1 }, []string{"has not ended", "/hoplab/load, stream load/load/t2"}},
		{"S3 denied", during("s3:GET", 403, "AccessDenied", "Access Denied"), []string{"fetching s3://" + bucket, "AWS denies it"}},
		{"no sample file", func(*fakeAWS, *fakeTask) int { return 0 }, []string{"there is no s3://"}},
		{"half a sample file", func(f *fakeAWS, k *fakeTask) int {
			l, _ := samplefile.ParseLoad([]byte(k.command[0]))
			whole := f.samples(&l, true)
			f.put(f.key(&l, "samples.hop"), whole[:len(whole)/2])
			return 0
		}, []string{"samples.hop", "the file ends before its trailer", "cut upload"}},
		{"credentials expire", during("ecs:DescribeTasks", 400, "ExpiredTokenException", "expired"), []string{"credentials have expired"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAWS(t)
			f.does(func(k *fakeTask) int {
				if l, err := samplefile.ParseLoad([]byte(k.command[0])); err == nil && l.Replicate == 2 {
					return c.work(f, k)
				}
				return f.synthesize(k)
			})
			dir := filepath.Join(t.TempDir(), "run")
			a := hoplab(t, dir, runArgs(dir, "--replicates", "2")...)
			a.want(fail.Environment, append(c.wants, "is partial: replicate 2: ", "--resume "+dir)...)
			f.healAndResume(t, dir)
		})
	}
}

// healAndResume takes the trouble away and finishes the run; the first
// replicate stays as it was.
func (f *fakeAWS) healAndResume(t *testing.T, dir string) {
	t.Helper()
	f.set(func() { f.intercept, f.neverStart = nil, false })
	f.nothingLeft(t)
	f.does(f.synthesize)
	first := filepath.Join(dir, "replicates", "01", "samples.hop")
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	a := hoplab(t, dir, "run", "--resume", dir, "--yes")
	if a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("resumed: exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	if a.summary().Partial != nil {
		t.Errorf("the resumed run is partial: %+v", a.summary().Partial)
	}
	if after, err := os.Stat(first); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the finished replicate was measured again")
	}
	f.nothingLeft(t)
}

func TestATaskThatNeverStarts(t *testing.T) {
	layer.Full(t, "waits for a run's periods")
	f := newFakeAWS(t)
	f.does(func(k *fakeTask) int {
		l, _ := samplefile.ParseLoad([]byte(k.command[0]))
		if l.Replicate == 1 {
			f.set(func() { f.neverStart = true })
			return f.synthesize(k)
		}
		<-k.stop
		return -1
	})
	dir := filepath.Join(t.TempDir(), "run")
	hoplab(t, dir, runArgs(dir, "--replicates", "2")...).want(fail.Environment, "did not start within", "PROVISIONING")
	f.healAndResume(t, dir)
}

func TestRunTaskGivesNoTask(t *testing.T) {
	f := newFakeAWS(t)
	f.intercept = func(op string, _ int, w http.ResponseWriter) bool {
		if op == "ecs:RunTask" {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = w.Write([]byte(`{"tasks":[],"failures":[{"reason":"Capacity is unavailable at this time"}]}`))
		}
		return op == "ecs:RunTask"
	}
	dir := filepath.Join(t.TempDir(), "run")
	hoplab(t, dir, runArgs(dir, "--replicates", "2")...).want(fail.Environment, "the load task was not started: Capacity is unavailable")
	f.nothingLeft(t)
}

// TestThrottlingThatPasses: the SDK's retry is enough, and a poll that fails
// is not the end.
func TestThrottlingThatPasses(t *testing.T) {
	layer.Full(t, "waits for a run's periods")
	f := newFakeAWS(t)
	f.intercept = func(op string, nth int, w http.ResponseWriter) bool {
		hit := op == "ecs:RunTask" && nth == 1 || op == "ecs:DescribeTasks" && nth > 4 && nth < 8
		if hit {
			fault(w, op, 400, "ThrottlingException", "Rate exceeded")
		}
		return hit
	}
	dir := filepath.Join(t.TempDir(), "run")
	if a := hoplab(t, dir, runArgs(dir, "--replicates", "2")...); a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
}

func TestMetricsThatNeverCome(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	agent := agentSeries("app-agent", "app-agent")
	f.alias = map[string]string{agent: "held back"}
	dir := filepath.Join(t.TempDir(), "run")
	hoplab(t, dir, runArgs(dir, "--replicates", "2")...).want(fail.Environment, "CloudWatch has no RequestCount of DiscoveryName app-agent for replicate 1", "--resume "+dir)
	tasks := len(f.of("run"))
	f.set(func() { f.series[agent], f.alias = f.series["held back"], nil })
	f.healAndResume(t, dir)
	if n := len(f.of("run")); n != tasks {
		t.Errorf("%d tasks were started only to read metrics", n-tasks)
	}
}

func TestAStopThatFailsPrintsTheCommand(t *testing.T) {
	layer.Full(t, "starts processes")
	f := newFakeAWS(t)
	f.does(func(k *fakeTask) int { <-k.stop; return -1 })
	f.intercept = func(op string, _ int, w http.ResponseWriter) bool {
		if op == "ecs:StopTask" {
			fault(w, op, 400, "AccessDeniedException", "not authorized")
		}
		return op == "ecs:StopTask"
	}
	dir := filepath.Join(t.TempDir(), "run")
	command := "aws ecs stop-task --region " + region + " --cluster " + cluster + " --task " + arnPrefix + "task/" + cluster + "/t1"
	hoplab(t, dir, runArgs(dir, "--replicates", "2")...).want(fail.Environment, "→ stop it with: "+command+"; then finish it with hoplab run --resume "+dir)
	f.set(func() { f.intercept = nil })
	if runPrinted(t, command) {
		f.nothingLeft(t)
	}
}

// interrupts returns a function that sends this process SIGINT once, as a
// terminal does, and returns when it has arrived. The command ends at the
// first signal and gives the second one back to the system, which would end
// the test's process; here the test has it, whenever it comes.
func interrupts(t *testing.T) func() {
	t.Helper()
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, os.Interrupt)
	t.Cleanup(func() { signal.Stop(arrived) })
	return sync.OnceFunc(func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
			return
		}
		select {
		case <-arrived:
		case <-time.After(10 * time.Second):
			t.Error("the signal did not arrive")
		}
	})
}

// TestInterruptStopsTheTask sends SIGINT in mid-run.
func TestInterruptStopsTheTask(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	for _, generators := range []string{"1", "4"} {
		t.Run(generators+" generators", func(t *testing.T) {
			interrupt := interrupts(t)
			f := newFakeAWS(t)
			f.does(func(k *fakeTask) int {
				l, _ := samplefile.ParseLoad([]byte(k.command[0]))
				if l.Replicate == 1 {
					return f.synthesize(k)
				}
				interrupt()
				<-k.stop
				return 0
			})
			dir := filepath.Join(t.TempDir(), "run")
			args := runArgs(dir, "--replicates", "2", "--no-aa", "--generators", generators)
			hoplab(t, dir, args...).want(fail.Environment, "is partial: interrupted", "--resume "+dir)
			f.nothingLeft(t)
		})
	}
}

// TestAnswersThatAreLost: AWS starts what it was asked to and the answer never
// comes. The SDK's repetitions start nothing more, and what runs is stopped.
func TestAnswersThatAreLost(t *testing.T) {
	layer.Full(t, "waits for a run's periods")
	for _, c := range []struct {
		name, op, generators string
		started              func(*fakeAWS) int
		want                 string
	}{
		{"of RunTask", "ecs:RunTask", "1", func(f *fakeAWS) int { return len(f.tasks) }, "starting the load task"},
		{"of StartExecution", "states:StartExecution", "4", func(f *fakeAWS) int { return len(f.execs) - 4 }, "starting the load generators"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAWS(t)
			f.does(func(k *fakeTask) int { <-k.stop; return -1 })
			f.set(func() { f.lose = c.op })
			dir := filepath.Join(t.TempDir(), "run")
			hoplab(t, dir, runArgs(dir, "--replicates", "2", "--no-aa", "--generators", c.generators)...).want(fail.Environment, c.want, "--resume "+dir)
			f.nothingLeft(t)
			f.set(func() {
				if n := f.ops[c.op]; n != 3 {
					t.Errorf("%s was called %d times; want the SDK's 3 attempts", c.op, n)
				}
				if n := c.started(f); n != 1 {
					t.Errorf("%d were started; want 1", n)
				}
			})
		})
	}
}

// TestKilledRunIsSweptByResume kills the command outright: its task goes on,
// and --resume stops it before it starts its own.
func TestKilledRunIsSweptByResume(t *testing.T) {
	layer.Full(t, "starts processes")
	for _, c := range []struct{ name, arms, left string }{
		{"a task", "agent,bypass", "stopping load task " + arnPrefix + "task/" + cluster + "/t2, which was left"},
		{"a service", "agent,mesh", "scaling back service " + meshName + ", which was left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAWS(t)
			began := make(chan struct{}, 1)
			f.does(func(k *fakeTask) int {
				if l, _ := samplefile.ParseLoad([]byte(k.command[0])); l.Replicate == 1 {
					return f.synthesize(k)
				}
				began <- struct{}{}
				<-k.stop
				return -1
			})
			dir := filepath.Join(t.TempDir(), "run")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self, append([]string{"hoplab"}, runArgs(dir, "--replicates", "2", "--no-aa", "--arms", c.arms)...)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-began:
			case <-time.After(30 * time.Second):
				t.Error("the second replicate never began")
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if n := len(f.running()); n != 1 {
				t.Fatalf("%d tasks run after the kill; want the one that nobody could stop", n)
			}
			f.does(f.synthesize)
			a := hoplab(t, dir, "run", "--resume", dir, "--yes")
			if a.code != fail.OK && a.code != fail.CannotTell {
				t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
			}
			if !strings.Contains(a.err, c.left) {
				t.Errorf("the output lacks %q:\n%s", c.left, a.err)
			}
			f.nothingLeft(t)
		})
	}
}

// asHoplab lets the test binary stand in for the command.
func asHoplab(args []string) int { return cli.Main(args, strings.NewReader(""), os.Stdout, os.Stderr) }
