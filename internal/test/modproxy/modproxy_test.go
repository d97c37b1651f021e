package modproxy

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

var update = flag.Bool("update", false, "write the sums of the sample format into the go.sum files")

const samplefile = repo.Module + "/loadtest/samplefile"

// TestSampleFormatIsAsReleased: who installs hoplab, or builds k6 with the
// extension, gets the release of the sample format that go.mod requires; who
// works here has the one beside it. go.sum says that they are the same.
func TestSampleFormatIsAsReleased(t *testing.T) {
	layer.Full(t, "asks git for the files")
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "loadtest/xk6-hoplab"} {
		at := filepath.Join(r.Root, filepath.FromSlash(dir))
		version := required(t, filepath.Join(at, "go.mod"))
		want, err := Sums(r.Root, Module{Path: samplefile, Version: version, Dir: "loadtest/samplefile"})
		if err != nil {
			t.Fatal(err)
		}
		sum := filepath.Join(at, "go.sum")
		got := lines(t, sum)
		if *update {
			renew(t, sum, want)
			got = want
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s has\n%s\nand loadtest/samplefile is\n%s\nWhere %s is not released yet, go test ./internal/test/modproxy -update "+
				"says what it will be; else raise its version in both go.mod and both go.work first",
				sum, strings.Join(got, "\n"), strings.Join(want, "\n"), version)
		}
	}
}

// required is the version of the sample format in a go.mod, which may not replace it.
func required(t *testing.T, name string) (version string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Replace) > 0 {
		t.Errorf("%s replaces %s: go install module@version refuses that; the go.work files are the place", name, f.Replace[0].Old.Path)
	}
	for _, r := range f.Require {
		if r.Mod.Path == samplefile {
			version = r.Mod.Version
		}
	}
	if version == "" {
		t.Fatalf("%s does not require %s", name, samplefile)
	}
	return version
}

// lines are those of the sample format in a go.sum.
func lines(t *testing.T, name string) (out []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(data)) {
		if strings.HasPrefix(l, samplefile+" ") {
			out = append(out, strings.TrimSuffix(l, "\n"))
		}
	}
	return out
}

// renew puts the lines in the place of those that a go.sum has, where the go
// command would sort them.
func renew(t *testing.T, name string, want []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	done := false
	for l := range strings.Lines(string(data)) {
		if strings.HasPrefix(l, samplefile+" ") {
			continue
		}
		if !done && l > samplefile {
			b.WriteString(strings.Join(want, "\n") + "\n")
			done = true
		}
		b.WriteString(l)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
