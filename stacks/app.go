package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// AppProps configures NewApp.
type AppProps struct {
	Network      *Network
	Arms         []Arm // one or two, with different listener ports
	Image        imageSource
	Architecture string
	AlbEgress    string
	Health       Health
	Public       *PublicEdge // nil for an internal load balancer
}

// App is the app under measurement: the load balancer and one service per arm.
type App struct {
	Stack    awscdk.Stack
	Services []*ArmService
	AlbGroup awsec2.SecurityGroup
	// ClientGroup is for the tasks that call the app through Service Connect.
	// It stands here and not with them, so that the app's own group can name it.
	ClientGroup awsec2.SecurityGroup

	props         *AppProps
	network       *Network
	alb           elb.ApplicationLoadBalancer
	zone          awsroute53.IHostedZone // nil without one
	executionRole awsiam.Role
}

// NewApp builds the load balancer and the Fargate services behind it.
func NewApp(scope constructs.Construct, id string, props *AppProps) *App {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("app", "hoplab: the app with Service Connect behind a load balancer"))
	a := &App{Stack: stack, props: props, network: props.Network}
	a.executionRole = newExecutionRole(stack)
	a.AlbGroup = newAlbGroup(stack, props.Network.VPC, props.AlbEgress)
	a.ClientGroup = newGroup(stack, "ClientSg", props.Network.VPC, "hoplab Service Connect clients")
	allowHTTPS(a.ClientGroup)
	a.ClientGroup.AddEgressRule(awsec2.Peer_Ipv4(jsii.String(vpcCIDR)), awsec2.Port_AllTcp(),
		jsii.String("anything in the VPC, so that the receiving end decides"), nil)
	if props.Public != nil {
		a.newPublicAlb(props.Public)
	} else {
		a.newInternalAlb(props.Arms)
	}
	for _, arm := range props.Arms {
		a.Services = append(a.Services, a.newArm(arm))
	}
	suppressTokenGrant(a.executionRole)
	return a
}
