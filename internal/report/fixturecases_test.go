package report_test

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/summary"
)

// pathBoxes draws each arm's way with the ports of the article's template.
func pathBoxes(arms []summary.Arm) []summary.Path {
	var paths []summary.Path
	for _, a := range arms {
		if a.TwinOf != "" || a.Path == "" {
			continue
		}
		p := summary.Path{Arm: a.Name}
		for _, name := range strings.Split(a.Path, " → ") {
			b := summary.Box{Name: name, Proved: a.Requests}
			switch name {
			case "client":
				b.By = "sent"
			case "alb":
				b.Ports, b.By = "listener port 80", "answered as planned"
			case "client agent":
				b.Ports, b.By, b.Proved = "client port 80", "not counted", 0
			case "agent":
				b.Ports, b.By = "ingress port 80", "response headers, agent counters"
			case "app":
				b.Ports, b.By = "container port 80", "peer address"
			}
			p.Boxes = append(p.Boxes, b)
		}
		paths = append(paths, p)
	}
	return paths
}

func warned(r *summary.Result) {
	few := summary.Warning{Code: "few-tail-samples", About: "p99", Text: "about 10 requests per window lie beyond p99; 100 are wanted."}
	r.Summary.Warnings = []summary.Warning{few,
		{Code: "late-sends", About: "bypass", Text: "1 % of the requests left more than 1 ms late."}}
	for i := range r.Summary.Differences {
		if d := &r.Summary.Differences[i]; d.Quantile == 0.99 {
			d.Warnings = []summary.Warning{few, {Code: "few-windows", About: d.Of + " p99", Text: "The within-run interval rests on 8 windows."}}
		}
	}
}

func differenceOf(s *summary.Summary, of string, q float64) *summary.Difference {
	return &s.Differences[slices.IndexFunc(s.Differences, func(d summary.Difference) bool { return d.Of == of && d.Quantile == q })]
}

func withBudgets(verdict string) func(*summary.Result) {
	return func(r *summary.Result) {
		s := &r.Summary
		s.Verdict = verdict
		for _, limit := range []struct {
			text string
			at   int
			us   float64
		}{{"p50 <= +250us", 0, 250}, {"p99 <= +2ms", 2, 2000}} {
			d := *differenceOf(s, "agent - bypass", []float64{0.5, 0, 0.99}[limit.at])
			b := summary.BudgetResult{Budget: limit.text, Quantile: d.Quantile, LimitUs: limit.us,
				EstimateUs: d.EstimateUs, LowUs: d.LowUs, HighUs: d.HighUs, Verdict: summary.Within}
			if verdict == summary.Over && limit.at == 0 {
				b.Budget, b.LimitUs, b.Verdict = "p50 <= +100us", 100, summary.Over
			}
			s.Budgets = append(s.Budgets, b)
		}
		s.Sentences = []string{
			"p50 grows by at most 180 µs, within the budget of 250 µs.", "p99 grows by at most 1.2 ms, within the budget of 2 ms."}
		if verdict == summary.Over {
			s.Sentences[0] = "p50 grows by at least 165 µs, over the budget of 100 µs."
		}
	}
}

func cannotTell(r *summary.Result) {
	s := &r.Summary
	s.Verdict = summary.CannotTell
	s.Sentences = nil
	for i, q := range allQuantiles {
		d := differenceOf(s, "agent - bypass", q)
		d.LowUs, d.HighUs, d.Verdict = d.EstimateUs-2200, d.EstimateUs+2400, summary.CannotTell
		s.Sentences = append(s.Sentences, "At "+[]string{"p50", "p90", "p99"}[i]+
			" this run cannot tell: the difference lies between −2.0 and +2.6 ms; seeing 100 µs would take about 160,000 requests per arm.")
	}
	s.Warnings = []summary.Warning{{Code: "few-replicates", About: "run",
		Text: "3 replicates are too few for an interval at 95 %; 6 or more are wanted."}}
	s.Arms[0].Failed, s.Arms[1].Dropped = 4, 12
	s.Arms[0].Evidence.AgentHops["1"] -= 4
	for i := range r.Detail.Difference {
		p := &r.Detail.Difference[i]
		p.LowUs, p.HighUs = p.EstimateUs-2200-500*p.Q, p.EstimateUs+2400+500*p.Q
	}
}

func refused(r *summary.Result) {
	s := &r.Summary
	s.Verdict = summary.Refused
	s.Sentences = []string{"Not reported: 3 of 14,998 `bypass` requests passed the agent (replicate 2). 2 more contradictions of the plan follow. The latencies of a run that took other paths than planned mean nothing; check the deployed ports and security groups, then run again."}
	s.Contradictions = []summary.Contradiction{
		{Arm: "bypass", Replicate: 2, Requests: 3, Text: "passed the agent"},
		{Arm: "bypass", Replicate: 2, Requests: 3, Text: "passed the agent, by its own counter"},
		{Text: "the template changed while the run was under way"}}
	s.Arms[1].Evidence.AgentHops = map[string]int64{"0": s.Arms[1].Requests - 3, "1": 3}
	s.Arms[1].Evidence.Contradictions = 3
}

func withLedger(r *summary.Result) {
	r.Summary.Ledger = &summary.Ledger{Arm: "agent", Quantile: 0.5, TotalUs: 612, RemainderUs: 23.5, Entries: []summary.LedgerEntry{
		{Part: "agent, its own work", Us: 96.2, By: "the agent's clock, mean"},
		{Part: "agent, one more connection to wait on", Us: 75, By: "agent - bypass, less its own work"},
		{Part: "load balancer", Us: 227.1, By: "bypass - direct"}, {Part: "client, network and app", Us: 190.2, By: "direct"}}}
	warned(r)
}

func partial(r *summary.Result) {
	r.Summary.Partial = &summary.Partial{Replicates: 5, Planned: 6, Why: "k6 was killed in replicate 4",
		Resume: "hoplab run --resume runs/20261121-091500-7f3a"}
	r.Detail.Replicates[3].Missing = "k6 was killed after 3.1 s"
	r.Detail.Windows = slices.DeleteFunc(r.Detail.Windows, func(w summary.Window) bool { return w.Replicate == 4 })
	for i := range r.Summary.Differences {
		r.Summary.Differences[i].Replicates = 5
	}
}

// oneReplicate has no interval at all, as Level 0 says.
func oneReplicate(r *summary.Result) {
	s := &r.Summary
	s.Verdict, s.Sentences, s.NoiseFloorUs = summary.CannotTell, nil, map[string]float64{}
	for i := range s.Differences {
		d := &s.Differences[i]
		d.Level, d.Replicates, d.Windows, d.Verdict, d.BetweenUs, d.P, d.PHolm = 0, 1, 2, summary.CannotTell, 0, nil, nil
		d.LowUs, d.HighUs, d.WithinLowUs, d.WithinHighUs = d.EstimateUs, d.EstimateUs, d.EstimateUs, d.EstimateUs
		d.Method = "one replicate, and too few windows for an interval"
	}
	for i, saw := range []string{"+171.0", "+191.7", "+420.2"} {
		s.Sentences = append(s.Sentences, "At "+[]string{"p50", "p90", "p99"}[i]+" this run cannot tell: it has no interval for the "+saw+" µs that it saw.")
	}
	s.Budgets = []summary.BudgetResult{{Budget: "p50 <= +250us", Quantile: 0.5, LimitUs: 250, EstimateUs: 171, LowUs: 171,
		HighUs: 171, Verdict: summary.CannotTell}}
	for i := range r.Detail.Difference {
		p := &r.Detail.Difference[i]
		p.LowUs, p.HighUs, p.AAHalfUs = p.EstimateUs, p.EstimateUs, 0
	}
}

// empty is a run that sent nothing: no warning, no curve, no window.
func empty(r *summary.Result) {
	s := &r.Summary
	s.Verdict, s.Sentences, s.Differences, s.NoiseFloorUs, s.Warnings = summary.CannotTell, nil, nil, nil, nil
	for i := range s.Arms {
		s.Arms[i] = summary.Arm{Name: s.Arms[i].Name, TwinOf: s.Arms[i].TwinOf, Path: s.Arms[i].Path,
			Evidence: summary.Evidence{AgentCounter: -1}}
	}
	s.Partial = &summary.Partial{Planned: 6, Why: "interrupted before the first replicate ended"}
	r.Detail = summary.Detail{Repeat: r.Detail.Repeat, Render: r.Detail.Render, Machine: r.Detail.Machine}
}

func fromFiles(r *summary.Result) {
	s := &r.Summary
	s.Target, s.Fabric, s.NoiseFloorUs = "files", "", nil
	s.Plan = summary.Plan{Arms: s.Plan.Arms, WindowS: 2, KeepAlive: true}
	s.Sentences = []string{s.Arms[0].Name + " is 171 µs slower at p50 than " + s.Arms[1].Name + " (95 % interval 163 to 180 µs)."}
}

func onAWS(r *summary.Result) {
	s := &r.Summary
	s.Target, s.Fabric = "aws", ""
	s.Arms[0].Latency.Max, s.Arms[1].Latency.Max = 15_000_000, 4_200_000
	for i := range s.Differences {
		s.Differences[i].Replicates = 1234
	}
	s.Sentences = []string{"The Service Connect agent adds 17.0 ms at p50 (95 % interval 14.3 to 19.8 ms)."}
}

// hostile has a markup, a terminal sequence and a table separator in every string that users or programs supply.
func hostile(r *summary.Result) {
	const evil = "<script>alert(1)</script>\x1b[31m|`*_\"'&]]>\u202e-->\x00"
	s := &r.Summary
	s.Run, s.Fabric, s.Plan.Profile = evil, evil, evil
	s.Arms[0].Name, s.Arms[0].Path = "agent"+evil, evil
	s.Sentences[0] += evil
	s.Differences = slices.DeleteFunc(s.Differences, func(d summary.Difference) bool { return d.Of != "agent - bypass" })
	for i := range s.Differences {
		s.Differences[i].Of = "agent" + evil + " - bypass"
		s.Differences[i].Method = evil
	}
	s.Partial = &summary.Partial{Replicates: 1, Planned: 2, Why: evil, Resume: evil}
	s.Budgets = []summary.BudgetResult{{Budget: evil, Quantile: 0.5, LimitUs: 1, EstimateUs: 1, LowUs: 0.5, HighUs: 2,
		Verdict: summary.CannotTell}}
	s.Ledger = &summary.Ledger{Arm: evil, Quantile: 0.5, TotalUs: 10, RemainderUs: -2,
		Entries: []summary.LedgerEntry{{Part: evil, Us: 12, By: evil}}}
	s.Warnings = []summary.Warning{{Code: evil, About: "run", Text: evil}, {Code: "x", About: "p99", Text: evil},
		{Code: "y", About: "agent" + evil, Text: evil}}
	d := &r.Detail
	d.Primary = s.Differences[0].Of
	d.Method, d.Repeat, d.Render, d.NotShown = evil, evil, evil, []string{evil}
	d.Machine = append(d.Machine, summary.KeyValue{Key: evil, Value: evil})
	d.Curves[0].Arm, d.Replicates[0].Note, d.Replicates[1].Missing, d.Windows[0].Void = "agent"+evil, evil, evil, evil
	d.Paths[0].Arm, d.Paths[0].Boxes[1].Name, d.Paths[0].Boxes[1].Ports, d.Paths[0].Boxes[1].By = "agent"+evil, evil, evil, evil
}
