package sim

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Recording is a run directory made of simulated requests: what a run of Plan
// under Noise would have left behind. Nothing is sent.
type Recording struct {
	Plan  plan.Plan
	Noise Noise
	// Delays is what each arm adds, by arm name.
	Delays map[string]call.Delay
	// Each, if set, may change a record before it is written, e.g. to forge
	// its evidence. Evidence likewise for a replicate's counters.
	Each     func(replicate int, r *samplefile.Record)
	Evidence func(e *run.Evidence)
	Build    string // of the load generator; "simulated" when empty
	Only     int    // replicates to make of those planned; all when 0
}

// recordingStart is the wall clock of the first replicate: fixed, so that the
// same recording gives the same bytes.
var recordingStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Write writes the run directory path, which must not hold a run yet. Equal
// recordings give equal directories.
func (rec *Recording) Write(path string) (*run.Dir, error) {
	p := rec.Plan
	d, err := run.Create(path, p, run.Environment{Run: "simulated", Hoplab: "simulator", K6: "none", Source: "simulated requests", Cores: 2})
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(p.Seed, 0))
	drift := newDrift(&rec.Noise, rng)
	for i := 1; i <= min(p.Replicates, cmp.Or(rec.Only, p.Replicates)); i++ {
		r := d.Replicate(i)
		if err := r.Reset(); err != nil {
			return nil, err
		}
		ev, err := rec.replicate(r, drift, rng)
		if err != nil {
			return nil, err
		}
		if err := r.Finish(ev); err != nil {
			return nil, err
		}
		drift.advance(restartS)
	}
	return d, d.SetState(run.State{Status: run.Complete})
}

// restartS is how long a restart of everything takes, for drift to move on.
const restartS = 5

// load is what the load generators of replicate i would have been told.
func (rec *Recording) load(i, generator int) samplefile.Load {
	p := rec.Plan
	l := samplefile.Load{Schema: samplefile.LoadSchema, PlanHash: p.Hash(), Run: "simulated", Target: p.Target, Replicate: i, Seed: p.Seed,
		Design: p.Design, RatePerS: p.RatePerS, WarmupS: p.WarmupS, DurationS: p.ReplicateS, WindowS: p.WindowS, BlockArms: p.BlockArms(i),
		KeepAlive: p.KeepAlive, RequestBytes: p.RequestBytes, TimeoutS: p.TimeoutS, Client: p.Client,
		Generator: generator, Generators: p.Generators, VUs: p.VUs}
	if p.Design == plan.DesignArticle {
		l.DurationS *= float64(len(p.Arms))
	}
	for _, a := range p.Arms {
		arm := samplefile.LoadArm{Name: a.Name, URL: "http://simulated/" + a.Name, Weight: a.Weight}
		if a.Name == plan.ArmDirect {
			arm.Dial, arm.From = "127.18.0.3:8000", callerAddress
		}
		l.Arms = append(l.Arms, arm)
	}
	return l
}

// replicate writes one replicate's sample files and returns its evidence.
func (rec *Recording) replicate(r run.Replicate, drift *drift, rng *rand.Rand) (ev run.Evidence, err error) {
	p := rec.Plan
	start := recordingStart.Add(time.Duration(r.Index-1) * time.Hour)
	ev = run.Evidence{Replicate: r.Index, Complete: true, StartedUnixNs: start.UnixNano(), KeepAwake: "on", OneCore: "core 0"}
	writers := make([]*samplefile.Writer, p.Generators)
	for g := range writers {
		f, err := os.Create(r.SamplesPath(g, p.Generators))
		if err != nil {
			return ev, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		h := samplefile.Header{Load: rec.load(r.Index, g), Build: cmp.Or(rec.Build, "simulated"), StartUnixNs: start.UnixNano()}
		if writers[g], err = samplefile.NewWriter(f, h); err != nil {
			return ev, err
		}
	}
	answered := make([]int64, len(p.Arms))
	load := rec.load(r.Index, 0)
	err = rec.requests(&load, drift, rng, func(g int, record *samplefile.Record) error {
		if rec.Each != nil {
			rec.Each(r.Index, record)
		}
		if record.Outcome.Error == "" {
			answered[record.Arm]++
		}
		return writers[g].Write(*record)
	})
	for _, w := range writers {
		err = errors.Join(err, w.Close(samplefile.Trailer{CPUSeconds: 0.1, EndUnixNs: start.Add(load.Total()).UnixNano()}))
	}
	ev.EndedUnixNs = start.Add(load.Total()).UnixNano()
	for i, a := range p.Arms {
		ev.StartOrder = append(ev.StartOrder, a.Name)
		if a.Expect.AgentHops > 0 {
			n := run.AgentCount{Arm: a.Name, Role: "ingress", Name: "app", Requests: answered[i], HealthChecks: 2, BusyUs: -1}
			if a.Expect.TLS {
				n.Handshakes = 1
			}
			ev.Agents = append(ev.Agents, n)
		}
		if a.Expect.AgentHops > 1 {
			ev.Agents = append(ev.Agents, run.AgentCount{Arm: a.Name, Role: "egress", Name: "app", Requests: answered[i], BusyUs: -1})
		}
	}
	if rec.Evidence != nil {
		rec.Evidence(&ev)
	}
	return ev, err
}

// requests makes the requests of one replicate in the order of their starts.
func (rec *Recording) requests(load *samplefile.Load, drift *drift, rng *rand.Rand,
	write func(generator int, r *samplefile.Record) error) error {
	p := rec.Plan
	offset := make([]float64, len(p.Arms))
	outcome := make([]samplefile.Outcome, len(p.Arms))
	for i, a := range p.Arms {
		offset[i] = rec.Noise.offset(rng)
		outcome[i] = answeredBy(&a)
		outcome[i].BodyBytes = cmp.Or(p.ResponseBytes, outcome[i].BodyBytes)
	}
	next := time.Duration(0)
	factor := drift.factor()
	one := func(start time.Duration, iteration int64, arm int, late time.Duration) (time.Duration, error) {
		for start >= next {
			drift.advance(stepS)
			factor = drift.factor()
			next += samplefile.Seconds(stepS)
		}
		us := rec.Noise.draw(rng) * factor * offset[arm]
		if d := rec.Delays[p.Arms[arm].Name]; d.Us() != 0 && rng.Float64() < d.Share {
			us += d.Us()
		}
		latency := min(time.Duration(us*1e3), samplefile.Seconds(load.TimeoutS))
		r := samplefile.Record{Arm: arm, Iteration: iteration, Late: late, Latency: latency, Outcome: outcome[arm]}
		return latency, write(int(iteration)%p.Generators, &r)
	}
	if load.Design == plan.DesignArticle {
		return rec.closedLoop(load, rng, one)
	}
	for i := range load.Iterations() {
		late := time.Duration(rng.ExpFloat64() * 50e3)
		if _, err := one(load.Planned(i), i, load.Arm(i), late); err != nil {
			return err
		}
	}
	return nil
}

// closedLoop lets every virtual user send, wait for the answer and sleep 1 s,
// one arm after the other.
func (rec *Recording) closedLoop(load *samplefile.Load, rng *rand.Rand,
	one func(time.Duration, int64, int, time.Duration) (time.Duration, error)) error {
	each := samplefile.Seconds(rec.Plan.ReplicateS)
	var iteration int64
	for arm := range rec.Plan.Arms {
		begin := time.Duration(arm) * each
		at := make([]time.Duration, load.VUs)
		for i := range at {
			at[i] = begin + time.Duration(rng.Float64()*1e6)
		}
		for {
			vu := 0
			for i := range at {
				if at[i] < at[vu] {
					vu = i
				}
			}
			if at[vu] >= begin+each {
				break
			}
			latency, err := one(at[vu], iteration, arm, at[vu])
			if err != nil {
				return err
			}
			at[vu] += latency + time.Second
			iteration++
		}
	}
	return nil
}

// callerAddress is the peer that an app sees when no agent is before it.
const callerAddress = "127.18.0.2"

// answeredBy is what a sound response of an arm looks like.
func answeredBy(a *plan.Arm) samplefile.Outcome {
	o := samplefile.Outcome{Status: a.Expect.Status, Peer: callerAddress, Via: a.Name, HeaderBytes: 158, BodyBytes: 11,
		ServiceMs: -1, Reused: true}
	if a.Expect.AgentHeaders == 1 {
		o.AgentHeaders, o.ServiceMs = 1, 0
		o.HeaderBytes += 49 // "server: envoy" and a one-digit "x-envoy-upstream-service-time"
	}
	if a.Expect.PeerLoopback {
		o.Peer = "127.0.0.1"
	}
	o.HeaderBytes += len("X-Hoplab-Peer: \r\nX-Hoplab-App: \r\n") + len(o.Peer) + len(o.Via)
	return o
}
