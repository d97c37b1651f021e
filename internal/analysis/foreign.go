package analysis

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// TargetFiles is the Summary.Target of a comparison of result files.
const TargetFiles = "files"

// Foreign compares requests that hoplab did not send: there is no plan, no
// evidence and one start of everything, so windows are the sample and the
// interval is blind to each start's own offset. Add the requests, then call
// Result. Memory does not depend on their number. It is not safe for
// concurrent use.
type Foreign struct {
	plan   plan.Plan
	apart  bool
	window time.Duration
	each   []*collector // windows of one arm alone
	both   *collector   // windows with all arms; nil when the arms have clocks of their own
	counts []*armCount
}

// ForeignOptions describes a comparison of result files.
type ForeignOptions struct {
	Name string
	// Arms are compared with the last one: "A - B". At least two.
	Arms      []string
	Quantiles []float64
	Level     float64
	WindowS   float64
	Budgets   []plan.Budget
	// Apart says that each arm comes from a run of its own, with a clock of its own.
	Apart bool
}

// NewForeign checks the options.
func NewForeign(o ForeignOptions) (*Foreign, error) {
	p := plan.Plan{Schema: plan.Schema, Profile: plan.ProfileCustom, Target: TargetFiles, Design: DesignInterleaved,
		Replicates: 1, WindowS: o.WindowS, Quantiles: o.Quantiles, Level: o.Level, Budgets: o.Budgets, KeepAlive: true}
	if o.Apart {
		p.Design = DesignApart
	}
	switch {
	case len(o.Arms) < 2:
		return nil, fail.Newf(fail.Usage, "", "%d arm(s) to compare: expected two or more", len(o.Arms))
	case !(o.WindowS >= plan.MinWindowS && o.WindowS <= plan.MaxWindowS):
		return nil, fail.Newf(fail.Usage, "", "a window of %v s: expected %v to %v", o.WindowS, plan.MinWindowS, plan.MaxWindowS)
	case !(o.Level >= 0.5 && o.Level < 1) || len(o.Quantiles) == 0:
		return nil, fail.Newf(fail.Usage, "", "level %v and quantiles %v: expected 0.5 to 0.9999, and at least one quantile", o.Level, o.Quantiles)
	}
	f := &Foreign{plan: p, apart: o.Apart, window: time.Duration(o.WindowS * float64(time.Second))}
	for _, name := range o.Arms {
		f.plan.Arms = append(f.plan.Arms, plan.Arm{Name: name, Weight: 1})
		f.each = append(f.each, f.collector(1))
		f.counts = append(f.counts, newArmCount())
	}
	if !o.Apart {
		f.both = f.collector(len(o.Arms))
		f.both.plain = true // f.each keeps the histograms
	}
	return f, nil
}

// Designs of foreign files, as far as one can tell.
const (
	DesignInterleaved = "one run"
	DesignApart       = "separate runs"
)

func (f *Foreign) collector(arms int) *collector {
	c := newCollector(arms, f.plan.Quantiles, nil, f.window, 0, func(int, float64) string { return "" })
	c.adapt = true
	return c
}

// Add counts one request that ended at, counted from the file's first one, with
// its latency; failed is "" or why it failed, and then latency does not count.
// Requests may come a few seconds out of order.
func (f *Foreign) Add(arm int, at, latency time.Duration, failed string) {
	c := f.counts[arm]
	c.requests++
	if failed != "" {
		c.failed++
		if len(c.byStatus) < 100 || c.byStatus[failed] > 0 {
			c.byStatus[failed]++
		}
	}
	w := int(at / f.window)
	if at < 0 {
		w = 0 // before the first request of the file: out of order at its very start
	}
	f.each[arm].add(w, 0, false, failed == "", latency)
	f.each[arm].finished(at)
	if f.both != nil {
		f.both.add(w, arm, false, failed == "", latency)
		f.both.finished(at)
	}
}

// enoughPairs is how many windows with all arms make a paired comparison: with
// fewer, a signed-rank interval at 95 % does not exist.
const enoughPairs = 6

// Result is the comparison. It is refused for nothing, and cannot tell when an
// arm has no answered request.
func (f *Foreign) Result(name string) (*summary.Result, error) {
	s := newStudy(&f.plan)
	s.single = true
	s.contrasts = nil
	last := len(f.plan.Arms) - 1
	for i := range last {
		w := make([]float64, last+1)
		w[i], w[last] = 1, -1
		s.contrasts = append(s.contrasts, contrast{plan.Contrast{Of: f.plan.Arms[i].Name + " - " + f.plan.Arms[last].Name, Weights: w}})
	}
	r := &replicate{index: 1, arms: f.counts, void: map[string]int{}, joined: make([][]joinedWindow, len(f.plan.Quantiles))}
	f.close()
	for a, c := range f.each {
		r.hists = append(r.hists, c.counted[0])
		r.strays += c.strays
		for q, ws := range c.joined {
			for _, w := range ws {
				value := make([]float64, len(f.plan.Arms))
				for k := range value {
					value[k] = math.NaN()
				}
				value[a] = w.value[0]
				r.joined[q] = append(r.joined[q], joinedWindow{value})
			}
		}
	}
	f.pair(r)
	r.reduce(&f.plan, s.grid)
	s.all = []*replicate{r}
	s.merge(r)
	if s.answered(r) {
		s.used = s.all
	}
	out := &summary.Result{Summary: summary.Summary{Schema: summary.Schema, Run: name, Target: TargetFiles}}
	s.conclude(out, "")
	out.Summary.Plan.Hash = ""
	if len(s.used) == 0 {
		for i, n := range r.n {
			if n == 0 {
				out.Summary.Sentences = []string{fmt.Sprintf("These files cannot tell: `%s` has no answered request.", f.plan.Arms[i].Name)}
				break
			}
		}
	}
	out.Detail.Method = f.method()
	out.Detail.NotShown = []string{"The paths of these requests: result files carry no evidence of them.",
		"Another start of everything: its own offset is not in the interval."}
	return out, nil
}

// close closes what is open, all collectors at once: in a short file they hold
// nearly all of it.
func (f *Foreign) close() {
	var wg sync.WaitGroup
	for _, c := range f.each {
		wg.Go(c.close)
	}
	if f.both != nil {
		f.both.close()
	}
	wg.Wait()
}

// pair replaces the windows of single arms by those that hold all arms, where
// there are enough of them at every quantile.
func (f *Foreign) pair(r *replicate) {
	if f.both == nil {
		return
	}
	for q := range f.plan.Quantiles {
		if len(f.both.joined[q]) >= enoughPairs {
			r.joined[q] = f.both.joined[q]
		}
	}
	r.windows = f.both.windows
}

func (f *Foreign) method() string {
	text := "Requests were cut into windows of " + trim(f.plan.WindowS) + " s by the time at which they ended, joined until each held enough for its quantile. "
	if f.apart {
		return text + "The windows of the two runs were compared unpaired (Hodges-Lehmann shift, Mann-Whitney interval); the estimate is the difference of the pooled quantiles."
	}
	return text + "Where windows hold all arms, their differences are the sample (Hodges-Lehmann, signed-rank); else the windows of the arms are compared unpaired. The estimate is the difference of the pooled quantiles."
}
