package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quotedTest is a go test of one package, as documents, comments and scripts
// name it, with its arguments up to the end of the command.
var quotedTest = regexp.MustCompile("go test ((?:-[^`\n]*? )?)\\./([\\w/]+)(\\.{3})?((?: [^`\n#|)]*)?)")

// chosen is what an argument chooses of a package's tests, up to the first slash.
var chosen = regexp.MustCompile(`-(run|bench|fuzz)[ =]'?([^' /]+)`)

// TestQuotedTestsExist: a go test that a document, a comment or a script names is
// of a package that is there, and runs something.
func TestQuotedTestsExist(t *testing.T) {
	names := map[string][]string{} // of the tests of a directory
	for _, f := range sources(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasSuffix(f.path, "_test.go") {
				names[f.dir] = append(names[f.dir], fn.Name.Name)
			}
		}
	}
	found := 0
	for _, ending := range []string{".md", ".go", ".sh", ".yml"} {
		for _, p := range files(t, ending) {
			if p == "internal/test/arch/quoted_test.go" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range quotedTest.FindAllStringSubmatch(string(text), -1) {
				if m[3] != "" {
					continue // of several packages
				}
				found++
				if wrong := runsNothing(names[strings.TrimSuffix(m[2], "/")], m[1]+m[4]); wrong != "" {
					t.Errorf("%s: %s: %s", p, strings.TrimSpace(m[0]), wrong)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("found %d quoted tests; expected 30 or more", found)
	}
	for _, args := range []string{" -run TestGone", " -run '^$' -bench Gone", " -fuzz FuzzGone"} {
		if runsNothing([]string{"TestHere", "BenchmarkHere"}, args) == "" {
			t.Errorf("go test%s is taken for one that runs something", args)
		}
	}
}

// runsNothing says what is wrong with a go test of a package with the tests of
// these names, or "".
func runsNothing(names []string, args string) string {
	if len(names) == 0 {
		return "there is no such package with tests"
	}
	for _, m := range chosen.FindAllStringSubmatch(args, -1) {
		prefix := map[string]string{"run": "Test", "bench": "Benchmark", "fuzz": "Fuzz"}[m[1]]
		p, err := regexp.Compile(m[2])
		if err != nil {
			return err.Error()
		}
		some := m[2] == "^$"
		for _, n := range names {
			some = some || strings.HasPrefix(n, prefix) && p.MatchString(n)
		}
		if !some {
			return "it has no " + prefix + " that " + m[2] + " matches"
		}
	}
	return ""
}
