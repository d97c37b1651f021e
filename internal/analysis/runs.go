package analysis

import (
	"fmt"
	"math"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// TargetFiles is the Summary.Target of a comparison of runs or of result files.
const TargetFiles = "files"

// Runs compares two runs of hoplab, a - b. First comes how the primary
// difference changed, "agent - bypass" in a less in b: what drifted between
// the runs moves both arms of each and cancels. Then each arm that both runs
// have, for which it does not. Replicates are the sample, unpaired (Welch).
//
// Runs that measured under different conditions are refused by an error that
// names the field; a run whose evidence contradicts its plan makes the whole
// comparison refused.
func Runs(a, b *run.Dir, budgets []plan.Budget) (*summary.Result, error) {
	if err := alike(a, b); err != nil {
		return nil, err
	}
	sa, err := read(a)
	if err != nil {
		return nil, fmt.Errorf("run A: %w", err)
	}
	sb, err := read(b)
	if err != nil {
		return nil, fmt.Errorf("run B: %w", err)
	}
	p := a.Plan
	p.Budgets = budgets
	s := newStudy(&p)
	s.level = p.Level
	out := &summary.Result{Summary: summary.Summary{Schema: summary.Schema, Run: a.Name() + " - " + b.Name(), Target: TargetFiles,
		Plan: planOf(&p), Differences: []summary.Difference{}, NoiseFloorUs: map[string]float64{}, Warnings: []summary.Warning{}}}
	sum := &out.Summary
	sum.Plan.Hash = ""
	refusedA, err := addSide(out, "A", a, sa)
	if err != nil {
		return nil, err
	}
	refusedB, err := addSide(out, "B", b, sb)
	if err != nil {
		return nil, err
	}
	sum.Warnings = append(sum.Warnings, summary.Warning{Code: "separate-runs", About: "run",
		Text: "Separate runs: drift between them cancels in a difference of differences, and not in the difference of one arm."})
	if refusedA || refusedB {
		refuse(out, &p)
		return out, nil
	}
	s.used = append(append([]*replicate{}, sa.used...), sb.used...)
	if len(sa.used) < 2 || len(sb.used) < 2 || sa.forced != "" || sb.forced != "" {
		s.forced = "A comparison of runs needs two replicates that count in each."
		sum.Warnings = append(sum.Warnings, summary.Warning{Code: "few-replicates", About: "run", Text: s.forced})
	}
	lines := s.unpaired(sa, sb)
	if len(lines) == 0 {
		sum.Round()
		sum.Verdict, sum.Sentences = summary.CannotTell, []string{"These runs cannot tell: they have no arm in common with answered requests."}
		return out, nil
	}
	s.judge(lines)
	s.lineWarnings(lines)
	for _, l := range lines {
		sum.Differences = append(sum.Differences, l.Difference)
	}
	sum.Budgets = s.budgets(lines)
	sum.Verdict = s.verdict(lines, sum.Budgets)
	s.words(sum, lines)
	out.Detail.Primary = s.contrasts[0].Of
	out.Detail.Method = "Each replicate gives one quantile per arm, and one difference; the two runs' replicates are compared unpaired, with Welch's t interval."
	out.Detail.NotShown = []string{"What changed between the two runs beside the thing under test."}
	return out, nil
}

// addSide adds what one run has to say by itself, under its label, and reports
// whether its evidence contradicts its plan.
func addSide(out *summary.Result, label string, dir *run.Dir, s *study) (refused bool, err error) {
	state, err := dir.State()
	if err != nil {
		return false, err
	}
	sum := &out.Summary
	label += ": "
	cs := s.contradictions(state.Refused)
	for _, c := range cs {
		c.Arm = label + c.Arm
		sum.Contradictions = append(sum.Contradictions, c)
	}
	for _, arm := range s.armResults(len(cs) > 0) {
		arm.Name = label + arm.Name
		if arm.TwinOf != "" {
			arm.TwinOf = label + arm.TwinOf
		}
		sum.Arms = append(sum.Arms, arm)
	}
	for i, arm := range s.plan.Arms {
		out.Detail.Curves = append(out.Detail.Curves, s.curve(i, label+arm.Name))
	}
	for _, w := range s.runWarnings() {
		w.Text = "In " + label + w.Text
		sum.Warnings = append(sum.Warnings, w)
	}
	return len(cs) > 0, nil
}

// refuse makes a comparison one that says its contradictions and no latency.
func refuse(out *summary.Result, p *plan.Plan) {
	sum := &out.Summary
	sum.Verdict, out.Detail.Curves = summary.Refused, nil
	total := map[string]int64{}
	for i := range sum.Arms {
		sum.Arms[i].Latency = summary.LatencyUs{}
		total[sum.Arms[i].Name] = sum.Arms[i].Requests - sum.Arms[i].Failed
	}
	sum.Sentences = []string{refusal(p, sum.Contradictions, total)}
}

// unpaired makes the lines of a comparison of two runs and sets s.contrasts to
// what they are about.
func (s *study) unpaired(a, b *study) []*line {
	type pair struct {
		of    string
		words [2]string
		a, b  contrast
	}
	var pairs []pair
	for _, ca := range a.contrasts {
		for _, cb := range b.contrasts {
			if ca.Of == cb.Of && !ca.Twin {
				pairs = append(pairs, pair{ca.Of + ": A - B", sides("The difference "+ca.Of+" is", "larger", "smaller"), ca, cb})
			}
		}
	}
	for i, arm := range a.plan.Arms {
		if k := b.plan.ArmIndex(arm.Name); k >= 0 && arm.TwinOf == "" {
			pairs = append(pairs, pair{arm.Name + ": A - B", sides("`"+arm.Name+"` is", "slower", "faster"),
				single(i, len(a.plan.Arms)), single(k, len(b.plan.Arms))})
		}
	}
	s.contrasts = make([]contrast, len(pairs))
	var out []*line
	for i, p := range pairs {
		s.contrasts[i] = contrast{plan.Contrast{Of: p.of}}
		var of []*line
		for q := range s.plan.Quantiles {
			if l := s.welch(&s.contrasts[i], a, b, p.a, p.b, q); l != nil {
				l.words = p.words
				of = append(of, l)
			}
		}
		holm(of)
		out = append(out, of...)
	}
	return out
}

// sides begins a sentence about two runs.
func sides(subject, more, less string) [2]string {
	return [2]string{fmt.Sprintf("%s %s in A than in B by", subject, more), fmt.Sprintf("%s %s in A than in B by", subject, less)}
}

// single is one arm by itself.
func single(arm, arms int) contrast {
	c := contrast{plan.Contrast{Weights: make([]float64, arms)}}
	c.Weights[arm] = 1
	return c
}

func (s *study) welch(about *contrast, a, b *study, ca, cb contrast, q int) *line {
	if len(a.used) == 0 || len(b.used) == 0 {
		return nil
	}
	quantile := s.plan.Quantiles[q]
	da, db := ca.replicates(a.used, a.point(quantile)), cb.replicates(b.used, b.point(quantile))
	i, p := stats.Welch(da, db, s.plan.Level)
	l := &line{contrast: about, interval: i}
	l.tail = float64(min(ca.requests(a.used), cb.requests(b.used))) * min(quantile, 1-quantile)
	l.Difference = summary.Difference{Of: about.Of, Quantile: quantile, EstimateUs: i.Estimate, LowUs: i.Low,
		HighUs: i.High, Level: s.plan.Level,
		Replicates: len(da) + len(db), Method: fmt.Sprintf("Welch's t interval over %d and %d replicates, unpaired", len(da), len(db))}
	if math.IsInf(i.Low, -1) {
		l.Level, l.LowUs, l.HighUs = 0, i.Estimate, i.Estimate
	} else {
		l.P, l.pStudent = &p, &p
	}
	l.WithinLowUs, l.WithinHighUs = l.LowUs, l.HighUs
	return l
}

// alike refuses runs whose difference would not be about the thing under test.
func alike(x, y *run.Dir) error {
	a, b := &x.Plan, &y.Plan
	for _, f := range []struct {
		field string
		a, b  any
	}{
		{"target", a.Target, b.Target}, {"fabric", a.Fabric, b.Fabric}, {"agent", agentName(x), agentName(y)},
		{"design", a.Design, b.Design}, {"rate_per_s", a.RatePerS, b.RatePerS},
		{"keep_alive", a.KeepAlive, b.KeepAlive}, {"keep_awake", a.KeepAwake, b.KeepAwake},
		{"request_bytes", a.RequestBytes, b.RequestBytes}, {"response_bytes", a.ResponseBytes, b.ResponseBytes},
		{"app_protocol", a.AppProtocol, b.AppProtocol}, {"access_log", a.AccessLog, b.AccessLog},
		{"envoy_workers", a.EnvoyWorkers, b.EnvoyWorkers},
		{"request", requestOf(a), requestOf(b)},
		{"one_core", a.OneCore, b.OneCore}, {"client", a.Client, b.Client},
		{"replicate_s", a.ReplicateS, b.ReplicateS}, {"level", a.Level, b.Level}, {"quantiles", fmt.Sprint(a.Quantiles), fmt.Sprint(b.Quantiles)},
	} {
		if f.a != f.b {
			return fail.Newf(fail.Usage, "measure both under the same conditions", "the runs cannot be compared: %s is %v in A and %v in B", f.field, f.a, f.b)
		}
	}
	return nil
}

// requestOf is the form of a plan's requests, to compare.
func requestOf(p *plan.Plan) string {
	if p.Request == nil {
		return "a plain one"
	}
	r := *p.Request
	r.CA = ""
	return fmt.Sprintf("%+v", r)
}
