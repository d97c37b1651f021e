package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/loadtask"
)

// loadTaskCommand is the hidden command that is the program of a load task.
const loadTaskCommand = "loadtask"

func newLoadTask(s streams) *cobra.Command {
	return &cobra.Command{
		Annotations:        map[string]string{cleansUp: "yes"},
		Use:                loadTaskCommand,
		Short:              "Be a load task of hoplab cloud; started by hoplab itself",
		Hidden:             true,
		DisableFlagParsing: true, // the argument is a load
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer(fail.Code(loadtask.Run(cmd.Context(), args, os.Getenv, s.out)))
		},
	}
}
