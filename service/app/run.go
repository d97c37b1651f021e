// Package app is the measured app: the program of service/, as a package, so
// that hoplab can carry it. Standard library only.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// Run is the program with its command line and environment. It serves until ctx
// ends and returns the exit code. Several may run in one process, each on
// addresses of its own.
func Run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	checks, err := parseChecks(args, stderr)
	if err != nil {
		return 2
	}
	if len(checks) > 0 {
		return runChecks(ctx, checks, stderr)
	}
	cfg, err := parseConfig(getenv)
	if err != nil {
		fmt.Fprintf(stderr, "service: %v\n", err)
		return 2
	}
	out := newLineBuffer(stdout)
	defer out.Close()
	logger := slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{ReplaceAttr: logTime}))
	if err := serve(ctx, cfg, logger, out); err != nil {
		logger.Error("stopped", "error", err.Error())
		fmt.Fprintf(stderr, "service: %v\n", err)
		return 1
	}
	return 0
}
