// Command service is the application that hoplab measures: a small HTTP
// server that answers Hello World, says in its response headers who called
// it, and logs every request with what the network knows about it. It speaks
// HTTP/1.1 and, to clients with prior knowledge, HTTP/2 without TLS.
//
// It uses the standard library only, so that its image needs nothing else.
// Configuration comes from the environment; see app/config.go. Three flags turn
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
	"os"
	"os/signal"
	"syscall"

	"github.com/hoplab/hoplab/service/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
