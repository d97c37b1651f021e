package arch

import (
	"go/ast"
	"slices"
	"testing"
)

// TestParentDeath: Linux kills a child with the *thread* that started it. So
// whoever asks for that keeps the thread, and nobody else may ask.
func TestParentDeath(t *testing.T) {
	keep := []string{ // each starts its children from a thread locked for as long
		"internal/k6/isolate_linux.go",
		"internal/lab/netns/enter_linux.go",
		"internal/lab/proc/die_linux.go",
		"internal/test/labtest/child_linux.go",
	}
	var asked []string
	for _, f := range sources(t) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == "Pdeathsig" && !slices.Contains(asked, f.path) {
				asked = append(asked, f.path)
			}
			return true
		})
	}
	slices.Sort(asked)
	if !slices.Equal(asked, keep) {
		t.Errorf("files that ask for the parent-death signal: %q; want %q: start a test's child with labtest.StartChild", asked, keep)
	}
}
