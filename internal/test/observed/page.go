package observed

import (
	"fmt"
	"strings"
)

const head = `# What AWS was seen to do

Output that people pasted, tests that they described with numbers, and a few pages of AWS documentation that are newer than the
rest of [semantics.md](semantics.md), which cites them as O and the number. Account ids, addresses and names of people are left
out. The grade says how good the evidence is: **M** pasted machine output, **T** a test described step by step, **R** a report
without output, **D** documentation.

Each is a file under ` + "`internal/test/observed/testdata`" + `. **Reproduced** means that a lab shows the same, on the loopback
fabric and where it can be on the kernel's network too, and that the prediction agrees; **predicted** that a prediction or a
rule says the same and there is nothing to run. A test fails when one of them is not so. What is not modelled has its reason.

Times are modelled or left out; where AWS's own times matter, the lab takes them as settings (` + "`--profile fargate`" + `).

`

const latency = `
## Latencies that were published

Of whole calls through Service Connect, as their authors measured them; no other figures of AWS's agents were found.
[hop-cost.md](hop-cost.md) has them beside the lab's own, with what each can say of one hop.

| source | path | figure |
| --- | --- | --- |
| observation 37, Fargate, 2026 | caller, two agents, app with a trivial handler | 4.1 to 4.8 ms, steady |
| observation 38, Fargate, 2026 | from hop to hop of a chain of three services | 11 ms and 5 ms; the whole request through the load balancer 87.3 ms |
| observations 35 and 36, Fargate, 2026 | caller, its own agent, which answers 503 because it knows no task | 1.1 ms; 3.3 ms in the caller's library |
| observation 28, Fargate, 2025 | x-envoy-upstream-service-time of one call: an agent, the network, an agent, an app | 10 ms |
| the experiment behind ingressPortOverride in [semantics.md](semantics.md), section 3 | load balancer, one agent, app | 4.34 ms mean, 7.03 ms p95 |
| the same | load balancer, app | 3.31 ms mean, 6.35 ms p95 |

A lab's calls stay on one machine and take tens to hundreds of microseconds ([trials.md](trials.md)). Network and machines are most
of AWS's figures, so the two do not compare; what carries over is a difference between arms of one experiment.
`

// Page is docs/observed.md.
func Page(all []Observation) []byte {
	var b strings.Builder
	b.WriteString(head)
	n := map[Status]int{}
	for _, o := range all {
		n[o.Status]++
	}
	fmt.Fprintf(&b, "%d observations: %d reproduced, %d predicted, %d not modelled.\n", len(all), n[Reproduced], n[Predicted], n[NotModelled])
	b.WriteString(latency)
	for _, s := range []struct {
		status Status
		title  string
		last   string
		say    func(*Observation) string
	}{
		{Reproduced, "Reproduced", "shown", func(o *Observation) string { return o.Modelled }},
		{Predicted, "Predicted only", "said", func(o *Observation) string { return o.Modelled }},
		{NotModelled, "Not modelled", "why", func(o *Observation) string { return o.Reason }},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| # | what | configuration | seen on AWS | %s | source |\n| ---: | --- | --- | --- | --- | --- |\n", s.title, s.last)
		for i := range all {
			o := &all[i]
			if o.Status != s.status {
				continue
			}
			source := strings.TrimSuffix(cell(o.Source)+"; "+o.Date, "; ") + "; " + o.Grade
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", o.Number, cell(o.Title), cell(o.Configuration), cell(o.Observed), cell(s.say(o)), source)
		}
	}
	return []byte(b.String())
}

// cell puts a text on one line of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
