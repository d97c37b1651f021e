package arch

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// listed finds the packages that the first column of the table in
// docs/architecture.md names: one row may name several.
func listed(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`([^`]+)`")
	jobs := map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			if jobs[m[1]] != "" {
				t.Errorf("docs/architecture.md lists %s twice", m[1])
			}
			jobs[m[1]] = strings.TrimSpace(cells[2])
		}
	}
	return jobs
}

// TestArchitectureListsEveryPackage holds the document against the tree: each
// package has one row with its job, and no row names what is not there.
func TestArchitectureListsEveryPackage(t *testing.T) {
	layer.Full(t, "asks go list")
	jobs := listed(t)
	there := map[string]bool{"app.go": true}
	for _, p := range load(t) {
		rel := strings.TrimPrefix(p.ImportPath, module+"/")
		if rel == module || strings.HasPrefix(rel, "loadtest/samplefile") {
			continue // app.go, and a module of its own
		}
		there[rel] = true
		if jobs[rel] == "" {
			t.Errorf("docs/architecture.md has no row with the job of %s", rel)
		}
	}
	for _, m := range []string{"loadtest/samplefile", "loadtest/xk6-hoplab", "loadtest"} {
		there[m] = true
	}
	for name := range jobs {
		if !there[name] {
			t.Errorf("docs/architecture.md lists %s, which is no package", name)
		}
	}
}
