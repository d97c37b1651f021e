package arch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// Every go.mod of the repository says why a module or a tool was chosen, and
// keeps what was chosen apart from what came with it.
func TestRequirementsSayWhy(t *testing.T) {
	files, err := moduleFiles("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 4 {
		t.Fatalf("found only %q; want those of the root, tools, samplefile and xk6-hoplab", files)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		faults, err := requirementFaults(file, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			t.Error(f)
		}
	}
}

func TestRequirementRulesCanFail(t *testing.T) {
	const mod = `module example.com/m

require (
	example.com/a v1.0.0
	example.com/b v1.0.0 // indirect
)

// reads the words
require example.com/c v1.0.0

tool (
	example.com/d // checks the words
	example.com/e
)
`
	faults, err := requirementFaults("go.mod", []byte(mod))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"go.mod:3: direct and indirect requirements share a block; `go mod tidy` keeps two apart",
		"go.mod:4: example.com/a has no reason; add a comment behind it",
		"go.mod:13: example.com/e has no reason; add a comment behind it",
	}
	if strings.Join(faults, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(faults, "\n"), strings.Join(want, "\n"))
	}
}

// What hoplab and its k6 both link of Go's own modules, gRPC and protobuf has one
// version, so that a first run compiles it once.
func TestK6SharesVersions(t *testing.T) {
	own, k6 := required(t, "../../../go.mod"), required(t, "../../../loadtest/xk6-hoplab/go.mod")
	shared := 0
	for path, version := range own {
		if k6[path] == "" || !strings.HasPrefix(path, "golang.org/x/") && !strings.HasPrefix(path, "google.golang.org/") {
			continue
		}
		if shared++; k6[path] != version {
			t.Errorf("%s is %s in go.mod and %s in loadtest/xk6-hoplab/go.mod; raise both", path, version, k6[path])
		}
	}
	if shared < 5 {
		t.Errorf("only %d modules are in both", shared)
	}
}

// required are the versions that a go.mod requires.
func required(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range f.Require {
		out[r.Mod.Path] = r.Mod.Version
	}
	return out
}

// moduleFiles returns every go.mod below root, but for what others put there.
func moduleFiles(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && path != root && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "cdk.out")):
			return fs.SkipDir
		case name == "go.mod":
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// requirementFaults returns a line for each direct requirement and tool
// without a comment, and for each block that mixes direct and indirect.
func requirementFaults(name string, data []byte) ([]string, error) {
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, err
	}
	var faults []string
	fault := func(e modfile.Expr, format string, args ...any) {
		start, _ := e.Span()
		faults = append(faults, fmt.Sprintf("%s:%d: ", name, start.Line)+fmt.Sprintf(format, args...))
	}
	for _, stmt := range f.Syntax.Stmt {
		verb, lines := statement(stmt)
		if verb != "require" && verb != "tool" {
			continue
		}
		if n := countIndirect(lines); n > 0 && n < len(lines) {
			fault(stmt, "direct and indirect requirements share a block; `go mod tidy` keeps two apart")
		}
		for _, l := range lines {
			if !indirect(l) && len(l.Before)+len(l.Suffix) == 0 {
				path := l.Token[0]
				if !l.InBlock {
					path = l.Token[1]
				}
				fault(l, "%s has no reason; add a comment behind it", path)
			}
		}
	}
	return faults, nil
}

// statement returns the first word of a statement, and its lines.
func statement(stmt modfile.Expr) (verb string, lines []*modfile.Line) {
	switch s := stmt.(type) {
	case *modfile.LineBlock:
		return s.Token[0], s.Line
	case *modfile.Line:
		return s.Token[0], []*modfile.Line{s}
	}
	return "", nil
}

func countIndirect(lines []*modfile.Line) (n int) {
	for _, l := range lines {
		if indirect(l) {
			n++
		}
	}
	return n
}

func indirect(l *modfile.Line) bool {
	return len(l.Suffix) > 0 && strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(l.Suffix[0].Token, "//")), "indirect")
}
