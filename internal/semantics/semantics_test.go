package semantics

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		ref         Ref
		short, cite string
	}{
		{Section(6), "6", "semantics 6"},
		{Section(1, 7), "1, 7", "semantics 1, 7"},
		{Row(28), "10 row 28", "semantics 10 row 28"},
		{Section(6).Row(9, 10, 27), "6, 10 rows 9, 10 and 27", "semantics 6; 10 rows 9, 10 and 27"},
		{Section(4, 6).Row(26), "4, 6, 10 row 26", "semantics 4, 6; 10 row 26"},
		{Section(3).Row(4, 16), "3, 10 rows 4 and 16", "semantics 3; 10 rows 4 and 16"},
	} {
		if c.ref.String() != c.short || c.ref.Cite() != c.cite {
			t.Errorf("%q and %q; want %q and %q", c.ref, c.ref.Cite(), c.short, c.cite)
		}
	}
}

func TestJSON(t *testing.T) {
	type doc struct {
		Basis Ref `json:"basis,omitzero"`
	}
	for want, d := range map[string]doc{`{"basis":"6, 10 row 28"}`: {Section(6).Row(28)}, `{}`: {}} {
		if b, err := json.Marshal(d); err != nil || string(b) != want {
			t.Errorf("%s, %v; want %s", b, err, want)
		}
	}
}

// page holds the section numbers and the rows of section 10 that
// docs/semantics.md has.
func page(t *testing.T) (sections, rows map[int]bool) {
	t.Helper()
	text, err := os.ReadFile("../../docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	sections, rows = map[int]bool{}, map[int]bool{}
	heading, row := regexp.MustCompile(`^## (\d+)\. `), regexp.MustCompile(`^\| (\d+) \|`)
	at := -1
	for line := range strings.Lines(string(text)) {
		if m := heading.FindStringSubmatch(line); m != nil {
			at, _ = strconv.Atoi(m[1])
			sections[at] = true
		} else if m := row.FindStringSubmatch(line); m != nil && at == 10 {
			n, _ := strconv.Atoi(m[1])
			rows[n] = true
		}
	}
	if len(sections) < 13 || len(rows) < 37 {
		t.Fatalf("docs/semantics.md has %d sections and %d rows; it had 13 and 37", len(sections), len(rows))
	}
	return sections, rows
}

// TestEveryCitationResolves finds the citations in the module's source, those
// in comments too, and looks each up on the page.
func TestEveryCitationResolves(t *testing.T) {
	sections, rows := page(t)
	words := regexp.MustCompile(`[Ss]ection (\d+) of the semantics`)
	cited, said := 0, 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "semantics" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range words.FindAllSubmatch(text, -1) {
			said++
			if n, _ := strconv.Atoi(string(m[1])); !sections[n] {
				t.Errorf("%s speaks of section %d, which docs/semantics.md has not", path, n)
			}
		}
		n, err := citations(path, text, func(kind string, number int) {
			if have := map[string]map[int]bool{"Section": sections, "Row": rows}[kind]; !have[number] {
				t.Errorf("%s cites %s %d, which docs/semantics.md has not", path, strings.ToLower(kind), number)
			}
		})
		cited += n
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 60 || said < 10 {
		t.Errorf("only %d numbers cited and %d comments found: the test looks in the wrong place", cited, said)
	}
}

// citations calls f for every number in a call of Section or Row, and returns
// how many there were. A number that is no literal counts as -1, which
// nothing has.
func citations(path string, text []byte, f func(kind string, number int)) (int, error) {
	if !strings.Contains(string(text), `internal/semantics"`) {
		return 0, nil
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return 0, err
	}
	found := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Section" && sel.Sel.Name != "Row" || !cites(sel.X) {
			return true
		}
		for _, arg := range call.Args {
			number := -1
			if lit, ok := arg.(*ast.BasicLit); ok {
				number, _ = strconv.Atoi(lit.Value)
			}
			found++
			f(sel.Sel.Name, number)
		}
		return true
	})
	return found, nil
}

// cites reports whether x is the package, or a call of its functions.
func cites(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "semantics"
	case *ast.CallExpr:
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && cites(sel.X)
	}
	return false
}

func TestACitationCanFail(t *testing.T) {
	const text = `package x
import "github.com/hoplab/hoplab/internal/semantics"
var n = 3
var a = semantics.Section(1, 99).Row(28, n)
`
	var got []int
	if _, err := citations("x.go", []byte(text), func(_ string, n int) { got = append(got, n) }); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, n := range got {
		seen[n] = true
	}
	if len(got) != 4 || !seen[99] || !seen[28] || !seen[-1] {
		t.Errorf("numbers %v; want 1, 99, 28 and -1", got)
	}
}
