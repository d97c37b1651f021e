package deployment_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// TestOwnStacks reads every assembly of the project's own stacks: nothing in
// them may be unknown, and whoever calls is deployed after whom it calls.
func TestOwnStacks(t *testing.T) {
	const root = "../../../../stacks/testdata/golden"
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatalf("%s is empty", root)
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			top := build(t, nil, filepath.Join(root, e.Name()))
			for _, u := range top.Unknowns {
				t.Errorf("unknown: %s", u.Text)
			}
			if len(top.Services)+len(top.Instances) == 0 {
				t.Fatal("nothing in it that serves")
			}
			for _, s := range top.Services {
				if s.Task == nil {
					t.Errorf("%s: %s", s.ID, s.TaskUnknown)
				}
				if s.Path == "" || s.Line == 0 {
					t.Errorf("%s has no construct path or line: %+v", s.ID, s.Origin)
				}
				for _, id := range s.Groups {
					g, _ := id.Get()
					if sg := topology.NewIndex(top).SecurityGroup(g); sg == nil || sg.External {
						t.Errorf("%s: group %s is not declared", s.ID, g)
					}
				}
				if s.Connect != nil && len(s.Connect.Endpoints) == 0 && len(s.After) == 0 {
					t.Errorf("client %s waits for no service", s.ID)
				}
			}
		})
	}
}
