package cdk

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	cf "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

func (b *Backend) stacks(s *wire.Server) {
	wire.Handle(s, service, "DescribeStacks", b.describeStacks)
	wire.Handle(s, service, "ListStacks", b.listStacks)
	wire.Handle(s, service, "GetTemplate", b.getTemplate)
	wire.Handle(s, service, "DescribeStackEvents", b.describeStackEvents)
	wire.Handle(s, service, "DescribeStackResources", b.describeStackResources)
	wire.Handle(s, service, "DescribeStackResource", b.describeStackResource)
	wire.Handle(s, service, "ListStackResources", b.listStackResources)
	wire.Handle(s, service, "CreateStack", b.createStack)
	wire.Handle(s, service, "UpdateStack", b.updateStack)
	wire.Handle(s, service, "DeleteStack", func(_ context.Context, in *cf.DeleteStackInput) (*cf.DeleteStackOutput, error) {
		err := b.Stacks.DeleteStack(aws.ToString(in.StackName))
		b.await(aws.ToString(in.StackName))
		return &cf.DeleteStackOutput{}, fault(err)
	})
	wire.Handle(s, service, "CancelUpdateStack", func(_ context.Context, in *cf.CancelUpdateStackInput) (*cf.CancelUpdateStackOutput, error) {
		return &cf.CancelUpdateStackOutput{}, fault(b.Stacks.CancelUpdate(aws.ToString(in.StackName)))
	})
	wire.Handle(s, service, "ContinueUpdateRollback", b.continueRollback)
	wire.Handle(s, service, "ListExports", b.listExports)
	wire.Handle(s, service, "ListImports", b.listImports)
	wire.Handle(s, service, "UpdateTerminationProtection", b.protect)
}

func stackOf(s stack.Summary) types.Stack {
	out := types.Stack{StackName: &s.Name, StackId: &s.ID, StackStatus: types.StackStatus(s.Status), StackStatusReason: optional(s.Reason),
		CreationTime: &s.Created, EnableTerminationProtection: &s.Protected, Tags: tags(s.Tags), Parameters: parameters(s.Parameters),
		Capabilities:     []types.Capability{types.CapabilityCapabilityIam, types.CapabilityCapabilityNamedIam},
		DriftInformation: &types.StackDriftInformation{StackDriftStatus: types.StackDriftStatusNotChecked}}
	if !s.Updated.IsZero() {
		out.LastUpdatedTime = &s.Updated
	}
	if !s.Deleted.IsZero() {
		out.DeletionTime = &s.Deleted
	}
	for _, o := range s.Outputs {
		out.Outputs = append(out.Outputs, types.Output{OutputKey: aws.String(o.Name), OutputValue: aws.String(o.Value),
			Description: optional(o.Description), ExportName: optional(o.Export)})
	}
	return out
}

func (b *Backend) describeStacks(_ context.Context, in *cf.DescribeStacksInput) (*cf.DescribeStacksOutput, error) {
	out := &cf.DescribeStacksOutput{}
	if in.StackName != nil {
		s, err := b.Stacks.Describe(*in.StackName)
		if err != nil {
			return nil, fault(err)
		}
		out.Stacks = []types.Stack{stackOf(s)}
		return out, nil
	}
	for _, s := range b.Stacks.List(false) {
		out.Stacks = append(out.Stacks, stackOf(s))
	}
	return out, nil
}

func (b *Backend) listStacks(_ context.Context, in *cf.ListStacksInput) (*cf.ListStacksOutput, error) {
	out := &cf.ListStacksOutput{StackSummaries: []types.StackSummary{}}
	for _, s := range b.Stacks.List(true) {
		if len(in.StackStatusFilter) > 0 && !slices.Contains(in.StackStatusFilter, types.StackStatus(s.Status)) {
			continue
		}
		d := stackOf(s)
		out.StackSummaries = append(out.StackSummaries, types.StackSummary{StackName: d.StackName, StackId: d.StackId,
			StackStatus:       d.StackStatus,
			StackStatusReason: d.StackStatusReason, CreationTime: d.CreationTime, LastUpdatedTime: d.LastUpdatedTime, DeletionTime: d.DeletionTime})
	}
	return out, nil
}

// getTemplate gives the text as it came; what a transform would have made of it
// is the same, for none is run.
func (b *Backend) getTemplate(_ context.Context, in *cf.GetTemplateInput) (*cf.GetTemplateOutput, error) {
	text, err := b.Stacks.Template(aws.ToString(in.StackName), aws.ToString(in.ChangeSetName))
	if err != nil {
		return nil, fault(err)
	}
	return &cf.GetTemplateOutput{TemplateBody: &text,
		StagesAvailable: []types.TemplateStage{types.TemplateStageOriginal, types.TemplateStageProcessed}}, nil
}

// maxPage is how many events a page has, as in AWS.
const maxPage = 100

func (b *Backend) describeStackEvents(_ context.Context, in *cf.DescribeStackEventsInput) (*cf.DescribeStackEventsOutput, error) {
	list, err := b.Stacks.Events(aws.ToString(in.StackName))
	if err != nil {
		return nil, fault(err)
	}
	if in.NextToken != nil { // the id of the event that the next page begins with
		i := slices.IndexFunc(list, func(e stack.Event) bool { return e.ID == *in.NextToken })
		if i < 0 {
			return nil, refusal(stack.CodeValidation, "NextToken: no such page")
		}
		list = list[i:]
	}
	out := &cf.DescribeStackEventsOutput{StackEvents: []types.StackEvent{}}
	if len(list) > maxPage {
		out.NextToken = aws.String(list[maxPage].ID)
		list = list[:maxPage]
	}
	for _, e := range list {
		out.StackEvents = append(out.StackEvents, types.StackEvent{EventId: &e.ID, StackId: &e.StackID, StackName: &e.Stack,
			Timestamp:         &e.Time,
			LogicalResourceId: &e.LogicalID, PhysicalResourceId: aws.String(e.PhysicalID), ResourceType: &e.Type,
			ResourceStatus: types.ResourceStatus(e.Status), ResourceStatusReason: optional(e.Reason)})
	}
	return out, nil
}

// resources lists the resources of a stack, by name or by one of its resource's ids.
func (b *Backend) resources(stackName, physicalID *string) ([]stack.Resource, error) {
	if stackName != nil {
		list, err := b.Stacks.Resources(*stackName)
		return list, fault(err)
	}
	for _, r := range b.Stacks.All() {
		if physicalID != nil && r.PhysicalID == *physicalID {
			list, err := b.Stacks.Resources(r.StackID)
			return list, fault(err)
		}
	}
	return nil, refusal(stack.CodeValidation, "Stack for %s does not exist", aws.ToString(physicalID))
}

func (b *Backend) describeStackResources(_ context.Context, in *cf.DescribeStackResourcesInput) (*cf.DescribeStackResourcesOutput, error) {
	list, err := b.resources(in.StackName, in.PhysicalResourceId)
	if err != nil {
		return nil, err
	}
	out := &cf.DescribeStackResourcesOutput{StackResources: []types.StackResource{}}
	for _, r := range list {
		if in.LogicalResourceId != nil && *in.LogicalResourceId != r.LogicalID {
			continue
		}
		out.StackResources = append(out.StackResources, types.StackResource{LogicalResourceId: &r.LogicalID,
			PhysicalResourceId: &r.PhysicalID,
			ResourceType:       &r.Type, ResourceStatus: types.ResourceStatus(r.Status), ResourceStatusReason: optional(r.Reason),
			StackId: &r.StackID, StackName: &r.Stack, Timestamp: &r.Updated})
	}
	return out, nil
}

func (b *Backend) describeStackResource(_ context.Context, in *cf.DescribeStackResourceInput) (*cf.DescribeStackResourceOutput, error) {
	list, err := b.resources(in.StackName, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.LogicalID == aws.ToString(in.LogicalResourceId) && !r.Replaced {
			return &cf.DescribeStackResourceOutput{StackResourceDetail: &types.StackResourceDetail{LogicalResourceId: &r.LogicalID,
				PhysicalResourceId: &r.PhysicalID, ResourceType: &r.Type, ResourceStatus: types.ResourceStatus(r.Status),
				ResourceStatusReason: optional(r.Reason), StackId: &r.StackID, StackName: &r.Stack, LastUpdatedTimestamp: &r.Updated}}, nil
		}
	}
	return nil, refusal(stack.CodeValidation, "Resource %s does not exist for stack %s",
		aws.ToString(in.LogicalResourceId), aws.ToString(in.StackName))
}

func (b *Backend) listStackResources(_ context.Context, in *cf.ListStackResourcesInput) (*cf.ListStackResourcesOutput, error) {
	list, err := b.resources(in.StackName, nil)
	if err != nil {
		return nil, err
	}
	out := &cf.ListStackResourcesOutput{StackResourceSummaries: []types.StackResourceSummary{}}
	for _, r := range list {
		out.StackResourceSummaries = append(out.StackResourceSummaries, types.StackResourceSummary{LogicalResourceId: &r.LogicalID,
			PhysicalResourceId: &r.PhysicalID, ResourceType: &r.Type, ResourceStatus: types.ResourceStatus(r.Status),
			ResourceStatusReason: optional(r.Reason), LastUpdatedTimestamp: &r.Updated})
	}
	return out, nil
}

func (b *Backend) createStack(_ context.Context, in *cf.CreateStackInput) (*cf.CreateStackOutput, error) {
	input := stack.Input{Stack: aws.ToString(in.StackName), Kind: "CREATE", Tags: tagsOf(in.Tags)}
	input.Parameters, input.UsePrevious = parametersOf(in.Parameters)
	var err error
	if input.Template, err = b.template(in.TemplateBody, in.TemplateURL); err != nil {
		return nil, err
	}
	id, err := b.Stacks.Put(input, aws.ToBool(in.DisableRollback) || in.OnFailure == types.OnFailureDoNothing)
	if err != nil {
		return nil, fault(err)
	}
	return &cf.CreateStackOutput{StackId: &id}, nil
}

func (b *Backend) updateStack(_ context.Context, in *cf.UpdateStackInput) (*cf.UpdateStackOutput, error) {
	input := stack.Input{Stack: aws.ToString(in.StackName), Kind: "UPDATE",
		Previous: aws.ToBool(in.UsePreviousTemplate), Tags: tagsOf(in.Tags)}
	input.Parameters, input.UsePrevious = parametersOf(in.Parameters)
	if !input.Previous {
		var err error
		if input.Template, err = b.template(in.TemplateBody, in.TemplateURL); err != nil {
			return nil, err
		}
	}
	id, err := b.Stacks.Put(input, aws.ToBool(in.DisableRollback))
	if err != nil {
		return nil, fault(err)
	}
	return &cf.UpdateStackOutput{StackId: &id}, nil
}

func (b *Backend) continueRollback(_ context.Context, in *cf.ContinueUpdateRollbackInput) (*cf.ContinueUpdateRollbackOutput, error) {
	err := b.Stacks.ContinueRollback(aws.ToString(in.StackName), in.ResourcesToSkip)
	b.await(aws.ToString(in.StackName))
	return &cf.ContinueUpdateRollbackOutput{}, fault(err)
}

func (b *Backend) listExports(context.Context, *cf.ListExportsInput) (*cf.ListExportsOutput, error) {
	out := &cf.ListExportsOutput{Exports: []types.Export{}}
	for _, e := range b.Stacks.Exports() {
		out.Exports = append(out.Exports, types.Export{Name: &e.Name, Value: &e.Value, ExportingStackId: &e.StackID})
	}
	return out, nil
}

func (b *Backend) listImports(_ context.Context, in *cf.ListImportsInput) (*cf.ListImportsOutput, error) {
	names, err := b.Stacks.Importers(aws.ToString(in.ExportName))
	if err != nil {
		return nil, fault(err)
	}
	return &cf.ListImportsOutput{Imports: names}, nil
}

func (b *Backend) protect(_ context.Context, in *cf.UpdateTerminationProtectionInput) (*cf.UpdateTerminationProtectionOutput, error) {
	id, err := b.Stacks.Protect(aws.ToString(in.StackName), aws.ToBool(in.EnableTerminationProtection))
	if err != nil {
		return nil, fault(err)
	}
	return &cf.UpdateTerminationProtectionOutput{StackId: &id}, nil
}
