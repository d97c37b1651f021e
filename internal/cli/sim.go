package cli

import (
	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/sim"
)

func newSim(s streams) *cobra.Command {
	var o sim.Options
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Simulate runs with a known delay, and count how often the interval holds it",
		Long: `Simulate many experiments with a known delay under drift, heavy tails and an
offset of each start, and count how often the interval holds the truth: for
hoplab's design, the article's, two parallel scenarios and plain blocks, and for
files as hoplab compare reads them, with effects that come clustered in time.
The exit code is 1 when a promise of hoplab's is missed.`,
		Example: "  hoplab sim\n  hoplab sim --runs 1000 --format markdown",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("format", o.Format, "text", "markdown", "json"); err != nil {
				return err
			}
			return sim.Run(cmd.Context(), o, s.out)
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&o.Runs, "runs", sim.DefaultRuns, "simulated runs per row")
	fl.StringVar(&o.Only, "only", "", "a part of the table: runs or files")
	fl.Uint64Var(&o.Seed, "seed", 1, "seed of the simulation")
	fl.StringVar(&o.Format, "format", "text", "text, markdown or json")
	return cmd
}
