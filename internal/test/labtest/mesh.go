package labtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

// Mesh reads a mesh's template as hoplab does.
func Mesh(t testing.TB, m cfntest.Mesh) *topology.Topology {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mesh.template.json")
	if err := os.WriteFile(path, m.Template(), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := cfn.Load([]string{path}, cfn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	topo, err := deployment.FromTemplates(a)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// AllKnown makes every service know every other's names, as after a second
// deployment of each.
func AllKnown(topo *topology.Topology) {
	var ids []topology.ID
	for _, s := range topo.Services {
		ids = append(ids, s.ID)
	}
	for _, s := range topo.Services {
		s.After = slices.DeleteFunc(slices.Clone(ids), func(id topology.ID) bool { return id == s.ID })
	}
}
