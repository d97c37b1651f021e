// Package foreign reads a deployment in AWS that is not hoplab's own, by its
// stack's template or by its services: which arms it has, where they are called,
// and which change would make the other one. It changes nothing in AWS.
package foreign

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/fail"
)

// Stack is what CloudFormation and the load balancers say of a stack.
type Stack struct {
	Name, Region string
	Template     string            // processed: without macros, JSON or YAML
	Parameters   map[string]string // as they were resolved
	// Hosts are the DNS names of its load balancers, Services the ARNs of its
	// services, by logical ID.
	Hosts, Services map[string]string
}

// Read reads a stack with the SDK's credentials and region. It needs
// cloudformation:DescribeStacks, GetTemplate and DescribeStackResources, and
// elasticloadbalancing:DescribeLoadBalancers. Errors say what was asked and the
// next step.
func Read(ctx context.Context, name string) (*Stack, error) {
	cfg, err := configuration(ctx, "the stack")
	if err != nil {
		return nil, err
	}
	s := &Stack{Name: name, Region: cfg.Region, Parameters: map[string]string{}, Hosts: map[string]string{}, Services: map[string]string{}}
	c := cloudformation.NewFromConfig(cfg)
	if err := s.template(ctx, c); err != nil {
		return nil, err
	}
	return s, s.made(ctx, c, elb.NewFromConfig(cfg))
}

// configuration is the SDK's, of a region.
func configuration(ctx context.Context, of string) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return cfg, fail.Newf(fail.Environment, "check AWS_PROFILE and the files below ~/.aws", "AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return cfg, fail.Newf(fail.Environment, "set AWS_REGION to the region of "+of, "no AWS region is set")
	}
	return cfg, nil
}

// asked turns an error of the SDK into one line with the next step.
func (s *Stack) asked(what string, err error) error {
	var api smithy.APIError
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &api) && api.ErrorCode() == "ValidationError":
		return fail.Newf(fail.Usage, "check the name, or set AWS_REGION to where it is", "there is no stack %s in %s", s.Name, s.Region)
	}
	return fail.Newf(fail.Environment, "see that the credentials are valid and may read the stack",
		"%s of stack %s: %w", what, s.Name, err)
}

func (s *Stack) template(ctx context.Context, c *cloudformation.Client) error {
	described, err := c.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &s.Name})
	if err != nil || len(described.Stacks) == 0 {
		if err == nil {
			err = errors.New("AWS lists none")
		}
		return s.asked("the parameters", err)
	}
	for _, p := range described.Stacks[0].Parameters {
		value := aws.ToString(p.ParameterValue)
		if r := aws.ToString(p.ResolvedValue); r != "" {
			value = r
		}
		s.Parameters[aws.ToString(p.ParameterKey)] = value
	}
	body, err := c.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &s.Name, TemplateStage: types.TemplateStageProcessed})
	if err != nil {
		return s.asked("the template", err)
	}
	s.Template = aws.ToString(body.TemplateBody)
	return nil
}

// made reads what became of the template's load balancers and services.
func (s *Stack) made(ctx context.Context, c *cloudformation.Client, balancers *elb.Client) error {
	resources, err := c.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &s.Name})
	if err != nil {
		return s.asked("the resources", err)
	}
	for _, r := range resources.StackResources {
		arn := aws.ToString(r.PhysicalResourceId)
		switch aws.ToString(r.ResourceType) {
		case "AWS::ECS::Service":
			s.Services[aws.ToString(r.LogicalResourceId)] = arn
			continue
		case "AWS::ElasticLoadBalancingV2::LoadBalancer":
		default:
			continue
		}
		found, err := balancers.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
		if err != nil || len(found.LoadBalancers) == 0 {
			return fail.Newf(fail.Environment, "see that the credentials may describe load balancers", "the load balancer %s of stack %s: %w",
				arn, s.Name, orNone(err))
		}
		s.Hosts[aws.ToString(r.LogicalResourceId)] = aws.ToString(found.LoadBalancers[0].DNSName)
	}
	return nil
}

func orNone(err error) error {
	if err == nil {
		return errors.New("AWS lists none")
	}
	return err
}
