package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsservicediscovery"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/hoplab/hoplab/internal/ports"
)

const (
	// vpcCIDR is written out, so that rules that name it are readable in the
	// template and settled for every reader of it.
	vpcCIDR     = "10.0.0.0/16"
	clusterName = "hoplab"
)

// NetworkProps configures NewNetwork.
type NetworkProps struct {
	DualStack bool // give the VPC and its subnets IPv6 addresses as well
}

// Network is what outlives a change of the app: VPC, namespace, cluster.
type Network struct {
	VPC       awsec2.Vpc
	Cluster   awsecs.Cluster
	Namespace awsservicediscovery.HttpNamespace
}

// NewNetwork builds a VPC over two availability zones with one NAT gateway,
// the Cloud Map namespace of Service Connect and the ECS cluster.
func NewNetwork(scope constructs.Construct, id string, props *NetworkProps) *Network {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("network", "hoplab: VPC, Cloud Map namespace and ECS cluster"))
	n := &Network{}

	protocol := awsec2.IpProtocol_IPV4_ONLY
	if props.DualStack {
		protocol = awsec2.IpProtocol_DUAL_STACK
	}
	n.VPC = awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{
		IpAddresses: awsec2.IpAddresses_Cidr(jsii.String(vpcCIDR)),
		IpProtocol:  protocol,
		MaxAzs:      jsii.Number(2),
		NatGateways: jsii.Number(1),
		// Nothing of ours uses the default group. Emptying it costs a custom
		// resource with a Lambda function.
		RestrictDefaultSecurityGroup: jsii.Bool(false),
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{
			{Name: jsii.String("Public"), SubnetType: awsec2.SubnetType_PUBLIC, MapPublicIpOnLaunch: jsii.Bool(false)},
			{Name: jsii.String("Private"), SubnetType: awsec2.SubnetType_PRIVATE_WITH_EGRESS},
		},
		// Image layers come from S3; a gateway endpoint is free, NAT traffic is not.
		GatewayEndpoints: &map[string]*awsec2.GatewayVpcEndpointOptions{
			"S3": {Service: awsec2.GatewayVpcEndpointAwsService_S3()},
		},
		FlowLogs: refusedConnections(stack, "/hoplab/vpc-refused"),
	})

	n.Namespace = awsservicediscovery.NewHttpNamespace(stack, jsii.String("Namespace"), &awsservicediscovery.HttpNamespaceProps{
		Name: jsii.String(ports.Namespace),
	})

	// Container Insights creates this group by itself, without retention, and
	// leaves it behind when the cluster goes. Ours is there first.
	insights := logGroup(stack, "InsightsLogGroup", "/aws/ecs/containerinsights/"+clusterName+"/performance")
	n.Cluster = awsecs.NewCluster(stack, jsii.String("Cluster"), &awsecs.ClusterProps{
		Vpc:                 n.VPC,
		ClusterName:         jsii.String(clusterName),
		ContainerInsightsV2: awsecs.ContainerInsights_ENABLED,
	})
	n.Cluster.Node().AddDependency(insights)

	output(stack, "ClusterName", n.Cluster.ClusterName(), "ECS cluster")
	output(stack, "NamespaceName", n.Namespace.NamespaceName(), "Cloud Map namespace of the Service Connect endpoints")
	output(stack, "VpcId", n.VPC.VpcId(), "VPC; open a CloudShell in it to call the load balancer")
	return n
}

// private selects the subnets of tasks and of the internal load balancer.
func (n *Network) private() *awsec2.SubnetSelection {
	return &awsec2.SubnetSelection{SubnetGroupName: jsii.String("Private")}
}

// refusedConnections logs what security groups drop. It is the only trace
// that a closed group leaves: the target logs nothing.
func refusedConnections(stack awscdk.Stack, group string) *map[string]*awsec2.FlowLogOptions {
	return &map[string]*awsec2.FlowLogOptions{"Refused": {
		TrafficType:            awsec2.FlowLogTrafficType_REJECT,
		MaxAggregationInterval: awsec2.FlowLogMaxAggregationInterval_ONE_MINUTE,
		Destination: awsec2.FlowLogDestination_ToCloudWatchLogs(
			logGroup(stack, "FlowLogGroup", group), nil),
	}}
}

// logGroup makes a log group that keeps a week and goes with its stack.
func logGroup(scope constructs.Construct, id, name string) awslogs.LogGroup {
	return awslogs.NewLogGroup(scope, jsii.String(id), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String(name),
		Retention:     awslogs.RetentionDays_ONE_WEEK,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
}
