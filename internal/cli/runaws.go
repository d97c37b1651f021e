package cli

import (
	"context"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
)

func runAWS(context.Context, streams, *runFlags, plan.Plan) error {
	return fail.Newf(fail.Environment, "use --target lab", "--target aws is not built yet")
}

func resumeAWS(context.Context, streams, *runFlags, *run.Dir) error {
	return fail.Newf(fail.Environment, "use --target lab", "--target aws is not built yet")
}

func k6Operator(streams, plan.Plan) error {
	return fail.Newf(fail.Environment, "use --format json", "the manifest is not built yet")
}
