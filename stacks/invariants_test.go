package stacks

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checkInvariants holds for every template of every combination.
func checkInvariants(t *testing.T, tpl *template) {
	t.Helper()
	checkServices(t, tpl)
	checkLeavesNothing(t, tpl)
	checkRoles(t, tpl)
	checkIngress(t, tpl)
}

// checkServices: deployments end by themselves, the agent logs, and it has
// room in the task.
func checkServices(t *testing.T, tpl *template) {
	t.Helper()
	for id, r := range tpl.of("AWS::ECS::Service") {
		p := r.Properties
		deployment := at(p, "DeploymentConfiguration")
		if at(deployment, "DeploymentCircuitBreaker", "Enable") != true || at(deployment, "DeploymentCircuitBreaker", "Rollback") != true {
			t.Errorf("%s: no circuit breaker with rollback", id)
		}
		if at(deployment, "MinimumHealthyPercent") == nil || at(deployment, "MaximumPercent") == nil {
			t.Errorf("%s: minimum or maximum healthy percent left to CDK", id)
		}
		connect := at(p, "ServiceConnectConfiguration")
		if at(connect, "AccessLogConfiguration", "Format") != "JSON" || at(connect, "LogConfiguration") == nil {
			t.Errorf("%s: the agent writes no JSON access log", id)
		}
		if at(p, "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp") != "DISABLED" {
			t.Errorf("%s: tasks get a public address", id)
		}
		task := tpl.Resources[fmt.Sprint(at(p, "TaskDefinition", "Ref"))]
		if task == nil {
			t.Fatalf("%s: its task definition is not in the template", id)
		}
		checkAgentRoom(t, id, task.Properties)
	}
}

// checkAgentRoom: AWS asks for 256 CPU units and 64 MiB beside the containers.
func checkAgentRoom(t *testing.T, id string, task map[string]any) {
	t.Helper()
	cpu, memory := 0.0, 0.0
	for _, c := range at(task, "ContainerDefinitions").([]any) {
		cpu += at(c, "Cpu").(float64)
		memory += at(c, "Memory").(float64)
	}
	if room := number(t, task["Cpu"]) - cpu; room < 256 {
		t.Errorf("%s leaves the agent %v CPU units, it needs 256", id, room)
	}
	if room := number(t, task["Memory"]) - memory; room < 64 {
		t.Errorf("%s leaves the agent %v MiB, it needs 64", id, room)
	}
}

func number(t *testing.T, v any) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(v.(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkLeavesNothing: cdk destroy removes everything, logs end by themselves.
func checkLeavesNothing(t *testing.T, tpl *template) {
	t.Helper()
	for id, r := range tpl.Resources {
		if strings.HasPrefix(r.DeletionPolicy, "Retain") {
			t.Errorf("%s (%s) outlives its stack: %s", id, r.Type, r.DeletionPolicy)
		}
		if r.Type == "AWS::Logs::LogGroup" || r.Type == "AWS::S3::Bucket" {
			if r.DeletionPolicy != "Delete" {
				t.Errorf("%s (%s) is kept by default", id, r.Type)
			}
		}
		if r.Type == "AWS::Logs::LogGroup" && r.Properties["RetentionInDays"] == nil {
			t.Errorf("%s keeps its lines for ever", id)
		}
	}
}

// allowedActions is all that a policy may name, by the role it belongs to:
// the part of the role's logical id that stays the same.
var allowedActions = map[string][]string{
	"ExecutionRole": {
		"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetAuthorizationToken",
		"logs:CreateLogStream", "logs:PutLogEvents",
	},
	"TaskDefinitionTaskRole": {"s3:PutObject"},
	"MeshTaskRole":           {"s3:PutObject"},
	"TaskRole": {
		"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
		"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
	},
	"VpcRefusedIAMRole": {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", "iam:PassRole"},
	"FanOut": {
		"ecs:RunTask", "ecs:StopTask", "ecs:DescribeTasks", "iam:PassRole",
		"events:DescribeRule", "events:PutRule", "events:PutTargets",
		"states:StartExecution", "states:DescribeExecution", "states:StopExecution", "states:RedriveExecution",
		"s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject",
		"logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
		"logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
	},
}

// managed lists the managed policies that are attached on purpose: Session
// Manager on the nginx host, and the log of CDK's function that empties the bucket.
var managed = []string{"AmazonSSMManagedInstanceCore", "AWSLambdaBasicExecutionRole"}

func checkRoles(t *testing.T, tpl *template) {
	t.Helper()
	checkStops(t, tpl)
	for id, r := range tpl.of("AWS::IAM::Policy") {
		allowed := longestPrefix(allowedActions, id)
		for _, s := range at(r.Properties, "PolicyDocument", "Statement").([]any) {
			for _, action := range list(at(s, "Action")) {
				if !slices.Contains(allowed, action.(string)) {
					t.Errorf("%s allows %v, which nothing needs", id, action)
				}
			}
		}
	}
	for id, r := range tpl.of("AWS::IAM::Role") {
		for _, arn := range list(r.Properties["ManagedPolicyArns"]) {
			text := fmt.Sprint(arn)
			if !slices.ContainsFunc(managed, func(m string) bool { return strings.Contains(text, m) }) {
				t.Errorf("%s has the managed policy %s", id, text)
			}
		}
		if r.Properties["Policies"] != nil {
			t.Errorf("%s has inline policies that this test does not read", id)
		}
	}
}

func longestPrefix(m map[string][]string, id string) []string {
	best := ""
	for prefix := range m {
		if strings.HasPrefix(id, prefix) && len(prefix) > len(best) {
			best = prefix
		}
	}
	return m[best]
}

// list returns a value as a list, as CloudFormation does with single values.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// checkIngress: nothing is open to the world but 80 and 443 of a public edge.
func checkIngress(t *testing.T, tpl *template) {
	t.Helper()
	public := false
	for _, r := range tpl.of("AWS::ElasticLoadBalancingV2::LoadBalancer") {
		public = public || r.Properties["Scheme"] == "internet-facing"
	}
	for id, r := range tpl.of("AWS::EC2::SecurityGroup") {
		for _, rule := range list(r.Properties["SecurityGroupIngress"]) {
			anywhere := at(rule, "CidrIp") == "0.0.0.0/0" || at(rule, "CidrIpv6") == "::/0"
			from, to := at(rule, "FromPort"), at(rule, "ToPort")
			if anywhere && !(public && from == to && (from == 80.0 || from == 443.0)) {
				t.Errorf("%s is open to the world on %v to %v", id, from, to)
			}
		}
	}
	for id, r := range tpl.of("AWS::EC2::SecurityGroupIngress") {
		if !regexp.MustCompile(`^(Alb|Client)Into[A-Za-z]*App$`).MatchString(id) {
			t.Errorf("an ingress rule of its own, %s, that newArm does not make: CDK added it, or it belongs into a group", id)
		}
		if at(r.Properties, "SourceSecurityGroupId") == nil {
			t.Errorf("%s lets in others than a group", id)
		}
	}
}

// checkStops: a role that may stop any task is denied those of other clusters.
func checkStops(t *testing.T, tpl *template) {
	t.Helper()
	for id, r := range tpl.of("AWS::IAM::Policy") {
		allowed, denied := false, false
		for _, s := range at(r.Properties, "PolicyDocument", "Statement").([]any) {
			if !slices.Contains(list(at(s, "Action")), any("ecs:StopTask")) || !slices.Contains(list(at(s, "Resource")), any("*")) {
				continue
			}
			switch at(s, "Effect") {
			case "Allow":
				allowed = true
			case "Deny":
				denied = at(s, "Condition", "ArnNotEquals", "ecs:cluster") != nil
			}
		}
		if allowed && !denied {
			t.Errorf("%s may stop every task of the account", id)
		}
	}
}
