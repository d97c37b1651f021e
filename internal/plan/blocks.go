package plan

import "math/rand/v2"

// BlockArms is the arm index of each window of a replicate under design
// blocks: every run of len(Arms) windows holds each arm once, in an order drawn
// from the seed and the replicate. Windows that do not fill such a run at the
// end are dealt from another one. It is nil for other designs.
func (p *Plan) BlockArms(replicate int) []int {
	if p.Design != DesignBlocks {
		return nil
	}
	windows := int(p.ReplicateS/p.WindowS + 1e-9)
	rng := rand.New(rand.NewPCG(p.Seed, uint64(replicate)))
	out := make([]int, 0, windows+len(p.Arms))
	for len(out) < windows {
		out = append(out, rng.Perm(len(p.Arms))...)
	}
	return out[:windows]
}
