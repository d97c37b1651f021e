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
func (a *App) newArm(arm Arm, image imageSource) *ArmService {
	scope := constructs.NewConstruct(a.Stack, jsii.String(title(arm.Name)+"App"))
	s := &ArmService{Arm: arm}
	s.Group = newGroup(scope, "Sg", a.network.VPC, "hoplab app"+arm.suffix())
	allowFargate(s.Group)
	s.Service = a.newAppService(scope, s, image)
	a.newListener(scope, s)

	// Both ends are open on the container port in both modes: without an
	// override the agent hides behind it, with one the app itself answers.
	prefix := title(arm.Name)
	s.Service.Node().AddDependency(
		allowIn(a.Stack, "AlbTo"+prefix+"App", s.Group, a.AlbGroup, ports.Container, "load balancer to app"),
		allowOut(a.Stack, "AlbTo"+prefix+"AppOut", a.AlbGroup, s.Group, ports.Container, "load balancer to app"),
	)

	output(a.Stack, prefix+"ServiceName", s.Service.ServiceName(), "ECS service of the app")
	output(a.Stack, prefix+"DiscoveryName", jsii.String(arm.discovery()), "Service Connect discovery name, the dimension of its CloudWatch metrics")
	output(a.Stack, prefix+"Endpoint", jsii.String(fmt.Sprintf("http://%s.%s:%d", arm.discovery(), ports.Namespace, ports.ClientAlias)), "Service Connect endpoint; resolves in tasks of the Client stack only")
	output(a.Stack, prefix+"AlbUrl", awscdk.Fn_Join(jsii.String(""), &[]*string{
		jsii.String("http://"), a.alb.LoadBalancerDnsName(), jsii.String(fmt.Sprintf(":%d", arm.Listener)),
	}), "the load balancer's listener for this app")
	return s
}

func (a *App) newAppService(scope constructs.Construct, s *ArmService, image imageSource) awsecs.FargateService {
	arm := s.Arm
	task := newTask(scope, a.executionRole, newTaskRole(scope, "TaskRole"))
	task.AddContainer(jsii.String("App"), &awsecs.ContainerDefinitionOptions{
		Image:                  image(scope),
		Essential:              jsii.Bool(true),
		Cpu:                    jsii.Number(containerCPU),
		MemoryLimitMiB:         jsii.Number(containerMemory),
		ReadonlyRootFilesystem: jsii.Bool(true),
		// The image runs as an ordinary user, and ECS keeps ports below 1024
		// for root unless told otherwise.
		SystemControls: &[]*awsecs.SystemControl{{
			Namespace: jsii.String("net.ipv4.ip_unprivileged_port_start"), Value: jsii.String("0"),
		}},
		Logging: logTo(logGroup(scope, "LogGroup", "/hoplab/app"+arm.suffix()), "app"),
		PortMappings: &[]*awsecs.PortMapping{{
			Name:          jsii.String(ports.PortName),
			ContainerPort: jsii.Number(ports.Container),
			Protocol:      awsecs.Protocol_TCP,
			AppProtocol:   awsecs.AppProtocol_Http(),
		}},
	})
	service := awsecs.NewFargateService(scope, jsii.String("Service"), &awsecs.FargateServiceProps{
		Cluster:                     a.network.Cluster,
		ServiceName:                 jsii.String(serviceName + arm.suffix()),
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
		ServiceConnectConfiguration: a.connect(scope, arm),
	})
	service.Node().AddDependency(a.executionRole)
	suppressCheck(service, "needless-agent-hop",
		"The extra agent hop of load balancer traffic is what this experiment measures; -c ingressPortOverride=8080 removes it.")
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
	return &awsecs.ServiceConnectProps{
		Namespace: a.network.Namespace.NamespaceArn(),
		Services:  &[]*awsecs.ServiceConnectService{endpoint},
		LogDriver: logTo(logGroup(scope, "AgentLogGroup", "/hoplab/service-connect"+arm.suffix()), "service-connect"),
		AccessLogConfiguration: &awsecs.ServiceConnectAccessLogConfiguration{
			Format: awsecs.ServiceConnectAccessLogFormat_JSON,
		},
	}
}

// newListener adds the listener with the article's target group numbers.
func (a *App) newListener(scope constructs.Construct, s *ArmService) {
	group := elb.NewApplicationTargetGroup(scope, jsii.String("TargetGroup"), &elb.ApplicationTargetGroupProps{
		Vpc:                 a.network.VPC,
		Port:                jsii.Number(ports.Container),
		Protocol:            elb.ApplicationProtocol_HTTP,
		TargetType:          elb.TargetType_IP,
		DeregistrationDelay: awscdk.Duration_Seconds(jsii.Number(90)),
		HealthCheck: &elb.HealthCheck{
			Enabled:                 jsii.Bool(true),
			Protocol:                elb.Protocol_HTTP,
			Port:                    port(ports.Container),
			Path:                    jsii.String("/"),
			HealthyHttpCodes:        jsii.String("200"),
			HealthyThresholdCount:   jsii.Number(2),
			UnhealthyThresholdCount: jsii.Number(5),
			Interval:                awscdk.Duration_Seconds(jsii.Number(30)),
			Timeout:                 awscdk.Duration_Seconds(jsii.Number(5)),
		},
	})
	group.AddTarget(s.Service.LoadBalancerTarget(&awsecs.LoadBalancerTargetOptions{
		ContainerName: jsii.String("App"),
		ContainerPort: jsii.Number(ports.Container),
	}))
	a.alb.AddListener(jsii.String(title(s.Arm.Name)+"Listener"), &elb.BaseApplicationListenerProps{
		Port:                jsii.Number(s.Arm.Listener),
		Protocol:            elb.ApplicationProtocol_HTTP,
		Open:                jsii.Bool(false), // the group's rules are written out in NewApp
		DefaultTargetGroups: &[]elb.IApplicationTargetGroup{group},
	})
}

// title returns "Agent" for "agent", for logical ids.
func title(name string) string {
	if name == "" {
		return ""
	}
	return string(name[0]-'a'+'A') + name[1:]
}
