package plan

import (
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// Designs of an experiment.
const (
	// DesignRandom draws the arm of every request from the seed inside one
	// open-model scenario. It is the design whose intervals hold.
	DesignRandom = "random"
	// DesignBlocks gives each window to one arm, the order drawn per pair. For
	// arms that cannot be up at once.
	DesignBlocks = "blocks"
	// DesignArticle is a closed loop of VUs, one arm after the other.
	DesignArticle = "article"
)

// Names of the profiles. ProfileCustom is a profile that was changed.
const (
	ProfileStandard = "standard"
	ProfileQuick    = "quick"
	ProfileArticle  = "article"
	ProfileCustom   = "custom"
)

// Targets and fabrics. FabricCloud is the one of target aws, and of endpoints,
// when what answers is hoplab cloud, and the deployment runs in the lab behind it.
const (
	TargetLab = "lab"
	TargetAWS = "aws"
	// TargetEndpoints is addresses that hoplab did not start.
	TargetEndpoints = "endpoints"
	FabricLoopback  = "loopback"
	FabricNetns     = "netns"
	FabricCloud     = "hoplab cloud"
	// FabricTask is the one of endpoints that a load task in AWS calls, not this machine.
	FabricTask = "load task"
)

// StandardRate is the profiles' rate in requests/s. It is prime, so that no
// kernel's timer tick (100, 250, 300 or 1000 a second) keeps one phase to the
// requests: at 500/s and 250 ticks every second request met the tick at the
// same point of its path, and the same load looked 2 or 30 % busy, start by
// start. Three arms get 1,262 requests each in 6 s: 12 beyond their p99.
const StandardRate = 631

// Profiles lists the profiles that New accepts.
func Profiles() []string { return []string{ProfileStandard, ProfileQuick, ProfileArticle} }

// New returns a valid plan of the named profile, for the lab, with seed 1 and
// an empty Topology.
//
//   - standard: random design, agent, bypass and the A/A twin of bypass with
//     equal shares of StandardRate; 10 replicates of 6 s in windows of 2 s.
//   - quick: the same at 3 replicates of 3 s; for tests and first looks.
//   - article: 20 virtual users that sleep 1 s between requests, 50 s for each
//     arm, one arm after the other, once. It cannot separate the hop from drift.
func New(profile string) (Plan, error) {
	p := Plan{
		Schema: Schema, Profile: profile, Target: TargetLab, Fabric: FabricLoopback,
		Design: DesignRandom, Seed: 1,
		RatePerS: StandardRate, Replicates: 10, ReplicateS: 6, WarmupS: 1, WindowS: 2,
		KeepAwake: true, OneCore: true, KeepAlive: true, Client: "native", VUs: 100, TimeoutS: 20,
		Generators: 1, Quantiles: []float64{0.5, 0.9, 0.99}, Level: 0.95,
	}
	twin := true
	switch profile {
	case ProfileStandard:
	case ProfileQuick:
		p.Replicates, p.ReplicateS, p.WarmupS, p.WindowS = 3, 3, 0.5, 1
	case ProfileArticle:
		twin = false
		p.Design, p.VUs, p.Client, p.KeepAwake, p.OneCore = DesignArticle, 20, "http", false, false
		// A closed loop has no planned rate; this is its upper bound, one
		// request per VU and second of sleep.
		p.RatePerS = 20
		p.Replicates, p.ReplicateS, p.WarmupS, p.WindowS = 1, 50, 0, 2
	default:
		return Plan{}, fail.Newf(fail.Usage, "choose from "+strings.Join(Profiles(), ", "), "unknown profile %q", profile)
	}
	if err := p.SetArms([]string{ArmAgent, ArmBypass}, twin); err != nil {
		return Plan{}, err
	}
	return p, p.Validate()
}

// ForAWS makes p a plan for deployed stacks: there is no fabric or agent to
// choose and no core to keep. Starting a load task takes a minute or two, so the standard
// profile has fewer and longer replicates there: 6 of 30 s.
func (p *Plan) ForAWS() {
	p.Target, p.Fabric, p.Agent, p.EnvoyWorkers, p.KeepAwake, p.OneCore = TargetAWS, "", "", 0, false, false
	if p.Profile == ProfileStandard {
		p.Replicates, p.ReplicateS, p.WarmupS = 6, 30, 1.5
	}
}

// Seconds is how long the plan's load lasts in all, warm-up included and
// restarts not: what a replicate sends, times the replicates.
func (p *Plan) Seconds() float64 {
	measured := p.ReplicateS
	if p.Design == DesignArticle {
		measured *= float64(len(p.Arms)) // each arm has ReplicateS to itself
	}
	return float64(p.Replicates) * (p.WarmupS + measured)
}

// Requests is the number of requests that the plan measures in all, warm-up
// not counted. For a closed loop it is an upper bound.
func (p *Plan) Requests() float64 {
	return p.RatePerS * (p.Seconds() - float64(p.Replicates)*p.WarmupS)
}
