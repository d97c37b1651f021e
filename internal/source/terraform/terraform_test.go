package terraform_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/topology"
)

//go:generate go test . -run TestFixtures -count=1 -update

// fixture is read with the variables that it names, or as it stands: a directory
// of .tf files, or a plan, under testdata. The golden file beside it carries the
// name of the case.
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
			golden.Check(t, filepath.Join("testdata", c.Case+".golden"), dump(t, top))
		})
	}
}

// load reads a configuration of one file.
func load(t *testing.T, config string) *topology.Topology {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	top, err := terraform.Load(dir, terraform.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func TestDetect(t *testing.T) {
	tests := []struct {
		path string
		want bool
	}{
		{"testdata/seed-health-check", true},
		{"testdata/seed-health-check/main.tf", true},
		{"testdata/json-syntax", true},
		{"testdata/plans/state.json", true},
		{"testdata/plans", false}, // holds plans, but is no configuration
		{"testdata/cases.json", false},
		{"testdata", false},
		{"nowhere", false},
		{"../cfn/deployment/testdata", false},
	}
	for _, tt := range tests {
		if got := terraform.Detect(tt.path); got != tt.want {
			t.Errorf("Detect(%s) = %v", tt.path, got)
		}
	}
}

// TestLoadErrors covers what is refused before any file is read; what the
// readers refuse is tested with them.
func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name, path string
		o          terraform.Options
		want, hint string
	}{
		{"missing", "nowhere", terraform.Options{}, "nowhere", "give a directory"},
		{"one file", "testdata/inputs/main.tf", terraform.Options{}, "one file of a module", "testdata/inputs"},
		{"variables for a plan", "testdata/plans/state.json", terraform.Options{Vars: map[string]string{"a": "1"}},
			"variables are fixed in a plan", "terraform plan"},
		{"no configuration", "testdata/plans", terraform.Options{}, "holds no .tf, .tf.json or .tofu file", "directory with .tf files"},
		{"another document", "testdata/cases.json", terraform.Options{}, "testdata/cases.json:1: not the JSON of a plan", "terraform show -json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := terraform.Load(tt.path, tt.o)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(fail.HintOf(err), tt.hint) {
				t.Errorf("%v (%s)", err, fail.HintOf(err))
			}
			if fail.CodeOf(err) != fail.Usage {
				t.Errorf("code %d", fail.CodeOf(err))
			}
		})
	}
}
