package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/hoplab/hoplab/internal/ports"
)

// ClientProps configures NewClient.
type ClientProps struct {
	Network *Network
	App     *App
	Image   string // "" for DefaultClientImage
}

// NewClient builds the client service: Service Connect without an endpoint of
// its own, and ECS Exec to work in it.
//
// It is deployed after the app, because a task resolves only the endpoints
// that existed when it started.
func NewClient(scope constructs.Construct, id string, props *ClientProps) {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("client", "hoplab: a Service Connect client to call the app from"))
	group := newGroup(stack, "ClientSg", props.Network.VPC, "hoplab client")
	allowFargate(group)
	group.AddEgressRule(awsec2.Peer_Ipv4(jsii.String(vpcCIDR)), awsec2.Port_AllTcp(),
		jsii.String("anything in the VPC, so that the receiving end decides"), nil)

	ref := props.Image
	if ref == "" {
		ref = DefaultClientImage
	}
	execution := newExecutionRole(stack)
	task := newTask(stack, execution, newExecRole(stack))
	task.AddContainer(jsii.String("client"), &awsecs.ContainerDefinitionOptions{
		Image:          image(ref)(stack),
		Essential:      jsii.Bool(true),
		Cpu:            jsii.Number(containerCPU),
		MemoryLimitMiB: jsii.Number(containerMemory),
		Command:        jsii.Strings("sleep", "infinity"),
		LinuxParameters: awsecs.NewLinuxParameters(stack, jsii.String("Init"), &awsecs.LinuxParametersProps{
			InitProcessEnabled: jsii.Bool(true), // reaps what ECS Exec leaves behind, and passes SIGTERM on
		}),
		Logging: logTo(logGroup(stack, "LogGroup", "/hoplab/client"), "client"),
	})
	service := awsecs.NewFargateService(stack, jsii.String("Service"), &awsecs.FargateServiceProps{
		Cluster:              props.Network.Cluster,
		ServiceName:          jsii.String("client-service"),
		TaskDefinition:       task,
		PlatformVersion:      awsecs.FargatePlatformVersion_VERSION1_4,
		DesiredCount:         jsii.Number(1),
		AssignPublicIp:       jsii.Bool(false),
		SecurityGroups:       &[]awsec2.ISecurityGroup{sealed(stack, "ClientSgSealed", group)},
		VpcSubnets:           props.Network.private(),
		EnableExecuteCommand: jsii.Bool(true),
		CircuitBreaker:       &awsecs.DeploymentCircuitBreaker{Rollback: jsii.Bool(true)},
		MinHealthyPercent:    jsii.Number(100),
		MaxHealthyPercent:    jsii.Number(200),
		ServiceConnectConfiguration: &awsecs.ServiceConnectProps{
			Namespace: props.Network.Namespace.NamespaceArn(),
			LogDriver: logTo(logGroup(stack, "AgentLogGroup", "/hoplab/client-service-connect"), "service-connect"),
			AccessLogConfiguration: &awsecs.ServiceConnectAccessLogConfiguration{
				Format: awsecs.ServiceConnectAccessLogFormat_JSON,
			},
		},
	})
	service.Node().AddDependency(execution)
	for _, arm := range props.App.Services {
		service.Node().AddDependency(arm.Service)
		// The client's agent dials the app's agent on its ingress port: the
		// container port, or the override when there is one.
		service.Node().AddDependency(allowIn(stack, "ClientTo"+title(arm.Arm.Name)+"App", arm.Group, group,
			arm.Arm.Override.Ingress(ports.Container), "client agent to app agent"))
	}
	output(stack, "ClientServiceName", service.ServiceName(), "ECS service of the client, for aws ecs execute-command")
}

// newExecRole makes a task role with what ECS Exec needs and nothing else.
func newExecRole(stack awscdk.Stack) awsiam.Role {
	role := newTaskRole(stack, "TaskRole")
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(
			"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
		Resources: jsii.Strings("*"), // the actions have no resources to name
	}))
	return role
}
