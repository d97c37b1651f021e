package differential_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/differential"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// orders has rules that contain one another, a rule and a default action that no
// request reaches, and a URL that names nobody.
const orders = `
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.1.0.0/16}}
  Net: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.0.0/24}}
  EdgeGroup:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: e, VpcId: !Ref Vpc, SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}]}
  TaskGroup:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: t, VpcId: !Ref Vpc, SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}]}
  Edge: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer, Properties: {Scheme: internal, Subnets: [!Ref Net], SecurityGroups: [!Ref EdgeGroup]}}
  Empty: {Type: AWS::ElasticLoadBalancingV2::TargetGroup, Properties: {VpcId: !Ref Vpc, Port: 80, Protocol: HTTP, TargetType: ip}}
  Pool: {Type: AWS::ElasticLoadBalancingV2::TargetGroup, Properties: {VpcId: !Ref Vpc, Port: 80, Protocol: HTTP, TargetType: ip}}
  Http:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties: {LoadBalancerArn: !Ref Edge, Port: 80, Protocol: HTTP, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Empty}]}
%s
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      NetworkMode: awsvpc
      Cpu: '512'
      Memory: '1024'
      ContainerDefinitions: [{Name: web, Image: x, Environment: [{Name: A_URL, Value: 'http://nobody:80'}], PortMappings: [{ContainerPort: 80}]}]
  Service:
    Type: AWS::ECS::Service
    DependsOn: All
    Properties:
      LaunchType: FARGATE
      DesiredCount: 1
      TaskDefinition: !Ref Task
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref Net], SecurityGroups: [!Ref TaskGroup]}}
      LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref Pool}]
`

// TestListenerOrder holds explain's order of a listener's rules against the
// lab's load balancer, and a name that nobody has against its resolver.
func TestListenerOrder(t *testing.T) {
	layer.Full(t, "starts a lab")
	app, self := labtest.Programs(t)
	rule := func(id string, priority int, path, status string) string {
		action := fmt.Sprintf("{Type: fixed-response, FixedResponseConfig: {StatusCode: '%s'}}", status)
		if status == "" {
			action = "{Type: forward, TargetGroupArn: !Ref Pool}"
		}
		return fmt.Sprintf("  %s:\n    Type: AWS::ElasticLoadBalancingV2::ListenerRule\n    Properties: {ListenerArn: !Ref Http, Priority: %d, "+
			"Conditions: [{Field: path-pattern, Values: ['%s']}], Actions: [%s]}\n", id, priority, path, action)
	}
	rules := rule("Exact", 1, "/", "401") + rule("X", 2, "/x", "402") + rule("Deep", 5, "/shop/new/*", "403") + rule("Shop", 10, "/shop/*", "405") +
		rule("Never", 20, "/shop/old/*", "406") + rule("All", 30, "/*", "")
	top := cfntest.Parse(t, "orders.yaml", fmt.Appendf(nil, orders, rules))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	rows, err := differential.Compare(ctx, top, differential.Options{
		App: []string{app}, Node: []string{self, "node"}, Fabric: *fabric, Scale: 4, Seed: 1, Dir: filepath.Join(t.TempDir(), "lab"),
		Reach: reach.Options{App: func(*topology.Service) reach.App {
			return reach.App{Status: 404, Body: "404 page not found\n", Paths: map[string]int{"/": 200}}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	compared, nothing, named := 0, 0, false
	for _, row := range rows {
		switch {
		case strings.HasPrefix(row.Skipped, "there is nothing to call"):
			nothing++
		case row.Skipped != "":
			t.Logf("%s: %s", row.ID, row.Skipped)
		case row.Differs != "":
			t.Errorf("%s: %s\n  predicted %s\n  observed  %s\n  differs:  %s", row.ID, row.What, row.Predicted, row.Observed, row.Differs)
		default:
			compared++
			named = named || strings.HasPrefix(row.ID, "url/")
		}
	}
	if compared < 6 || nothing != 2 || !named {
		t.Errorf("%d compared, %d that no request reaches, a name among them: %v", compared, nothing, named)
	}
}
