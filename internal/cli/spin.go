package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/quiet"
)

// newSpin is the hidden command behind keep_awake: one idle-priority spinner.
func newSpin(s streams) *cobra.Command {
	return &cobra.Command{
		Use:    "spin CORE",
		Short:  "Keep one core awake at idle priority until stdin ends",
		Hidden: true,
		Args:   exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cpu, err := strconv.Atoi(args[0])
			if err != nil || cpu < 0 {
				return fail.Newf(fail.Usage, "give the number of a core, from 0", "core %q is not a number", args[0])
			}
			return quiet.Spin(cpu, s.in)
		},
	}
}
