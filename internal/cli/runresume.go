package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/run"
)

// resumeRun finishes a broken run: its plan, its directory, the same deployment.
func (f *runFlags) resumeRun(cmd *cobra.Command, s streams) error {
	var also []string
	cmd.Flags().Visit(func(fl *pflag.Flag) {
		switch fl.Name {
		case "resume", "k6", "envoy", "format", "assembly", "yes", "restart-app", "account":
		default:
			also = append(also, "--"+fl.Name)
		}
	})
	if len(also) > 0 {
		return fail.Newf(fail.Usage, "leave "+strings.Join(also, ", ")+" out", "--resume takes the plan of the run as it stands")
	}
	dir, err := run.Open(f.resume)
	if err != nil {
		return err
	}
	p := dir.Plan
	p.Arms = slices.Clone(p.Arms) // deployment describes them again; the run's plan stays as it is
	switch p.Target {
	case plan.TargetAWS:
		return resumeAWS(cmd.Context(), s, f, dir)
	case plan.TargetEndpoints:
		return resumeEndpoints(cmd.Context(), s, f, dir)
	}
	if dir.Left() == 0 {
		printable.Fprintf(s.err, "%s is complete; this renders it again\n", dir.Path)
		return f.show(s, dir)
	}
	if elsewhere, err := runElsewhere(p.Fabric); elsewhere {
		return err
	}
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	deployed, err := f.deployment(cmd.Context(), s, &p)
	if err != nil {
		return err
	}
	if p.Topology != dir.Plan.Topology {
		return fail.Newf(fail.Usage, "give the templates of that run with --assembly, or start a new run",
			"the templates changed since that run: topology %s, expected %s", p.Topology, dir.Plan.Topology)
	}
	tools, err := f.tools(cmd.Context(), s, func(ctx context.Context, s streams) (string, error) {
		return f.sameEnvoy(ctx, s, dir)
	})
	if err != nil {
		return err
	}
	if err := sameGenerator(dir, tools.k6); err != nil {
		return err
	}
	inject, err := parseInjections(dir.Env.Inject)
	if err != nil {
		return err
	}
	return f.carryOut(cmd.Context(), s, dir, deployed.topology, tools, inject)
}

// sameGenerator refuses to go on with another build of the load generator than
// the run was begun with.
func sameGenerator(dir *run.Dir, now k6.Binary) error {
	if now.Build == dir.Env.K6 {
		return nil
	}
	return fail.Newf(fail.Usage, "start a new run, or use the build of that run with --k6",
		"the load generator changed since that run: %s, expected %s", now.Build, dir.Env.K6)
}
