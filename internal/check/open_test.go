package check

import (
	"testing"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// add writes the rule into the topology.
func add(t *testing.T, f *topologytest.Fixture, r reach.OpenRule) {
	t.Helper()
	if err := f.Open(r.Group, r.Direction == reach.Ingress, r.Port, r.Peer, r.PeerCIDR); err != nil {
		t.Fatal(err)
	}
}

// TestFindingsGoAwayWithTheirFix adds the rule of every finding that has one,
// until none is left; the same finding never comes back.
func TestFindingsGoAwayWithTheirFix(t *testing.T) {
	mended := 0
	for seed := range uint64(100) {
		f := topologytest.Scrambled(seed)
		seen := map[string]bool{}
		for round := 0; ; round++ {
			var next *Finding
			for _, g := range check(t, f, Options{}) {
				if g.Add != nil {
					next = &g
					break
				}
			}
			if next == nil {
				break
			}
			k := next.Rule + next.Add.String()
			if seen[k] || round > 20 {
				t.Fatalf("seed %d: %s is found again after adding %s", seed, next.Rule, next.Add)
			}
			seen[k] = true
			add(t, f, *next.Add)
			mended++
		}
	}
	if mended < 100 {
		t.Errorf("only %d findings mended", mended)
	}
}
