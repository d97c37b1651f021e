package cli

import (
	"context"
	"io"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/topology"
)

// Whoever reads what a lab is made of has the changes too, and none is left
// where there are none.
func TestRemadeWithChanges(t *testing.T) {
	s := streams{out: io.Discard, err: io.Discard}
	read := func(changes ...change.Change) *topology.Topology {
		t.Helper()
		var f labFlags
		top, err := f.remade(context.Background(), s, labctl.Made{Situation: "override-mesh", Changes: changes})
		if err != nil {
			t.Fatal(err)
		}
		return top
	}
	plain := read()
	i := slices.IndexFunc(plain.Services, func(s *topology.Service) bool { return s.Connect != nil && len(s.Connect.Endpoints) > 0 })
	if i < 0 {
		t.Fatal("no service with an endpoint")
	}
	override := func(top *topology.Topology) int {
		return top.Services[i].Connect.Endpoints[0].IngressPortOverride.Or(0)
	}
	changed := read(change.Change{Kind: change.Override, On: plain.Services[i].ID, To: "9090"})
	if override(plain) != 8080 || override(changed) != 9090 || override(read()) != 8080 {
		t.Errorf("overrides %d, with the change %d, without it %d", override(plain), override(changed), override(read()))
	}
	var f labFlags
	gone := []change.Change{{Kind: change.Count, On: "gone", To: "1"}}
	if _, err := f.remade(context.Background(), s, labctl.Made{Situation: "override-mesh", Changes: gone}); err == nil {
		t.Error("a change of what the source has no more is left out without a word")
	}
}
