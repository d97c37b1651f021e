package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// ClientProps configures NewClient.
type ClientProps struct {
	Network      *Network
	App          *App
	Image        imageSource
	Architecture string
}

// NewClient builds the client service: Service Connect without an endpoint of
// its own, and ECS Exec to work in it. It is deployed after the app.
func NewClient(scope constructs.Construct, id string, props *ClientProps) {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("client", "hoplab: a Service Connect client to call the app from"))
	execution := newExecutionRole(stack)
	task := newTask(stack, "TaskDefinition", props.Architecture, sizeSmall, execution, newExecRole(stack))
	task.AddContainer(jsii.String("client"), &awsecs.ContainerDefinitionOptions{
		Image:          props.Image(stack),
		Essential:      jsii.Bool(true),
		Cpu:            jsii.Number(sizeSmall.containerCPU),
		MemoryLimitMiB: jsii.Number(sizeSmall.containerMemory),
		Command:        jsii.Strings("sleep", "infinity"),
		LinuxParameters: awsecs.NewLinuxParameters(stack, jsii.String("Init"), &awsecs.LinuxParametersProps{
			InitProcessEnabled: jsii.Bool(true), // reaps what ECS Exec leaves behind, and passes SIGTERM on
		}),
		Logging: logTo(logGroup(stack, "LogGroup", "/hoplab/client"), "client"),
	})
	service := awsecs.NewFargateService(stack, jsii.String("Service"), &awsecs.FargateServiceProps{
		Cluster:                     props.Network.Cluster,
		ServiceName:                 jsii.String("client-service"),
		TaskDefinition:              task,
		PlatformVersion:             awsecs.FargatePlatformVersion_VERSION1_4,
		DesiredCount:                jsii.Number(1),
		AssignPublicIp:              jsii.Bool(false),
		SecurityGroups:              &[]awsec2.ISecurityGroup{sealed(stack, "ClientSg", props.App.ClientGroup)},
		VpcSubnets:                  props.Network.private(),
		EnableExecuteCommand:        jsii.Bool(true),
		CircuitBreaker:              &awsecs.DeploymentCircuitBreaker{Rollback: jsii.Bool(true)},
		MinHealthyPercent:           jsii.Number(100),
		MaxHealthyPercent:           jsii.Number(200),
		ServiceConnectConfiguration: props.Network.connect(logGroup(stack, "AgentLogGroup", "/hoplab/client-service-connect")),
	})
	service.Node().AddDependency(execution)
	props.App.before(service)
	output(stack, "ClientServiceName", service.ServiceName(), "ECS service of the client, for aws ecs execute-command")
	suppressTokenGrant(execution)
}

// before starts a Service Connect client after the app, because a task
// resolves only the endpoints that existed when its deployment was created.
func (a *App) before(client awsecs.FargateService) {
	for _, s := range a.Services {
		client.Node().AddDependency(s.Service)
	}
}

// newExecRole makes a task role with what ECS Exec needs and nothing else.
func newExecRole(stack awscdk.Stack) awsiam.Role {
	role := newTaskRole(stack, "TaskRole")
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(
			"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
		Resources: jsii.Strings("*"),
	}))
	suppressPolicy(role, "The four actions of ECS Exec have no resource to name.")
	return role
}
