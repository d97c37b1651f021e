package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// writers are the packages that write text for people, by the directory.
var writers = []string{"internal/cli", "internal/check", "internal/reach/render", "internal/diagnose", "internal/cost", "internal/source",
	"internal/source/synth", "internal/repo", "internal/envoybin", "internal/lab/node"}

// asItIs are the writes that are meant to pass a text on unchanged, by their
// file: the body of an answer, as curl prints it.
var asItIs = map[string]int{"internal/cli/labtext.go": 1}

// TestPrintable: in these packages only a literal is written past package
// printable, and what is hashed. (The report has writers of its own, each of
// which cleans what it is given.)
func TestPrintable(t *testing.T) {
	seen := map[string]int{}
	through := 0
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") || !slices.Contains(writers, f.dir) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if isName(s.X, "printable") {
				through++
			}
			raw := isName(s.X, "fmt") && (strings.HasPrefix(s.Sel.Name, "Fprint") || strings.HasPrefix(s.Sel.Name, "Print")) ||
				isName(s.X, "io") && s.Sel.Name == "WriteString"
			if !raw || isName(call.Args[0], "h") {
				return true
			}
			if slices.ContainsFunc(call.Args[1:], func(e ast.Expr) bool { _, literal := e.(*ast.BasicLit); return !literal }) {
				seen[f.path]++
				if seen[f.path] > asItIs[f.path] {
					t.Errorf("%s:%d: %s writes what may hold anything; use package printable", f.path, f.line(call.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
	if through < 60 {
		t.Errorf("found %d calls of package printable; there must be more", through)
	}
}
