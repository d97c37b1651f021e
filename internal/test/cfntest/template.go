// Package cfntest makes large templates for benchmarks: the same deployment
// shape as the project's own stacks, as often as wanted.
package cfntest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// frame is what the units share: network, load balancer, namespace.
const frame = `
"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
"Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/18", "AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}}},
"Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]}},
"Space": {"Type": "AWS::ServiceDiscovery::HttpNamespace", "Properties": {"Name": "bench"}},
"AlbSg": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "load balancer", "VpcId": {"Ref": "Vpc"}, "SecurityGroupIngress": [{"CidrIp": "10.0.0.0/16", "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}]}},
"Alb": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Scheme": "internal", "Type": "application", "SecurityGroups": [{"Fn::GetAtt": ["AlbSg", "GroupId"]}], "Subnets": [{"Ref": "Subnet"}]}},
"Http": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {"LoadBalancerArn": {"Ref": "Alb"}, "Port": 80, "Protocol": "HTTP", "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]}}`

const inFrame = 7

// unit is a service behind a listener rule with a Service Connect client; %[1]d is its number.
const unit = `,
"AppSg%[1]d": {"Type": "AWS::EC2::SecurityGroup", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Sg/Resource"}, "Properties": {"GroupDescription": "Bench/App%[1]d/Sg", "VpcId": {"Ref": "Vpc"}, "SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "Description": "Allow all outbound traffic by default", "IpProtocol": "-1"}]}},
"ClientSg%[1]d": {"Type": "AWS::EC2::SecurityGroup", "Metadata": {"aws:cdk:path": "Bench/Client%[1]d/Sg/Resource"}, "Properties": {"GroupDescription": "Bench/Client%[1]d/Sg", "VpcId": {"Ref": "Vpc"}, "SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "Description": "Allow all outbound traffic by default", "IpProtocol": "-1"}]}},
"AlbToApp%[1]d": {"Type": "AWS::EC2::SecurityGroupIngress", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Sg/from Alb:8080"}, "Properties": {"Description": "Load balancer to target", "IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "GroupId": {"Fn::GetAtt": ["AppSg%[1]d", "GroupId"]}, "SourceSecurityGroupId": {"Fn::GetAtt": ["AlbSg", "GroupId"]}}},
"ClientToApp%[1]d": {"Type": "AWS::EC2::SecurityGroupIngress", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Sg/from Client:8080"}, "Properties": {"Description": "client to app", "IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "GroupId": {"Fn::GetAtt": ["AppSg%[1]d", "GroupId"]}, "SourceSecurityGroupId": {"Fn::GetAtt": ["ClientSg%[1]d", "GroupId"]}}},
"Log%[1]d": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Delete", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Log/Resource"}, "Properties": {"LogGroupName": "/bench/app%[1]d", "RetentionInDays": 7}},
"Role%[1]d": {"Type": "AWS::IAM::Role", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Role/Resource"}, "Properties": {"AssumeRolePolicyDocument": {"Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}], "Version": "2012-10-17"}}},
"Policy%[1]d": {"Type": "AWS::IAM::Policy", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Role/DefaultPolicy/Resource"}, "Properties": {"PolicyName": "Policy%[1]d", "Roles": [{"Ref": "Role%[1]d"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::GetAtt": ["Log%[1]d", "Arn"]}}]}}},
"AppTask%[1]d": {"Type": "AWS::ECS::TaskDefinition", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Task/Resource"}, "Properties": {"Family": "app%[1]d", "NetworkMode": "awsvpc", "RequiresCompatibilities": ["FARGATE"], "Cpu": "512", "Memory": "1024", "TaskRoleArn": {"Fn::GetAtt": ["Role%[1]d", "Arn"]}, "ExecutionRoleArn": {"Fn::GetAtt": ["Role%[1]d", "Arn"]}, "ContainerDefinitions": [{"Name": "app", "Essential": true, "Image": {"Fn::Sub": "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/app:%[1]d"}, "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": {"Ref": "Log%[1]d"}, "awslogs-stream-prefix": "app", "awslogs-region": {"Ref": "AWS::Region"}}}, "PortMappings": [{"Name": "app", "ContainerPort": 8080, "Protocol": "tcp", "AppProtocol": "http"}]}]}},
"ClientTask%[1]d": {"Type": "AWS::ECS::TaskDefinition", "Metadata": {"aws:cdk:path": "Bench/Client%[1]d/Task/Resource"}, "Properties": {"Family": "client%[1]d", "NetworkMode": "awsvpc", "RequiresCompatibilities": ["FARGATE"], "Cpu": "512", "Memory": "1024", "TaskRoleArn": {"Fn::GetAtt": ["Role%[1]d", "Arn"]}, "ContainerDefinitions": [{"Name": "client", "Essential": true, "Image": "busybox", "Command": ["sleep", "1000000"]}]}},
"Targets%[1]d": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Targets/Resource"}, "Properties": {"Port": 8080, "Protocol": "HTTP", "TargetType": "ip", "VpcId": {"Ref": "Vpc"}, "HealthCheckPath": "/", "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "90"}, {"Key": "stickiness.enabled", "Value": "false"}]}},
"Rule%[1]d": {"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Rule"}, "Properties": {"ListenerArn": {"Ref": "Http"}, "Priority": %[2]d, "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/app%[1]d/*"]}}], "Actions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets%[1]d"}}]}},
"App%[1]d": {"Type": "AWS::ECS::Service", "DependsOn": ["Rule%[1]d", "Policy%[1]d"], "Metadata": {"aws:cdk:path": "Bench/App%[1]d/Service/Service"}, "Properties": {"Cluster": {"Ref": "Cluster"}, "LaunchType": "FARGATE", "DesiredCount": 2, "TaskDefinition": {"Ref": "AppTask%[1]d"}, "DeploymentConfiguration": {"MinimumHealthyPercent": 100, "MaximumPercent": 200, "DeploymentCircuitBreaker": {"Enable": true, "Rollback": true}}, "NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": "DISABLED", "SecurityGroups": [{"Fn::GetAtt": ["AppSg%[1]d", "GroupId"]}], "Subnets": [{"Ref": "Subnet"}]}}, "LoadBalancers": [{"ContainerName": "app", "ContainerPort": 8080, "TargetGroupArn": {"Ref": "Targets%[1]d"}}], "ServiceConnectConfiguration": {"Enabled": true, "Namespace": {"Fn::GetAtt": ["Space", "Arn"]}, "Services": [{"PortName": "app", "DiscoveryName": "app%[1]d", "ClientAliases": [{"Port": 80}]}]}}},
"Client%[1]d": {"Type": "AWS::ECS::Service", "DependsOn": ["App%[1]d"], "Metadata": {"aws:cdk:path": "Bench/Client%[1]d/Service/Service"}, "Properties": {"Cluster": {"Ref": "Cluster"}, "LaunchType": "FARGATE", "DesiredCount": 1, "TaskDefinition": {"Ref": "ClientTask%[1]d"}, "NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": "DISABLED", "SecurityGroups": [{"Fn::GetAtt": ["ClientSg%[1]d", "GroupId"]}], "Subnets": [{"Ref": "Subnet"}]}}, "ServiceConnectConfiguration": {"Enabled": true, "Namespace": {"Fn::GetAtt": ["Space", "Arn"]}}}}`

const inUnit = 13

// filler makes up the number.
const filler = `,
"Filler%d": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 7}}`

// Template returns a JSON template of exactly n resources, n at least 7,
// laid out as `cdk synth` does, one value per line.
func Template(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"Resources": {` + frame)
	left := n - inFrame
	for i := 1; left >= inUnit; i++ {
		fmt.Fprintf(&b, unit, i, i)
		left -= inUnit
	}
	for i := range left {
		fmt.Fprintf(&b, filler, i)
	}
	b.WriteString("}}\n")
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", " "); err != nil {
		panic(err) // the text above is not JSON
	}
	return out.Bytes()
}

// YAML returns a JSON template as block-style YAML.
func YAML(template []byte) []byte {
	var v any
	if err := json.Unmarshal(template, &v); err != nil {
		panic(err)
	}
	out, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}
