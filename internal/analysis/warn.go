package analysis

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// Limits of the self-audit.
const (
	warnSteal       = 0.02 // of the machine's time in any window
	warnBusy        = 0.80 // load generators inflate latencies beyond it
	warnGenerator   = 0.50 // of all cores, used by the load generator
	warnAchieved    = 0.98 // of the planned requests
	warnFresh       = 0.01 // of the requests on new connections, with keep-alive
	missingDrops    = 0.01 // of the planned requests, above which a replicate does not count
	fewReplicates   = 6    // a sign-flip test of fewer cannot reach 0.05
	fewWindows      = 10
	warnFailedShare = 0.001
)

type warnings []summary.Warning

func (w *warnings) add(code, about, format string, args ...any) {
	*w = append(*w, summary.Warning{Code: code, About: about, Text: fmt.Sprintf(format, args...)})
}

// runWarnings audits the run as a whole and each arm.
func (s *study) runWarnings() []summary.Warning {
	var w warnings
	s.warnDesign(&w)
	s.warnReplicates(&w)
	s.warnLoad(&w)
	s.warnMachine(&w)
	s.warnArms(&w)
	return w
}

func (s *study) warnDesign(w *warnings) {
	switch s.plan.Design {
	case plan.DesignArticle:
		w.add("one-after-another", "run", "The arms ran one after the other, as in the article: drift between them looks like the hop, and no statistics can tell the two apart.")
	case plan.DesignBlocks:
		w.add("blocks", "run", "The arms took turns in blocks of %s s: drift shorter than a block does not cancel.", trim(s.plan.WindowS))
	}
	s.warnAgent(w)
	s.warnEndpoints(w)
	if s.plan.TwinIndex() < 0 && s.plan.Design != plan.DesignArticle {
		w.add("no-twin", "run", "No arm ran twice, so this run has no noise floor of its own.")
	}
	for _, in := range s.injected() {
		w.add("injected", "run", "%s", in)
	}
}

// warnAgent says beside every number that the lab's own agent was measured.
func (s *study) warnAgent(w *warnings) {
	if !s.plan.LabAgent() || !slices.ContainsFunc(s.plan.Arms, func(a plan.Arm) bool { return a.Expect.AgentHops > 0 }) {
		return
	}
	why := ""
	if s.env != nil && s.env.Agent != nil && s.env.Agent.Why != "" {
		why = " (" + s.env.Agent.Why + ")"
	}
	w.add("not-envoy", "run", "The agents were the lab's own, not Envoy%s: what Envoy costs is not what was measured.", why)
}

// injected describes delays that were injected on purpose.
func (s *study) injected() []string {
	type key struct{ hop, arm string }
	sum, count := map[key]float64{}, map[key]int64{}
	share, asked := map[key]float64{}, map[key]float64{}
	for _, r := range s.used {
		for _, i := range r.evidence.Injected {
			k := key{i.Hop, i.Arm}
			sum[k] += i.RealisedUs * float64(i.Count)
			count[k] += i.Count
			share[k], asked[k] = i.Share, i.AskedUs
		}
	}
	var out []string
	for k, n := range count {
		part := "every request"
		if share[k] < 1 {
			part = trim(100*share[k]) + " % of the requests"
		}
		if n == 0 {
			out = append(out, fmt.Sprintf("On purpose, %s of `%s` was to delay %s by %s.", k.hop, k.arm, part, us(asked[k])))
			continue
		}
		out = append(out, fmt.Sprintf("On purpose, %s of `%s` delayed %s by %s on average.", k.hop, k.arm, part, us(sum[k]/float64(n))))
	}
	sort.Strings(out)
	return out
}

func (s *study) warnReplicates(w *warnings) {
	n := len(s.used)
	switch {
	case s.forced != "":
		w.add("voided", "run", "%s", s.forced)
	case n == 0:
	case n == 1:
		w.add("few-replicates", "run", "One replicate: each start has an offset of its own, which one start cannot show.")
	case n < fewReplicates && s.plan.Design != plan.DesignArticle:
		w.add("few-replicates", "run", "Only %d replicates: the interval is wide and leans on their spread being normal; %d or more are better.", n, fewReplicates)
	}
	s.warnLeftOut(w)
}

// warnLeftOut says which replicates do not count and why, each reason once, and
// what to do where the machine could not send the load.
func (s *study) warnLeftOut(w *warnings) {
	const dropped = "the load generator left out requests"
	var reasons []string
	of := map[string][]leftOut{}
	for _, m := range s.missing {
		why := m.why
		if m.dropped > 0 {
			why = dropped
		}
		if of[why] == nil {
			reasons = append(reasons, why)
		}
		of[why] = append(of[why], m)
	}
	for _, why := range reasons {
		out := of[why]
		if why == dropped {
			why = droppedShares(out) + ". Something else kept the machine busy, or the rate is too high for it: run again when it is quiet, or with a lower --rate"
		}
		w.add("replicate-left-out", "run", "%s: %s.", doNotCount(out), why)
	}
}

// doNotCount names the replicates of out, which is not empty.
func doNotCount(out []leftOut) string {
	if len(out) == 1 {
		return fmt.Sprintf("Replicate %d does not count", out[0].index)
	}
	var names []string
	for _, m := range out {
		names = append(names, fmt.Sprint(m.index))
	}
	return fmt.Sprintf("Replicates %s and %s do not count", strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
}

// droppedShares says which share of the requests the load generator left out.
func droppedShares(out []leftOut) string {
	if len(out) == 1 {
		return out[0].why
	}
	low, high := out[0].dropped, out[0].dropped
	for _, m := range out {
		low, high = min(low, m.dropped), max(high, m.dropped)
	}
	return fmt.Sprintf("the load generator left out %.1f to %.1f %% of their requests", 100*low, 100*high)
}

func (s *study) warnLoad(w *warnings) {
	var dropped, planned, sent, strays int64
	voided := map[string]int{}
	windows := 0
	for _, r := range s.used {
		dropped += r.trailer.Dropped
		planned += r.planned
		strays += r.strays
		for _, a := range r.arms {
			sent += a.requests
		}
		for why, n := range r.void {
			voided[why] += n
		}
		windows += len(r.windows)
	}
	if dropped > 0 {
		w.add("drops", "run", "The load generator could not start %s of %s requests on time and left them out; what they would have shown is missing. A lower "+
			"--rate may fit this machine.", quantity.Count(dropped), quantity.Count(planned))
	}
	if planned > 0 && float64(sent) < warnAchieved*float64(planned) {
		w.add("saturated", "run", "Only %s of %s planned requests were recorded: the load was lower than the plan says.", quantity.Count(sent), quantity.Count(planned))
	}
	if n := voided["late sends"]; n > 0 {
		w.add("late-sends", "run", "%d of %d windows do not count: more than 1 %% of their requests were sent over 5 ms late.", n, windows)
	}
	if n := voided["steal"]; n > 0 {
		w.add("steal", "run", "%d of %d windows do not count: the host took over 10 %% of the machine's time.", n, windows)
	}
	if strays > 0 {
		w.add("strays", "run", "%s requests ended long after their time limit; they count in the totals and in no window.", quantity.Count(strays))
	}
}

func (s *study) warnMachine(w *warnings) {
	var stolen, busy, windows int
	var worst float64
	var cpu, seconds float64
	for _, r := range s.used {
		for i := range r.windows {
			if i >= len(r.steal) || r.steal[i] < 0 {
				continue
			}
			windows++
			if r.steal[i] > warnSteal && r.windows[i].void == "" {
				stolen++
				worst = max(worst, r.steal[i])
			}
			if r.busy[i] > warnBusy {
				busy++
			}
		}
		cpu += r.trailer.CPUSeconds
		seconds += r.header.Load.WarmupS + r.header.Load.DurationS
	}
	if stolen > 0 {
		w.add("steal", "run", "In %d of %d windows the host took over 2 %% of the machine's time (at most %.0f %%).", stolen, windows, 100*worst)
	}
	if busy > 0 {
		w.add("busy-machine", "run", "In %d of %d windows the cores were over 80 %% busy: latencies include waiting for a core.", busy, windows)
	}
	if cores := s.cores(); cores > 0 && seconds > 0 && cpu > warnGenerator*seconds*cores {
		w.add("busy-generator", "run", "The load generator itself used %.0f %% of the cores.", 100*cpu/seconds/cores)
	}
	s.warnQuiet(w)
}

// cores is how many cores the run had; 0 when that is not known.
func (s *study) cores() float64 {
	switch {
	case len(s.used) > 0 && strings.HasPrefix(s.used[0].evidence.OneCore, "core "):
		return 1
	case s.env != nil:
		return float64(s.env.Cores)
	}
	return 0
}

// warnQuiet names what the plan wanted for a quiet machine and could not have.
func (s *study) warnQuiet(w *warnings) {
	awake, core := "", ""
	for _, r := range s.used {
		if k := r.evidence.KeepAwake; s.plan.KeepAwake && k != "" && k != "on" {
			awake = k
		}
		if c := r.evidence.OneCore; s.plan.OneCore && c != "" && !strings.HasPrefix(c, "core ") {
			core = c
		}
	}
	if awake != "" {
		w.add("not-awake", "run", "The cores were not kept awake (%s): the latencies include waking them.", awake)
	}
	if core != "" {
		w.add("not-one-core", "run", "The run was not kept on one core (%s): each start places the hops on cores anew, and differences between replicates show it.", core)
	}
}

func (s *study) warnArms(w *warnings) {
	late := map[string]int{}
	for _, r := range s.all {
		for _, m := range r.evidence.CloudWatch {
			if !m.Settled {
				late[m.Arm]++
			}
		}
	}
	for i := range s.plan.Arms {
		a := s.total(i)
		name := s.plan.Arms[i].Name
		if n := late[name]; n > 0 {
			w.add("metrics-late", name, "%d of its CloudWatch metrics had not settled when they were read and prove nothing.", n)
		}
		if a.failed > 0 && float64(a.failed) >= warnFailedShare*float64(a.requests) {
			w.add("failures", name, "%s of %s requests failed (%s); they count in no latency.", quantity.Count(a.failed), quantity.Count(a.requests), most(a.byStatus))
		}
		if s.plan.KeepAlive && a.requests > 0 && float64(a.fresh) > warnFresh*float64(a.requests) {
			w.add("churn", name, "%s of %s requests needed a new connection although connections are kept: look at the proxies' keep-alive.", quantity.Count(a.fresh), quantity.Count(a.requests))
		}
		if a.missing > 0 {
			w.add("one-leg", name, "%s responses do not say who called the app: their path rests on the response headers alone.", quantity.Count(a.missing))
		}
	}
}

// most lists counts by their keys, the most frequent first.
func most(counts map[string]int64) string {
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if counts[keys[i]] != counts[keys[j]] {
			return counts[keys[i]] > counts[keys[j]]
		}
		return keys[i] < keys[j]
	})
	var parts []string
	for i, k := range keys {
		if i == 3 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %s", k, quantity.Count(counts[k])))
	}
	return strings.Join(parts, ", ")
}

// lineWarnings attaches to each difference what weakens it.
func (s *study) lineWarnings(lines []*line) {
	for _, l := range lines {
		var w warnings
		about := l.Of + " " + plan.QuantileName(l.Quantile)
		if l.tail < plan.MinTail {
			need := math.Ceil(plan.MinTail / min(l.Quantile, 1-l.Quantile))
			const each = "of each arm in each replicate"
			w.add("few-tail-samples", about, "Only %.0f requests %s lie beyond this quantile; a claim needs %d, which is %s requests %s.",
				l.tail, each, plan.MinTail, quantity.Count(int64(need)), each)
		}
		if l.Windows > 0 && l.Windows < fewWindows {
			w.add("few-windows", about, "The within-run interval rests on %d windows.", l.Windows)
		}
		if l.contrast.Twin && l.Level > 0 && l.interval.Excludes(0) {
			w.add("aa-differs", about, "The same path measured twice differs; by chance that happens in 1 of %.0f sound runs. Effects of this size are not believed here.", 1/(1-l.Level))
		}
		l.Warnings = w
	}
}

func us(v float64) string {
	u := quantity.UnitFor(v)
	return u.With(u.Number(v, quantity.SignificantStep(v, 3)))
}

func trim(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.4g", v), ".0") }
