package stacks

import (
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// The rules between security groups are written out here, and CDK is kept
// from adding its own (see sealed). Those open the container port only, never
// the agent's ingress port.
//
// What lets somebody in to an app is a resource of its own under a name without
// the port. When the port changes, CloudFormation makes the new rule before it
// updates the service, which depends on it, and deletes the old one in the
// clean-up: callers reach the old tasks and the new ones for as long as both are
// there. A rule inside its group is changed with the group, minutes before the
// new tasks run, and locks callers out meanwhile (hoplab explain --before).

// ingressRule opens a TCP port of a group to the holders of another group.
type ingressRule struct {
	to   awsec2.ISecurityGroup
	port int
	why  string
}

// newGroup makes a security group that lets in what the rules say and nothing out.
func newGroup(scope constructs.Construct, id string, vpc awsec2.IVpc, description string, in ...ingressRule) awsec2.SecurityGroup {
	group := awsec2.NewSecurityGroup(scope, jsii.String(id), &awsec2.SecurityGroupProps{
		Vpc:              vpc,
		Description:      jsii.String(description),
		AllowAllOutbound: jsii.Bool(false),
	})
	var rules []any
	for _, r := range in {
		rules = append(rules, &awsec2.CfnSecurityGroup_IngressProperty{
			SourceSecurityGroupId: r.to.SecurityGroupId(),
			IpProtocol:            jsii.String("tcp"),
			FromPort:              jsii.Number(r.port),
			ToPort:                jsii.Number(r.port),
			Description:           jsii.String(r.why),
		})
	}
	if rules != nil {
		group.Node().DefaultChild().(awsec2.CfnSecurityGroup).SetSecurityGroupIngress(rules)
	}
	return group
}

// allowIn lets source reach group on a TCP port, by a resource of its own.
func allowIn(scope constructs.Construct, id string, group, source awsec2.ISecurityGroup, port int,
	why string) awsec2.CfnSecurityGroupIngress {
	return awsec2.NewCfnSecurityGroupIngress(scope, jsii.String(id), &awsec2.CfnSecurityGroupIngressProps{
		GroupId:               group.SecurityGroupId(),
		SourceSecurityGroupId: source.SecurityGroupId(),
		IpProtocol:            jsii.String("tcp"),
		FromPort:              jsii.Number(port),
		ToPort:                jsii.Number(port),
		Description:           jsii.String(why),
	})
}

// allowOut lets group reach destination on a TCP port. It is a resource of its
// own: inline, two groups that name each other would be a cycle.
func allowOut(scope constructs.Construct, id string, group, destination awsec2.ISecurityGroup, port int,
	why string) awsec2.CfnSecurityGroupEgress {
	return awsec2.NewCfnSecurityGroupEgress(scope, jsii.String(id), &awsec2.CfnSecurityGroupEgressProps{
		GroupId:                    group.SecurityGroupId(),
		DestinationSecurityGroupId: destination.SecurityGroupId(),
		IpProtocol:                 jsii.String("tcp"),
		FromPort:                   jsii.Number(port),
		ToPort:                     jsii.Number(port),
		Description:                jsii.String(why),
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
