package deployment_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/topology"
)

//go:generate go test . -run 'TestShapes|TestArticle' -count=1 -update

// build loads templates and builds their topology.
func build(t testing.TB, params map[string]string, paths ...string) *topology.Topology {
	t.Helper()
	a, err := cfn.Load(paths, cfn.Options{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	top, err := deployment.FromTemplates(a)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// TestShapes builds every shape under testdata/shapes, a file or a directory
// that is a cloud assembly or a set of templates, and compares the whole
// topology with the golden file beside it. The cdk-* shapes are what CDK
// 2.260.0 writes for small apps: strong, weak and both kinds of references
// between stacks, nested stacks, a pattern construct. The others are by hand.
func TestShapes(t *testing.T) {
	entries, err := os.ReadDir("testdata/shapes")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".golden" {
			continue
		}
		n++
		t.Run(e.Name(), func(t *testing.T) {
			paths := []string{filepath.Join("testdata/shapes", e.Name())}
			if e.IsDir() {
				if _, err := os.Stat(filepath.Join(paths[0], "manifest.json")); err != nil {
					if paths, err = filepath.Glob(paths[0] + "/*"); err != nil {
						t.Fatal(err)
					}
				}
			}
			top := build(t, nil, paths...)
			golden.Check(t, filepath.Join("testdata/shapes", e.Name()+".golden"), dump(top))
		})
	}
	if n < 15 {
		t.Errorf("%d shapes; at least 15 are wanted", n)
	}
}
