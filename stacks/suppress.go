package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// suppressCheck tells `hoplab check` that a finding on the construct's
// resource is accepted, and why: resource metadata under the key "hoplab".
func suppressCheck(c constructs.Construct, rule, reason string) {
	resource(c).AddMetadata(jsii.String("hoplab"), map[string]any{
		"suppress": []any{map[string]any{"rule": rule, "reason": reason}},
	})
}

// resource returns the CloudFormation resource of an L2 construct.
func resource(c constructs.Construct) awscdk.CfnResource {
	return c.Node().DefaultChild().(awscdk.CfnResource)
}
