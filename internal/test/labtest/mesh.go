package labtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

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
	return cfntest.Read(t, path)
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
