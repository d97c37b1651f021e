package cli

import (
	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/plan"
)

// k6Operator prints the plan for Kubernetes.
func k6Operator(s streams, p plan.Plan) error { return awsrun.K6Operator(s.out, p) }
