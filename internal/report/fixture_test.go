package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// fixture builds one result. Everything follows from its fields and a fixed
// seed; nothing is measured. The numbers are those of an imagined machine.
type fixture struct {
	name       string
	arms       []armShape
	of         [][2]string // differences, the first is the primary one
	quantiles  []float64
	replicates int
	windows    int // per replicate
	requests   int64
	twin       string // the arm that has an A/A twin; "" for none
	offsetUs   float64
	change     func(*summary.Result)
}

// armShape is a log-normal latency with a slow share: median µs, spread, tail factor.
type armShape struct {
	name, path          string
	median, sigma, slow float64
}

func (a armShape) at(q float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*q-1)
	v := a.median * math.Exp(a.sigma*z)
	if z > 1 {
		v += a.median * a.slow * (z - 1) * (z - 1)
	}
	return tenth(v)
}

// tenth rounds to 0.1 µs, as measured values are, and so that every processor
// gives the same golden files.
func tenth(us float64) float64 { return math.Round(us*10) / 10 }

var (
	agentArm  = armShape{"agent", "client → alb → agent → app", 612, 0.13, 0.9}
	bypassArm = armShape{"bypass", "client → alb → app", 441, 0.16, 0.95}
	meshArm   = armShape{"mesh", "client → client agent → agent → app", 668, 0.15, 1.1}
	directArm = armShape{"direct", "client → app", 214, 0.18, 0.8}
)

var allQuantiles = []float64{0.5, 0.9, 0.99}

// fixtures are all cases that a rendering must be good at.
func fixtures() []fixture {
	two := fixture{
		arms: []armShape{agentArm, bypassArm}, of: [][2]string{{"agent", "bypass"}}, quantiles: allQuantiles,
		replicates: 6, windows: 5, requests: 15_000, twin: "agent", offsetUs: 2.5,
	}
	named := func(name string, base fixture, change func(*summary.Result)) fixture {
		base.name, base.change = name, change
		return base
	}
	four := two
	four.arms = []armShape{agentArm, bypassArm, meshArm, directArm}
	four.of = [][2]string{{"agent", "bypass"}, {"mesh", "bypass"}, {"agent", "direct"}}
	four.requests = 7_500
	long := two
	long.twin = ""
	long.arms = []armShape{
		{"feature/very-long-branch-name-that-somebody-chose-for-a-load-test-2026-11-20", "", 612, 0.13, 0.9},
		{"main@4f1c2d9e8b7a6958473625141f0e9d8c7b6a5948 with spaces and 日本語のタグ", "", 441, 0.16, 0.95},
	}
	long.of = [][2]string{{long.arms[0].name, long.arms[1].name}}
	large := two
	large.arms = []armShape{
		{"agent", agentArm.path, 48_000, 0.35, 2}, {"bypass", bypassArm.path, 31_000, 0.35, 2}}
	large.offsetUs = 900
	negative := two
	negative.arms = []armShape{{"agent", agentArm.path, 441, 0.13, 0.9}, {"bypass", bypassArm.path, 612, 0.16, 0.95}}
	weak := two
	weak.replicates, weak.windows, weak.requests, weak.offsetUs = 3, 2, 300, 90
	single := two
	single.replicates, single.windows, single.requests = 1, 2, 500
	many := two
	many.replicates, many.windows, many.requests = 20, 500, 50_000_000
	return []fixture{
		named("different", two, warned),
		named("within", two, withBudgets(summary.Within)),
		named("over", two, withBudgets(summary.Over)),
		named("cannot-tell", weak, cannotTell),
		named("refused", two, refused),
		named("one-replicate", single, oneReplicate),
		named("four-arms", four, withLedger),
		named("partial", two, partial),
		named("empty", two, empty),
		named("long-names", long, fromFiles),
		named("large", large, onAWS),
		named("negative", negative, nil),
		named("hostile", two, hostile),
		named("many", many, nil),
	}
}

func fixtureNamed(name string) *summary.Result {
	all := fixtures()
	return all[slices.IndexFunc(all, func(f fixture) bool { return f.name == name })].build()
}

// build makes the result.
func (f fixture) build() *summary.Result {
	r := &summary.Result{}
	f.fillSummary(&r.Summary)
	f.fillDetail(r)
	if f.change != nil {
		f.change(r)
	}
	return r
}

func (f fixture) shape(name string) armShape {
	return f.arms[slices.IndexFunc(f.arms, func(a armShape) bool { return a.name == name })]
}

// halfUs is the half-width of the interval at q: wider towards the tail, as order statistics are.
func (f fixture) halfUs(q float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*q-1)
	density := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	perWindow := float64(f.requests) / float64(f.replicates*f.windows)
	return tenth(2.6*f.offsetUs + f.arms[0].median*f.arms[0].sigma*math.Sqrt(q*(1-q))/density/math.Sqrt(perWindow)*(0.4+6*math.Max(0, z-1.2)))
}

func (f fixture) fillSummary(s *summary.Summary) {
	*s = summary.Summary{
		Schema: summary.Schema, Run: "20261121-091500-7f3a", Target: "lab", Fabric: "loopback", Seed: 1,
		Plan: summary.Plan{
			Profile: "standard", Design: "random", Hash: "sha256:5a1f0c", RatePerS: 500, Replicates: f.replicates,
			ReplicateS: 10, WarmupS: 2, WindowS: 2, KeepAwake: true, KeepAlive: true, Client: "native",
		},
		NoiseFloorUs: map[string]float64{}, Verdict: summary.Different, Warnings: []summary.Warning{},
	}
	shapes := slices.Clone(f.arms)
	if f.twin != "" {
		t := f.shape(f.twin)
		t.name += "-twin"
		shapes = append(shapes, t)
	}
	for i, a := range shapes {
		s.Plan.Arms = append(s.Plan.Arms, a.name)
		arm := summary.Arm{
			Name: a.name, Path: a.path, Requests: f.requests + int64(2-4*i),
			Latency: summary.LatencyUs{Min: a.at(0.0001), P50: a.at(0.5), P90: a.at(0.9), P95: a.at(0.95), P99: a.at(0.99),
				Max: a.at(0.99999), Mean: a.at(0.53)},
		}
		hops := map[string]string{"agent": "1", "bypass": "0", "mesh": "2", "direct": "0", "agent-twin": "1"}[a.name]
		arm.Evidence = summary.Evidence{AgentCounter: -1}
		if hops != "" {
			arm.Evidence = summary.Evidence{
				AgentHops: map[string]int64{hops: arm.Requests}, By: []string{"response headers", "peer address", "agent counters"},
				AgentCounter: arm.Requests, ResponseBytes: 218 + 49*int(hops[0]-'0'),
			}
			if hops == "0" {
				arm.Evidence.AgentCounter = 0
			}
		}
		if f.twin != "" && a.name == f.twin+"-twin" {
			arm.TwinOf = f.twin
		}
		s.Arms = append(s.Arms, arm)
	}
	for _, pair := range f.of {
		for _, q := range f.quantiles {
			f.addDifference(s, pair, q)
		}
	}
}

func ptr(v float64) *float64 { return &v }

func (f fixture) addDifference(s *summary.Summary, pair [2]string, q float64) {
	estimate, half := tenth(f.shape(pair[0]).at(q)-f.shape(pair[1]).at(q)), f.halfUs(q)
	d := summary.Difference{
		Of: pair[0] + " - " + pair[1], Quantile: q, EstimateUs: estimate, LowUs: tenth(estimate - half), HighUs: tenth(estimate + 1.05*half),
		Level: 0.95, Replicates: f.replicates, Windows: f.replicates*f.windows - 3, Voided: 3,
		Method:      "mean and Student t interval over replicates",
		WithinLowUs: tenth(estimate - half/2.2), WithinHighUs: tenth(estimate + half/2.1),
		BetweenUs: f.offsetUs, P: ptr(0.031), PHolm: ptr(0.062),
		Verdict: summary.Different,
	}
	name := "p" + trim(q*100)
	if d.LowUs < 0 && d.HighUs > 0 {
		d.Verdict = summary.CannotTell
	}
	if f.twin != "" {
		s.NoiseFloorUs[name] = tenth(half * 0.62)
	}
	s.Differences = append(s.Differences, d)
	if pair != f.of[0] {
		return
	}
	if f.twin != "" {
		aa := d
		aa.Of, aa.Verdict = f.twin+" - "+f.twin+"-twin", summary.CannotTell
		aa.EstimateUs, aa.LowUs, aa.HighUs = tenth(half*0.1), tenth(half*0.1-half*0.62), tenth(half*0.1+half*0.62)
		aa.WithinLowUs, aa.WithinHighUs = tenth(aa.LowUs/2), tenth(aa.HighUs/2)
		defer func() { s.Differences = append(s.Differences, aa) }()
	}
	step := quantity.Step(d.LowUs, d.HighUs)
	unit := quantity.UnitFor(d.LowUs, d.HighUs)
	verb, least, most := "adds", d.LowUs, d.HighUs
	if estimate < 0 {
		verb, least, most = "saves", -d.HighUs, -d.LowUs
	}
	s.Sentences = append(s.Sentences, fmt.Sprintf("The Service Connect agent %s %s at %s (95 %% interval %s to %s).", verb,
		unit.With(unit.Number(math.Abs(estimate), step)), name, unit.Number(least, step), unit.With(unit.Number(most, step))))
}

func (f fixture) fillDetail(r *summary.Result) {
	d := &r.Detail
	primary := f.of[0]
	d.Primary = primary[0] + " - " + primary[1]
	for _, a := range r.Summary.Arms {
		name := a.Name
		if a.TwinOf != "" {
			name = a.TwinOf
		}
		c := summary.Curve{Arm: a.Name}
		for _, q := range grid() {
			c.Points = append(c.Points, summary.QuantileUs{Q: q, Us: tenth(f.shape(name).at(q) * (1 + 0.004*float64(len(d.Curves)%2)))})
		}
		d.Curves = append(d.Curves, c)
	}
	for _, q := range grid() {
		estimate, half := f.shape(primary[0]).at(q)-f.shape(primary[1]).at(q), f.halfUs(q)
		p := summary.CurvePoint{Q: q, EstimateUs: estimate, LowUs: estimate - half, HighUs: estimate + 1.05*half}
		if f.twin != "" {
			p.AAHalfUs = half * 0.62
		}
		d.Difference = append(d.Difference, p)
	}
	f.fillWindows(d, f.shape(primary[0]).at(0.5)-f.shape(primary[1]).at(0.5))
	d.Paths = pathBoxes(r.Summary.Arms)
	d.Machine = []summary.KeyValue{
		{Key: "machine", Value: "2 cores, 4 GiB"}, {Key: "system", Value: "Linux 6.1"}, {Key: "hoplab", Value: "0.1.0"},
		{Key: "Go", Value: "1.26.0"}, {Key: "k6", Value: "1.8.1 with xk6-hoplab"},
	}
	d.Method = "The arm of each request is drawn at random. Arms are compared inside windows, windows are averaged within a replicate, and the replicates, each a fresh start of everything, are the sample behind the interval."
	d.Repeat = "hoplab run --profile standard --seed 1"
	d.Render = "hoplab report runs/20261121-091500-7f3a"
	d.NotShown = []string{
		"Latency in AWS: the lab has no network between hosts and no TLS.",
		"The cost under load near saturation: this run sent 500 requests per second.",
		"Envoy's own cost: the lab's agent is a Go process with Envoy's behaviour, not its speed.",
	}
}

func (f fixture) fillWindows(d *summary.Detail, at float64) {
	random := rand.New(rand.NewPCG(1, 2))
	reasons := []string{"steal 4 %", "late sends: p99 7 ms", "2 requests never sent"}
	for rep := 1; rep <= f.replicates; rep++ {
		offset := f.offsetUs * random.NormFloat64()
		d.Replicates = append(d.Replicates, summary.Replicate{Index: rep, DiffUs: tenth(at + offset),
			Note: "started agent first, ports 40001 and 40002"})
		for w := 0; w < f.windows; w++ {
			win := summary.Window{Replicate: rep, Index: w, DiffUs: tenth(at + offset + 2.2*f.offsetUs*random.NormFloat64()), Busy: 0.4, Steal: 0}
			if k := (rep-1)*f.windows + w; k%11 == 3 {
				win.Void, win.DiffUs, win.Steal = reasons[k%3], at+12*f.offsetUs, 0.04
			}
			d.Windows = append(d.Windows, win)
		}
	}
}

// grid is p1 to p99.9.
func grid() []float64 {
	var qs []float64
	for q := 0.01; q < 0.985; q += 0.01 {
		qs = append(qs, math.Round(q*1e4)/1e4)
	}
	return append(qs, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999)
}

func trim(v float64) string { return fmt.Sprintf("%g", math.Round(v*1e4)/1e4) }
