package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/service/app"
)

// appCommand is the hidden command that is the measured app.
const appCommand = "app"

func newApp(s streams) *cobra.Command {
	return program(appCommand, "Be the measured app of a lab; started by hoplab itself",
		func(ctx context.Context, args []string) int { return app.Run(ctx, args, os.Getenv, s.out, s.err) })
}

// program is a hidden command that is another program, which reads its arguments
// itself.
func program(name, short string, run func(ctx context.Context, args []string) (code int)) *cobra.Command {
	return &cobra.Command{
		Annotations:        map[string]string{cleansUp: "yes"},
		Use:                name,
		Short:              short,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE:               func(cmd *cobra.Command, args []string) error { return answer(fail.Code(run(cmd.Context(), args))) },
	}
}
