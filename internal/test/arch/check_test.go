package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// findingTypes are what a finding is made of: they are declared where findings
// are, and nowhere else.
var findingTypes = map[string]bool{"Finding": true, "Rule": true, "Severity": true, "Suppressed": true, "SuppressEntry": true}

// TestFindingsAreInCheck holds that package check has the findings, their
// rules and severities, and that no other package declares a second kind.
func TestFindingsAreInCheck(t *testing.T) {
	const home = "../../check"
	for name := range findingTypes {
		if !declared(t, home)[name] {
			t.Errorf("internal/check declares no %s", name)
		}
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == home || strings.HasPrefix(path, "../../test") || d.Name() == "testdata" {
			return err
		}
		for name := range declared(t, path) {
			if name == "Finding" || name == "Severity" || strings.HasPrefix(name, "Suppress") && name != "Suppression" {
				t.Errorf("%s declares %s; findings are in internal/check", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// declared returns the exported types of the package in dir, tests left out.
func declared(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				out[spec.Name.Name] = true
			}
			return true
		})
	}
	return out
}
