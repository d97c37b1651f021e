// Package cloud deploys hoplab's own stacks with the pinned CDK CLI to hoplab
// cloud, as a user does.
package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary stand in for hoplab, also where hoplab starts
// itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "cloud", "lab", "node":
			os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		}
	}
	os.Exit(m.Run())
}

// user is somebody with the CDK CLI, an empty home and no account.
type user struct {
	root, hoplab, node string
	app                string // the CDK app, built
	env                []string
}

func newUser(t *testing.T) *user {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	u := &user{root: r.Root, app: filepath.Join(t.TempDir(), "app")}
	if u.hoplab, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if u.node, err = exec.LookPath("node"); err != nil {
		layer.Lacking(t, "no node in PATH")
	}
	if _, err := os.Stat(filepath.Join(u.root, "node_modules/aws-cdk/package.json")); err != nil {
		layer.Lacking(t, "no CDK CLI; run npm ci")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := os.MkdirTemp("/tmp", "hoplab") // a socket's path is short; t.TempDir's may not be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	u.env = []string{"HOME=" + t.TempDir(), "XDG_CACHE_HOME=" + cache, "XDG_RUNTIME_DIR=" + runtime, "HOPLAB_REPO=" + u.root,
		"PATH=" + os.Getenv("PATH"), "CI=true", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=18,20,21,23", "CDK_DISABLE_CLI_TELEMETRY=true"}
	names := []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOSUMDB", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).CombinedOutput()
	values := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(values) != len(names) {
		t.Fatalf("go env: %v\n%s", err, out)
	}
	for i, name := range names {
		u.env = append(u.env, name+"="+values[i])
	}
	u.must(t, "go", "build", "-o", u.app, ".")
	return u
}

// command is a program in the root of the checkout.
func (u *user) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = u.root, u.env
	cmd.WaitDelay = time.Second
	return cmd
}

func (u *user) run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := u.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	run := labtest.RunChild
	if name == u.hoplab { // what it leaves running must outlive it
		run = (*exec.Cmd).Run
	}
	err := run(cmd)
	return out.String(), err
}

func (u *user) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := u.run(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, out)
	}
	return out
}

// shell is the CLI as it is run by who has typed eval "$(hoplab cloud env)", and
// has nothing else of AWS.
func (u *user) shell(args ...string) []string {
	return append([]string{"-c", `eval "$("$1" cloud env)" && shift && exec "$@"`, "sh", u.hoplab, u.node, "node_modules/aws-cdk/bin/cdk",
		"--no-notices", "--no-color"}, args...)
}

func (u *user) cdk(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return u.run(t, "sh", u.shell(args...)...)
}

func (u *user) mustCDK(t *testing.T, args ...string) string {
	t.Helper()
	out, err := u.cdk(t, args...)
	if err != nil {
		t.Fatalf("cdk %q: %v\n%s\n%s", args, err, out, u.must(t, u.hoplab, "lab", "status"))
	}
	return out
}

// deploy are the arguments that deploy what an app makes with a context; out is
// where its assembly goes.
func deploy(app, out string, more ...string) []string {
	return append([]string{"deploy", "--all", "--require-approval", "never", "--app", app, "--output", out}, more...)
}

func (u *user) summary(t *testing.T) (sum cloud.Summary) {
	t.Helper()
	if err := json.Unmarshal([]byte(u.must(t, u.hoplab, "cloud", "status", "--format", "json")), &sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

// status returns a stack's status, "" for one that is not there.
func (u *user) status(t *testing.T, stack string) string {
	t.Helper()
	for _, s := range u.summary(t).Stacks {
		if s.Name == stack {
			return s.Status
		}
	}
	return ""
}

func (u *user) lab(t *testing.T) (st lab.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(u.must(t, u.hoplab, "lab", "status", "--format", "json")), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// answers calls the app as the client does.
func (u *user) answers(t *testing.T) {
	t.Helper()
	if out := u.must(t, u.hoplab, "lab", "curl", "--from", "client-service", "http://app.sample-namespace:80"); !strings.Contains(out, "Hello World") {
		t.Errorf("the client reads %q", out)
	}
}

// gone fails when one of the processes is there for long.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var left []int
		for _, pid := range pids {
			if labtest.Alive(pid) {
				left = append(left, pid)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("processes are left: %v", left)
		}
	}
}

// up starts an account.
func (u *user) up(t *testing.T, args ...string) string {
	t.Helper()
	out := u.must(t, u.hoplab, append([]string{"cloud", "up", "--scale", "20"}, args...)...)
	t.Cleanup(func() { _ = u.command(context.Background(), u.hoplab, "cloud", "down").Run() }) // after a failure; else it is down
	return out
}

// TestDeploy: bootstrap, deploy, diff, toggle, a refusal with its rollback, both
// arms with the load task, no way out of the load balancer, destroy.
func TestDeploy(t *testing.T) {
	layer.Full(t, "runs the CDK CLI against an account of its own")
	u := newUser(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	u.up(t)
	if out := u.mustCDK(t, "bootstrap"); !strings.Contains(out, "bootstrapped") || u.status(t, "CDKToolkit") != "UPDATE_COMPLETE" {
		t.Errorf("cdk bootstrap: %s", out)
	}
	begun := time.Now()
	u.mustCDK(t, deploy(u.app, at("agent"))...)
	t.Logf("three stacks, synthesis included: %.1f s", time.Since(begun).Seconds())
	u.answers(t)

	if out := u.mustCDK(t, "diff", "--app", at("agent")); strings.Count(out, "There were no differences") != 3 {
		t.Errorf("cdk diff of what is deployed: %s", out)
	}
	out := u.mustCDK(t, "diff", "--app", u.app, "--output", at("override"), "-c", "ingressPortOverride=8080")
	if strings.Count(out, "[~] AWS::") != 2 || !strings.Contains(out, `"IngressPortOverride": 8080`) {
		t.Errorf("cdk diff of the override: %s", out)
	}
	out = u.mustCDK(t, deploy(at("override"), at("x"))...)
	if strings.Count(out, "(no changes)") != 2 || u.status(t, "hoplab-app") != "UPDATE_COMPLETE" {
		t.Errorf("the override is not the only change: %s", out)
	}
	u.answers(t)

	low(t, at("override"), at("low"))
	out, err := u.cdk(t, deploy(at("low"), at("x"))...)
	if err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), "IngressPortOverride cannot use ports <= 1024.") {
		t.Errorf("an override of 1024: %v\n%s", err, out)
	}
	if got := u.status(t, "hoplab-app"); got != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("after the refusal the stack is %s", got)
	}
	u.answers(t)

	// The only change is a removal, which comes in the clean-up: the update
	// succeeds, and the targets are unhealthy afterwards.
	u.mustCDK(t, deploy(u.app, at("none"), "-c", "ingressPortOverride=8080", "-c", "albEgress=none")...)
	u.unhealthy(t)

	u.mustCDK(t, deploy(u.app, at("both"), "-c", "arms=both", "-c", "load=true")...)
	names := map[string]bool{}
	st := u.lab(t)
	for _, s := range st.Services {
		names[s.Name] = len(s.Tasks) > 0
	}
	if !names["sample-ecs-app-agent"] || !names["sample-ecs-app-bypass"] || names["sample-ecs-app"] {
		t.Errorf("with both arms there run %v", names)
	}
	used := peak(t, u.summary(t).PID)
	t.Logf("hoplab cloud has taken %d MB", used>>20)
	if used > 100<<20 {
		t.Errorf("hoplab cloud has taken %d MB; at most 100 were promised", used>>20)
	}
	pids := append(labtest.PIDs(st), u.summary(t).PID)

	u.mustCDK(t, "destroy", "--all", "--force", "--app", at("both"))
	if sum := u.summary(t); len(sum.Stacks) != 1 {
		t.Errorf("after cdk destroy there is %+v", sum.Stacks)
	}
	if st := u.lab(t); len(st.Services)+len(st.LoadBalancers) > 0 {
		t.Errorf("after cdk destroy there runs %+v", st)
	}
	u.must(t, u.hoplab, "cloud", "down")
	gone(t, pids)
}

// unhealthy waits until a target is, because the load balancer does not reach it.
func (u *user) unhealthy(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		st := u.lab(t)
		for _, b := range st.LoadBalancers {
			for _, g := range b.Groups {
				for _, target := range g.Targets {
					if target.Reason == "Target.Timeout" {
						return
					}
				}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no target times out: %+v", st.LoadBalancers)
		}
	}
}

// low copies an assembly and gives its app the override that AWS refuses. The
// template has another hash then, for the CLI uploads no object twice.
func low(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	template := filepath.Join(to, "App.template.json")
	edit(t, template, regexp.MustCompile(`("IngressPortOverride": *)8080`), "${1}1024")
	assets, err := os.ReadFile(filepath.Join(to, "App.assets.json"))
	if err != nil {
		t.Fatal(err)
	}
	hash := regexp.MustCompile(`([0-9a-f]{64})\.json`).FindSubmatch(assets)
	if hash == nil {
		t.Fatalf("no template among the assets: %s", assets)
	}
	for _, name := range []string{"App.assets.json", "manifest.json"} {
		edit(t, filepath.Join(to, name), regexp.MustCompile(string(hash[1])), strings.Repeat("1024", 16))
	}
}

func edit(t *testing.T, path string, what *regexp.Regexp, with string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !what.Match(data) {
		t.Fatalf("%s has no %s", path, what)
	}
	labtest.Write(t, path, what.ReplaceAllString(string(data), with))
}

// peak is the most memory that a process has had, in bytes; 0 where the system
// does not say.
func peak(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Logf("no peak of memory here: %v", err)
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		t.Fatalf("no VmHWM in %s", data)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// TestKilledInADeploy: kill -9 in the middle of a deploy leaves no process, and
// the next account says what was there.
func TestKilledInADeploy(t *testing.T) {
	layer.Full(t, "runs the CDK CLI against an account of its own")
	u := newUser(t)
	u.up(t, "--task-start", "1h") // three minutes, in which the app's service is being made
	ctx, cancel := context.WithCancel(t.Context())
	cli := u.command(ctx, "sh", u.shell(deploy(u.app, t.TempDir())...)...)
	if err := labtest.StartChild(cli); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cli.Wait() }() // it is killed
	for end := time.Now().Add(3 * time.Minute); u.status(t, "hoplab-app") != "CREATE_IN_PROGRESS" || len(u.lab(t).LoadBalancers) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the app's stack is not being made: %+v", u.summary(t))
		}
	}
	pids := append(labtest.PIDs(u.lab(t)), u.lab(t).LoadBalancers[0].PID)
	if err := syscall.Kill(u.summary(t).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, pids)
	out := u.up(t)
	if !strings.Contains(out, "ended without hoplab cloud down") || !strings.Contains(out, "hoplab-app CREATE_IN_PROGRESS") ||
		!strings.Contains(out, "hoplab-network CREATE_COMPLETE") {
		t.Errorf("the next account says %q", out)
	}
	if out, err := u.run(t, u.hoplab, "lab", "apply", "stacks/testdata/golden/agent"); err == nil || !strings.Contains(out, "deploy to it instead") {
		t.Errorf("lab apply to the account's lab: %v\n%s", err, out)
	}
	if sum := u.summary(t); len(sum.Stacks) != 1 {
		t.Errorf("the next account has %+v", sum.Stacks)
	}
	u.must(t, u.hoplab, "cloud", "down")
}
