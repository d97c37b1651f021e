package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/service/app"
)

// appCommand is the hidden command that is the measured app.
const appCommand = "app"

func newApp(s streams) *cobra.Command {
	return &cobra.Command{
		Annotations:        map[string]string{cleansUp: "yes"},
		Use:                appCommand,
		Short:              "Be the measured app of a lab; started by hoplab itself",
		Hidden:             true,
		DisableFlagParsing: true, // they are the app's
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer(fail.Code(app.Run(cmd.Context(), args, os.Getenv, s.out, s.err)))
		},
	}
}
