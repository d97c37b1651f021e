// Package analysis turns a run directory into its result: latencies and proof
// of every arm, differences with intervals, the noise floor, and a verdict.
//
// The sample behind a headline interval is one number per replicate: the
// difference of the arms' quantiles over the requests of that start of
// everything, in windows that count. Which windows and replicates count follows
// from the plan, the schedule and the machine, never from a latency.
//
// The result is a pure function of the directory: no clock, no randomness that
// is not seeded by the data's own size, no map order.
package analysis

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// study is an analysis under way.
type study struct {
	plan      *plan.Plan
	contrasts []contrast
	primary   float64 // quantile
	level     float64 // of each t interval: the plan's, or more when it may stop early
	grid      []float64
	env       *run.Environment

	all     []*replicate // complete ones, in order
	used    []*replicate // those that count
	missing []leftOut
	forced  string       // why nothing may be claimed although there are numbers; "" otherwise
	totals  []*hist.Hist // by arm, of the replicates that count

	merging sync.Mutex // over totals and anyFit while replicates are read
	anyFit  bool
}

// leftOut is a replicate that does not count.
type leftOut struct {
	index   int
	why     string
	dropped float64 // share of its requests that the load generator left out, where that is why
}

// Options adjust an analysis. The zero value is usable.
type Options struct {
	// Partial claims from the replicates that count also where they are so few
	// that the run has lost the power it was planned with.
	Partial bool
}

// Analyze is AnalyzeWith no options.
func Analyze(d *run.Dir) (*summary.Result, error) { return AnalyzeWith(d, Options{}) }

// AnalyzeWith reads a run directory and returns its result. A refused run is a
// result, not an error; an error means that the directory cannot be read: a
// damaged or foreign file, named with its offset, or none at all.
func AnalyzeWith(d *run.Dir, o Options) (*summary.Result, error) {
	s, err := read(d)
	if err != nil {
		return nil, err
	}
	state, err := d.State()
	if err != nil {
		return nil, err
	}
	if stopped := s.plan.StopAt != nil && state.Status == run.Complete; s.forced == "" && !stopped && !o.Partial {
		s.forced = s.lostPower()
	}
	out := &summary.Result{Summary: summary.Summary{
		Schema: summary.Schema, Run: d.Name(), Target: d.Plan.Target, Fabric: d.Plan.Fabric, Agent: agentOf(d), Seed: d.Plan.Seed,
		Partial: s.partial(d, state),
	}}
	s.conclude(out, state.Refused)
	s.describe(&out.Detail, d)
	return out, nil
}

// Enough reports whether a run with StopAt may stop after the replicates that
// are complete: the primary difference's interval at StopAt.Quantile, at the
// level that keeps the promise under stopping, is narrow enough. It is false
// for a plan without StopAt.
func Enough(d *run.Dir) (bool, error) {
	stop := d.Plan.StopAt
	if stop == nil {
		return false, nil
	}
	s, err := read(d)
	if err != nil || len(s.used) < stop.MinimumReps || s.forced != "" || len(s.contrasts) == 0 {
		return false, err
	}
	c := s.contrasts[0]
	i := stats.Student(c.replicates(s.used, s.point(stop.Quantile)), s.level)
	return i.HalfWidth() <= stop.HalfWidthUs, nil
}

// read opens every complete replicate, two at a time.
func read(d *run.Dir) (*study, error) {
	p := &d.Plan
	if err := p.Validate(); err != nil {
		return nil, err
	}
	s := newStudy(p)
	s.env = &d.Env
	reps, err := d.Replicates()
	if err != nil {
		return nil, err
	}
	hash := p.Hash()
	results := make([]*replicate, len(reps))
	errs := make([]error, len(reps))
	slots := make(chan struct{}, min(2, runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for i, r := range reps {
		ev, complete, err := r.Evidence()
		if err != nil {
			return nil, err
		}
		if !complete {
			why := ev.Failure
			if why == "" {
				why = "it did not finish"
			}
			s.missing = append(s.missing, leftOut{index: r.Index, why: why})
			continue
		}
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			results[i], errs[i] = readReplicate(p, hash, r, ev, s.grid)
			if errs[i] == nil {
				s.take(results[i])
			}
		}()
	}
	wg.Wait()
	for i, r := range results {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if r != nil {
			s.all = append(s.all, r)
		}
	}
	if err := s.sameExperiment(); err != nil {
		return nil, err
	}
	s.choose()
	return s, nil
}

func newStudy(p *plan.Plan) *study {
	s := &study{plan: p, contrasts: contrasts(p), primary: primaryQuantile(p), level: p.Level, grid: gridFor(p.Quantiles)}
	if p.StopAt != nil {
		s.level = stats.SequentialLevel(p.StopAt.MinimumReps, p.Replicates, p.Level)
	}
	for range p.Arms {
		s.totals = append(s.totals, hist.New())
	}
	return s
}

// take merges a replicate that counts into the totals. One that does not keeps
// its histograms only as long as nothing better was seen: they are shown when
// no replicate counts at all.
func (s *study) take(r *replicate) {
	s.merging.Lock()
	defer s.merging.Unlock()
	if s.unfit(r).why == "" {
		s.merge(r)
		s.anyFit = true
	} else if s.anyFit {
		r.hists = nil
	}
}

// merge adds a replicate's histograms to the totals and lets go of them. Sums
// of counts do not depend on the order.
func (s *study) merge(r *replicate) {
	for a, h := range r.hists {
		s.totals[a].Merge(h)
	}
	r.hists = nil
}

// sameExperiment refuses replicates that were made by different builds.
func (s *study) sameExperiment() error {
	for _, r := range s.all {
		first := s.all[0]
		if r.header.Build != first.header.Build {
			return fail.Newf(fail.Usage, "measure the odd replicates again with one build",
				"replicates %d and %d do not belong together: build is %q in one and %q in the other", first.index, r.index, first.header.Build, r.header.Build)
		}
	}
	return nil
}

// choose decides which replicates count; their requests are in the totals by
// now. When none does, all are used and nothing may be claimed.
func (s *study) choose() {
	for _, r := range s.all {
		if out := s.unfit(r); out.why != "" {
			s.missing = append(s.missing, out)
			continue
		}
		s.used = append(s.used, r)
	}
	if len(s.used) > 0 {
		return
	}
	for _, r := range s.all {
		if s.answered(r) {
			s.used = append(s.used, r)
		}
	}
	for _, r := range s.used {
		s.merge(r)
	}
	if len(s.used) > 0 {
		s.forced = "No replicate is fit to count; the numbers show all of them, and nothing is claimed."
	}
}

// powerLost is by how much the smallest difference that a run sees with a
// probability of 0.8 may grow over the planned one before nothing is claimed. At
// six planned replicates one may be missing, at ten two, at twenty six.
const powerLost = 1.25

// lostPower says why nothing may be claimed from fewer replicates than planned,
// or "". Whoever leaves out the replicates that he does not like would otherwise
// get a headline from the others.
func (s *study) lostPower() string {
	n, planned := len(s.used), s.plan.Replicates
	if n < 1 || n >= planned || s.plan.Design == plan.DesignArticle {
		return ""
	}
	larger := stats.SmallestVisible(1, n, s.level, 0.8) / stats.SmallestVisible(1, planned, s.level, 0.8)
	if larger <= powerLost {
		return ""
	}
	sees := "sees no difference at all"
	if !math.IsInf(larger, 1) {
		sees = fmt.Sprintf("sees only differences %.1f times as large as planned", larger)
	}
	return fmt.Sprintf("Only %d of the %d planned replicates count, so the run %s, and nothing is claimed; hoplab report --partial says what they show.",
		n, planned, sees)
}

// unfit says why a complete replicate does not count; why is "" when it does.
func (s *study) unfit(r *replicate) leftOut {
	out := leftOut{index: r.index}
	counted := len(r.counted())
	switch {
	case !s.answered(r):
		for i, a := range r.arms {
			if r.n[i] == 0 {
				out.why = fmt.Sprintf("no request of `%s` was answered as planned (%s)", s.plan.Arms[i].Name, orNone(most(a.byStatus)))
				break
			}
		}
	case r.trailer.Interrupted:
		out.why = "the load generator was told to stop before its end"
	case r.planned > 0 && float64(r.trailer.Dropped) > missingDrops*float64(r.planned):
		out.dropped = float64(r.trailer.Dropped) / float64(r.planned)
		out.why = fmt.Sprintf("the load generator left out %.1f %% of its requests", 100*out.dropped)
	case 2*counted < len(r.windows):
		out.why = fmt.Sprintf("only %d of its %d windows count", counted, len(r.windows))
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none was sent"
	}
	return s
}

// answered reports whether every arm has a latency.
func (s *study) answered(r *replicate) bool {
	for _, n := range r.n {
		if n == 0 {
			return false
		}
	}
	return true
}

// partial says how far a run came that did not finish its plan.
func (s *study) partial(d *run.Dir, state run.State) *summary.Partial {
	complete := len(s.all)
	if complete >= d.Plan.Replicates || (state.Status == run.Complete && d.Plan.StopAt != nil) {
		return nil
	}
	why := state.Why
	if why == "" && len(s.missing) > 0 {
		why = fmt.Sprintf("replicate %d: %s", s.missing[0].index, s.missing[0].why)
	}
	if why == "" {
		why = "the run did not finish"
	}
	return &summary.Partial{Replicates: complete, Planned: d.Plan.Replicates, Why: why, Resume: "hoplab run --resume " + d.Name()}
}

// conclude fills in everything that renderings of the summary need.
func (s *study) conclude(out *summary.Result, refused string) {
	sum := &out.Summary
	sum.Plan = planOf(s.plan)
	cs := s.contradictions(refused)
	sum.Arms = s.armResults(len(cs) > 0)
	sum.Warnings = append(s.runWarnings(), s.notes()...)
	sum.NoiseFloorUs = map[string]float64{}
	sum.Differences = []summary.Difference{}
	if sum.Warnings == nil {
		sum.Warnings = []summary.Warning{}
	}
	if len(cs) > 0 {
		sum.Verdict, sum.Contradictions = summary.Refused, cs
		sum.Sentences = []string{refusal(s.plan, cs, s.answeredByArm())}
		return
	}
	if len(s.used) == 0 {
		sum.Verdict = summary.CannotTell
		sum.Sentences = []string{"This run cannot tell: no replicate is complete, so nothing was compared."}
		return
	}
	lines := s.lines()
	s.judge(lines)
	s.lineWarnings(lines)
	for _, l := range lines {
		sum.Differences = append(sum.Differences, l.Difference)
	}
	sum.NoiseFloorUs = noiseFloor(lines)
	budgets := s.budgets(lines)
	sum.Budgets = budgets
	sum.Verdict = s.verdict(lines, budgets)
	sum.Ledger = s.ledger()
	s.words(sum, lines)
	s.picture(&out.Detail)
}

// words rounds what was judged and says it: no words are made from more digits
// than the tables show.
func (s *study) words(sum *summary.Summary, lines []*line) {
	sum.Round()
	for i, l := range lines {
		l.Difference = sum.Differences[i]
	}
	sum.Sentences = s.sentences(lines, sum.Budgets)
}

func planOf(p *plan.Plan) summary.Plan {
	out := summary.Plan{Profile: p.Profile, Design: p.Design, Hash: p.Hash(), RatePerS: p.RatePerS, Replicates: p.Replicates,
		ReplicateS: p.ReplicateS, WarmupS: p.WarmupS, WindowS: p.WindowS, KeepAwake: p.KeepAwake, OneCore: p.OneCore,
		KeepAlive: p.KeepAlive, Client: p.Client, RequestBytes: p.RequestBytes, ResponseBytes: p.ResponseBytes,
		AppProtocol: p.AppProtocol, AccessLog: p.AccessLog, EnvoyWorkers: p.EnvoyWorkers}
	for _, a := range p.Arms {
		out.Arms = append(out.Arms, a.Name)
	}
	return out
}
