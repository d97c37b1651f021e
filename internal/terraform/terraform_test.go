package terraform_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/terraform"
)

var update = flag.Bool("update", false, "rewrite the golden files under testdata")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

// fixtures are read with the variables that they name, or as they stand.
// Each is a directory of .tf files, or a plan, under testdata; the golden
// file beside it carries the name of the case.
type fixture struct {
	Case     string
	Path     string
	Vars     map[string]string
	VarFiles []string
	Env      []string
}

func TestFixtures(t *testing.T) {
	src, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []fixture
	if err := json.Unmarshal(src, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Case, func(t *testing.T) {
			o := terraform.Options{Vars: c.Vars, Env: c.Env}
			for _, f := range c.VarFiles {
				o.VarFiles = append(o.VarFiles, filepath.Join("testdata", f))
			}
			path := filepath.Join("testdata", c.Path)
			if !terraform.Detect(path) {
				t.Errorf("Detect(%s) = false", path)
			}
			top, err := terraform.Load(path, o)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", c.Case+".golden"), dump(t, top))
		})
	}
}
