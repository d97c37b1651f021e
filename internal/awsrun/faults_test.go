package awsrun_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// TestRefusalsBeforeTheStart: nothing is started on what cannot work.
func TestRefusalsBeforeTheStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		with  func(*front)
		args  []string
		code  fail.Code
		wants []string
	}{
		{"no credentials", func(*front) { os.Unsetenv("AWS_ACCESS_KEY_ID"); os.Unsetenv("AWS_SECRET_ACCESS_KEY") }, nil,
			fail.Environment, []string{"there are no AWS credentials", "aws sso login"}},
		{"expired credentials", fails("query:GetCallerIdentity", 403, "ExpiredToken", "The security token included in the request is expired"),
			nil, fail.Environment, []string{"credentials have expired", "log in again"}},
		{"no region", func(*front) { os.Unsetenv("AWS_REGION"); os.Unsetenv("AWS_DEFAULT_REGION") }, nil,
			fail.Environment, []string{"no AWS region is set", "set AWS_REGION"}},
		{"wrong region", func(f *front) {
			os.Setenv("AWS_REGION", "ap-south-1")
			asks(f, "StackName=hoplab-", "StackName=nobodys-")
		}, nil,
			fail.Usage, []string{"there is no stack hoplab-app in ap-south-1", "AWS_REGION"}},
		{"no Load stack", func(f *front) { asks(f, "StackName=hoplab-load", "StackName=hoplab-lost") }, nil,
			fail.Usage, []string{"there is no stack hoplab-load", "cdk deploy"}},
		{"nobody answers", once(func(*front) { os.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") }), nil,
			fail.Environment, []string{"no answer from 127.0.0.1:1: connection refused", "AWS_ENDPOINT_URL"}},
		{"denied", fails("ecs:DescribeServices", 400, "AccessDeniedException", "not authorized"), nil,
			fail.Environment, []string{"AWS denies it", "docs/aws-policy.json"}},
		{"throttled", once(fails("ecs:DescribeServices", 400, "ThrottlingException", "Rate exceeded")), nil,
			fail.Environment, []string{"AWS throttles the calls"}},
		{"another port mode", answers("ecs:DescribeServices", `"ingressPortOverride": ?8080`, `"ingressPortOverride":0`), nil,
			fail.Usage, []string{"service sample-ecs-app-bypass is arm bypass", "ingressPortOverride (none)"}},
		{"another image than deployed", answers("ecs:DescribeTasks", `"image": ?"[^"]*"`, `"image":"other:1"`), nil,
			fail.Usage, []string{"service " + appAgent + " runs image other:1"}},
		{"different images", differentImages, nil, fail.Usage, []string{"differ in more than the port mode: image sha256:9 and sha256:"}},
		{"an arm that is not there", answers("query:DescribeStacks", "BypassAlbUrl", "AnotherUrl"), nil,
			fail.Usage, []string{`the plan wants arm "bypass"`, "arms=both"}},
		{"direct", nil, []string{"--arms", "agent,direct"}, fail.Usage, []string{`the plan wants arm "direct"`}},
		{"more generators than deployed", nil, []string{"--generators", "50"}, fail.Usage, []string{"deployed for 20", "generators=50"}},
		{"a flag of the lab", nil, []string{"--inject", "app=1ms"}, fail.Usage, []string{"--inject is for the lab"}},
		{"no terminal to ask on", nil, []string{"--yes=false"}, fail.Usage, []string{"about $", "add --yes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeployment(t)
			if c.with != nil {
				d.set(func() { c.with(d.front) })
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
			if made := d.started(); len(made) != 0 {
				t.Errorf("%v were started", made)
			}
		})
	}
}

// once does without the SDK's repetitions, between which it waits.
func once(with func(*front)) func(*front) {
	return func(f *front) {
		os.Setenv("AWS_MAX_ATTEMPTS", "1")
		with(f)
	}
}

// asks has a run ask for something else.
func asks(f *front, what, instead string) {
	f.asked = func(_ string, _ int, body []byte) []byte {
		return []byte(strings.ReplaceAll(string(body), what, instead))
	}
}

// differentImages has the first service that is asked for run another image under
// the same name.
func differentImages(f *front) {
	digest := regexp.MustCompile(`"imageDigest": ?"[^"]*"`)
	f.answered = func(op string, nth int, body []byte) []byte {
		if op == "ecs:DescribeTasks" && nth == 1 {
			return digest.ReplaceAll(body, []byte(`"imageDigest":"sha256:9"`))
		}
		return body
	}
}

// breakage is what breaks a replicate.
type breakage struct {
	name  string
	work  func(*deployment, *loadTask) int // of its load task; nil sends the load
	with  func(*front)                     // disturbs the calls of the run
	pace  func(*awsrun.Pace)
	wants []string
}

// breakages are those that send nothing behind those that do: what a broken attempt
// has sent may be counted in the next one's first period.
var breakages = []breakage{
	{name: "S3 denied", with: fails("s3:GET", 403, "AccessDenied", "Access Denied"), wants: []string{"fetching s3://", "AWS denies it"}},
	{name: "half a sample file", work: func(_ *deployment, k *loadTask) int {
		whole, err := k.measure()
		if err = errors.Join(err, k.put("samples.hop", whole[:len(whole)/2])); err != nil {
			return 9
		}
		return 0
	}, wants: []string{"samples.hop", "the file ends before its trailer", "cut upload"}},
	{name: "no new sample file", work: func(*deployment, *loadTask) int { return 0 }, wants: []string{"is still that of an earlier attempt"}},
	{name: "credentials expire", work: func(d *deployment, k *loadTask) int {
		d.set(func() { fails("ecs:DescribeTasks", 400, "ExpiredTokenException", "expired")(d.front) })
		return k.wait()
	}, wants: []string{"credentials have expired"}},
	{name: "exit code", work: func(*deployment, *loadTask) int { return 2 }, wants: []string{"exit code 2", "/hoplab/load"}},
	{name: "the program says why", work: func(_ *deployment, k *loadTask) int {
		k.say(`{"level":"ERROR","msg":"failed","error":"s3://b/k: AccessDenied","hint":"the task role needs s3:PutObject"}`)
		return 5
	}, wants: []string{"the load task failed: s3://b/k: AccessDenied", "the task role needs s3:PutObject"}},
	{name: "somebody stops it", work: func(d *deployment, k *loadTask) int {
		for _, arn := range d.running() {
			_, _ = d.ecs().StopTask(context.Background(), &ecs.StopTaskInput{Cluster: aws.String(cluster), Task: aws.String(arn)}) // the run's end tells
		}
		return k.wait()
	}, wants: []string{"the load task was stopped (UserInitiated"}},
	{name: "out of memory", work: func(*deployment, *loadTask) int { return 137 },
		with:  answers("ecs:DescribeTasks", `"exitCode": ?137`, `"exitCode":137,"reason":"OutOfMemoryError: Container killed due to memory usage"`),
		wants: []string{"ran out of memory", "--generators"}},
	{name: "never ends", work: func(_ *deployment, k *loadTask) int { return k.wait() },
		pace: func(p *awsrun.Pace) { p.Over = 0 }, wants: []string{"has not ended", "/hoplab/load, stream load/load/0"}},
	{name: "never starts", work: func(_ *deployment, k *loadTask) int { return k.wait() },
		with: answers("ecs:DescribeTasks", `"lastStatus": ?"(PENDING|RUNNING)"`, `"lastStatus":"PROVISIONING"`),
		pace: func(p *awsrun.Pace) { p.Start = time.Second }, wants: []string{"did not start within", "PROVISIONING"}},
	{name: "no task", with: func(f *front) {
		f.intercept = func(op string, _ int, w http.ResponseWriter) bool {
			if op == "ecs:RunTask" {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				_, _ = io.WriteString(w, `{"tasks":[],"failures":[{"reason":"Capacity is unavailable at this time"}]}`)
			}
			return op == "ecs:RunTask"
		}
	}, wants: []string{"the load task was not started: Capacity is unavailable"}},
}

// TestFaultsInMidRun breaks the second replicate of one run in every way, one after
// the other: one clear line, no task left, the first replicate kept, and a run that
// --resume finishes in the end.
func TestFaultsInMidRun(t *testing.T) {
	d := newDeployment(t)
	dir := filepath.Join(t.TempDir(), "run")
	d.does(func(k *loadTask) int {
		if k.Replicate == 2 {
			return 0 // without a sample file
		}
		return k.send()
	})
	hoplab(t, dir, runArgs(dir)...).want(fail.Environment, "there is no s3://", "is partial: replicate 2: ", "--resume "+dir)
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) { d.breaks(t, dir, b) })
	}
	d.healAndResume(t, dir)
}

// breaks resumes a run whose next replicate is broken.
func (d *deployment) breaks(t *testing.T, dir string, b breakage) {
	if b.pace != nil {
		impatient(t, b.pace)
	}
	if b.with != nil {
		d.set(func() { b.with(d.front) })
	}
	d.does(func(k *loadTask) int {
		if b.work == nil {
			return k.send()
		}
		return b.work(d, k)
	})
	a := hoplab(t, dir, "run", "--resume", dir, "--yes")
	d.calm()
	a.want(fail.Environment, append(b.wants, "is partial: replicate 2: ", "--resume "+dir)...)
	d.nothingLeft(t)
}

// healAndResume takes the trouble away and finishes the run; the first
// replicate stays as it was.
func (d *deployment) healAndResume(t *testing.T, dir string) {
	t.Helper()
	d.calm()
	d.does((*loadTask).send)
	first := filepath.Join(dir, "replicates", "01", "samples.hop")
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	a := hoplab(t, dir, "run", "--resume", dir, "--yes")
	a.done()
	if a.summary().Partial != nil {
		t.Errorf("the resumed run is partial: %+v", a.summary().Partial)
	}
	if after, err := os.Stat(first); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the finished replicate was measured again")
	}
	d.nothingLeft(t)
}

// TestThrottlingThatPasses: the SDK's retry is enough, and a poll that fails
// is not the end.
func TestThrottlingThatPasses(t *testing.T) {
	d := newDeployment(t)
	var throttled atomic.Int64
	throttle := func(op string, nth int, w http.ResponseWriter) bool {
		hit := op == "ecs:RunTask" && nth == 1 || op == "ecs:DescribeTasks" && nth > 4 && nth < 8
		if hit {
			throttled.Add(1)
			fault(w, op, 400, "ThrottlingException", "Rate exceeded")
		}
		return hit
	}
	d.set(func() { d.intercept = throttle })
	dir := filepath.Join(t.TempDir(), "run")
	hoplab(t, dir, runArgs(dir, "--replicates", "1")...).done()
	if n := throttled.Load(); n != 4 {
		t.Errorf("%d calls were throttled; want 4", n)
	}
}

func TestMetricsThatNeverCome(t *testing.T) {
	d := newDeployment(t)
	impatient(t, func(p *awsrun.Pace) { p.Metrics = time.Second })
	d.set(func() { asks(d.front, "RequestCount", "NobodysCount") }) // a name of the same length
	dir := filepath.Join(t.TempDir(), "run")
	hoplab(t, dir, runArgs(dir, "--replicates", "1")...).
		want(fail.Environment, "CloudWatch has no RequestCount of DiscoveryName app-agent for replicate 1", "--resume "+dir)
	d.healAndResume(t, dir)
	if n := d.programs.of("run"); n != 1 {
		t.Errorf("%d load tasks; want none that is started only to read metrics", n)
	}
}

func TestAStopThatFailsPrintsTheCommand(t *testing.T) {
	d := newDeployment(t)
	impatient(t, func(p *awsrun.Pace) { p.Over = 0 })
	d.does((*loadTask).wait)
	d.set(func() { fails("ecs:StopTask", 400, "AccessDeniedException", "not authorized")(d.front) })
	dir := filepath.Join(t.TempDir(), "run")
	a := hoplab(t, dir, runArgs(dir)...)
	left := d.running()
	if len(left) != 1 {
		t.Fatalf("%v run; want the task that could not be stopped", left)
	}
	command := "aws ecs stop-task --region " + region + " --cluster " + cluster + " --task " + left[0]
	a.want(fail.Environment, "→ stop it with: "+command+"; then finish it with hoplab run --resume "+dir)
	d.calm()
	if runPrinted(t, command) {
		d.nothingLeft(t)
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

// interrupted sends SIGINT in mid-run.
func interrupted(t *testing.T, d *deployment, generators string) {
	interrupt := interrupts(t)
	d.does(func(k *loadTask) int {
		interrupt()
		return k.wait()
	})
	dir := filepath.Join(t.TempDir(), "interrupted")
	hoplab(t, dir, runArgs(dir, "--no-aa", "--generators", generators)...).want(fail.Environment, "is partial: interrupted", "--resume "+dir)
	d.nothingLeft(t)
}

// TestAnswersThatAreLost: AWS starts what it was asked to and the answer never
// comes. The SDK's repetitions start nothing more, and what runs is stopped.
func TestAnswersThatAreLost(t *testing.T) {
	for _, c := range []struct{ name, op, generators, want string }{
		{"of RunTask", "ecs:RunTask", "1", "starting the load task"},
		{"of StartExecution", "states:StartExecution", "4", "starting the load generators"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeployment(t)
			d.does((*loadTask).wait)
			d.set(func() { d.lose = c.op })
			dir := filepath.Join(t.TempDir(), "run")
			hoplab(t, dir, runArgs(dir, "--no-aa", "--generators", c.generators)...).want(fail.Environment, c.want, "--resume "+dir)
			d.nothingLeft(t)
			if n := d.count(c.op); n != 3 {
				t.Errorf("%s was called %d times; want the SDK's 3 attempts", c.op, n)
			}
			if made := d.started(); len(made) != 1 {
				t.Errorf("%v were started; want 1", made)
			}
		})
	}
}

// TestKilledRunIsSweptByResume kills the command outright: its task goes on,
// and --resume stops it before it starts its own.
func TestKilledRunIsSweptByResume(t *testing.T) {
	for _, c := range []struct{ name, arms, left string }{
		{"a task", "agent,bypass", "stopping load task TASK, which was left"},
		{"a service", "agent,mesh", "scaling back service " + meshName + ", which was left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeployment(t)
			began := make(chan struct{}, 1)
			d.does(func(k *loadTask) int {
				began <- struct{}{}
				return k.wait()
			})
			dir := filepath.Join(t.TempDir(), "run")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self, append([]string{"hoplab"}, runArgs(dir, "--replicates", "1", "--no-aa", "--arms", c.arms)...)...)
			if err := labtest.StartChild(cmd); err != nil {
				t.Fatal(err)
			}
			select {
			case <-began:
			case <-time.After(30 * time.Second):
				t.Error("the replicate never began")
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			left := d.running()
			if len(left) != 1 {
				t.Fatalf("%v run after the kill; want the one task that nobody could stop", left)
			}
			d.does((*loadTask).send)
			a := hoplab(t, dir, "run", "--resume", dir, "--yes")
			a.done()
			if want := strings.Replace(c.left, "TASK", left[0], 1); !strings.Contains(a.err, want) {
				t.Errorf("the output lacks %q:\n%s", want, a.err)
			}
			d.nothingLeft(t)
		})
	}
}
