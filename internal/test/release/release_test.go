// Package release holds together what a release is made of: GoReleaser's
// configuration, the scripts around it, and the names by which others fetch it.
package release

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// configuration is what these tests read of .goreleaser.yaml.
type configuration struct {
	Before struct{ Hooks []string }
	Builds []struct {
		ID, Main, Binary string
		Goos, Goarch     []string
		Flags, Tags      []string
		Skip             string
	}
	Archives []struct {
		NameTemplate string `yaml:"name_template"`
		Files        []any
	}
	Checksum struct {
		NameTemplate string `yaml:"name_template"`
	}
	DockersV2 []struct {
		Dockerfile string
		IDs        []string `yaml:"ids"`
	} `yaml:"dockers_v2"`
}

func root(t *testing.T) string {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	return r.Root
}

func text(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func read(t *testing.T) configuration {
	t.Helper()
	var c configuration
	if err := yaml.Unmarshal([]byte(text(t, ".goreleaser.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// platforms are those of a release.
var platforms = []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"}

// Each platform is built once, without the paths of the machine that builds it,
// and what the configuration names is there.
func TestConfiguration(t *testing.T) {
	c := read(t)
	var got []string
	for _, b := range c.Builds {
		for _, system := range b.Goos {
			for _, arch := range b.Goarch {
				got = append(got, system+"_"+arch)
			}
		}
		if b.Binary != "hoplab" || b.Main != "./cmd/hoplab" || !slices.Contains(b.Flags, "-trimpath") || !slices.Contains(b.Tags, "grpcnotrace") {
			t.Errorf("build %s: %+v", b.ID, b)
		}
		if !strings.Contains(b.Skip, `"`+b.ID+`"`) || !slices.Contains(got, b.ID) {
			t.Errorf("build %s is left out by %s", b.ID, b.Skip)
		}
	}
	if slices.Sort(got); !slices.Equal(got, platforms) {
		t.Errorf("built for %v; want %v", got, platforms)
	}
	files := append(slices.Clone(c.Before.Hooks), c.DockersV2[0].Dockerfile)
	for _, f := range c.Archives[0].Files {
		if name, ok := f.(string); ok {
			files = append(files, name)
		}
	}
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(root(t), f)); err != nil {
			t.Error(err)
		}
	}
}

// Whoever fetches a release does so by the names that it has.
func TestNamesOfARelease(t *testing.T) {
	c := read(t)
	if name := c.Archives[0].NameTemplate; name != "hoplab_{{ .Os }}_{{ .Arch }}" || c.Checksum.NameTemplate != "checksums.txt" {
		t.Fatalf("archives are %s, checksums %s: change everything that this test reads with them", name, c.Checksum.NameTemplate)
	}
	archive := regexp.MustCompile(`releases/latest/download/([A-Za-z0-9_.-]+)`)
	for _, doc := range []string{"docs/endpoints.md", "docs/ci.md", "README.md"} {
		found := archive.FindAllStringSubmatch(text(t, doc), -1)
		if len(found) == 0 {
			t.Errorf("%s does not say how to fetch a release", doc)
		}
		for _, m := range found {
			if name := strings.TrimSuffix(strings.TrimPrefix(m[1], "hoplab_"), ".tar.gz"); !slices.Contains(platforms, name) {
				t.Errorf("%s fetches %s", doc, m[1])
			}
		}
	}
	install := text(t, "scripts", "action-install.sh")
	if !strings.Contains(install, "hoplab_${os}_$arch.tar.gz") || !strings.Contains(install, c.Checksum.NameTemplate) {
		t.Error("scripts/action-install.sh fetches something else")
	}
}

// The formula has each platform's archive with its own checksum, and none is
// written where one is missing.
func TestFormula(t *testing.T) {
	layer.Full(t, "runs a script")
	var sums strings.Builder
	for i, p := range platforms {
		fmt.Fprintf(&sums, "%064d  hoplab_%s.tar.gz\n", i+1, p)
	}
	path := filepath.Join(t.TempDir(), "checksums.txt")
	formula := func(content string) (string, error) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(root(t), "scripts", "release-formula.sh"), "v1.2.3", path).Output()
		return string(out), err
	}
	got, err := formula(sums.String())
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range platforms {
		want := fmt.Sprintf("url \"https://github.com/hoplab/hoplab/releases/download/v1.2.3/hoplab_%s.tar.gz\"\n      sha256 \"%064d\"", p, i+1)
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Count(got, " do\n") != strings.Count(got, "end\n")-2 { // the class and its method have an end too
		t.Errorf("blocks that do not close:\n%s", got)
	}
	if got, err := formula(strings.Replace(sums.String(), "linux_arm64", "linux_riscv64", 1)); err == nil {
		t.Errorf("a platform without checksum was accepted:\n%s", got)
	}
}
