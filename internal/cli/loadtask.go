package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/loadtask"
)

// loadTaskCommand is the hidden command that is the program of a load task.
const loadTaskCommand = "loadtask"

func newLoadTask(s streams) *cobra.Command {
	return program(loadTaskCommand, "Be a load task of hoplab cloud; started by hoplab itself",
		func(ctx context.Context, args []string) int { return loadtask.Run(ctx, args, os.Getenv, s.out) })
}
