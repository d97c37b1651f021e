package hopcost

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// conditions says what all runs have in common.
func conditions(b *strings.Builder, rows []row) {
	p := rows[0].plan
	fmt.Fprintf(b, "Every row is a run of %d replicates of %s s at %s requests/s over the arms %s, on fabric %s. ",
		p.Replicates, number(p.ReplicateS), number(p.RatePerS), armNames(p, plan.ArmMeshTLS), p.Fabric)
	fmt.Fprintf(b, "Where\na row says nothing else, the agents are Envoys with %d workers (as AWS starts them) and an access log in %s, requests are GETs\n"+
		"with the app's own short answer over kept connections, endpoints have the appProtocol %s, and all of it shares one core that is\nkept awake. "+
		"Fewer requests a second leave the core more idle, and every hop waits less: rows of one rate compare.\n",
		usualWorkers, usualLog, usualProtocol)
	if p.Replicates < enoughReplicates {
		fmt.Fprintf(b, "\n**A first look: %d replicates where %d are meant, to be recorded anew.**\n", p.Replicates, enoughReplicates)
	}
	b.WriteString("\n")
}

// enoughReplicates is what scripts/hop-cost.sh records: fewer give no interval
// to lean on.
const enoughReplicates = 6

// costs is the table of differences, each with its interval.
func costs(b *strings.Builder, rows []row) {
	var columns []string // the differences at p50, then the others of the first
	for _, c := range rows[0].plan.Contrasts() {
		if !strings.HasPrefix(c.Of, plan.ArmMeshTLS) { // has a table of its own
			columns = append(columns, c.Of)
		}
	}
	fmt.Fprint(b, "| run | what is unlike |")
	for _, of := range columns {
		fmt.Fprintf(b, " %s, p50 |", sign(of))
	}
	fmt.Fprintf(b, " %[1]s, p90 | %[1]s, p99 |\n| --- | --- |%s --- | --- |\n", sign(columns[0]), strings.Repeat(" --- |", len(columns)))
	for _, r := range rows {
		what := strings.Join(r.words, ", ")
		if what == "" {
			what = "nothing"
		}
		fmt.Fprintf(b, "| [%[1]s](hop-cost/%[1]s) | %[2]s |", r.name, what)
		for _, of := range columns {
			fmt.Fprintf(b, " %s |", difference(&r.sum, of, 0.5))
		}
		fmt.Fprintf(b, " %s | %s |\n", difference(&r.sum, columns[0], 0.9), difference(&r.sum, columns[0], 0.99))
	}
	fmt.Fprintf(b, "\nIn brackets: %s %% intervals. `agent − bypass` is one hop: the agent before the app. `mesh − bypass` is both agents of a\n"+
		"call by name, less the load balancer that `bypass` has and `mesh` has not. The A/A column compares one path with itself:\n"+
		"what is smaller than its interval is noise. *Cannot tell* stands where a run holds too few requests for a quantile,\n"+
		"where an interval holds zero, or where a busy machine left too little that counts.\n\n", number(rows[0].plan.Level*100))
}

// encryption is the table of what TLS between the agents adds, of the runs that
// have an arm for it; nothing when none has.
func encryption(b *strings.Builder, rows []row) {
	const adds, whole = plan.ArmMeshTLS + " - " + plan.ArmMesh, plan.ArmMeshTLS + " - " + plan.ArmBypass
	begun := false
	for _, r := range rows {
		if !secured(r.plan) {
			continue
		}
		if !begun {
			begun = true
			fmt.Fprintf(b, "With TLS 1.3 between the two agents of a call by name, and plain text from the client to its agent and from the last agent\n"+
				"to the app, as Service Connect has it:\n\n"+
				"| run | %[1]s, p50 | %[1]s, p90 | %[1]s, p99 | %[2]s, p50 |\n| --- | --- | --- | --- | --- |\n", sign(adds), sign(whole))
		}
		fmt.Fprintf(b, "| %s |", r.name)
		for _, q := range []float64{0.5, 0.9, 0.99} {
			fmt.Fprintf(b, " %s |", difference(&r.sum, adds, q))
		}
		fmt.Fprintf(b, " %s |\n", difference(&r.sum, whole, 0.5))
	}
	if begun {
		b.WriteString("\nThe agents keep their connections: a handshake is in none of these figures but where a run opens new ones.\n\n")
	}
}

// difference writes one estimate with its interval.
func difference(s *summary.Summary, of string, q float64) string {
	i := slices.IndexFunc(s.Differences, func(d summary.Difference) bool { return d.Of == of && d.Quantile == q })
	if i < 0 {
		return "not measured"
	}
	d := &s.Differences[i]
	if d.Level == 0 {
		return "cannot tell: no interval"
	}
	u, step := quantity.UnitFor(d.EstimateUs, d.LowUs, d.HighUs), quantity.Step(d.LowUs, d.HighUs)
	text := u.With(u.Signed(d.EstimateUs, step) + " " + u.Interval(d.LowUs, d.HighUs, step))
	if isTwin := strings.HasSuffix(of, plan.TwinSuffix); d.Verdict == summary.CannotTell && !isTwin {
		text = "cannot tell: " + text
	}
	return text
}

// evidence is the table of what proves that the runs measured what they say.
func evidence(b *strings.Builder, rows []row) {
	b.WriteString("What the rows rest on: every answered request has proof of its path, by the response's headers, by the peer that the app\n" +
		"saw and by the agents' own counters.\n\n| run | agents |")
	arms := allArms(rows)
	for _, name := range arms {
		fmt.Fprintf(b, " %s: p50, requests proved |", name)
	}
	fmt.Fprintf(b, " failed, never sent | warnings |\n| --- | --- |%s --- | --- |\n", strings.Repeat(" --- |", len(arms)))
	for _, r := range rows {
		var failed, dropped int64
		fmt.Fprintf(b, "| %s | %s |", r.name, r.agent)
		for _, name := range arms {
			i := slices.IndexFunc(r.sum.Arms, func(a summary.Arm) bool { return a.Name == name })
			if i < 0 {
				b.WriteString(" not in it |")
				continue
			}
			a := &r.sum.Arms[i]
			proved, answered := proof(r.plan, a)
			u := quantity.UnitFor(a.Latency.P50)
			fmt.Fprintf(b, " %s, %s of %s |", u.With(u.Number(a.Latency.P50, quantity.SignificantStep(a.Latency.P50, 3))),
				quantity.Count(proved), quantity.Count(answered))
			failed, dropped = failed+a.Failed, dropped+a.Dropped
		}
		fmt.Fprintf(b, " %s, %s | %s |\n", quantity.Count(failed), quantity.Count(dropped), warnings(&r.sum))
	}
	b.WriteString("\n")
}

// allArms are the arms of the run that has most of them; the others' are among them.
func allArms(rows []row) (names []string) {
	for _, r := range rows {
		if len(r.plan.Arms) <= len(names) {
			continue
		}
		names = nil
		for _, a := range r.plan.Arms {
			names = append(names, a.Name)
		}
	}
	return names
}

// warnings lists the codes of a run's warnings, each once.
func warnings(s *summary.Summary) string {
	var codes []string
	for _, w := range s.Warnings {
		codes = append(codes, w.Code)
	}
	slices.Sort(codes)
	if codes = slices.Compact(codes); len(codes) == 0 {
		return "none"
	}
	return strings.Join(codes, ", ")
}

// machines says where the runs were made, one line for runs of one machine and build.
func machines(b *strings.Builder, rows []row) {
	at := map[string][]string{}
	var order []string
	for _, r := range rows {
		e := r.env
		day, _, _ := strings.Cut(e.StartedUTC, "T")
		text := fmt.Sprintf("%s, %d cores, %d MiB, kernel %s; hoplab %s; %s; %s", e.CPU, e.Cores, e.MemoryMiB, e.Kernel, e.Hoplab, e.K6, day)
		if r.sum.Agent != nil && r.sum.Agent.SHA256 != "" {
			text += fmt.Sprintf("; %s, SHA-256 %.12s…", r.agent, r.sum.Agent.SHA256)
		}
		if at[text] == nil {
			order = append(order, text)
		}
		at[text] = append(at[text], r.name)
	}
	for _, text := range order {
		fmt.Fprintf(b, "- %s: %s\n", strings.Join(at[text], ", "), text)
	}
	fmt.Fprintf(b, "\n`hoplab report docs/hop-cost/%[1]s` shows one of them in full, and `environment.json` in its directory has the command\n"+
		"that repeats it.\n", rows[0].name)
}

// sign writes a real minus.
func sign(of string) string { return strings.Replace(of, " - ", " − ", 1) }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
