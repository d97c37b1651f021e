package stacks

import (
	_ "embed"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2targets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/hoplab/hoplab/internal/ports"
)

// HostProps configures NewHost.
type HostProps struct {
	AlbEgress string
}

// hostSetup installs nginx on the instance. It answers every path, and logs
// each request as one line of JSON with what tells a health check from a user.
//
//go:embed host.sh
var hostSetup string

// NewHost builds the first article's experiment: nginx on an instance behind
// a load balancer whose security group may have no way out. The article used
// the default VPC; this one brings a VPC of public subnets, so that it
// synthesizes without an account and leaves nothing behind. The load balancer
// is internal: all that is watched are its health checks.
func NewHost(scope constructs.Construct, id string, props *HostProps) {
	stack := awscdk.NewStack(scope, jsii.String(id), stackProps("host", "hoplab: nginx on EC2 behind a load balancer, to watch health checks"))
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{
		IpAddresses:                  awsec2.IpAddresses_Cidr(jsii.String(vpcCIDR)),
		MaxAzs:                       jsii.Number(2), // what a load balancer asks for
		NatGateways:                  jsii.Number(0),
		RestrictDefaultSecurityGroup: jsii.Bool(false), // see NewNetwork
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{
			{Name: jsii.String("Public"), SubnetType: awsec2.SubnetType_PUBLIC, MapPublicIpOnLaunch: jsii.Bool(false)},
		},
		FlowLogs: refusedConnections(stack, "/hoplab/host-vpc-refused"),
	})

	albGroup := newAlbGroup(stack, vpc, props.AlbEgress)
	albGroup.AddIngressRule(awsec2.Peer_Ipv4(jsii.String(vpcCIDR)), awsec2.Port_Tcp(jsii.Number(ports.Listener)),
		jsii.String("callers in the VPC"), nil)
	group := newGroup(stack, "HostSg", vpc, "hoplab nginx host", ingressRule{albGroup, ports.Container, "load balancer to nginx"})
	allowHTTPS(group)
	if props.AlbEgress == EgressTargets {
		allowOut(stack, "AlbToHost", albGroup, group, ports.Container, "load balancer to nginx")
	}

	instance := newNginx(stack, vpc, group)
	alb := elb.NewApplicationLoadBalancer(stack, jsii.String("Alb"), &elb.ApplicationLoadBalancerProps{
		Vpc:                     vpc,
		InternetFacing:          jsii.Bool(false),
		SecurityGroup:           sealed(stack, "AlbSgSealed", albGroup),
		DropInvalidHeaderFields: jsii.Bool(true),
		DeletionProtection:      jsii.Bool(false),
	})
	suppressNag(alb, "AwsSolutions-ELB2", "nginx logs every request that passes; the experiment is about those that do not.")
	targets := elb.NewApplicationTargetGroup(stack, jsii.String("TargetGroup"), &elb.ApplicationTargetGroupProps{
		Vpc:        vpc,
		Port:       jsii.Number(ports.Container),
		Protocol:   elb.ApplicationProtocol_HTTP,
		TargetType: elb.TargetType_INSTANCE,
		Targets: &[]elb.IApplicationLoadBalancerTarget{
			awselasticloadbalancingv2targets.NewInstanceTarget(instance, jsii.Number(ports.Container)),
		},
		HealthCheck: &elb.HealthCheck{ // the article's numbers
			Path:                    jsii.String("/"),
			HealthyHttpCodes:        jsii.String("200"),
			Interval:                awscdk.Duration_Seconds(jsii.Number(10)),
			HealthyThresholdCount:   jsii.Number(2),
			UnhealthyThresholdCount: jsii.Number(2),
		},
	})
	alb.AddListener(jsii.String("Listener"), &elb.BaseApplicationListenerProps{
		Port:                jsii.Number(ports.Listener),
		Protocol:            elb.ApplicationProtocol_HTTP,
		Open:                jsii.Bool(false),
		DefaultTargetGroups: &[]elb.IApplicationTargetGroup{targets},
	})

	output(stack, "AlbDnsName", alb.LoadBalancerDnsName(), "internal load balancer")
	output(stack, "InstanceId", instance.InstanceId(), "aws ssm start-session --target ..., then sudo tail -f /var/log/nginx/access.log")
	output(stack, "TargetGroupArn", targets.TargetGroupArn(), "aws elbv2 describe-target-health --target-group-arn ...")
}

// newNginx makes the instance: reached by Session Manager, with a public
// address because its subnets have no other way out, and open to nobody.
func newNginx(stack awscdk.Stack, vpc awsec2.Vpc, group awsec2.SecurityGroup) awsec2.Instance {
	role := awsiam.NewRole(stack, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil),
		ManagedPolicies: &[]awsiam.IManagedPolicy{
			awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("AmazonSSMManagedInstanceCore")),
		},
	})
	suppressNag(role, "AwsSolutions-IAM4", "AmazonSSMManagedInstanceCore is what Session Manager asks for on an instance.")
	userData := awsec2.UserData_ForLinux(nil)
	userData.AddCommands(jsii.String(hostSetup))
	instance := awsec2.NewInstance(stack, jsii.String("Nginx"), &awsec2.InstanceProps{
		Vpc:                       vpc,
		InstanceType:              awsec2.InstanceType_Of(awsec2.InstanceClass_T3, awsec2.InstanceSize_MICRO),
		MachineImage:              awsec2.MachineImage_LatestAmazonLinux2023(nil),
		SecurityGroup:             sealed(stack, "HostSgSealed", group),
		Role:                      role,
		AssociatePublicIpAddress:  jsii.Bool(true),
		UserData:                  userData,
		UserDataCausesReplacement: jsii.Bool(true),
		HttpTokens:                awsec2.HttpTokens_REQUIRED,
		DetailedMonitoring:        jsii.Bool(true),
		BlockDevices: &[]*awsec2.BlockDevice{{
			DeviceName: jsii.String("/dev/xvda"),
			Volume: awsec2.BlockDeviceVolume_Ebs(jsii.Number(8), &awsec2.EbsDeviceOptions{
				VolumeType: awsec2.EbsDeviceVolumeType_GP3, Encrypted: jsii.Bool(true),
			}),
		}},
	})
	suppressNag(instance, "AwsSolutions-EC29", "cdk destroy must be able to remove the instance; it holds nothing but a log.")
	return instance
}
