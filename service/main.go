// Command service is the application that hoplab measures: a small HTTP
// server that answers Hello World, says in its response headers who called
// it, and logs every request with what the network knows about it. It speaks
// HTTP/1.1 and, to clients with prior knowledge, HTTP/2 without TLS.
//
// It uses the standard library only, so that its image needs nothing else.
// Configuration comes from the environment; see config.go. Three flags turn
// it into a container health check for an image without a shell:
//
//	service -healthcheck http://127.0.0.1/healthz
//	service -check-process nginx -check-socket /run/app.sock
//
// Flags combine: all of them must hold. The exit code is 0 when they do, 1
// when one does not, and 2 for wrong usage.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program. It serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
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
