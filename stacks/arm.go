package stacks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/hoplab/hoplab/internal/ports"
)

// ArmService is the app service of one arm with its listener.
type ArmService struct {
	Arm     Arm
	Service awsecs.FargateService
	Group   awsec2.SecurityGroup
}

const serviceName = "sample-ecs-app"

// newArm adds one arm: task, service, target group, listener and the rules
// between the load balancer and the app.
func (a *App) newArm(arm Arm) *ArmService {
	prefix := arm.title()
	scope := constructs.NewConstruct(a.Stack, jsii.String(prefix+"App"))
	s := &ArmService{Arm: arm}
	s.Group = newGroup(scope, "Sg", a.network.VPC, "hoplab app"+arm.suffix())
	allowHTTPS(s.Group)
	task, front := a.newAppTask(scope, arm)
	s.Service = a.newAppService(scope, s, task)
	// The first rule is the same in both modes: without an override the agent
	// hides behind the container port, with one the app itself answers there.
	s.Service.Node().AddDependency(
		allowIn(a.Stack, "AlbInto"+prefix+"App", s.Group, a.AlbGroup, ports.Container, "load balancer to the container port"),
		allowIn(a.Stack, "ClientInto"+prefix+"App", s.Group, a.ClientGroup, arm.Override.Ingress(ports.Container),
			"client agents to the app's agent"))
	group := a.newTargetGroup(scope)
	group.AddTarget(s.Service.LoadBalancerTarget(&awsecs.LoadBalancerTargetOptions{
		ContainerName: front.ContainerName(),
		ContainerPort: jsii.Number(ports.Container),
	}))
	url := a.listen(arm, a.props.Public, group)

	if a.props.AlbEgress == EgressTargets {
		s.Service.Node().AddDependency(
			allowOut(a.Stack, "AlbTo"+prefix+"App", a.AlbGroup, s.Group, ports.Container, "load balancer to the container port"))
	}

	output(a.Stack, prefix+"ServiceName", s.Service.ServiceName(), "ECS service of the app")
	output(a.Stack, prefix+"DiscoveryName", jsii.String(arm.discovery()), "Service Connect discovery name, the dimension of its CloudWatch metrics")
	output(a.Stack, prefix+"Endpoint", jsii.String(fmt.Sprintf("http://%s.%s:%d", arm.discovery(), ports.Namespace, ports.ClientAlias)), "Service Connect endpoint; resolves in Service Connect tasks only")
	output(a.Stack, prefix+"AlbUrl", url, "the load balancer's listener for this app")
	output(a.Stack, prefix+"TargetGroupFullName", group.TargetGroupFullName(), "dimension TargetGroup of its CloudWatch metrics")
	output(a.Stack, prefix+"ImageUri", front.ImageName(), "image of the app")
	return s
}

// newAppTask makes the task definition, and returns with it the container
// that has the container port: the app, or the proxy in front of it.
func (a *App) newAppTask(scope constructs.Construct, arm Arm) (awsecs.FargateTaskDefinition, awsecs.ContainerDefinition) {
	health := a.props.Health
	task := newTask(scope, "TaskDefinition", a.props.Architecture, sizeSmall, a.executionRole, newTaskRole(scope, "TaskRole"))
	logs := logTo(logGroup(scope, "LogGroup", "/hoplab/app"+arm.suffix()), "app")
	image := a.props.Image(scope)

	env := health.environment()
	options := a.appContainer(image, logs, env)
	options.HealthCheck = health.check()
	app := task.AddContainer(jsii.String("App"), options)
	front := app
	if health.Proxy {
		front = task.AddContainer(jsii.String("Proxy"), a.appContainer(image, logs, map[string]*string{
			"PROXY_TO":      jsii.String(fmt.Sprintf("http://127.0.0.1:%d", behindProxy)),
			"PROXY_ANSWERS": jsii.String(health.Path),
		}))
	}
	front.AddPortMappings(&awsecs.PortMapping{
		Name:          jsii.String(ports.PortName),
		ContainerPort: jsii.Number(ports.Container),
		Protocol:      awsecs.Protocol_TCP,
		AppProtocol:   awsecs.AppProtocol_Http(),
	})
	if health.Container == containerSocket {
		// The root file system is read-only; the volume takes its owner from
		// the directory that the image declares there.
		task.AddVolume(&awsecs.Volume{Name: jsii.String("socket")})
		app.AddMountPoints(&awsecs.MountPoint{
			SourceVolume: jsii.String("socket"), ContainerPath: jsii.String(socketDir), ReadOnly: jsii.Bool(false),
		})
	}
	if len(env) > 0 {
		suppressNag(task, "AwsSolutions-ECS2", "The variables hold ports and paths, no secrets.")
	}
	return task, front
}

// appContainer returns a container of the app's image; several share what
// the agent leaves.
func (a *App) appContainer(image awsecs.ContainerImage, logs awsecs.LogDriver, env map[string]*string) *awsecs.ContainerDefinitionOptions {
	share := 1
	if a.props.Health.Proxy {
		share = 2
	}
	options := &awsecs.ContainerDefinitionOptions{
		Image:                  image,
		Essential:              jsii.Bool(true),
		Cpu:                    jsii.Number(sizeSmall.containerCPU / share),
		MemoryLimitMiB:         jsii.Number(sizeSmall.containerMemory / share),
		ReadonlyRootFilesystem: jsii.Bool(true),
		Logging:                logs,
		// The image runs as an ordinary user, and ports below 1024 are for
		// root unless the task's network namespace says otherwise.
		SystemControls: &[]*awsecs.SystemControl{{
			Namespace: jsii.String("net.ipv4.ip_unprivileged_port_start"), Value: jsii.String("0"),
		}},
	}
	if len(env) > 0 {
		options.Environment = &env
	}
	return options
}

func (a *App) newAppService(scope constructs.Construct, s *ArmService, task awsecs.FargateTaskDefinition) awsecs.FargateService {
	service := awsecs.NewFargateService(scope, jsii.String("Service"), &awsecs.FargateServiceProps{
		Cluster:                     a.network.Cluster,
		ServiceName:                 jsii.String(serviceName + s.Arm.suffix()),
		TaskDefinition:              task,
		PlatformVersion:             awsecs.FargatePlatformVersion_VERSION1_4,
		DesiredCount:                jsii.Number(1),
		AssignPublicIp:              jsii.Bool(false),
		SecurityGroups:              &[]awsec2.ISecurityGroup{sealed(scope, "SgSealed", s.Group)},
		VpcSubnets:                  a.network.private(),
		HealthCheckGracePeriod:      awscdk.Duration_Seconds(jsii.Number(240)),
		CircuitBreaker:              &awsecs.DeploymentCircuitBreaker{Rollback: jsii.Bool(true)},
		MinHealthyPercent:           jsii.Number(100),
		MaxHealthyPercent:           jsii.Number(200),
		ServiceConnectConfiguration: a.connect(scope, s.Arm),
	})
	service.Node().AddDependency(a.executionRole)
	// A single arm keeps it in both modes, so that switching the mode changes
	// nothing but the override; hoplab check then notes that it suppresses nothing.
	if _, override := s.Arm.Override.Port(); s.Arm.Name == "" || !override {
		suppressCheck(service, "needless-agent-hop",
			"The extra agent hop of load balancer traffic is what this experiment measures; -c ingressPortOverride=8080 removes it.")
	}
	return service
}

// connect publishes the app's port mapping. The override is the one line
// that turns the agent arm into the bypass arm.
func (a *App) connect(scope constructs.Construct, arm Arm) *awsecs.ServiceConnectProps {
	endpoint := &awsecs.ServiceConnectService{
		PortMappingName: jsii.String(ports.PortName),
		Port:            jsii.Number(ports.ClientAlias),
	}
	if arm.Name != "" {
		endpoint.DiscoveryName = jsii.String(arm.discovery())
	}
	if p, set := arm.Override.Port(); set {
		endpoint.IngressPortOverride = jsii.Number(p)
	}
	props := a.network.connect(logGroup(scope, "AgentLogGroup", "/hoplab/service-connect"+arm.suffix()))
	props.Services = &[]*awsecs.ServiceConnectService{endpoint}
	return props
}

// newTargetGroup makes the target group with the third article's numbers.
func (a *App) newTargetGroup(scope constructs.Construct) elb.ApplicationTargetGroup {
	return elb.NewApplicationTargetGroup(scope, jsii.String("TargetGroup"), &elb.ApplicationTargetGroupProps{
		Vpc:                 a.network.VPC,
		Port:                jsii.Number(ports.Container),
		Protocol:            elb.ApplicationProtocol_HTTP,
		ProtocolVersion:     elb.ApplicationProtocolVersion_HTTP1,
		TargetType:          elb.TargetType_IP,
		DeregistrationDelay: awscdk.Duration_Seconds(jsii.Number(90)),
		HealthCheck: &elb.HealthCheck{
			Enabled:                 jsii.Bool(true),
			Protocol:                elb.Protocol_HTTP,
			Port:                    port(ports.Container),
			Path:                    jsii.String(a.props.Health.Path),
			HealthyHttpCodes:        jsii.String("200"),
			HealthyThresholdCount:   jsii.Number(2),
			UnhealthyThresholdCount: jsii.Number(5),
			Interval:                awscdk.Duration_Seconds(jsii.Number(30)),
			Timeout:                 awscdk.Duration_Seconds(jsii.Number(5)),
		},
	})
}
