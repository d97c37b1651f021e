package experiment

import (
	"math/rand/v2"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Load is what a plan tells the load generator of one replicate (from 1),
// without the arms' addresses, which every start draws anew.
func Load(p *plan.Plan, runName string, replicate, generator int) samplefile.Load {
	l := samplefile.Load{
		Schema: samplefile.LoadSchema, PlanHash: p.Hash(), Run: runName, Target: p.Target,
		Replicate: replicate, Seed: p.Seed, Design: p.Design,
		RatePerS: p.RatePerS, WarmupS: p.WarmupS, DurationS: p.ReplicateS, WindowS: p.WindowS,
		KeepAlive: p.KeepAlive, TimeoutS: p.TimeoutS, Client: p.Client,
		Generator: generator, Generators: p.Generators, VUs: p.VUs,
	}
	for _, a := range p.Arms {
		l.Arms = append(l.Arms, samplefile.LoadArm{Name: a.Name, Weight: a.Weight})
	}
	switch p.Design {
	case plan.DesignArticle:
		l.DurationS *= float64(len(p.Arms)) // each arm has the replicate's time to itself
	case plan.DesignBlocks:
		l.BlockArms = blocks(p, replicate)
	}
	return l
}

// blocks deals the windows of a replicate to the arms: every arm once per
// round, in an order drawn for each round, so that drift does not favour one.
func blocks(p *plan.Plan, replicate int) []int {
	rng := rand.New(rand.NewPCG(p.Seed, uint64(replicate)))
	n := int(p.ReplicateS / p.WindowS)
	var out []int
	for len(out) < n {
		out = append(out, rng.Perm(len(p.Arms))...)
	}
	return out[:n]
}

// seedOf is the seed of a replicate's own draws (ports, start order).
func seedOf(p *plan.Plan, replicate int) uint64 {
	return rand.New(rand.NewPCG(p.Seed^0x6c61625f73746172, uint64(replicate))).Uint64()
}
