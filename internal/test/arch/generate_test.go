package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGenerateRenewsEveryGoldenFile: go generate ./... runs every test that
// writes a golden file or a document anew.
func TestGenerateRenewsEveryGoldenFile(t *testing.T) {
	tests := map[string][]sourceFile{}
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") && f.dir != "internal/test/golden" {
			tests[f.dir] = append(tests[f.dir], f)
		}
	}
	packages := 0
	for dir, files := range tests {
		writers := writersOf(files)
		if len(writers) == 0 {
			continue
		}
		packages++
		lines := generateLines(t, files)
		for _, name := range writers {
			if !strings.HasPrefix(name, "Test") {
				continue
			}
			if !anyMatches(lines, name) {
				t.Errorf("%s: no line go:generate runs %s with -update, which writes a file anew", dir, name)
			}
		}
	}
	if packages < 12 {
		t.Errorf("found %d packages with golden files; expected 12 or more", packages)
	}
}

// writersOf names the functions of a package's tests that use package golden,
// themselves or through each other.
func writersOf(files []sourceFile) (names []string) {
	mentions := map[string]map[string]bool{}
	for _, f := range files {
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			in := map[string]bool{}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					in[n.Name] = true
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && (n.Sel.Name == "Check" || n.Sel.Name == "Update") {
						in[x.Name+"."] = true
					}
				}
				return true
			})
			mentions[fn.Name.Name] = in
		}
	}
	writes := map[string]bool{"golden.": true}
	for grew := true; grew; {
		grew = false
		for name, in := range mentions {
			for w := range writes {
				if in[w] && !writes[name] {
					writes[name], grew = true, true
					names = append(names, name)
					break
				}
			}
		}
	}
	return names
}

var generateLine = regexp.MustCompile(`(?m)^//go:generate go test \.(?: -run '?([^' ]+)'?)?.* -update$`)

// generateLines are the patterns of the tests that go generate runs with -update.
func generateLines(t *testing.T, files []sourceFile) (out []*regexp.Regexp) {
	t.Helper()
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range generateLine.FindAllStringSubmatch(string(text), -1) {
			out = append(out, regexp.MustCompile(m[1])) // "" is every test
		}
	}
	return out
}

func anyMatches(patterns []*regexp.Regexp, name string) bool {
	for _, p := range patterns {
		if p.MatchString(name) {
			return true
		}
	}
	return false
}
