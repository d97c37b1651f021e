package stacks

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// template is a CloudFormation template as far as the tests look at it.
type template struct {
	Path      string
	Resources map[string]*templateResource
	Outputs   map[string]struct{ Value any }
}

type templateResource struct {
	Type           string
	Properties     map[string]any
	DependsOn      []string
	DeletionPolicy string
	Metadata       map[string]any
}

func readTemplate(t *testing.T, path string) *template {
	t.Helper()
	tpl := &template{Path: path}
	readJSON(t, path, tpl)
	return tpl
}

// of returns the resources of a type by logical id.
func (tpl *template) of(kind string) map[string]*templateResource {
	found := map[string]*templateResource{}
	for id, r := range tpl.Resources {
		if r.Type == kind {
			found[id] = r
		}
	}
	return found
}

// at follows keys (string) and indices (int) into v; nil when there is nothing.
func at(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

func stackNames(templates []string) []string {
	var names []string
	for _, path := range templates {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".template.json"))
	}
	return names
}

// checkSchemas compares templates with the resource schemas of AWS.
func checkSchemas(t *testing.T, templates []string) {
	t.Helper()
	out, err := exec.Command(needNode(t), append([]string{"testdata/spec.cjs"}, templates...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
