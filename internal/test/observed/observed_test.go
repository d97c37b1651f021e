package observed_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/test/observed"
)

//go:generate go test . -run TestPage -count=1 -update

var (
	// impossible is why the kernel's network cannot be used here.
	impossible error
)

func TestMain(m *testing.M) {
	labtest.Node()
	flag.Parse()
	layer.Waiting(4)
	if layer.Fast() {
		os.Exit(m.Run())
	}
	code, done, err := lab.Enter("netns")
	if done {
		os.Exit(code)
	}
	impossible = err
	os.Exit(m.Run())
}

func load(t *testing.T) []observed.Observation {
	t.Helper()
	all, err := observed.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPage holds docs/observed.md against the files, and their number against
// what hoplab claims.
func TestPage(t *testing.T) {
	all := load(t)
	shown := 0
	for _, o := range all {
		if o.Status != observed.NotModelled {
			shown++
		}
	}
	if len(all) < 75 || shown < 55 {
		t.Errorf("%d of %d observations are shown; want 55 of 75", shown, len(all))
	}
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join(r.Root, "docs", "observed.md"), observed.Page(all))
}

// TestPredicted holds the observations that need no lab against predictions and rules.
func TestPredicted(t *testing.T) {
	for _, o := range load(t) {
		if o.Status != observed.Predicted {
			continue
		}
		t.Run(fmt.Sprintf("%02d", o.Number), func(t *testing.T) {
			differs, err := observed.Show(context.Background(), &o, observed.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differs {
				t.Error(d)
			}
		})
	}
}

// TestReproduced shows in a lab, on each fabric, what is marked reproduced.
// One observation: go test ./internal/test/observed -run 'TestReproduced/loopback/07'
func TestReproduced(t *testing.T) {
	layer.Full(t, "starts labs")
	app, self := labtest.Programs(t)
	all := load(t)
	for _, fabric := range []string{"loopback", "netns"} {
		t.Run(fabric, func(t *testing.T) {
			if fabric == "netns" && impossible != nil {
				layer.Lacking(t, impossible.Error())
			}
			var reruns labtest.Reruns
			t.Cleanup(func() { reruns.Judge(t) })
			for _, o := range all {
				if o.Status != observed.Reproduced || o.Fabric != "" && o.Fabric != fabric {
					continue
				}
				t.Run(fmt.Sprintf("%02d", o.Number), func(t *testing.T) {
					t.Parallel() // a lab mostly waits for its timers
					show := func(slower float64) []string {
						ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
						defer cancel()
						differs, err := observed.Show(ctx, &o, observed.Options{
							App: []string{app}, Node: []string{self, "node"}, Fabric: fabric, Dir: t.TempDir(), Slower: slower,
						})
						if err != nil {
							differs = append(differs, err.Error())
						}
						return differs
					}
					differs := show(1)
					first := strings.Join(differs, "\n")
					if len(differs) > 0 { // a busy machine can make a fast clock overtake the work
						differs = show(8)
					}
					reruns.Case(o.Title, first)
					for _, d := range differs {
						t.Error(d)
					}
				})
			}
		})
	}
}
