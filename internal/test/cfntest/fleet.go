package cfntest

import (
	"fmt"
	"strings"
)

// Fleet says what Template makes of each service of a deployment of many.
type Fleet struct {
	N     int // services, s0 to s(N-1), each with an endpoint in one namespace
	Tasks int // of each; 0 is one
	// Ordered deploys each service after the one before it, so that later ones
	// resolve the names of earlier ones.
	Ordered bool
	// Closed is how many of the last services have a security group of their own
	// that lets nobody in.
	Closed int
	// Balanced puts the first services, so many of them, behind a load balancer,
	// with HealthPath to check.
	Balanced   int
	HealthPath string
	// Env is added to the app's environment, as JSON objects with Name and Value.
	Env string
}

// Template returns the deployment as a JSON template: one VPC, one group that
// lets the VPC in.
func (s Fleet) Template() []byte {
	var b strings.Builder
	b.WriteString(`{"Resources": {
"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
"Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/18", "AvailabilityZone": "eu-west-1a"}},
"Cluster": {"Type": "AWS::ECS::Cluster"},
"Space": {"Type": "AWS::ServiceDiscovery::HttpNamespace", "Properties": {"Name": "ns"}},
"Sg": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "the VPC", "VpcId": {"Ref": "Vpc"}, ` +
		`"SecurityGroupIngress": [{"CidrIp": "10.0.0.0/16", "IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535}]}},
"Shut": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "nobody", "VpcId": {"Ref": "Vpc"}}}`)
	if s.Balanced > 0 {
		b.WriteString(`,
"Alb": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Scheme": "internal", "Type": "application", "SecurityGroups": [{"Fn::GetAtt": ["Sg", "GroupId"]}], "Subnets": [{"Ref": "Subnet"}]}},
"Http": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {"LoadBalancerArn": {"Ref": "Alb"}, "Port": 80, "Protocol": "HTTP", "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]}}`)
	}
	for i := range s.N {
		s.write(&b, i)
	}
	b.WriteString("\n}}\n")
	return []byte(b.String())
}

// write writes service i with its task definition, and what is before it.
func (s Fleet) write(b *strings.Builder, i int) {
	group, after, behind := "Sg", "", ""
	if i >= s.N-s.Closed {
		group = "Shut"
	}
	var before []string
	if s.Ordered && i > 0 {
		before = append(before, fmt.Sprintf(`"Svc%d"`, i-1))
	}
	if i < s.Balanced {
		before = append(before, fmt.Sprintf(`"Rule%d"`, i))
	}
	if len(before) > 0 {
		after = `"DependsOn": [` + strings.Join(before, ", ") + `], `
	}
	if i < s.Balanced {
		fmt.Fprintf(b, `,
"Targets%[1]d": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {"Port": 8080, "Protocol": "HTTP", "TargetType": "ip", "VpcId": {"Ref": "Vpc"}, "HealthCheckPath": %[2]q, "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "UnhealthyThresholdCount": 2, "HealthyThresholdCount": 2}},
"Rule%[1]d": {"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": {"ListenerArn": {"Ref": "Http"}, "Priority": %[3]d, "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/s%[1]d/*"]}}], "Actions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets%[1]d"}}]}}`,
			i, s.healthPath(), i+1)
		behind = fmt.Sprintf(`"LoadBalancers": [{"ContainerName": "app", "ContainerPort": 8080, "TargetGroupArn": {"Ref": "Targets%d"}}], `, i)
	}
	fmt.Fprintf(b, `,
"Task%[1]d": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"Family": "s%[1]d", "NetworkMode": "awsvpc", "RequiresCompatibilities": ["FARGATE"], "Cpu": "256", "Memory": "512", "ContainerDefinitions": [{"Name": "app", "Essential": true, "Image": "example/s%[1]d:1", "Environment": [%[2]s], "PortMappings": [{"Name": "web", "ContainerPort": 8080, "Protocol": "tcp", "AppProtocol": "http"}]}]}},
"Svc%[1]d": {"Type": "AWS::ECS::Service", %[3]s"Properties": {"ServiceName": "s%[1]d", "Cluster": {"Ref": "Cluster"}, "LaunchType": "FARGATE", "DesiredCount": %[4]d, "TaskDefinition": {"Ref": "Task%[1]d"}, %[5]s"NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": "DISABLED", "SecurityGroups": [{"Fn::GetAtt": [%[6]q, "GroupId"]}], "Subnets": [{"Ref": "Subnet"}]}}, "ServiceConnectConfiguration": {"Enabled": true, "Namespace": {"Fn::GetAtt": ["Space", "Arn"]}, "Services": [{"PortName": "web", "DiscoveryName": "s%[1]d", "ClientAliases": [{"Port": 80}]}]}}}`,
		i, s.Env, after, max(1, s.Tasks), behind, group)
}

func (s Fleet) healthPath() string {
	if s.HealthPath == "" {
		return "/"
	}
	return s.HealthPath
}
