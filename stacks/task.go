package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Size of every task that carries a Service Connect agent. AWS asks for 256
// CPU units and 64 MiB for the agent on top of the containers; the containers
// get half of the CPU and half of the memory, the agent finds the rest.
const (
	taskCPU         = 512  // CPU units, 1024 to a vCPU
	taskMemoryMiB   = 1024 // the smallest that Fargate pairs with 512 CPU units
	containerCPU    = 256
	containerMemory = 512
)

// newExecutionRole makes the role with which Fargate pulls images and writes
// logs. One per stack: a shared one would tie the stacks into a cycle. It is
// empty; images and log drivers grant what they need.
func newExecutionRole(stack awscdk.Stack) awsiam.Role {
	return newTaskRole(stack, "ExecutionRole")
}

// newTaskRole makes a role for ECS tasks that allows nothing.
func newTaskRole(scope constructs.Construct, id string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), nil),
	})
}

// newTask makes a Fargate task definition with room for the agent.
func newTask(scope constructs.Construct, execution, role awsiam.Role) awsecs.FargateTaskDefinition {
	return awsecs.NewFargateTaskDefinition(scope, jsii.String("TaskDefinition"), &awsecs.FargateTaskDefinitionProps{
		Cpu:            jsii.Number(taskCPU),
		MemoryLimitMiB: jsii.Number(taskMemoryMiB),
		ExecutionRole:  execution,
		TaskRole:       role,
		RuntimePlatform: &awsecs.RuntimePlatform{
			CpuArchitecture:       awsecs.CpuArchitecture_X86_64(),
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
