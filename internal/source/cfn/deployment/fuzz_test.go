package deployment_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

// FuzzFromTemplates builds topologies of mutated templates: no panic, every
// unknown with a reason, and the same result each time. Run it for longer with
//
//	go test ./internal/source/cfn/deployment -run '^$' -fuzz FuzzFromTemplates -fuzztime 5m -fuzzminimizetime 50x
func FuzzFromTemplates(f *testing.F) {
	for _, pattern := range []string{"testdata/shapes/*.yaml", "testdata/shapes/*.json", "testdata/article/*.json",
		"testdata/shapes/cdk-fargate-pattern/*.template.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s (%v)", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first := fuzzBuild(t, data)
		if first == nil {
			return
		}
		for _, u := range first.Unknowns {
			if u.Text == "" {
				t.Errorf("a note without text at %v", u.Origin)
			}
		}
		x := topology.NewIndex(first)
		for _, s := range first.Services {
			if s.Task == nil && s.TaskUnknown == "" {
				t.Errorf("%s: no task and no reason", s.ID)
			}
			x.NamespaceOf(s.Connect)
			for _, id := range s.Groups {
				if g, ok := id.Get(); ok && x.SecurityGroup(g) == nil {
					t.Errorf("%s: group %s is not in the topology", s.ID, g)
				}
			}
		}
		if !bytes.Equal(dump(first), dump(fuzzBuild(t, data))) {
			t.Error("two builds differ")
		}
	})
}

func fuzzBuild(t *testing.T, data []byte) *topology.Topology {
	a, err := cfn.Parse("t.yaml", data, cfn.Options{})
	if err != nil {
		return nil
	}
	top, err := deployment.FromTemplates(a)
	if err != nil {
		t.Fatal(err)
	}
	return top
}
