package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDocsBeginWithTheName: what stands above a function or a type begins with
// its name, so that a comment which was left when the name changed, or which is of
// something else, is seen.
func TestDocsBeginWithTheName(t *testing.T) {
	documented := 0
	for _, p := range files(t, ".go") {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(root, filepath.FromSlash(p)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			name, doc := nameAndDoc(d)
			if doc == "" {
				continue
			}
			documented++
			if wrong := otherName(name, doc); wrong != "" {
				t.Errorf("%s:%d: the comment on %s begins with %q", p, fset.Position(d.Pos()).Line, name, wrong)
			}
		}
	}
	if documented < 3000 {
		t.Errorf("found %d comments; expected 3000 or more", documented)
	}
	for name, doc := range map[string]string{"agree": "check loads a path", "helper": "TestSame: what is alike", "load": "Load is what"} {
		if otherName(name, doc) == "" {
			t.Errorf("%q is taken for a comment on %s", doc, name)
		}
	}
}

// nameAndDoc returns the name of a function or of a type that is declared alone,
// and the comment above it; "" for any other declaration.
func nameAndDoc(d ast.Decl) (name, doc string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Name.Name, d.Doc.Text()
	case *ast.GenDecl:
		if len(d.Specs) == 1 {
			if ts, ok := d.Specs[0].(*ast.TypeSpec); ok {
				return ts.Name.Name, d.Doc.Text()
			}
		}
	}
	return "", ""
}

// otherName is the first word of a comment, if it is not the name that it is on.
// A test may say in a sentence what holds, but not begin with another test, and
// init says what it fills in.
func otherName(name, doc string) string {
	words := strings.Fields(doc)
	first := strings.TrimRight(words[0], ",:;.")
	if name == "init" || first == name || slices.Contains([]string{"A", "An", "The"}, first) && len(words) > 1 && strings.TrimRight(words[1], ",:;.") == name {
		return ""
	}
	for _, kind := range []string{"Test", "Benchmark", "Fuzz", "Example"} {
		if strings.HasPrefix(name, kind) && !strings.HasPrefix(first, kind) {
			return ""
		}
	}
	return first
}
