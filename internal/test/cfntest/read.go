package cfntest

import (
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

// Read builds the topology of the templates or the cloud assemblies at paths.
func Read(t testing.TB, paths ...string) *topology.Topology {
	t.Helper()
	a, err := cfn.Load(paths, cfn.Options{})
	return topologyOf(t, a, err)
}

// Parse builds the topology of a template that stands in a file of that name.
func Parse(t testing.TB, name string, text []byte) *topology.Topology {
	t.Helper()
	a, err := cfn.Parse(name, text, cfn.Options{})
	return topologyOf(t, a, err)
}

func topologyOf(t testing.TB, a *cfn.Assembly, err error) *topology.Topology {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	top, err := deployment.FromTemplates(a)
	if err != nil {
		t.Fatal(err)
	}
	return top
}
