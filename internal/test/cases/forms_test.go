package cases

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The forms: one small deployment that works, a load balancer before a Fargate
// service, and what its parts may look like in templates that people write. The
// truth of each was written down before it was tried.

// form is a change to the deployment.
type form struct {
	name    string
	truth   string
	without string   // resources of the deployment that are left out, by name
	head    string   // what stands before Resources, or for Terraform beside the rest
	add     string   // resources that are added, or stand in the place of those left out
	swap    []string // text of the deployment and what stands in its place
	vars    map[string]string
	// Want and Unknown are a row's.
	want    []string
	unknown bool
}

func (f form) try(t *testing.T, path string) {
	t.Helper()
	r := row{Path: path, Vars: f.vars}
	a, err := ask(r)
	if err != nil {
		t.Fatal(err)
	}
	if a.refused != "" {
		t.Fatalf("%s\nrefused: %s", f.truth, a.refused)
	}
	got, want := slices.Clone(a.found), slices.Clone(f.want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %q\nwant %q", f.truth, got, want)
	}
	if (len(a.unknown) > 0) != f.unknown {
		t.Errorf("%s\nunknown is %v: %q", f.truth, !f.unknown, a.unknown)
	}
}

const templateBase = `
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.1.0.0/16}}
  NetA: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.0.0/24, AvailabilityZone: !Select [0, !GetAZs '']}}
  NetB: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.1.0/24, AvailabilityZone: !Select [1, !GetAZs '']}}
  EdgeGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: edge
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}]
  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 22, ToPort: 22, SourceSecurityGroupId: !Ref EdgeGroup}]
  Open:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}
  Edge:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties: {Scheme: internet-facing, Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref EdgeGroup]}
  Http:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties: {LoadBalancerArn: !Ref Edge, Port: 80, Protocol: HTTP, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Pool}]}
  Pool:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {VpcId: !Ref Vpc, Port: 80, Protocol: HTTP, TargetType: ip}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      NetworkMode: awsvpc
      Cpu: '512'
      Memory: '1024'
      ContainerDefinitions: [{Name: web, Image: nginx, PortMappings: [{ContainerPort: 80}]}]
  Service:
    Type: AWS::ECS::Service
    DependsOn: Http
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      HealthCheckGracePeriodSeconds: 60
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref TaskGroup]}}
      LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref Pool}]
`

func (f form) swapped(text string) string { return strings.NewReplacer(f.swap...).Replace(text) }

// except returns the deployment's text without the named resources: what
// begins with a head of the pattern and its name, up to the next.
func except(text, names string, head *regexp.Regexp) string {
	var b strings.Builder
	at := head.FindAllStringSubmatchIndex(text, -1)
	b.WriteString(text[:at[0][0]])
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if !slices.Contains(strings.Fields(names), text[m[2]:m[3]]) {
			b.WriteString(text[m[0]:end])
		}
	}
	return b.String()
}

var resourceHead = regexp.MustCompile(`(?m)^  ([A-Z]\w*):`)

const closedTask = "error target-ingress-closed TaskGroup"

var templateForms = []form{
	{name: "base", truth: "200"},
	{name: "rule left out", truth: "80 is closed", without: "Open", want: []string{closedTask}},

	// Loops.
	{name: "loop over a parameter's default", truth: "the loop opens 80", without: "Open",
		head: "Transform: AWS::LanguageExtensions\nParameters: {Ports: {Type: CommaDelimitedList, Default: '80,8081'}}\n",
		add: `  Fn::ForEach::Opens: [P, !Ref Ports, {"Open${P}": {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, ` +
			`IpProtocol: tcp, FromPort: !Ref P, ToPort: !Ref P, SourceSecurityGroupId: !Ref EdgeGroup}}}]`},
	{name: "loop over a parameter without a value", truth: "whether the loop opens 80 is for the deployment", without: "Open",
		head: "Transform: AWS::LanguageExtensions\nParameters: {Ports: {Type: CommaDelimitedList}}\n", unknown: true,
		add: `  Fn::ForEach::Opens: [P, !Ref Ports, {"Open${P}": {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, ` +
			`IpProtocol: tcp, FromPort: !Ref P, ToPort: !Ref P, SourceSecurityGroupId: !Ref EdgeGroup}}}]`},
	{name: "loop that opens other ports",
		truth:   "80 is closed",
		without: "Open",
		head:    "Transform: AWS::LanguageExtensions\n",
		want:    []string{closedTask},
		add: `  Fn::ForEach::Opens: [P, ['81', '8081'], {"Open${P}": {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, ` +
			`IpProtocol: tcp, FromPort: !Ref P, ToPort: !Ref P, SourceSecurityGroupId: !Ref EdgeGroup}}}]`},
	{name: "loop in a loop",
		truth:   "one of the four rules opens 80 to the load balancer",
		without: "Open",
		head:    "Transform: AWS::LanguageExtensions\n",
		add: `  Fn::ForEach::Outer:
    - G
    - [EdgeGroup, TaskGroup]
    - Fn::ForEach::Inner:
        - P
        - ['80', '8081']
        - Open${G}${P}:
            Type: AWS::EC2::SecurityGroupIngress
            Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: !Ref P, ToPort: !Ref P, SourceSecurityGroupId: !GetAtt [!Ref G, GroupId]}`},

	// Choices in lists of rules.
	{name: "list of rules by a condition", truth: "80 is open when Public says so", without: "TaskGroup Open", unknown: true,
		head: "Parameters: {Public: {Type: String}}\nConditions: {IsOpen: !Equals [!Ref Public, 'true']}\n",
		add: `  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      SecurityGroupIngress: !If [IsOpen, [{IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}], []]`},
	{name: "a further rule by a condition", truth: "80 is open whatever the condition says", without: "TaskGroup Open",
		head: "Parameters: {Public: {Type: String}}\nConditions: {IsOpen: !Equals [!Ref Public, 'true']}\n",
		add: `  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      SecurityGroupIngress:
        - {IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}
        - !If [IsOpen, {IpProtocol: tcp, FromPort: 443, ToPort: 443, SourceSecurityGroupId: !Ref EdgeGroup}, !Ref AWS::NoValue]`},
	{name: "either of two rules, both for other ports",
		truth:   "80 is closed whatever the condition says",
		without: "TaskGroup Open",
		want:    []string{closedTask},
		head:    "Parameters: {Public: {Type: String}}\nConditions: {IsOpen: !Equals [!Ref Public, 'true']}\n",
		add: `  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      SecurityGroupIngress:
        - !If [IsOpen, {IpProtocol: tcp, FromPort: 443, ToPort: 443, SourceSecurityGroupId: !Ref EdgeGroup}, {IpProtocol: tcp, FromPort: 8443, ToPort: 8443, CidrIp: 10.1.0.0/16}]`},
	{name: "either of two rules, both open", truth: "80 is open whatever the condition says", without: "TaskGroup Open",
		head: "Parameters: {Public: {Type: String}}\nConditions: {IsOpen: !Equals [!Ref Public, 'true']}\n",
		add: `  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      SecurityGroupIngress:
        - !If [IsOpen, {IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}, {IpProtocol: tcp, FromPort: 0, ToPort: 65535, CidrIp: 10.1.0.0/16}]`},
	{name: "either of two lists, both for other ports",
		truth:   "80 is closed whatever the condition says",
		without: "TaskGroup Open",
		want:    []string{closedTask},
		head:    "Parameters: {Public: {Type: String}}\nConditions: {IsOpen: !Equals [!Ref Public, 'true']}\n",
		add: `  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      SecurityGroupIngress: !If [IsOpen, [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 10.1.0.0/16}], [{IpProtocol: tcp, FromPort: 8443, ToPort: 8443, CidrIp: 10.1.0.0/16}]]`},

	// Conditions on resources.
	{name: "one rule or the other, both open", truth: "80 is open either way", without: "Open",
		head: "Parameters: {Stage: {Type: String}}\nConditions: {IsProd: !Equals [!Ref Stage, prod], NotProd: !Not [!Condition IsProd]}\n",
		add: `  OpenA: {Type: AWS::EC2::SecurityGroupIngress, Condition: IsProd, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}}
  OpenB: {Type: AWS::EC2::SecurityGroupIngress, Condition: NotProd, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 10.1.0.0/16}}`},
	{name: "one rule or the other, one for another port", truth: "80 is closed unless IsProd", without: "Open",
		head: "Parameters: {Stage: {Type: String}}\nConditions: {IsProd: !Equals [!Ref Stage, prod], NotProd: !Not [!Condition IsProd]}\n",
		add: `  OpenA: {Type: AWS::EC2::SecurityGroupIngress, Condition: IsProd, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}}
  OpenB: {Type: AWS::EC2::SecurityGroupIngress, Condition: NotProd, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 81, ToPort: 81, CidrIp: 10.1.0.0/16}}`,
		want: []string{"warning target-ingress-closed TaskGroup"}},
	{name: "listeners that exclude one another", truth: "one listener on 80 in every deployment", without: "Http Service",
		head: "Parameters: {Cert: {Type: String}}\nConditions: {Plain: !Equals [!Ref Cert, ''], Secure: !Not [!Equals [!Ref Cert, '']]}\n",
		add: `  Http: {Type: AWS::ElasticLoadBalancingV2::Listener, Condition: Plain, Properties: {LoadBalancerArn: !Ref Edge, Port: 80, Protocol: HTTP, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}
  Redirect: {Type: AWS::ElasticLoadBalancingV2::Listener, Condition: Secure, Properties: {LoadBalancerArn: !Ref Edge, Port: 80, Protocol: HTTP, DefaultActions: [{Type: redirect, RedirectConfig: {Protocol: HTTPS, Port: '443', StatusCode: HTTP_301}}]}}
  Https: {Type: AWS::ElasticLoadBalancingV2::Listener, Condition: Secure, Properties: {LoadBalancerArn: !Ref Edge, Port: 443, Protocol: HTTPS, SslPolicy: ELBSecurityPolicy-TLS13-1-2-2021-06, Certificates: [{CertificateArn: !Ref Cert}], DefaultActions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}
  OpenHttps: {Type: AWS::EC2::SecurityGroupIngress, Condition: Secure, Properties: {GroupId: !Ref EdgeGroup, IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0}}
  Service:
    Type: AWS::ECS::Service
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      HealthCheckGracePeriodSeconds: 60
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref TaskGroup]}}
      LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref Pool}]
      Tags: [{Key: order, Value: !If [Plain, !Ref Http, !Ref Https]}]`},
	{name: "equal priorities that exclude one another by allowed values", truth: "one rule in every deployment",
		head: "Parameters: {Kind: {Type: String, AllowedValues: [a, b]}}\nConditions: {IsA: !Equals [!Ref Kind, a], NotB: !Not [!Equals [!Ref Kind, b]], IsB: !Not [!Condition NotB]}\n",
		add: `  RuleA: {Type: AWS::ElasticLoadBalancingV2::ListenerRule, Condition: IsA, Properties: {ListenerArn: !Ref Http, Priority: 1, Conditions: [{Field: path-pattern, Values: ['/a']}], Actions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}
  RuleB: {Type: AWS::ElasticLoadBalancingV2::ListenerRule, Condition: IsB, Properties: {ListenerArn: !Ref Http, Priority: 1, Conditions: [{Field: path-pattern, Values: ['/b']}], Actions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}`},
	{name: "equal priorities under conditions that may both hold", truth: "refused when both hold",
		head: "Parameters: {Kind: {Type: String}, Size: {Type: String}}\nConditions: {IsA: !Equals [!Ref Kind, a], IsBig: !Equals [!Ref Size, big]}\n",
		add: `  RuleA: {Type: AWS::ElasticLoadBalancingV2::ListenerRule, Condition: IsA, Properties: {ListenerArn: !Ref Http, Priority: 1, Conditions: [{Field: path-pattern, Values: ['/a']}], Actions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}
  RuleB: {Type: AWS::ElasticLoadBalancingV2::ListenerRule, Condition: IsBig, Properties: {ListenerArn: !Ref Http, Priority: 1, Conditions: [{Field: path-pattern, Values: ['/b']}], Actions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}`,
		want: []string{"warning duplicate-rule-priority RuleB"}},
	{name: "nested stack under a condition", truth: "the rule may be made there, or not", without: "Open", unknown: true,
		head: "Parameters: {Kind: {Type: String}}\nConditions: {IsA: !Equals [!Ref Kind, a]}\n",
		add:  `  More: {Type: AWS::CloudFormation::Stack, Condition: IsA, Properties: {TemplateURL: https://bucket.s3.amazonaws.com/more.yaml, Parameters: {Group: !Ref TaskGroup}}}`},

	// Strings and lists.
	{name: "groups through join and split", truth: "80 is closed", without: "Open Service", want: []string{closedTask},
		add: `  Service:
    Type: AWS::ECS::Service
    DependsOn: Http
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      HealthCheckGracePeriodSeconds: 60
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: !Split [',', !Join [',', [!Ref NetA, !Ref NetB]]], SecurityGroups: !Split [',', !Sub '${TaskGroup}']}}
      LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref Pool}]`},
	{name: "ranges by Fn::Cidr", truth: "the rules name the subnets of the load balancer", without: "NetA NetB Open",
		add: `  NetA: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: !Select [0, !Cidr [!GetAtt Vpc.CidrBlock, 4, 8]], AvailabilityZone: !Select [0, !GetAZs '']}}
  NetB: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: !Select [1, !Cidr [!GetAtt Vpc.CidrBlock, 4, 8]], AvailabilityZone: !Select [1, !GetAZs '']}}
  OpenA: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: !Select [0, !Cidr [10.1.0.0/16, 4, 8]]}}
  OpenB: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: !GetAtt NetB.CidrBlock}}`},
	{name: "ranges by Fn::Cidr, others",
		truth:   "the rule names a range without the load balancer",
		without: "Open",
		want:    []string{closedTask},
		add:     `  OpenA: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: !Select [3, !Cidr [!GetAtt Vpc.CidrBlock, 4, 8]]}}`},
	{name: "port from a mapping",
		truth:   "the rule opens 8080",
		without: "Open",
		want:    []string{closedTask},
		head:    "Mappings: {Ports: {web: {listen: 8080}}}\n",
		add:     `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: !FindInMap [Ports, web, listen], ToPort: !FindInMap [Ports, web, listen], SourceSecurityGroupId: !Ref EdgeGroup}}`},
	{name: "port from a mapping by region", truth: "which port is open is for the deployment", without: "Open", unknown: true,
		head: "Mappings: {Ports: {us-east-1: {listen: 8080}, eu-west-1: {listen: 80}}}\n",
		add:  `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: !FindInMap [Ports, !Ref AWS::Region, listen], ToPort: !FindInMap [Ports, !Ref AWS::Region, listen], SourceSecurityGroupId: !Ref EdgeGroup}}`},
	{name: "port from a mapping by region, closed in each",
		truth:   "80 is closed in every region; which other port is open is for the deployment",
		without: "Open",
		unknown: true,
		head:    "Mappings: {Ports: {us-east-1: {listen: 8080}, eu-west-1: {listen: 8081}}}\n",
		add:     `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: !FindInMap [Ports, !Ref AWS::Region, listen], ToPort: !FindInMap [Ports, !Ref AWS::Region, listen], SourceSecurityGroupId: !Ref EdgeGroup}}`},

	// What is not read.
	{name: "include in a group's properties", truth: "the included file may give rules", without: "TaskGroup Open", unknown: true,
		add: `  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: task
      VpcId: !Ref Vpc
      Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://bucket/rules.yaml}}`},
	{name: "a macro over the template",
		truth:   "the macro may add what is missing",
		without: "Open",
		head:    "Transform: [TeamDefaults]\n",
		unknown: true},
	{name: "a nested stack that is given the group", truth: "the stack may open the port", without: "Open", unknown: true,
		add: `  More: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: https://bucket.s3.amazonaws.com/more.yaml, Parameters: {Group: !GetAtt TaskGroup.GroupId}}}`},
	{name: "a port from a custom resource", truth: "which port is open is for the deployment", without: "Open", unknown: true,
		add: `  Chooser: {Type: Custom::Port, Properties: {ServiceToken: 'arn:aws:lambda:eu-west-1:111122223333:function:port'}}
  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: !GetAtt Chooser.Port, ToPort: !GetAtt Chooser.Port, SourceSecurityGroupId: !Ref EdgeGroup}}`},
	{name: "a prefix list", truth: "whether the list has the load balancer's subnets is not in the source", without: "Open", unknown: true,
		add: `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: tcp, FromPort: 80, ToPort: 80, SourcePrefixListId: pl-1234}}`},
	{name: "a target group of another stack", truth: "its listener is there", without: "Pool Http Edge Service",
		add: `  Service:
    Type: AWS::ECS::Service
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      HealthCheckGracePeriodSeconds: 60
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref TaskGroup]}}
      LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !ImportValue pool}]`},
	{name: "a target group that an output gives away", truth: "who nests this template may register targets", without: "Service Task Open",
		head: "Outputs: {Pool: {Value: !Ref Pool}}\n", unknown: true},
	{name: "a fragment whose load balancer is let out to a group of others",
		truth:   "the targets are in the template that includes it",
		without: "Service Task Open TaskGroup",
		head:    "Parameters: {Destination: {Type: String}}\n", unknown: true,
		add: `  Out: {Type: AWS::EC2::SecurityGroupEgress, Properties: {GroupId: !Ref EdgeGroup, IpProtocol: '-1', DestinationSecurityGroupId: !Ref Destination}}`},
	{name: "no targets at all", truth: "503", without: "Service Task Open TaskGroup", want: []string{"warning listener-without-targets Pool"}},
	{name: "a service that waits for a conditional listener",
		truth:   "the listener is before the service where it exists",
		without: "Http Service",
		head:    "Parameters: {Stage: {Type: String}}\nConditions: {IsProd: !Equals [!Ref Stage, prod]}\n",
		add: `  Http: {Type: AWS::ElasticLoadBalancingV2::Listener, Condition: IsProd, Properties: {LoadBalancerArn: !Ref Edge, Port: 80, Protocol: HTTP, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}
  Service:
    Type: AWS::ECS::Service
    Condition: IsProd
    DependsOn: [Http]
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      HealthCheckGracePeriodSeconds: 60
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref TaskGroup]}}
      LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref Pool}]`},
	{name: "UDP behind a network load balancer, checked over TCP",
		truth:   "the health check is TCP, and the group opens UDP only",
		without: "Edge EdgeGroup Http Pool Task Service TaskGroup Open",
		unknown: true, want: []string{"error target-ingress-closed TaskGroup"},
		add: `  TaskGroup: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: task, VpcId: !Ref Vpc, SecurityGroupIngress: [{IpProtocol: udp, FromPort: 53, ToPort: 53, CidrIp: 0.0.0.0/0}]}}
  Edge: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer, Properties: {Type: network, Scheme: internet-facing, Subnets: [!Ref NetA, !Ref NetB]}}
  Udp: {Type: AWS::ElasticLoadBalancingV2::Listener, Properties: {LoadBalancerArn: !Ref Edge, Port: 53, Protocol: UDP, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Pool}]}}
  Pool: {Type: AWS::ElasticLoadBalancingV2::TargetGroup, Properties: {VpcId: !Ref Vpc, Port: 53, Protocol: UDP, TargetType: ip}}
  Task: {Type: AWS::ECS::TaskDefinition, Properties: {NetworkMode: awsvpc, Cpu: '512', Memory: '1024', ContainerDefinitions: [{Name: dns, Image: dns, PortMappings: [{ContainerPort: 53, Protocol: udp}, {ContainerPort: 53}]}]}}
  Service:
    Type: AWS::ECS::Service
    DependsOn: Udp
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      HealthCheckGracePeriodSeconds: 60
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref TaskGroup]}}
      LoadBalancers: [{ContainerName: dns, ContainerPort: 53, TargetGroupArn: !Ref Pool}]`},

	// Ways to write a rule.
	{name: "protocol as a number", truth: "6 is TCP", without: "Open",
		add: `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !GetAtt TaskGroup.GroupId, IpProtocol: 6, FromPort: '80', ToPort: '80', SourceSecurityGroupId: !GetAtt EdgeGroup.GroupId}}`},
	{name: "all protocols", truth: "-1 opens every port", without: "Open",
		add: `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: '-1', SourceSecurityGroupId: !Ref EdgeGroup}}`},
	{name: "UDP only", truth: "80 is closed for TCP", without: "Open", want: []string{closedTask},
		add: `  Open: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref TaskGroup, IpProtocol: udp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}}`},
	{name: "egress of the load balancer closed",
		truth: "the load balancer may send nothing to 80",
		want:  []string{"error alb-egress-closed EdgeGroup"},
		add:   `  Out: {Type: AWS::EC2::SecurityGroupEgress, Properties: {GroupId: !Ref EdgeGroup, IpProtocol: tcp, FromPort: 443, ToPort: 443, DestinationSecurityGroupId: !Ref TaskGroup}}`},
}

func TestTemplateForms(t *testing.T) {
	for _, f := range templateForms {
		t.Run(f.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "t.yaml")
			text := f.head + "Resources:" + f.swapped(except(templateBase, f.without, resourceHead)) + f.add + "\n"
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			f.try(t, path)
		})
	}
}
