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

const root = "../../.."

// sourceFile is a parsed Go file of the repository.
type sourceFile struct {
	path   string // relative to the repository, with slashes
	dir    string
	fset   *token.FileSet
	syntax *ast.File
}

// sources parses every Go file of the repository, those for other systems
// included, but for test data.
func sources(t *testing.T) []sourceFile {
	t.Helper()
	var out []sourceFile
	for _, p := range files(t, ".go") {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(root, filepath.FromSlash(p)), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, sourceFile{p, p[:max(strings.LastIndex(p, "/"), 0)], fset, f})
	}
	if len(out) < 400 {
		t.Fatalf("found %d Go files; that cannot be all", len(out))
	}
	return out
}

// files lists the repository's files with the given ending, relative to it,
// but for test data and what is not the repository's own.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && (name == "testdata" || name == "node_modules" || name == "cdk.out" || len(name) > 2 && name[0] == '.'):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ending):
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// line says where a node is, for an error.
func (f sourceFile) line(pos token.Pos) int { return f.fset.Position(pos).Line }
