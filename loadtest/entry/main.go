// Command entry is the program of the load image: it sends one load with k6
// and puts the sample file into a bucket. `hoplab run --target aws` starts it
// as an ECS task, with the load as the container's command:
//
//	entry '{"schema":"hoplab/load/v1", ...}'
//
// The environment, with its defaults:
//
//	HOPLAB_LOAD_JSON=   the load, when there is no argument
//	HOPLAB_BUCKET=      where results go; required
//	HOPLAB_PREFIX=runs/ below it: <run>/<replicate>/samples.hop, load.json and k6.log,
//	                    with -<generator> before the dot when there are several
//	HOPLAB_K6=/k6       k6 with hoplab's extension
//	HOPLAB_HOLD=        when set, wait for SIGTERM after the upload: a task of an
//	                    ECS service that ends would be started again
//
// The AWS SDK reads region, credentials and endpoint as it always does. The
// only right needed is s3:PutObject below the prefix. Standard output carries
// JSON lines. Exit codes are hoplab's: 0, 2 for a load that cannot be read, 5
// for everything that the environment did.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hoplab/hoplab/internal/loadtask"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(loadtask.Run(ctx, os.Args[1:], os.Getenv, os.Stdout))
}
