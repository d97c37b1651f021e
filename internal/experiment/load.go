package experiment

import (
	"math/rand/v2"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Load is what a plan tells one load generator (from 0) of one replicate
// (from 1), without the arms' addresses, which every start draws anew.
func Load(p *plan.Plan, runName string, replicate, generator int) samplefile.Load {
	l := samplefile.Load{
		Schema: samplefile.LoadSchema, PlanHash: p.Hash(), Run: runName, Target: p.Target,
		Replicate: replicate, Seed: p.Seed, Design: p.Design, BlockArms: p.BlockArms(replicate),
		RatePerS: p.RatePerS, WarmupS: p.WarmupS, DurationS: p.ReplicateS, WindowS: p.WindowS,
		KeepAlive: p.KeepAlive, RequestBytes: p.RequestBytes, TimeoutS: p.TimeoutS, Client: p.Client,
		Generator: generator, Generators: p.Generators, VUs: p.VUs,
	}
	for _, a := range p.Arms {
		l.Arms = append(l.Arms, samplefile.LoadArm{Name: a.Name, Weight: a.Weight})
	}
	if p.Design == plan.DesignArticle {
		l.DurationS *= float64(len(p.Arms)) // each arm has the replicate's time to itself
	}
	return l
}

// seedOf is the seed of a replicate's own draws (addresses, start order).
func seedOf(p *plan.Plan, replicate int) uint64 {
	return rand.New(rand.NewPCG(p.Seed^0x6c61625f73746172, uint64(replicate))).Uint64()
}
