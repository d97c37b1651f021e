package cfntest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	more  = flag.Int("more", 47, "services to add")
	write = flag.String("write", "", "a copy of the stacks' cloud assembly whose App.template.json is to get them")
)

// TestAmong adds services to the stacks: the load balancer's and the client's
// know all their names, and stay as they are. With -write the template stays:
// scripts/scale-run.sh measures it.
func TestAmong(t *testing.T) {
	golden := filepath.Join("..", "..", "..", "stacks", "testdata", "golden", "both")
	dir := *write
	if dir == "" {
		dir = t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "App.template.json")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now, err := cfntest.Among(was, *more)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, now, 0o644); err != nil {
		t.Fatal(err)
	}
	before, after := cfntest.Read(t, golden), cfntest.Read(t, dir)
	if got, want := len(after.Services), len(before.Services)+*more; got != want {
		t.Errorf("%d services, want %d", got, want)
	}
	x := topology.NewIndex(after)
	for _, s := range before.Services {
		names := x.NamespaceOf(x.Service(s.ID).Connect).Names
		known := 0
		for _, n := range names {
			if strings.HasPrefix(n.Name.Or(""), "more") && x.After(s.ID, n.Endpoint.Service.ID) {
				known++
			}
		}
		if len(s.LoadBalancers) > 0 && known != *more {
			t.Errorf("%s knows the names of %d of %d", s.ID, known, *more)
		}
	}
}
