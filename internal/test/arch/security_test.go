package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPromisesHaveTests resolves the tests that SECURITY.md names for
// each promise: a function of the package's tests, and for TestStories a script.
func TestSecurityPromisesHaveTests(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	testName := regexp.MustCompile("^(Test|Fuzz)") // a fuzz target is a test of its seeds and of what it has found
	for _, f := range sources(t) {
		if !strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && testName.MatchString(fn.Name.Name) {
				tests[f.dir+" "+fn.Name.Name] = true
			}
		}
	}
	inPackage := regexp.MustCompile("^`([a-z0-9/]+)` ((?:Test|Fuzz).*)$")
	promises, named := 0, 0
	held := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			held = false
			continue
		case strings.HasPrefix(line, "| promise | held by |"):
			held = true
			continue
		case !held || strings.HasPrefix(line, "| ---"):
			continue
		}
		promises++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 2 {
			t.Errorf("a promise without tests: %s", line)
			continue
		}
		for _, part := range strings.Split(cells[1], "; ") {
			m := inPackage.FindStringSubmatch(part)
			if m == nil {
				t.Errorf("%q is no package with its tests", part)
				continue
			}
			for _, name := range strings.Split(m[2], ", ") {
				named++
				function, story, isStory := strings.Cut(name, "/")
				if !tests[m[1]+" "+function] {
					t.Errorf("%s has no %s", m[1], function)
				}
				if isStory {
					if _, err := os.Stat(filepath.Join(root, m[1], "testdata/script", story+".txtar")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
	}
	if promises < 15 || named < 40 {
		t.Errorf("read %d promises and %d tests; that cannot be all", promises, named)
	}
}
