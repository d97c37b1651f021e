package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/run"
)

// findAgent finds what runs as the agents: the Envoy of this machine, or one
// that is fetched, and its path. Where the user did not insist on Envoy and
// none can be used, the plan goes on with the lab's own agent, and the record
// says why.
func (f *runFlags) findAgent(ctx context.Context, cmd *cobra.Command, s streams, p *plan.Plan) (*run.Agent, string, error) {
	asked := cmd.Flags().Changed("agent") || cmd.Flags().Changed("envoy-workers") || f.envoy != ""
	if p.Agent == plan.AgentLab {
		if f.envoy != "" {
			return nil, "", fail.Newf(fail.Usage, "leave --envoy or --agent lab out", "--envoy %s: the agents of this run are not Envoy", f.envoy)
		}
		return ownAgent(""), "", nil
	}
	b, err := envoybin.Get(ctx, envoybin.Wanted{Path: f.envoy, Progress: s.err})
	if envoybin.IsMissing(err) && !asked {
		return f.ownInstead(s, p, err)
	}
	if err != nil {
		return nil, "", err
	}
	return &run.Agent{Name: "Envoy", Version: b.Version, SHA256: b.Digest, From: b.From}, b.Path, nil
}

// ownInstead goes on with the lab's own agent, and says in one line why it is not
// Envoy and how to have one. In a CI, where nobody reads that line, it does not.
func (f *runFlags) ownInstead(s streams, p *plan.Plan, why error) (*run.Agent, string, error) {
	if os.Getenv("CI") == "true" {
		return nil, "", fail.Newf(fail.Environment, fail.HintOf(why)+"; or measure the lab's own agent: --agent lab",
			"with CI=true nothing takes Envoy's place: %w", why)
	}
	p.Agent, p.EnvoyWorkers = plan.AgentLab, 0
	line := oneLine(why.Error())
	if hint := fail.HintOf(why); hint != "" {
		line += "; to measure one, " + hint
	}
	printable.Fprintf(s.err, "measuring the lab's own agent, not Envoy: %s\n", line)
	return ownAgent(oneLine(why.Error())), "", nil
}

func ownAgent(why string) *run.Agent { return &run.Agent{Name: "lab", Why: why} }

// sameEnvoy finds the Envoy of a run that is resumed; another one would not
// continue it.
func (f *runFlags) sameEnvoy(ctx context.Context, s streams, dir *run.Dir) (string, error) {
	if dir.Plan.LabAgent() {
		if f.envoy != "" {
			return "", fail.Newf(fail.Usage, "leave --envoy out", "--envoy %s: the agents of that run are not Envoy", f.envoy)
		}
		return "", nil
	}
	was := dir.Env.Agent
	if was == nil {
		return "", fail.Newf(fail.Usage, "start a new run", "the run's environment does not say which Envoy it measures")
	}
	b, err := envoybin.Get(ctx, envoybin.Wanted{Path: f.envoy, Progress: s.err})
	if err != nil {
		return "", err
	}
	if b.Digest != was.SHA256 {
		return "", fail.Newf(fail.Usage, "name that one with --envoy, or start a new run", "Envoy changed since that run: %s is %s (SHA-256 %.12s…), expected %s (%.12s…)",
			b.Path, b.Version, b.Digest, was.Version, was.SHA256)
	}
	return b.Path, nil
}
