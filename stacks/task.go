package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// size is the size of a task and of the containers in it. What the
// containers leave is for the Service Connect agent: AWS asks for 256 CPU
// units and 64 MiB, and 512 units above 500 requests/s. CPU is in units of
// 1024 to a vCPU, memory in MiB, and Fargate takes certain pairs only.
type size struct {
	cpu, memory                   int
	containerCPU, containerMemory int
}

// sizeSmall is for the app and the client.
var sizeSmall = size{cpu: 512, memory: 1024, containerCPU: 256, containerMemory: 512}

// newExecutionRole makes the role with which Fargate pulls images and writes
// logs. One per stack: a shared one would tie the stacks into a cycle. It is
// empty; images and log drivers grant what they need.
func newExecutionRole(scope constructs.Construct) awsiam.Role {
	return newTaskRole(scope, "ExecutionRole")
}

// newTaskRole makes a role for ECS tasks that allows nothing.
func newTaskRole(scope constructs.Construct, id string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), nil),
	})
}

// newTask makes a Fargate task definition without containers.
func newTask(scope constructs.Construct, id, architecture string, s size, execution, role awsiam.Role) awsecs.FargateTaskDefinition {
	cpu := awsecs.CpuArchitecture_X86_64()
	if architecture == "ARM64" {
		cpu = awsecs.CpuArchitecture_ARM64()
	}
	return awsecs.NewFargateTaskDefinition(scope, jsii.String(id), &awsecs.FargateTaskDefinitionProps{
		Cpu:            jsii.Number(s.cpu),
		MemoryLimitMiB: jsii.Number(s.memory),
		ExecutionRole:  execution,
		TaskRole:       role,
		RuntimePlatform: &awsecs.RuntimePlatform{
			CpuArchitecture:       cpu,
			OperatingSystemFamily: awsecs.OperatingSystemFamily_LINUX(),
		},
	})
}

// logTo sends a container's output to group.
func logTo(group awslogs.ILogGroup, prefix string) awsecs.LogDriver {
	return awsecs.LogDrivers_AwsLogs(&awsecs.AwsLogDriverProps{
		LogGroup:     group,
		StreamPrefix: jsii.String(prefix),
	})
}

// connect returns the Service Connect configuration of a client: the
// namespace and the agent's logs.
func (n *Network) connect(logs awslogs.ILogGroup) *awsecs.ServiceConnectProps {
	return &awsecs.ServiceConnectProps{
		Namespace: n.Namespace.NamespaceArn(),
		LogDriver: logTo(logs, "service-connect"),
		AccessLogConfiguration: &awsecs.ServiceConnectAccessLogConfiguration{
			Format: awsecs.ServiceConnectAccessLogFormat_JSON,
		},
	}
}
