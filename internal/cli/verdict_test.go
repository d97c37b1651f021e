package cli_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// TestEveryVerdictHasItsExitCode renders recorded runs with known answers: a
// gate that cannot fail is a defect.
func TestEveryVerdictHasItsExitCode(t *testing.T) {
	calm := sim.Noise{BaseUs: 300, Sigma: 0.1, Slow: 0.01, SlowS: 30, Fast: 0.01, FastS: 0.5, Offset: 0.002}
	delay := map[string]call.Delay{plan.ArmAgent: {Spin: 100 * time.Microsecond, Share: 1}}
	for _, c := range []struct {
		name    string
		budget  string
		delays  map[string]call.Delay
		each    func(int, *samplefile.Record)
		counter func(*run.Evidence)
		code    fail.Code
		want    string
	}{
		{name: "different", delays: delay, code: fail.OK, want: "adds"},
		{name: "within budget", budget: "p50 <= +1ms", delays: delay, code: fail.OK, want: "within"},
		{name: "over budget", budget: "p50 <= +20us", delays: delay, code: fail.Finding, want: "over"},
		{name: "no difference to see", code: fail.CannotTell, want: "cannot tell"},
		{name: "a bypass request shows the agent's headers", delays: delay, code: fail.Refused, want: "Not reported",
			each: func(rep int, r *samplefile.Record) {
				if rep == 2 && r.Arm == 1 && r.Iteration%500 == 7 {
					r.Outcome.AgentHeaders = 1
				}
			}},
		{name: "the app saw an agent where none should be", delays: delay, code: fail.Refused, want: "Not reported",
			each: func(rep int, r *samplefile.Record) {
				if r.Arm == 1 && r.Iteration%900 == 7 {
					r.Outcome.Peer = "127.0.0.1"
				}
			}},
		{name: "the agent counted bypass requests", delays: delay, code: fail.Refused, want: "Not reported",
			counter: func(e *run.Evidence) {
				e.Agents = append(e.Agents, run.AgentCount{Arm: plan.ArmBypass, Role: "ingress", Requests: 3})
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plan.New(plan.ProfileStandard)
			if err != nil {
				t.Fatal(err)
			}
			if c.budget != "" {
				if err := p.AddBudget(c.budget); err != nil {
					t.Fatal(err)
				}
			}
			dir := filepath.Join(t.TempDir(), "r")
			rec := sim.Recording{Plan: p, Noise: calm, Delays: c.delays, Each: c.each, Evidence: c.counter}
			if _, err := rec.Write(dir); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			code := cli.Main([]string{"report", dir}, strings.NewReader(""), &out, &errs)
			if fail.Code(code) != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit code %d; want %d, and %q in\n%s%s", code, c.code, c.want, out.String(), errs.String())
			}
		})
	}
}
