package stacks

import (
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// The rules between security groups stand here as single resources with
// fixed logical ids. CDK's own connections would put the port into the
// logical id, so that a change of the port would show as one rule removed
// and another added; and they open the container port only, never the
// agent's ingress port.

// allowIn lets source reach group on a TCP port; the rule stands in scope.
func allowIn(scope constructs.Construct, id string, group, source awsec2.ISecurityGroup, port int, why string) awsec2.CfnSecurityGroupIngress {
	return awsec2.NewCfnSecurityGroupIngress(scope, jsii.String(id), &awsec2.CfnSecurityGroupIngressProps{
		GroupId:               group.SecurityGroupId(),
		SourceSecurityGroupId: source.SecurityGroupId(),
		IpProtocol:            jsii.String("tcp"),
		FromPort:              jsii.Number(port),
		ToPort:                jsii.Number(port),
		Description:           jsii.String(why),
	})
}

// allowOut lets group reach destination on a TCP port.
func allowOut(scope constructs.Construct, id string, group, destination awsec2.ISecurityGroup, port int, why string) awsec2.CfnSecurityGroupEgress {
	return awsec2.NewCfnSecurityGroupEgress(scope, jsii.String(id), &awsec2.CfnSecurityGroupEgressProps{
		GroupId:                    group.SecurityGroupId(),
		DestinationSecurityGroupId: destination.SecurityGroupId(),
		IpProtocol:                 jsii.String("tcp"),
		FromPort:                   jsii.Number(port),
		ToPort:                     jsii.Number(port),
		Description:                jsii.String(why),
	})
}

// newGroup makes a security group without any rule.
func newGroup(scope constructs.Construct, id string, vpc awsec2.IVpc, description string) awsec2.SecurityGroup {
	return awsec2.NewSecurityGroup(scope, jsii.String(id), &awsec2.SecurityGroupProps{
		Vpc:              vpc,
		Description:      jsii.String(description),
		AllowAllOutbound: jsii.Bool(false),
	})
}

// sealed returns group in a form to which CDK adds no rules of its own.
func sealed(scope constructs.Construct, id string, group awsec2.ISecurityGroup) awsec2.ISecurityGroup {
	return awsec2.SecurityGroup_FromSecurityGroupId(scope, jsii.String(id), group.SecurityGroupId(), &awsec2.SecurityGroupImportOptions{
		Mutable: jsii.Bool(false),
	})
}

// newAlbGroup makes the load balancer's group. With EgressTargets its rules
// stand beside the targets, one for each.
func newAlbGroup(scope constructs.Construct, vpc awsec2.IVpc, egress string) awsec2.SecurityGroup {
	return awsec2.NewSecurityGroup(scope, jsii.String("AlbSg"), &awsec2.SecurityGroupProps{
		Vpc:              vpc,
		Description:      jsii.String("hoplab load balancer"),
		AllowAllOutbound: jsii.Bool(egress == EgressAll),
	})
}

// allowHTTPS opens what tasks and instances need by themselves: ECR,
// CloudWatch Logs, Session Manager and packages, over the NAT gateway or
// directly. DNS and the metadata services pass security groups anyway.
func allowHTTPS(group awsec2.SecurityGroup) {
	group.AddEgressRule(awsec2.Peer_AnyIpv4(), awsec2.Port_Tcp(jsii.Number(443)),
		jsii.String("HTTPS to AWS endpoints and package repositories"), nil)
}

func port(n int) *string { return jsii.String(strconv.Itoa(n)) }
