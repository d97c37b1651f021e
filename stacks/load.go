package stacks

import (
	"fmt"
	"maps"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// LoadProps configures NewLoad.
type LoadProps struct {
	Network      *Network
	App          *App
	Image        imageSource
	Architecture string
	Generators   int // above 1, a state machine starts the load tasks
}

// load holds what the parts of the Load stack share.
type load struct {
	stack     awscdk.Stack
	props     *LoadProps
	group     awsec2.SecurityGroup
	bucket    awss3.Bucket
	execution awsiam.Role
}

const (
	// resultsPrefix is the only place in the bucket that a load task may write to.
	resultsPrefix = "runs/"
	// resultsDays is how long results stay when nobody fetched them.
	resultsDays   = 30
	loadContainer = "load"
)

// Sizes of the load tasks. The container has the same in both, and the mesh
// client's agent, which carries all requests of its arm, a vCPU of its own.
var (
	sizeLoad = size{cpu: 1024, memory: 2048, containerCPU: 1024, containerMemory: 2048}
	sizeMesh = size{cpu: 2048, memory: 4096, containerCPU: 1024, containerMemory: 2048}
)

// NewLoad builds what a deployed run needs: a task definition with k6 that
// RunTask starts, a bucket for its samples, and a Service Connect client
// service of no tasks for the mesh arm, because a standalone task cannot use
// Service Connect.
func NewLoad(scope constructs.Construct, id string, props *LoadProps) {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("load", "hoplab: load tasks with k6, and the bucket for their samples"))
	l := &load{stack: stack, props: props}
	l.group = newGroup(stack, "LoadSg", props.Network.VPC, "hoplab load tasks")
	allowHTTPS(l.group)
	for _, s := range props.App.Services {
		allowOut(stack, "LoadTo"+s.Arm.title()+"Alb", l.group, props.App.AlbGroup, s.Arm.Listener, "load task to the load balancer")
	}
	l.bucket = newResultsBucket(stack)
	l.execution = newExecutionRole(stack)

	task := l.newLoadTask("TaskDefinition", sizeLoad, "/hoplab/load", nil)
	l.newMeshClient()
	if props.Generators > 1 {
		l.newFanOut(task)
	}
	suppressTokenGrant(l.execution)
	l.outputs(task)
}

// newLoadTask makes a task definition whose only right is to write results.
func (l *load) newLoadTask(id string, s size, logs string, more map[string]*string) awsecs.FargateTaskDefinition {
	scope := constructs.NewConstruct(l.stack, jsii.String(id))
	role := newTaskRole(scope, "TaskRole")
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("s3:PutObject"),
		Resources: &[]*string{l.bucket.ArnForObjects(jsii.String(resultsPrefix + "*"))},
	}))
	suppressPolicy(role, "The wildcard stands for the objects under the one prefix to which load tasks write.")
	env := map[string]*string{
		"HOPLAB_BUCKET": l.bucket.BucketName(),
		"HOPLAB_PREFIX": jsii.String(resultsPrefix),
	}
	maps.Copy(env, more)
	task := newTask(scope, "TaskDefinition", l.props.Architecture, s, l.execution, role)
	task.AddContainer(jsii.String(loadContainer), &awsecs.ContainerDefinitionOptions{
		Image:          l.props.Image(scope),
		Essential:      jsii.Bool(true),
		Cpu:            jsii.Number(s.containerCPU),
		MemoryLimitMiB: jsii.Number(s.containerMemory),
		Logging:        logTo(logGroup(scope, "LogGroup", logs), "load"),
		Environment:    &env,
		StopTimeout:    awscdk.Duration_Seconds(jsii.Number(120)), // the longest: time to send what was measured
	})
	suppressNag(task, "AwsSolutions-ECS2", "The variables hold names and a switch, no secrets.")
	return task
}

// newMeshClient makes the service that a run scales to one task and back.
func (l *load) newMeshClient() {
	n := l.props.Network
	task := l.newLoadTask("Mesh", sizeMesh, "/hoplab/load-mesh", map[string]*string{
		"HOPLAB_HOLD": jsii.String("1"), // a service would start an ended task again
	})
	service := awsecs.NewFargateService(l.stack, jsii.String("MeshService"), &awsecs.FargateServiceProps{
		Cluster:                     n.Cluster,
		ServiceName:                 jsii.String("load-mesh"),
		TaskDefinition:              task,
		PlatformVersion:             awsecs.FargatePlatformVersion_VERSION1_4,
		DesiredCount:                jsii.Number(0),
		AssignPublicIp:              jsii.Bool(false),
		SecurityGroups:              &[]awsec2.ISecurityGroup{sealed(l.stack, "ClientSg", l.props.App.ClientGroup)},
		VpcSubnets:                  n.private(),
		CircuitBreaker:              &awsecs.DeploymentCircuitBreaker{Rollback: jsii.Bool(true)},
		MinHealthyPercent:           jsii.Number(0), // never two generators at once
		MaxHealthyPercent:           jsii.Number(100),
		ServiceConnectConfiguration: n.connect(logGroup(l.stack, "MeshAgentLogGroup", "/hoplab/load-mesh-service-connect")),
	})
	service.Node().AddDependency(l.execution)
	l.props.App.before(service)
	output(l.stack, "MeshTaskDefinitionArn", task.TaskDefinitionArn(), "task definition of the Service Connect client")
	output(l.stack, "MeshLogGroup", jsii.String("/hoplab/load-mesh"), "log group of the Service Connect client")
	output(l.stack, "MeshServiceName", service.ServiceName(), "Service Connect client of no tasks, scaled to one for the mesh arm")
}

// newResultsBucket makes the bucket for sample files: private, encrypted,
// and gone with its contents when the stack goes.
func newResultsBucket(stack awscdk.Stack) awss3.Bucket {
	bucket := awss3.NewBucket(stack, jsii.String("Results"), &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Expiration:                          awscdk.Duration_Days(jsii.Number(resultsDays)),
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(1)),
		}},
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
		AutoDeleteObjects: jsii.Bool(true),
	})
	suppressNag(bucket, "AwsSolutions-S1", "The objects are measurements that the run fetches at once; an access log would need a second bucket.")
	emptier(stack, bucket)
	return bucket
}

// emptier finishes what CDK makes to empty the bucket on destroy: a function
// whose log group Lambda would create by itself and leave behind.
func emptier(stack awscdk.Stack, bucket awss3.Bucket) {
	provider := stack.Node().FindChild(jsii.String("Custom::S3AutoDeleteObjectsCustomResourceProvider"))
	handler := provider.Node().FindChild(jsii.String("Handler")).(awscdk.CfnResource)
	logs := logGroup(stack, "EmptierLogGroup", "/aws/lambda/"+*handler.Ref())
	bucket.Node().FindChild(jsii.String("AutoDeleteObjectsCustomResource")).Node().AddDependency(logs)
}

// outputs says what `hoplab run --target aws` needs to start tasks and to
// find what they wrote.
func (l *load) outputs(task awsecs.FargateTaskDefinition) {
	n := l.props.Network
	subnets := n.VPC.SelectSubnets(n.private()).SubnetIds
	output(l.stack, "ClusterName", n.Cluster.ClusterName(), "ECS cluster of the load tasks")
	output(l.stack, "TaskDefinitionArn", task.TaskDefinitionArn(), "task definition for RunTask")
	output(l.stack, "ContainerName", jsii.String(loadContainer), "container to override with the plan")
	output(l.stack, "Subnets", awscdk.Fn_Join(jsii.String(","), subnets), "subnets of the load tasks")
	output(l.stack, "SecurityGroup", l.group.SecurityGroupId(), "security group of the load tasks")
	output(l.stack, "ResultsBucket", l.bucket.BucketName(), "bucket of the sample files")
	output(l.stack, "ResultsPrefix", jsii.String(resultsPrefix), "prefix of the sample files")
	output(l.stack, "LogGroup", jsii.String("/hoplab/load"), "log group of the load tasks")
	output(l.stack, "Generators", jsii.String(fmt.Sprint(l.props.Generators)), "load tasks that a run may start at once")
}
