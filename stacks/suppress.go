package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// suppressCheck tells `hoplab check` that a finding on the construct's
// resource is accepted, and why: resource metadata under the key "hoplab".
func suppressCheck(c constructs.IConstruct, rule, reason string) {
	resource(c).AddMetadata(jsii.String("hoplab"), map[string]any{
		"suppress": []any{map[string]any{"rule": rule, "reason": reason}},
	})
}

// suppressNag tells cdk-nag the same, in the metadata that it reads. Its own
// helper would load a second jsii module in every synthesis.
func suppressNag(c constructs.IConstruct, rule, reason string) {
	resource(c).AddMetadata(jsii.String("cdk_nag"), map[string]any{
		"rules_to_suppress": []any{map[string]any{"id": rule, "reason": reason}},
	})
}

// suppressTokenGrant explains the one statement of an execution role that
// names every resource, if it has it: an image from a private ECR.
func suppressTokenGrant(role awsiam.Role) {
	suppressPolicy(role, "ecr:GetAuthorizationToken has no resource to name; pulling and logging are limited to one repository and our log groups.")
}

// suppressPolicy explains wildcards in the policy that CDK makes for a role.
func suppressPolicy(role awsiam.IRole, reason string) {
	if policy := role.Node().TryFindChild(jsii.String("DefaultPolicy")); policy != nil {
		suppressNag(policy, "AwsSolutions-IAM5", reason)
	}
}

// resource returns the CloudFormation resource of an L2 construct.
func resource(c constructs.IConstruct) awscdk.CfnResource {
	return c.Node().DefaultChild().(awscdk.CfnResource)
}
