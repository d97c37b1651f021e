package stacks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// AppProps configures NewApp.
type AppProps struct {
	Network *Network
	Arms    []Arm // one or two, with different listener ports
	Image   imageSource
}

// App is the app under measurement: the load balancer and one service per arm.
type App struct {
	Stack    awscdk.Stack
	Services []*ArmService
	AlbGroup awsec2.SecurityGroup

	alb           elb.ApplicationLoadBalancer
	network       *Network
	executionRole awsiam.Role
}

// NewApp builds the internal load balancer and the Fargate services behind it.
func NewApp(scope constructs.Construct, id string, props *AppProps) *App {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("app", "hoplab: the app with Service Connect behind an internal load balancer"))
	a := &App{Stack: stack, network: props.Network}
	a.executionRole = newExecutionRole(stack)

	a.AlbGroup = newGroup(stack, "AlbSg", props.Network.VPC, "hoplab load balancer")
	a.alb = elb.NewApplicationLoadBalancer(stack, jsii.String("Alb"), &elb.ApplicationLoadBalancerProps{
		Vpc:                     props.Network.VPC,
		InternetFacing:          jsii.Bool(false),
		SecurityGroup:           sealed(stack, "AlbSgSealed", a.AlbGroup),
		VpcSubnets:              props.Network.private(),
		DropInvalidHeaderFields: jsii.Bool(true),
		DeletionProtection:      jsii.Bool(false),
	})
	output(stack, "AlbDnsName", a.alb.LoadBalancerDnsName(), "internal load balancer; resolves and answers inside the VPC only")

	for _, arm := range props.Arms {
		a.AlbGroup.AddIngressRule(awsec2.Peer_Ipv4(jsii.String(vpcCIDR)), awsec2.Port_Tcp(jsii.Number(arm.Listener)),
			jsii.String(fmt.Sprintf("callers in the VPC to listener %d", arm.Listener)), nil)
		a.Services = append(a.Services, a.newArm(arm, props.Image))
	}
	return a
}
