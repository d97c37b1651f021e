package k6

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

func TestParseVersion(t *testing.T) {
	const full = `k6 v1.8.1 (go1.26.8, linux/amd64)
Extensions:
  github.com/hoplab/hoplab/loadtest/xk6-hoplab (devel), hoplab [output]
  github.com/hoplab/hoplab/loadtest/xk6-hoplab (devel), k6/x/hoplab [js]
`
	for _, c := range []struct {
		name, text     string
		version        string
		module, output bool
	}{
		{"complete", full, "v1.8.1", true, true},
		{"plain k6", "k6 v1.8.1 (go1.26.8, linux/amd64)\n", "v1.8.1", false, false},
		{"renamed", strings.Replace(full, "k6 v", "my-k6.exe v", 1), "v1.8.1", true, true},
		{"another extension", strings.ReplaceAll(full, "hoplab [output]", "other [output]"), "v1.8.1", true, false},
		{"not k6", "jq-1.7\n", "", false, false},
		{"nothing", "", "", false, false},
	} {
		v, m, o := parseVersion([]byte(c.text))
		if v != c.version || m != c.module || o != c.output {
			t.Errorf("%s: %q, %v, %v; want %q, %v, %v", c.name, v, m, o, c.version, c.module, c.output)
		}
	}
}

func TestCheckRefusesOtherPrograms(t *testing.T) {
	layer.Full(t, "starts programs")
	program := func(script string) string {
		path := filepath.Join(t.TempDir(), "k6")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, want string }{
		"missing":      {filepath.Join(t.TempDir(), "k6"), "no such file"},
		"fails":        {program("echo broken >&2; exit 3"), "broken"},
		"other tool":   {program("echo tool 1.0"), "is not k6"},
		"no extension": {program("echo 'k6 v1.8.1 (go1.26.8, linux/amd64)'"), "does not have hoplab's extension"},
	} {
		_, err := Check(t.Context(), c.path)
		if fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), c.want) || fail.HintOf(err) == "" {
			t.Errorf("%s: error %v, hint %q; want %q", name, err, fail.HintOf(err), c.want)
		}
	}
}

func TestCheckAcceptsOurs(t *testing.T) {
	built := binary(t)
	b, err := Check(t.Context(), built.Path)
	if err != nil {
		t.Fatal(err)
	}
	if b.Path != built.Path || b.Version != Version || !strings.HasPrefix(b.Build, "k6 v1.8.1, binary ") {
		t.Errorf("%+v", b)
	}
}

func TestSegments(t *testing.T) {
	got := strings.Join(segment(1, 3), " ")
	if want := "--execution-segment 1/3:2/3 --execution-segment-sequence 0,1/3,2/3,1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct{ stderr, want string }{
		{"", ""},
		{`time="t" level=warning msg="Insufficient VUs"`, ""},
		{`time="t" level=error msg="sample file: no space"` + "\n" + `time="t" level=error msg="Stopping output 0 failed" component=output-manager error="sample file: write s.hop: no space"`,
			": sample file: write s.hop: no space"},
		{`time="t" level=error msg="GoError: hoplab: arm \"a\"\n\tat file:///main.js:8\n" hint="script exception"`, `: hoplab: arm "a"`},
		{`time="t" level=error msg=short hint="x"`, ": short"},
	} {
		if got := reason(c.stderr); got != c.want {
			t.Errorf("%s: %q, want %q", c.stderr, got, c.want)
		}
	}
}

// TestXK6IsOne: who has no clone builds k6 with the xk6 that a clone builds it with.
func TestXK6IsOne(t *testing.T) {
	data, err := os.ReadFile("../../tools/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\tgo.k6.io/xk6 " + XK6 + " "; !strings.Contains(string(data), want) {
		t.Errorf("tools/go.mod has no %q", want)
	}
}

// TestInstallNeedsARelease: a build without a version has no extension that is known to go with it.
func TestInstallNeedsARelease(t *testing.T) {
	for _, version := range []string{"devel", "", "v1", "main"} {
		if _, err := Install(t.Context(), version, nil); fail.CodeOf(err) != fail.Environment || !strings.Contains(fail.HintOf(err), "--k6") {
			t.Errorf("%q: %v (hint %q)", version, err, fail.HintOf(err))
		}
	}
}
