package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestHints: a hint says the next step in lower case without a full stop,
// wherever it is built: in the call of fail.Newf, in a variable or constant of
// the package, in a function of it that returns the hint, or in a call that
// gives it to one that passes it on.
func TestHints(t *testing.T) {
	packages := map[string][]sourceFile{}
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") || f.dir == "internal/fail" {
			continue
		}
		packages[f.dir] = append(packages[f.dir], f)
	}
	var calls int
	for _, files := range packages {
		h := hints{values: map[string][]ast.Expr{}, params: map[string][]string{}}
		for _, f := range files {
			h.note(f.syntax)
		}
		for _, f := range files {
			h.noteArguments(f.syntax)
		}
		for _, f := range files {
			for _, e := range hintsOf(f.syntax) {
				calls++
				for _, wrong := range h.check(e) {
					t.Errorf("%s:%d: the hint %s", f.path, f.line(e.Pos()), wrong)
				}
			}
		}
	}
	if calls < 250 {
		t.Errorf("found %d hints; there must be more", calls)
	}
}

// hintsOf returns the expressions that a file gives as hints: the second
// argument of fail.Newf, and the field Hint of a composite literal.
func hintsOf(file *ast.File) []ast.Expr {
	var out []ast.Expr
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Newf" && isName(s.X, "fail") {
				out = append(out, n.Args[1])
			}
		case *ast.KeyValueExpr:
			if isName(n.Key, "Hint") {
				out = append(out, n.Value)
			}
		}
		return true
	})
	return out
}

// hints are the expressions that a package assigns to names, gives for
// parameters or returns from functions. Names are told apart by their text
// alone, so that an expression too many may be looked at, and none too few.
type hints struct {
	values map[string][]ast.Expr
	params map[string][]string // by function
}

func (h *hints) note(file *ast.File) {
	add := func(name string, e ast.Expr) { h.values[name] = append(h.values[name], e) }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if id, ok := l.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) && n.Tok != token.ADD_ASSIGN {
					add(id.Name, n.Rhs[i])
					if f, ok := n.Rhs[i].(*ast.FuncLit); ok {
						h.params[id.Name] = parameters(f.Type)
					}
				}
			}
		case *ast.ValueSpec:
			for i, id := range n.Names {
				if i < len(n.Values) {
					add(id.Name, n.Values[i])
				}
			}
		case *ast.FuncDecl:
			h.params[n.Name.Name] = parameters(n.Type)
			h.noteFunction(n, add)
		}
		return true
	})
}

// noteArguments adds what the calls of the package's functions give for their
// parameters.
func (h *hints) noteArguments(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := ""
		switch f := c.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		for i, p := range h.params[name] {
			if i < len(c.Args) {
				h.values[p] = append(h.values[p], c.Args[i])
			}
		}
		return true
	})
}

// parameters lists the names of a function's parameters.
func parameters(f *ast.FuncType) []string {
	var out []string
	for _, field := range f.Params.List {
		for _, n := range field.Names {
			out = append(out, n.Name)
		}
		if len(field.Names) == 0 {
			out = append(out, "_")
		}
	}
	return out
}

// noteFunction adds what a function returns as its only value, a string.
func (h *hints) noteFunction(f *ast.FuncDecl, add func(string, ast.Expr)) {
	if f.Body == nil || f.Type.Results == nil || len(f.Type.Results.List) != 1 || !isName(f.Type.Results.List[0].Type, "string") {
		return
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if _, ok := n.(*ast.FuncLit); ok {
			return false
		}
		if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 1 {
			add(f.Name.Name+"()", r.Results[0])
		}
		return true
	})
}

// check returns what is wrong with a hint.
func (h *hints) check(e ast.Expr) (wrong []string) {
	for _, s := range h.texts(e, true, 0) {
		if startsUpper(s) {
			wrong = append(wrong, strconv.Quote(s)+" starts with a capital")
		}
	}
	for _, s := range h.texts(e, false, 0) {
		if strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "...") {
			wrong = append(wrong, strconv.Quote(s)+" ends with a full stop")
		}
	}
	return wrong
}

// texts returns the literals with which an expression may begin, or end.
func (h *hints) texts(e ast.Expr, begin bool, depth int) []string {
	if depth > 6 {
		return nil
	}
	var out []string
	name := ""
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{s}
		}
	case *ast.ParenExpr:
		return h.texts(e.X, begin, depth)
	case *ast.BinaryExpr:
		if begin {
			return h.texts(e.X, begin, depth)
		}
		return h.texts(e.Y, begin, depth)
	case *ast.Ident:
		name = e.Name
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.SelectorExpr:
			if f.Sel.Name == "Sprintf" {
				return h.texts(e.Args[0], begin, depth)
			}
			name = f.Sel.Name + "()"
		case *ast.Ident:
			name = f.Name + "()"
		}
	}
	for _, v := range h.values[name] {
		out = append(out, h.texts(v, begin, depth+1)...)
	}
	return out
}

// startsUpper reports whether a text starts with a word in title case, which
// an abbreviation (CDK) and a name of others (CloudFormation) are not.
func startsUpper(s string) bool {
	runes := []rune(s)
	end := 0
	for end < len(runes) && unicode.IsLetter(runes[end]) {
		end++
	}
	word := runes[:end]
	if len(word) == 0 || !unicode.IsUpper(word[0]) {
		return false
	}
	return len(word) == 1 || !slices.ContainsFunc(word[1:], unicode.IsUpper)
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func TestHintsCanFail(t *testing.T) {
	for s, want := range map[string]bool{
		"Check the path": true, "check the path": false, "A name": true, "AWS says no": false, "CloudFormation refuses it": false,
		"--yes starts it": false, "`hoplab lab status` lists them": false, "": false, "%s": false,
	} {
		if got := startsUpper(s); got != want {
			t.Errorf("startsUpper(%q) = %v", s, got)
		}
	}
}
