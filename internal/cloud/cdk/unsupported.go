package cdk

import (
	"context"

	cf "github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// Why what the CDK CLI and the aws CLI have commands for is not there.
const (
	noDrift  = "hoplab cloud does not compare resources with their templates"
	noImport = "hoplab cloud does not import resources: there are none that no stack has made"
)

// unsupported registers operations that are refused with a reason. Others that
// nobody registered are refused by their name.
func (b *Backend) unsupported(s *wire.Server) {
	refuse[cf.DetectStackDriftInput, cf.DetectStackDriftOutput](s, "DetectStackDrift", noDrift)
	refuse[cf.DetectStackResourceDriftInput, cf.DetectStackResourceDriftOutput](s, "DetectStackResourceDrift", noDrift)
	refuse[cf.DescribeStackDriftDetectionStatusInput, cf.DescribeStackDriftDetectionStatusOutput](s, "DescribeStackDriftDetectionStatus", noDrift)
	refuse[cf.DescribeStackResourceDriftsInput, cf.DescribeStackResourceDriftsOutput](s, "DescribeStackResourceDrifts", noDrift)
	refuse[cf.GetTemplateSummaryInput, cf.GetTemplateSummaryOutput](s, "GetTemplateSummary", noImport)
	refuse[cf.RollbackStackInput, cf.RollbackStackOutput](s, "RollbackStack",
		"hoplab cloud rolls back an update that fails, and not one that was left as it failed; deploy again, or delete the stack")
	refuse[cf.CreateStackRefactorInput, cf.CreateStackRefactorOutput](s, "CreateStackRefactor",
		"hoplab cloud does not move resources between stacks")
}

func refuse[In, Out any](s *wire.Server, operation, why string) {
	wire.Handle(s, service, operation, func(context.Context, *In) (*Out, error) {
		return nil, refusal(stack.CodeUnsupported, "%s: %s", operation, why)
	})
}
