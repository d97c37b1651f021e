package repo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// cache gives the test a cache directory of its own.
func cache(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, home)
	}
	dir, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFind(t *testing.T) {
	r, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Dir(filepath.Dir(wd)); r.Root != want {
		t.Errorf("root %s, want %s", r.Root, want)
	}
	// Wherever one is, and whatever go.mod lies there.
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "go.mod"), []byte("module "+Module+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{r.Path("loadtest", "samplefile"), t.TempDir(), foreign} {
		t.Chdir(dir)
		if again, err := Find(); err != nil || again.Root != r.Root {
			t.Errorf("from %s: %v, %v; want the checkout of this program", dir, again, err)
		}
	}
	t.Setenv("HOPLAB_REPO", r.Root)
	if again, err := Find(); err != nil || again.Root != r.Root {
		t.Errorf("HOPLAB_REPO: %v, %v", again, err)
	}
	t.Setenv("HOPLAB_REPO", t.TempDir())
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "HOPLAB_REPO") {
		t.Errorf("wrong HOPLAB_REPO: %v", err)
	}
}

// TestBuiltFrom has the checkouts of a program that cannot be used.
func TestBuiltFrom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "internal", "repo", "repo.go")
	for name, path := range map[string]string{"does not know what it was built from": Module + "/internal/repo/repo.go",
		"which is none": file} {
		if _, err := builtFrom(path); fail.CodeOf(err) != fail.Environment || !errors.Is(err, ErrNoCheckout) || !strings.Contains(err.Error(), name) || !strings.Contains(fail.HintOf(err), "HOPLAB_REPO") {
			t.Errorf("built from %s: %v (hint %q); want %q", path, err, fail.HintOf(err), name)
		}
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module "+Module+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := builtFrom(file); !errors.Is(err, ErrNoCheckout) {
		t.Errorf("a module cache holds the main module alone, and is taken for a checkout: %v", err)
	}
	extension := filepath.Join(root, "loadtest", "xk6-hoplab")
	if err := os.MkdirAll(extension, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(extension, "go.mod"), []byte("module "+Module+"/loadtest/xk6-hoplab\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := builtFrom(file); err != nil || r.Root != root {
		t.Errorf("a checkout of one's own: %v, %v", r, err)
	}
	if trusted(os.Geteuid() + 4711) {
		t.Error("another user's checkout is trusted")
	}
}

func TestDigestFollowsTheSources(t *testing.T) {
	r := &Repo{Root: t.TempDir()}
	write := func(name, text string) {
		t.Helper()
		path := r.Path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(extra ...string) string {
		t.Helper()
		d, err := r.Digest(extra, "a")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	write("a/x.go", "package a")
	first := digest("go1")
	write("a/x_test.go", "package a")
	write("a/testdata/y.go", "package y")
	write("a/README.md", "words")
	write("b/z.go", "package b")
	if digest("go1") != first {
		t.Error("a test, testdata, a text or another folder changed the digest")
	}
	if digest("go2") == first {
		t.Error("the Go version does not count")
	}
	write("a/sub/w.go", "package w")
	second := digest("go1")
	write("a/x.go", "package a // changed")
	if second == first || digest("go1") == second || len(first) != 12 {
		t.Errorf("digests %s, %s, %s", first, second, digest("go1"))
	}
	if _, err := r.Digest(nil, "missing"); fail.CodeOf(err) != fail.Environment {
		t.Errorf("missing folder: %v", err)
	}
}

func TestCachedBuildsOnce(t *testing.T) {
	cache(t)
	var builds atomic.Int32
	a := Artifact{Name: "tool", Digest: "d1", What: "a tool", Build: func(_ context.Context, out string) error {
		builds.Add(1)
		time.Sleep(20 * time.Millisecond) // make the builders overlap
		return os.WriteFile(out, []byte("tool"), 0o755)
	}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := Cached(t.Context(), a, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != "tool" {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("%d builds, want 1", n)
	}
	a.Digest = "d2"
	var progress bytes.Buffer
	if _, err := Cached(t.Context(), a, &progress); err != nil || builds.Load() != 2 {
		t.Errorf("other sources: %d builds, %v", builds.Load(), err)
	}
	if !strings.Contains(progress.String(), "building a tool") {
		t.Errorf("progress %q", progress.String())
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	dir := cache(t)
	broken := errors.New("no space left")
	a := Artifact{Name: "tool", Digest: "d", What: "a tool", Build: func(_ context.Context, out string) error {
		if err := os.WriteFile(out, []byte("half"), 0o755); err != nil {
			return err
		}
		return broken
	}}
	if _, err := Cached(t.Context(), a, nil); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || filepath.Base(left[0]) != "tool.lock" {
		t.Errorf("left behind: %v", left)
	}
}

func TestCachedWaitsNoLongerThanItsContext(t *testing.T) {
	dir := cache(t)
	unlock, err := lock(t.Context(), filepath.Join(dir, "tool.lock"), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	a := Artifact{Name: "tool", Digest: "d", Build: func(context.Context, string) error { return nil }}
	if _, err := Cached(ctx, a, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestPruneKeepsWhatIsUsed(t *testing.T) {
	dir := cache(t)
	build := func(_ context.Context, out string) error { return os.WriteFile(out, nil, 0o755) }
	var paths []string
	for _, d := range []string{"old", "recent"} {
		path, err := Cached(t.Context(), Artifact{Name: "tool", Digest: d, Build: build}, nil)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	long := time.Now().Add(-2 * unusedFor)
	if err := os.Chtimes(paths[0], long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := Cached(t.Context(), Artifact{Name: "tool", Digest: "new", Build: build}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(paths[0]); !os.IsNotExist(err) {
		t.Errorf("the unused one is still in %s", dir)
	}
	if _, err := os.Stat(paths[1]); err != nil {
		t.Errorf("the recent one: %v", err)
	}
}

func TestGoMissing(t *testing.T) {
	r, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := r.BuildService(t.Context(), nil); fail.CodeOf(err) != fail.Environment || !strings.Contains(fail.HintOf(err), "go.dev") {
		t.Errorf("error %v, hint %q", err, fail.HintOf(err))
	}
}

func TestFailedCommandShowsItsOutput(t *testing.T) {
	r, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(t.Context(), "go", "build", "./nowhere")
	if fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v", err)
	}
}

func TestBuildService(t *testing.T) {
	layer.Full(t, "builds the app")
	r, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	path, err := r.BuildService(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// A check that cannot hold ends the program at once, with 1.
	err = exec.Command(path, "-check-socket", filepath.Join(t.TempDir(), "none")).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the built app: %v", err)
	}
	again, err := r.BuildService(t.Context(), nil)
	if err != nil || again != path {
		t.Errorf("second build: %s, %v", again, err)
	}
}
