package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// nobody is a user who owns nothing on this machine.
const nobody = 65534

// person is another user than root: a home of his own, a clone that root owns
// and he can read, and the command built from it.
type person struct {
	home, clone, hoplab string
}

// TestAnotherUser: somebody without privileges measures a real Envoy, which he
// fetches into a cache of his own where he can, on loopback and, where the kernel
// lets him have user namespaces, on netns. Every request is proved.
func TestAnotherUser(t *testing.T) {
	layer.Full(t, "runs the experiment as another user")
	if os.Geteuid() != 0 {
		layer.Lacking(t, "this user is not root, and so every story is this one")
	}
	envoy := labtest.Envoy(t)
	p := newPerson(t)
	if out, code := p.run(t, "envoy", "--install"); code != 0 {
		t.Logf("no Envoy of his own, so he gets a copy: %s", out)
		p.put(t, filepath.Join(".local", "share", "func-e", "envoy-versions", envoybin.DefaultVersion(), "bin", "envoy"), envoy)
	} else if !strings.Contains(out, p.home) {
		t.Errorf("his Envoy is not in his home %s: %s", p.home, out)
	}
	for _, fabric := range []string{plan.FabricLoopback, plan.FabricNetns} {
		t.Run(fabric, func(t *testing.T) {
			dir := filepath.Join(p.home, fabric)
			out, code := p.run(t, "run", "--profile", "quick", "--fabric", fabric, "--agent", "envoy", "--arms", "agent,bypass,mesh",
				"--assembly", filepath.Join(p.clone, "stacks", "testdata", "golden", "both"),
				"--replicates", "1", "--duration", "3s", "--warmup", "1s", "--rate", "90", "--seed", "7", "--out", dir)
			if fabric == plan.FabricNetns && strings.Contains(out, "cannot set up a network namespace") {
				layer.Lacking(t, "the kernel gives him no user namespace: "+out)
			}
			if code != 0 && code != 3 { // a busy machine may not resolve anything in so short a run
				t.Fatalf("exit code %d:\n%s", code, out)
			}
			proved(t, dir)
		})
	}
}

// proved checks that the run measured Envoy and that each request took its path.
func proved(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s summary.Summary
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if s.Agent == nil || s.Agent.Name != "Envoy" || len(s.Arms) < 3 {
		t.Fatalf("agent %+v, %d arms", s.Agent, len(s.Arms))
	}
	for _, a := range s.Arms {
		if e := a.Evidence; a.Requests == 0 || e.Contradictions != 0 || e.Missing != 0 {
			t.Errorf("arm %s: %d requests, %d contradict the plan, of %d there is no evidence", a.Name, a.Requests, e.Contradictions, e.Missing)
		}
	}
}

// newPerson copies of the checkout what a run reads, builds the command, and
// gives k6 and the measured app to the user's cache: to build them takes him
// minutes, and is what every user does.
func newPerson(t *testing.T) *person {
	t.Helper()
	dir, err := os.MkdirTemp("", "hoplab-nobody-") // t.TempDir is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &person{home: filepath.Join(dir, "home"), clone: filepath.Join(dir, "clone"), hoplab: filepath.Join(dir, "hoplab")}
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", p.hoplab, "./cmd/hoplab")
	build.Dir = r.Root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, part := range []string{"service", "loadtest", "tools", filepath.Join("stacks", "testdata", "golden")} {
		if err := os.CopyFS(filepath.Join(p.clone, part), os.DirFS(r.Path(part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(r.Path(file))
		if err != nil {
			t.Fatal(err)
		}
		labtest.Write(t, filepath.Join(p.clone, file), string(text))
	}
	app, err := r.BuildService(ctx, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	load, err := k6.Build(ctx, r, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{app, load.Path} {
		for _, ending := range []string{"", ".sha256"} {
			p.put(t, filepath.Join(".cache", "hoplab", filepath.Base(path)+ending), path+ending)
		}
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, p.hoplab: 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// put gives the user a copy of a file, at a path in his home.
func (p *person) put(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to = filepath.Join(p.home, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	for ; to != filepath.Dir(p.home); to = filepath.Dir(to) {
		if err := os.Chown(to, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs hoplab as the user, who has the system's programs and go.
func (p *person) run(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.hoplab, args...)
	cmd.Dir = p.home
	cmd.Env = []string{"HOME=" + p.home, "HOPLAB_REPO=" + p.clone, "CI=true",
		"PATH=" + filepath.Dir(goTool) + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
	for _, name := range []string{"GOPROXY", "GOTOOLCHAIN", "GOSUMDB", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "UV_DEFAULT_INDEX",
		"SSL_CERT_FILE"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	cmd.WaitDelay = 5 * time.Second
	err = labtest.RunChild(cmd)
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}
