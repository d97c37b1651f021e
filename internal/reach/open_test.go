package reach

import (
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// add writes the rule into the topology.
func add(t *testing.T, f *topologytest.Fixture, r OpenRule) {
	t.Helper()
	if err := f.Open(r.Group, r.Direction == Ingress, r.Port, r.Peer, r.PeerCIDR); err != nil {
		t.Fatal(err)
	}
}

// blocks reports whether p is blocked where b says.
func blocks(p *Prediction, b Block) bool {
	return slices.ContainsFunc(p.Blocks, func(c Block) bool { return c.At.ID == b.At.ID && *c.Open == *b.Open })
}

// TestTheRuleToAddOpensThePath adds the rules that a blocked prediction names
// and predicts again: the path is open then, and it would not be without any one of them.
func TestTheRuleToAddOpensThePath(t *testing.T) {
	blocked := 0
	for seed := range uint64(300) {
		for _, p := range predict(t, topologytest.Scrambled(seed), Options{}).Predictions {
			if len(p.Blocks) == 0 {
				continue
			}
			blocked++
			f := topologytest.Scrambled(seed)
			for _, b := range p.Blocks {
				add(t, f, *b.Open)
			}
			after := predict(t, f, Options{}).Find(p.ID)
			// A path may be blocked again one hop further on; the hops that were
			// named must be open.
			for _, b := range p.Blocks {
				if blocks(after, b) {
					t.Errorf("seed %d, %s: still blocked after adding %v", seed, p.ID, b.Open)
				}
			}
			for i := range p.Blocks {
				f := topologytest.Scrambled(seed)
				for _, b := range slices.Delete(slices.Clone(p.Blocks), i, i+1) {
					add(t, f, *b.Open)
				}
				if q := predict(t, f, Options{}).Find(p.ID); !blocks(q, p.Blocks[i]) {
					t.Errorf("seed %d, %s: open without %v", seed, p.ID, p.Blocks[i].Open)
				}
			}
		}
	}
	if blocked < 500 {
		t.Errorf("only %d blocked paths in 300 deployments", blocked)
	}
}
