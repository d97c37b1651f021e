package cdk

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cf "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

const service = "cloudformation"

func (b *Backend) changeSets(s *wire.Server) {
	wire.Handle(s, service, "CreateChangeSet", b.createChangeSet)
	wire.Handle(s, service, "DescribeChangeSet", b.describeChangeSet)
	wire.Handle(s, service, "ExecuteChangeSet", b.executeChangeSet)
	wire.Handle(s, service, "DeleteChangeSet", func(_ context.Context, in *cf.DeleteChangeSetInput) (*cf.DeleteChangeSetOutput, error) {
		return &cf.DeleteChangeSetOutput{}, fault(b.Stacks.DeleteChangeSet(aws.ToString(in.StackName), aws.ToString(in.ChangeSetName)))
	})
	wire.Handle(s, service, "ListChangeSets", b.listChangeSets)
}

func (b *Backend) createChangeSet(_ context.Context, in *cf.CreateChangeSetInput) (*cf.CreateChangeSetOutput, error) {
	if in.ChangeSetType == types.ChangeSetTypeImport || len(in.ResourcesToImport) > 0 {
		return nil, refusal(stack.CodeUnsupported, noImport)
	}
	input := stack.Input{Stack: aws.ToString(in.StackName), Name: aws.ToString(in.ChangeSetName), Description: aws.ToString(in.Description),
		Kind: "UPDATE", Previous: aws.ToBool(in.UsePreviousTemplate), Tags: tagsOf(in.Tags)}
	if in.ChangeSetType == types.ChangeSetTypeCreate {
		input.Kind = "CREATE"
	}
	input.Parameters, input.UsePrevious = parametersOf(in.Parameters)
	if !input.Previous {
		var err error
		if input.Template, err = b.template(in.TemplateBody, in.TemplateURL); err != nil {
			return nil, err
		}
	}
	id, stackID, err := b.Stacks.CreateChangeSet(input)
	if err != nil {
		return nil, fault(err)
	}
	return &cf.CreateChangeSetOutput{Id: &id, StackId: &stackID}, nil
}

func (b *Backend) describeChangeSet(_ context.Context, in *cf.DescribeChangeSetInput) (*cf.DescribeChangeSetOutput, error) {
	c, err := b.Stacks.ChangeSet(aws.ToString(in.StackName), aws.ToString(in.ChangeSetName))
	if err != nil {
		return nil, fault(err)
	}
	out := &cf.DescribeChangeSetOutput{ChangeSetId: &c.ID, ChangeSetName: &c.Name, StackId: &c.StackID, StackName: &c.Stack,
		Status: types.ChangeSetStatus(c.Status), ExecutionStatus: types.ExecutionStatus(c.Execution), CreationTime: &c.Created,
		Description: optional(c.Description), StatusReason: optional(c.Reason), Tags: tags(c.Tags), Parameters: parameters(c.Parameters)}
	for i := range c.Changes {
		rc, err := resourceChange(&c.Changes[i], aws.ToBool(in.IncludePropertyValues))
		if err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, types.Change{Type: types.ChangeTypeResource, ResourceChange: rc})
	}
	return out, nil
}

func resourceChange(c *stack.Change, values bool) (*types.ResourceChange, error) {
	out := &types.ResourceChange{Action: types.ChangeAction(c.Action), LogicalResourceId: &c.LogicalID, ResourceType: &c.Type,
		PhysicalResourceId: optional(c.PhysicalID), Replacement: types.Replacement(c.Replacement)}
	for _, s := range c.Scope {
		out.Scope = append(out.Scope, types.ResourceAttribute(s))
	}
	for _, d := range c.Details {
		detail := types.ResourceChangeDetail{Evaluation: types.EvaluationTypeStatic, ChangeSource: types.ChangeSourceDirectModification,
			Target: &types.ResourceTargetDefinition{Attribute: types.ResourceAttribute(d.Attribute), Name: optional(d.Name),
				RequiresRecreation: types.RequiresRecreation(d.Recreation)}}
		if d.Dynamic {
			detail.Evaluation, detail.ChangeSource = types.EvaluationTypeDynamic, types.ChangeSourceResourceReference
			detail.CausingEntity = optional(d.Causing)
		}
		out.Details = append(out.Details, detail)
	}
	if !values {
		return out, nil
	}
	for _, side := range []struct {
		to         **string
		properties map[string]any
	}{{&out.BeforeContext, c.Before}, {&out.AfterContext, c.After}} {
		if side.properties == nil {
			continue
		}
		text, err := json.Marshal(map[string]any{"Properties": side.properties})
		if err != nil {
			return nil, err
		}
		*side.to = aws.String(string(text))
	}
	return out, nil
}

func (b *Backend) executeChangeSet(_ context.Context, in *cf.ExecuteChangeSetInput) (*cf.ExecuteChangeSetOutput, error) {
	err := b.Stacks.ExecuteChangeSet(aws.ToString(in.StackName), aws.ToString(in.ChangeSetName), aws.ToBool(in.DisableRollback))
	b.await(aws.ToString(in.StackName))
	return &cf.ExecuteChangeSetOutput{}, fault(err)
}

// A stack that starts nothing is through in a moment. The answer waits so long
// for it: the CLI looks first and pauses for seconds afterwards.
const promptly = 800 * time.Millisecond

func (b *Backend) await(name string) {
	for end := time.Now().Add(promptly); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if s, err := b.Stacks.Describe(name); err != nil || !strings.HasSuffix(s.Status, "_IN_PROGRESS") {
			return
		}
	}
}

func (b *Backend) listChangeSets(_ context.Context, in *cf.ListChangeSetsInput) (*cf.ListChangeSetsOutput, error) {
	list, err := b.Stacks.ChangeSets(aws.ToString(in.StackName))
	if err != nil {
		return nil, fault(err)
	}
	out := &cf.ListChangeSetsOutput{}
	for _, c := range list {
		out.Summaries = append(out.Summaries, types.ChangeSetSummary{ChangeSetId: &c.ID, ChangeSetName: &c.Name,
			StackId: &c.StackID, StackName: &c.Stack,
			Status: types.ChangeSetStatus(c.Status), ExecutionStatus: types.ExecutionStatus(c.Execution), CreationTime: &c.Created,
			Description: optional(c.Description), StatusReason: optional(c.Reason)})
	}
	return out, nil
}

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func tagsOf(list []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func tags(m map[string]string) (out []types.Tag) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return out
}

func parametersOf(list []types.Parameter) (given map[string]string, previous []string) {
	given = map[string]string{}
	for _, p := range list {
		if aws.ToBool(p.UsePreviousValue) {
			previous = append(previous, aws.ToString(p.ParameterKey))
		} else {
			given[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
		}
	}
	return given, previous
}

func parameters(m map[string]string) (out []types.Parameter) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(m[k])})
	}
	return out
}
