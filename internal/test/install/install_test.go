// Package install installs hoplab as somebody does who has Go and no clone, and
// uses it in an empty directory.
package install

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/test/modproxy"
)

// release is a version that nobody has, so that what the test leaves in a
// module cache cannot be taken for a release.
const release = "v0.0.1-test.of.install"

// machine is a user with an empty home and Go, and no clone.
type machine struct {
	home, work, bin string
	env             []string
}

// TestInstall: go install module@version, then every command in an empty directory.
func TestInstall(t *testing.T) {
	layer.Full(t, "builds hoplab and k6 from a module proxy, and measures")
	m := newMachine(t)
	m.must(t, filepath.Join(m.bin, "go"), "install", repo.Module+"/cmd/hoplab@"+release)
	hoplab := filepath.Join(m.home, "go", "bin", "hoplab")

	if out := m.must(t, hoplab, "version"); !strings.Contains(out, release) {
		t.Errorf("hoplab version: %s", out)
	}
	template := m.template(t, "bypass")
	m.must(t, hoplab, "check", template)
	if out := m.must(t, hoplab, "explain", template); !strings.Contains(out, "200") {
		t.Errorf("explain: %s", out)
	}
	m.must(t, hoplab, "lab", "up", template)
	t.Cleanup(func() { m.run(hoplab, "lab", "down") })
	if out := m.must(t, hoplab, "lab", "curl", "--from", "client-service", "http://app.sample-namespace:80"); !strings.Contains(out, "Hello World") {
		t.Errorf("lab curl: %s", out)
	}
	m.must(t, hoplab, "lab", "down")
	if out := m.must(t, hoplab, "learn", "three-ports"); !strings.Contains(out, "Ingress port") {
		t.Errorf("learn: %s", out)
	}
	out := m.must(t, hoplab, "run", "--profile", "quick")
	if !regexp.MustCompile(`passed the agent`).MatchString(out) || !strings.Contains(out, "Envoy") {
		t.Errorf("run: %s", out)
	}
	t.Run("archive", func(t *testing.T) { tryArchive(t, m, hoplab) })
}

// tryArchive puts the hoplab that was installed and the k6 that it built into an
// archive as a release has it, and uses that as scripts/release-try.sh does: with
// neither Go nor Node. What GoReleaser makes is tried by a workflow of its own.
func tryArchive(t *testing.T, m *machine, hoplab string) {
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	generator := filepath.Join(m.home, ".cache", "hoplab", "k6-"+k6.Version+"-"+release)
	modules, err := exec.Command("go", "version", "-m", hoplab, generator).Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sh := func(script string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-euo", "pipefail", "-c", script, "bash"}, args...)...)
		cmd.Dir, cmd.Stdin = r.Root, bytes.NewReader(modules)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	sh(`awk '$1 == "dep" || $1 == "=>" { print $2, $3 }' | sort -u | scripts/release-licenses.sh "$1"`, dir)
	sh(`cp LICENSE "$1" && ln -s "$2" "$1/hoplab" && ln -s "$3" "$1/hoplab-k6" && tar chf - -C "$1" . | gzip -1 >"$1.tar.gz"`, dir, hoplab, generator)
	sh(`scripts/release-try.sh "$1.tar.gz"`, dir)
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{home: t.TempDir(), work: t.TempDir(), bin: t.TempDir()}
	proxy := t.TempDir()
	ext := repo.Module + "/loadtest/xk6-hoplab"
	samples := modproxy.Module{Path: repo.Module + "/loadtest/samplefile", Version: "v0.1.0", Dir: "loadtest/samplefile"}
	err = modproxy.Write(proxy, r.Root, samples,
		modproxy.Module{Path: repo.Module, Version: release, Dir: "."},
		modproxy.Module{Path: ext, Version: release, Dir: "loadtest/xk6-hoplab"})
	if err != nil {
		t.Fatal(err)
	}
	cache := goEnv(t, "GOMODCACHE")
	for _, version := range []modproxy.Module{samples, {Path: repo.Module, Version: release}, {Path: ext, Version: release}} {
		forget(t, cache, version)
	}
	// What a machine with Go has: the command, git, which xk6 wants, and the C
	// compiler that decides how net is built, if there is one.
	for _, program := range []string{"go", "git", "gcc"} {
		if path, err := exec.LookPath(program); err == nil {
			link(t, path, filepath.Join(m.bin, program))
		} else if program != "gcc" {
			layer.Lacking(t, program+" is not in PATH")
		}
	}
	m.env = []string{
		"HOME=" + m.home, "PATH=" + m.bin, "TMPDIR=" + t.TempDir(), "XDG_RUNTIME_DIR=" + runtimeDir(t),
		"GOPROXY=file://" + filepath.ToSlash(proxy) + "," + goEnv(t, "GOPROXY"),
		"GONOSUMDB=" + repo.Module + "," + repo.Module + "/*", "GOFLAGS=" + goEnv(t, "GOFLAGS"), "GOTOOLCHAIN=local",
		// What the go command knows of a version it takes for true, and this
		// one has another content each time.
		"GODEBUG=goindex=0",
		"GOMODCACHE=" + cache, "GOCACHE=" + goEnv(t, "GOCACHE"), // what they hold of others only saves time
		"HOPLAB_ENVOY=" + labtest.Envoy(t),
	}
	return m
}

// forget takes a version of a module of ours out of a module cache, now and
// when the test is over.
func forget(t *testing.T, cache string, m modproxy.Module) {
	t.Helper()
	remove := func() {
		dir := filepath.Join(cache, filepath.FromSlash(m.Path)+"@"+m.Version)
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(path, 0o755) // a module cache is read-only
			}
			return nil
		})
		files, _ := filepath.Glob(filepath.Join(cache, "cache", "download", filepath.FromSlash(m.Path), "@v", m.Version+".*"))
		for _, path := range append(files, dir) {
			if err := os.RemoveAll(path); err != nil {
				t.Error(err)
			}
		}
	}
	remove()
	t.Cleanup(remove)
}

// template writes a variant of the stacks' templates where somebody could have
// them, and returns its path.
func (m *machine) template(t *testing.T, variant string) string {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(m.work, variant)
	if err := os.CopyFS(dir, os.DirFS(r.Path("stacks", "testdata", "golden", variant))); err != nil {
		t.Fatal(err)
	}
	return variant
}

func (m *machine) must(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := m.run(program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return out
}

func (m *machine) run(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = m.work, m.env, time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 && len(args) > 0 && args[0] == "run" {
		err = nil // a busy machine: the run cannot tell, and is a run
	}
	return string(out), err
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Symlink(from, to); err != nil {
		t.Fatal(err)
	}
}

// runtimeDir is a short one: a lab's socket stands in it, and a path of a
// socket has 104 bytes on macOS, 108 on Linux.
func runtimeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "hl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
