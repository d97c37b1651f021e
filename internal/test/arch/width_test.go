package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	widest   = 140 // columns of a line, a tab counting as one
	breaking = 60  // what a break must at least move, in columns, to be worth it
)

// No line is wider than a reader's window where a struct literal or a
// signature on it can be broken. A string that is long by itself stays.
func TestLinesAreBroken(t *testing.T) {
	var wide []string
	files := 0
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "node_modules" || name == "testdata" || name == ".git" || strings.HasPrefix(name, "cdk.out")):
			return fs.SkipDir
		case filepath.Ext(name) == ".go":
			files++
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines, err := wideLines(path, src)
			wide = append(wide, lines...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("looked at %d files only", files)
	}
	if len(wide) > 0 {
		t.Errorf("%d lines over %d columns can be broken:\n%s", len(wide), widest, strings.Join(wide, "\n"))
	}
}

func TestWidthRuleCanFail(t *testing.T) {
	long := strings.Repeat("x", 70)
	for name, c := range map[string]struct {
		line string
		want int
	}{
		"literal":            {`var a = T{A: "` + long + `", B: "` + long + `"}`, 1},
		"broken literal":     {"var a = T{A: \"" + long + "\",\n\tB: \"" + long + "\"}", 0},
		"one long string":    {`var a = T{A: "` + long + long + `"}`, 0},
		"signature":          {"func f(a" + long + " int, b" + long + " int) {}", 1},
		"comment":            {"// " + long + long, 0},
		"call":               {"var a = f(" + long + ", " + long + ")", 0},
		"short literal last": {`var a = "` + long + long + `" + f(T{A: 1, B: 2})`, 0},
	} {
		got, err := wideLines("a.go", []byte("package a\n\n"+c.line+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.want {
			t.Errorf("%s: got %q, want %d lines", name, got, c.want)
		}
	}
}

// wideLines returns file:line of each line over the limit that holds two or
// more elements of one literal, or parameters of one signature, which
// together take enough columns for a break to help.
func wideLines(name string, src []byte) ([]string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(src), "\n")
	found := map[int]bool{}
	look := func(nodes []ast.Node) {
		on := map[int][]ast.Node{}
		for _, n := range nodes {
			line := fset.Position(n.Pos()).Line
			on[line] = append(on[line], n)
		}
		for line, nodes := range on {
			text := lines[line-1]
			if utf8.RuneCountInString(text) <= widest || len(nodes) < 2 {
				continue
			}
			from, to := fset.Position(nodes[0].Pos()), fset.Position(nodes[len(nodes)-1].End())
			end := len(text) + 1
			if to.Line == line {
				end = to.Column
			}
			if end-from.Column >= breaking {
				found[line] = true
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			look(nodes(n.Elts))
		case *ast.FuncType:
			look(nodes(n.Params.List))
		}
		return true
	})
	var out []string
	for line := range found {
		out = append(out, fmt.Sprintf("%s:%d", name, line))
	}
	slices.Sort(out)
	return out, nil
}

func nodes[N ast.Node](in []N) (out []ast.Node) {
	for _, n := range in {
		out = append(out, n)
	}
	return out
}
