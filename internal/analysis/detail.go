package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/summary"
)

// gridFor is the quantiles at which every arm of every replicate is kept: p1 to
// p99.9 in even steps of a probability scale, and the reported ones.
func gridFor(reported []float64) []float64 {
	const points = 61
	lo, hi := distuv.UnitNormal.Quantile(0.01), distuv.UnitNormal.Quantile(0.999)
	grid := slices.Clone(reported)
	for i := range points {
		q := distuv.UnitNormal.CDF(lo + (hi-lo)*float64(i)/(points-1))
		grid = append(grid, math.Round(q*1e6)/1e6)
	}
	grid = append(grid, 0.5)
	slices.Sort(grid)
	return slices.Compact(grid)
}

// point is the place of a quantile in the grid, or -1.
func (s *study) point(q float64) int { return slices.Index(s.grid, q) }

// at is the place in the grid of a reported quantile.
func (s *study) at(q int) int { return s.point(s.plan.Quantiles[q]) }

// picture fills in what the pictures draw.
func (s *study) picture(d *summary.Detail) {
	for i, a := range s.plan.Arms {
		d.Curves = append(d.Curves, s.curve(i, a.Name))
	}
	if len(s.contrasts) == 0 {
		return
	}
	c := &s.contrasts[0]
	d.Primary = c.Of
	d.Difference = s.differenceCurve(c)
	median := s.point(0.5)
	for _, r := range s.all {
		d.Windows = append(d.Windows, s.windowsOf(c, r)...)
		rep := summary.Replicate{Index: r.index, DiffUs: c.at(func(a int) float64 { return r.value[a][median] }), Note: startNote(r)}
		for _, m := range s.missing {
			if m.index == r.index {
				rep.Missing = m.why
			}
		}
		d.Replicates = append(d.Replicates, rep)
	}
	for _, m := range s.missing {
		if !slices.ContainsFunc(d.Replicates, func(r summary.Replicate) bool { return r.Index == m.index }) {
			d.Replicates = append(d.Replicates, summary.Replicate{Index: m.index, Missing: m.why})
		}
	}
	slices.SortStableFunc(d.Replicates, func(a, b summary.Replicate) int { return a.Index - b.Index })
	d.Paths = s.paths()
}

// curve is an arm's distribution on a probability scale, as far as at least
// five requests lie beyond a point.
func (s *study) curve(arm int, name string) summary.Curve {
	h := s.totals[arm]
	c := summary.Curve{Arm: name}
	if h.Count() == 0 {
		return c
	}
	const points = 160
	reach := distuv.UnitNormal.Quantile(1 - max(1e-5, min(0.5, 5/float64(h.Count()))))
	var qs []float64
	for i := range points {
		qs = append(qs, distuv.UnitNormal.CDF(reach*(2*float64(i)/(points-1)-1)))
	}
	for i, v := range h.QuantilesUs(qs) {
		c.Points = append(c.Points, summary.QuantileUs{Q: qs[i], Us: v})
	}
	return c
}

// differenceCurve is the primary difference over the grid, as far as a few
// requests of every arm and replicate lie beyond each point.
func (s *study) differenceCurve(c *contrast) []summary.CurvePoint {
	var out []summary.CurvePoint
	least := float64(c.requests(s.used))
	var aa *contrast
	if last := &s.contrasts[len(s.contrasts)-1]; last.Twin && last != c {
		aa = last
	}
	for i, q := range s.grid {
		if least*min(q, 1-q) < plan.MinTail/2 {
			continue
		}
		iv := stats.Student(c.replicates(s.used, i), s.level)
		if math.IsInf(iv.Low, -1) {
			iv.Low, iv.High = iv.Estimate, iv.Estimate
		}
		p := summary.CurvePoint{Q: q, EstimateUs: iv.Estimate, LowUs: iv.Low, HighUs: iv.High}
		if aa != nil && len(s.used) > 1 {
			p.AAHalfUs = stats.Student(aa.replicates(s.used, i), s.level).HalfWidth()
		}
		out = append(out, p)
	}
	return out
}

// windowsOf is each window's difference at the median. A window in which an
// arm has no request has no difference and is void.
func (s *study) windowsOf(c *contrast, r *replicate) []summary.Window {
	var out []summary.Window
	for _, w := range r.windows {
		d := summary.Window{Replicate: r.index, Index: w.index, Void: w.void, Busy: -1, Steal: -1}
		if w.index < len(r.busy) {
			d.Busy, d.Steal = r.busy[w.index], r.steal[w.index]
		}
		d.DiffUs = c.at(func(a int) float64 { return w.median[a] })
		if math.IsNaN(d.DiffUs) {
			d.DiffUs = 0
			if d.Void == "" {
				d.Void = "an arm has no requests"
			}
		}
		out = append(out, d)
	}
	return out
}

func startNote(r *replicate) string {
	if len(r.evidence.StartOrder) == 0 {
		return ""
	}
	return "started " + strings.Join(r.evidence.StartOrder, ", ")
}

// paths is each arm's way with how many requests proved it at each stop.
func (s *study) paths() []summary.Path {
	var out []summary.Path
	for i, a := range s.plan.Arms {
		t := s.total(i)
		path := summary.Path{Arm: a.Name}
		for k, hop := range strings.Split(pathWords(a), " → ") {
			box := summary.Box{Name: hop, Proved: t.requests - t.failed, By: "answered as planned"}
			if k < len(a.Ports) {
				box.Ports = a.Ports[k]
			}
			switch hop {
			case "client":
				box.Proved, box.By = t.requests, "sent"
			case "agent":
				box.Proved, box.By = t.hops[1], "response headers, peer address"
			case "client agent":
				box.Proved, box.By = 0, "not counted"
				if s.counted(i, "egress") {
					box.Proved, box.By = t.hops[1], "agent counters"
				}
			}
			path.Boxes = append(path.Boxes, box)
		}
		out = append(out, path)
	}
	return out
}

// agentOf is what ran as the agents of a run; nil when AWS brought them. A run
// that does not say is of a time when the lab had only its own.
func agentOf(d *run.Dir) *summary.Agent {
	a := d.Env.Agent
	switch {
	case d.Plan.LabAgent():
		return &summary.Agent{Name: "the lab's own agent, not Envoy"}
	case d.Plan.Target != plan.TargetLab:
		return nil
	case a == nil:
		return &summary.Agent{Name: "Envoy"}
	}
	return &summary.Agent{Name: a.Name, Version: a.Version, SHA256: a.SHA256}
}

// agentName names the agents as readers know them: "Envoy 1.40.0".
func agentName(d *run.Dir) string {
	a := agentOf(d)
	if a == nil {
		return ""
	}
	return strings.TrimSpace(a.Name + " " + a.Version)
}

// describe fills in how it was measured.
func (s *study) describe(d *summary.Detail, dir *run.Dir) {
	e := &dir.Env
	add := func(k, v string) {
		if v != "" {
			d.Machine = append(d.Machine, summary.KeyValue{Key: k, Value: v})
		}
	}
	add("started", e.StartedUTC)
	add("hoplab", e.Hoplab)
	add("k6", e.K6)
	add("Go", e.Go)
	add("system", strings.TrimSpace(e.OS+" "+e.Kernel))
	add("processor", e.CPU)
	if e.Cores > 0 {
		add("cores", fmt.Sprint(e.Cores))
	}
	if e.MemoryMiB > 0 {
		add("memory", fmt.Sprintf("%d MiB", e.MemoryMiB))
	}
	add("virtual", e.Virtual)
	add("deployed from", e.Source)
	add("agent", agentName(dir))
	if a := e.Agent; a != nil {
		add("agent's binary", a.SHA256)
		add("not Envoy because", a.Why)
	}
	keys := make([]string, 0, len(e.AWS))
	for k := range e.AWS {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		add(k, e.AWS[k])
	}
	if len(s.used) > 0 {
		add("cores kept awake", s.used[0].evidence.KeepAwake)
		add("all on one core", s.used[0].evidence.OneCore)
	}
	d.Method = s.methodParagraph()
	d.Repeat = e.Command
	d.Render = "hoplab report " + dir.Name()
	d.NotShown = notShown(s.plan)
}

func (s *study) methodParagraph() string {
	p := s.plan
	var b strings.Builder
	switch p.Design {
	case plan.DesignRandom:
		fmt.Fprintf(&b, "The arm of every request was drawn from seed %d inside one open-model schedule of %s requests/s. ", p.Seed, trim(p.RatePerS))
	case plan.DesignBlocks:
		fmt.Fprintf(&b, "Arms took turns in blocks of %s s whose order was drawn from seed %d. ", trim(p.WindowS), p.Seed)
	case plan.DesignArticle:
		fmt.Fprintf(&b, "%d virtual users slept 1 s between requests, %s s for each arm, one arm after the other. ", p.VUs, trim(p.ReplicateS))
	}
	if p.WarmupS > 0 {
		fmt.Fprintf(&b, "The first %s s of each replicate are recorded and not analysed. ", trim(p.WarmupS))
	}
	start, twin := "started everything anew", "on processes of its own"
	switch {
	case p.Target == plan.TargetAWS:
		start, twin = "sent its load from a fresh task", "the second time under another name and on the same tasks"
	case p.Target == plan.TargetEndpoints:
		start, twin = "started the load generator anew", "the second time under another name and at the same address"
		if p.Fabric != "" {
			start = "sent its load from a fresh task"
		}
		if p.Restart != "" {
			start = "ran the restart command, started the load generator anew"
		}
	}
	fmt.Fprintf(&b, "Each of %d replicates %s and gives one difference of quantiles; the headline is their mean with Student's t interval, because each start has an offset of its own that windows cannot show. ", len(s.used), start)
	if p.TwinIndex() >= 0 {
		fmt.Fprintf(&b, "One arm ran twice, %s: the difference of the two is the noise floor, and their average is the baseline. ", twin)
	}
	b.WriteString("The within-run interval takes the windows as the sample (Hodges-Lehmann, signed-rank) and is blind to that offset.")
	return b.String()
}

func notShown(p *plan.Plan) []string {
	out := []string{"Time spent waiting for a connection, name look-up and TLS: latency runs from the first byte sent to the last byte received."}
	if p.Target == plan.TargetLab || p.Fabric == plan.FabricCloud {
		own := "load balancer"
		if p.LabAgent() || p.Fabric == plan.FabricCloud {
			own = "load balancer and agent"
		}
		out = append(out, "AWS latencies: the lab runs on one machine, without a network between the hops and with its own "+own+".")
	}
	if !p.KeepAwake {
		out = append(out, "The hops' work alone: cores may sleep between requests, and waking them is part of the latencies.")
	} else {
		out = append(out, "What an idle machine shows: the cores were kept awake.")
	}
	if p.OneCore {
		out = append(out, "Hops on cores of their own: lab and load generator shared one core, so that a start's placement on cores is no part of a difference.")
	}
	return append(out, "Other request sizes, rates and protocols than the plan's.")
}
