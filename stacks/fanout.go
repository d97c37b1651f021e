package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	sfn "github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	tasks "github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/jsii-runtime-go"
)

// newFanOut adds the state machine that starts many load tasks: a Distributed
// Map over its input
//
//	{"items": [{"command": ["...", ...]}, ...]}
//
// with one task per item, whose command replaces the container's. An item
// whose task fails is tried again, and what became of each item is written to
// the bucket.
func (l *load) newFanOut(task awsecs.FargateTaskDefinition) {
	n := l.props.Network
	run := tasks.NewEcsRunTask(l.stack, jsii.String("RunLoad"), &tasks.EcsRunTaskProps{
		Comment:            jsii.String("One load task with one segment of the plan"),
		IntegrationPattern: sfn.IntegrationPattern_RUN_JOB,
		Cluster:            n.Cluster,
		TaskDefinition:     task,
		LaunchTarget: tasks.NewEcsFargateLaunchTarget(&tasks.EcsFargateLaunchTargetOptions{
			PlatformVersion: awsecs.FargatePlatformVersion_VERSION1_4,
		}),
		AssignPublicIp: jsii.Bool(false),
		SecurityGroups: &[]awsec2.ISecurityGroup{sealed(l.stack, "LoadSgSealed", l.group)},
		Subnets:        n.private(),
		ContainerOverrides: &[]*tasks.ContainerOverride{{
			ContainerDefinition: task.DefaultContainer(),
			Command:             sfn.JsonPath_ListAt(jsii.String("$.command")),
		}},
		TaskTimeout: sfn.Timeout_Duration(awscdk.Duration_Hours(jsii.Number(2))),
	})
	// A task that did not start, ran out of memory or lost its host.
	run.AddRetry(&sfn.RetryProps{
		Errors:         jsii.Strings("States.TaskFailed", "ECS.AmazonECSException", "States.Timeout"),
		MaxAttempts:    jsii.Number(2),
		Interval:       awscdk.Duration_Seconds(jsii.Number(10)),
		BackoffRate:    jsii.Number(2),
		JitterStrategy: sfn.JitterType_FULL,
	})
	fan := sfn.NewDistributedMap(l.stack, jsii.String("EachGenerator"), &sfn.DistributedMapProps{
		Comment:        jsii.String("One item per load task"),
		ItemsPath:      jsii.String("$.items"),
		MaxConcurrency: jsii.Number(l.props.Generators),
		// One lost generator must not stop the others. Which items failed
		// stands beside the results; the run decides what that means.
		ToleratedFailurePercentage: jsii.Number(100),
		ResultWriterV2: sfn.NewResultWriterV2(&sfn.ResultWriterV2Props{
			Bucket: l.bucket,
			Prefix: jsii.String("maps"),
		}),
	})
	// Without a configuration the map keeps its own: DISTRIBUTED and STANDARD,
	// which has no limit of five minutes.
	fan.ItemProcessor(run, nil)
	machine := sfn.NewStateMachine(l.stack, jsii.String("FanOut"), &sfn.StateMachineProps{
		DefinitionBody: sfn.DefinitionBody_FromChainable(fan),
		Timeout:        awscdk.Duration_Hours(jsii.Number(12)),
		RemovalPolicy:  awscdk.RemovalPolicy_DESTROY,
		Logs: &sfn.LogOptions{
			Destination: logGroup(l.stack, "FanOutLogGroup", "/aws/vendedlogs/states/hoplab-load"),
			Level:       sfn.LogLevel_ALL,
		},
	})
	l.onlyOwnTasks(machine)
	suppressNag(machine, "AwsSolutions-SF2", "The executions and their log name every load task; a trace of a map over tasks adds nothing.")
	suppressPolicy(machine.Role(), "Step Functions follows tasks and delivers logs with actions that have no narrower resource; tasks, roles and objects are named.")
	if policy := machine.Node().TryFindChild(jsii.String("DistributedMapPolicy")); policy != nil {
		suppressNag(policy, "AwsSolutions-IAM5", "The executions of this state machine have no name before they run.")
	}
	output(l.stack, "StateMachineArn", machine.StateMachineArn(), "state machine that starts many load tasks")
}

// onlyOwnTasks denies the state machine's role the tasks of other clusters: the
// construct allows ecs:StopTask and ecs:DescribeTasks on every task.
func (l *load) onlyOwnTasks(machine sfn.StateMachine) {
	machine.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect:    awsiam.Effect_DENY,
		Actions:   jsii.Strings("ecs:RunTask", "ecs:StopTask", "ecs:DescribeTasks"),
		Resources: jsii.Strings("*"),
		Conditions: &map[string]any{
			"ArnNotEquals": map[string]any{"ecs:cluster": l.props.Network.Cluster.ClusterArn()},
		},
	}))
}
