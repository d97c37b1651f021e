package cdk_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cf "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// TestWhatIsNotThereSaysSo: an error that names itself, and nothing is changed.
func TestWhatIsNotThereSaysSo(t *testing.T) {
	w := start(t)
	c := cf.NewFromConfig(w.cfg)
	name := aws.String("app")
	nested := aws.String(`{"Resources": {"Inner": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://x/t.json"}}}}`)
	for what, call := range map[string]func(context.Context) error{
		"DetectStackDrift": func(ctx context.Context) error {
			_, err := c.DetectStackDrift(ctx, &cf.DetectStackDriftInput{StackName: name})
			return err
		},
		"DescribeStackResourceDrifts": func(ctx context.Context) error {
			_, err := c.DescribeStackResourceDrifts(ctx, &cf.DescribeStackResourceDriftsInput{StackName: name})
			return err
		},
		"RollbackStack": func(ctx context.Context) error {
			_, err := c.RollbackStack(ctx, &cf.RollbackStackInput{StackName: name})
			return err
		},
		"import": func(ctx context.Context) error {
			_, err := c.CreateChangeSet(ctx, &cf.CreateChangeSetInput{StackName: name, ChangeSetName: aws.String("s"),
				ChangeSetType: types.ChangeSetTypeImport, TemplateBody: nested})
			return err
		},
		"AWS::CloudFormation::Stack": func(ctx context.Context) error {
			_, err := c.CreateStack(ctx, &cf.CreateStackInput{StackName: name, TemplateBody: nested})
			return err
		},
	} {
		if err := call(t.Context()); code(err) != "UnsupportedOperation" || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got, err := c.DescribeStacks(t.Context(), &cf.DescribeStacksInput{}); err != nil || len(got.Stacks) != 0 {
		t.Errorf("there is %+v, %v", got, err)
	}
	_, err := c.CancelUpdateStack(t.Context(), &cf.CancelUpdateStackInput{StackName: name})
	if code(err) != "ValidationError" {
		t.Errorf("CancelUpdateStack of a stack that is not there: %v", err)
	}
	_, err = c.ContinueUpdateRollback(t.Context(), &cf.ContinueUpdateRollbackInput{StackName: name})
	if code(err) != "ValidationError" {
		t.Errorf("ContinueUpdateRollback of a stack that is not there: %v", err)
	}
}
