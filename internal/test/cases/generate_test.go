package cases

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// writer writes the resources of a template.
type writer struct {
	b strings.Builder
	r *rand.Rand
}

func (w *writer) res(id, typ, extra string, props ...string) {
	fmt.Fprintf(&w.b, "  %s:\n    Type: %s\n", id, typ)
	if extra != "" {
		fmt.Fprintf(&w.b, "    %s\n", extra)
	}
	fmt.Fprintf(&w.b, "    Properties: {%s}\n", strings.Join(props, ", "))
}

func (w *writer) maybe(p float64) bool { return w.r.Float64() < p }

// generated returns a sound template: every path in it is open, and nothing in
// it is refused.
func generated(r *rand.Rand) []byte {
	w := &writer{r: r}
	w.b.WriteString("Resources:\n")
	w.res("Vpc", "AWS::EC2::VPC", "", "CidrBlock: 10.1.0.0/16")
	for i, n := range []string{"NetA", "NetB"} {
		w.res(n, "AWS::EC2::Subnet", "", "VpcId: !Ref Vpc", fmt.Sprintf("CidrBlock: 10.1.%d.0/24", i))
	}
	public := ""
	if w.maybe(0.3) {
		public = ", AssignPublicIp: ENABLED"
		w.res("Gate", "AWS::EC2::InternetGateway", "")
		w.res("Table", "AWS::EC2::RouteTable", "", "VpcId: !Ref Vpc")
		w.res("Out", "AWS::EC2::Route", "", "RouteTableId: !Ref Table", "DestinationCidrBlock: 0.0.0.0/0", "GatewayId: !Ref Gate")
		w.res("OnA", "AWS::EC2::SubnetRouteTableAssociation", "", "SubnetId: !Ref NetA", "RouteTableId: !Ref Table")
		w.res("OnB", "AWS::EC2::SubnetRouteTableAssociation", "", "SubnetId: !Ref NetB", "RouteTableId: !Ref Table")
	}
	w.res("Space", "AWS::ServiceDiscovery::PrivateDnsNamespace", "", "Name: shop.local", "Vpc: !Ref Vpc")
	if w.maybe(0.3) {
		w.res("Cluster", "AWS::ECS::Cluster", "", "ServiceConnectDefaults: {Namespace: !GetAtt Space.Arn}")
	} else {
		w.res("Cluster", "AWS::ECS::Cluster", "")
	}
	w.res("EdgeGroup", "AWS::EC2::SecurityGroup", "", "GroupDescription: edge", "VpcId: !Ref Vpc",
		"SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}]")
	w.res("Edge", "AWS::ElasticLoadBalancingV2::LoadBalancer", "", "Scheme: internet-facing", "Subnets: [!Ref NetA, !Ref NetB]", "SecurityGroups: [!Ref EdgeGroup]")
	backs := 1 + r.IntN(3)
	def := "[{Type: fixed-response, FixedResponseConfig: {StatusCode: '404'}}]"
	whole := w.maybe(0.4)
	if whole {
		def = "[{Type: forward, TargetGroupArn: !Ref Pool0}]"
	}
	w.res("Http", "AWS::ElasticLoadBalancingV2::Listener", "", "LoadBalancerArn: !Ref Edge", "Port: 80", "Protocol: HTTP", "DefaultActions: "+def)
	w.res("TillGroup", "AWS::EC2::SecurityGroup", "", "GroupDescription: till", "VpcId: !Ref Vpc")
	var after, env []string
	for i := range backs {
		w.back(i, whole, public)
		after = append(after, fmt.Sprintf("Back%d", i))
		env = append(env, fmt.Sprintf("{Name: URL%d, Value: 'http://back%d:8080'}", i, i))
		if w.maybe(0.3) {
			env = append(env, fmt.Sprintf("{Name: DNS%d, Value: 'http://dns%d.shop.local:%d'}", i, i, 3000+i))
		}
	}
	w.task("TillTask", "till", "", "Environment: ["+strings.Join(env, ", ")+"]")
	w.res("Till", "AWS::ECS::Service", "DependsOn: ["+strings.Join(after, ", ")+"]", "Cluster: !Ref Cluster", "LaunchType: FARGATE", "DesiredCount: 1",
		"TaskDefinition: !Ref TillTask", network("TillGroup", public), "ServiceConnectConfiguration: {Enabled: true, Namespace: !GetAtt Space.Arn}")
	if w.maybe(0.3) {
		w.fleet()
	}
	return []byte(w.b.String())
}

func network(group, public string) string {
	return fmt.Sprintf("NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref NetA, !Ref NetB], SecurityGroups: [!Ref %s]%s}}", group, public)
}

func (w *writer) task(id, name, ports string, more ...string) {
	props := append([]string{"Name: " + name, "Image: nginx", "Cpu: 256", "Memory: 512"}, more...)
	if ports != "" {
		props = append(props, ports)
	}
	w.res(id, "AWS::ECS::TaskDefinition", "", "NetworkMode: awsvpc", "Cpu: '1024'", "Memory: '2048'", "Family: "+name,
		"ContainerDefinitions: [{"+strings.Join(props, ", ")+"}]")
}

// back writes a service behind a rule of the listener, with an endpoint that
// the client calls and a name in Cloud Map.
func (w *writer) back(i int, whole bool, public string) {
	port := 3000 + i
	ingress, override := port, ""
	if w.maybe(0.5) {
		ingress, override = 9000+i, fmt.Sprintf(", IngressPortOverride: %d", 9000+i)
	}
	rules := []string{
		fmt.Sprintf("IpProtocol: tcp, FromPort: %d, ToPort: %d, SourceSecurityGroupId: !Ref EdgeGroup", port, port),
		fmt.Sprintf("IpProtocol: tcp, FromPort: %d, ToPort: %d, SourceSecurityGroupId: !Ref TillGroup", ingress, ingress),
		fmt.Sprintf("IpProtocol: tcp, FromPort: %d, ToPort: %d, SourceSecurityGroupId: !Ref TillGroup", port, port),
	}
	group := fmt.Sprintf("Group%d", i)
	props := []string{"GroupDescription: back", "VpcId: !Ref Vpc"}
	if inline := w.maybe(0.5); inline {
		w.res(group, "AWS::EC2::SecurityGroup", "", append(props, "SecurityGroupIngress: [{"+strings.Join(rules, "}, {")+"}]")...)
	} else {
		w.res(group, "AWS::EC2::SecurityGroup", "", props...)
		for k, rule := range rules {
			w.res(fmt.Sprintf("In%dx%d", i, k), "AWS::EC2::SecurityGroupIngress", "", "GroupId: !Ref "+group, rule)
		}
	}
	w.res(fmt.Sprintf("Pool%d", i), "AWS::ElasticLoadBalancingV2::TargetGroup", "", "VpcId: !Ref Vpc", fmt.Sprintf("Port: %d", port), "Protocol: HTTP", "TargetType: ip")
	wait := "DependsOn: Http"
	if i > 0 || !whole {
		wait = fmt.Sprintf("DependsOn: Rule%d", i)
		w.res(fmt.Sprintf("Rule%d", i), "AWS::ElasticLoadBalancingV2::ListenerRule", "", "ListenerArn: !Ref Http", fmt.Sprintf("Priority: %d", i+1),
			fmt.Sprintf("Conditions: [{Field: path-pattern, Values: ['/back%d/*']}]", i), fmt.Sprintf("Actions: [{Type: forward, TargetGroupArn: !Ref Pool%d}]", i))
	}
	w.task(fmt.Sprintf("Task%d", i), fmt.Sprintf("back%d", i), fmt.Sprintf("PortMappings: [{Name: http, ContainerPort: %d, AppProtocol: http}]", port))
	w.res(fmt.Sprintf("Record%d", i), "AWS::ServiceDiscovery::Service", "", fmt.Sprintf("Name: dns%d", i), "DnsConfig: {NamespaceId: !Ref Space, DnsRecords: [{Type: A, TTL: 10}]}")
	w.res(fmt.Sprintf("Back%d", i), "AWS::ECS::Service", wait, "Cluster: !Ref Cluster", "LaunchType: FARGATE", "DesiredCount: 1", "HealthCheckGracePeriodSeconds: 60",
		fmt.Sprintf("TaskDefinition: !Ref Task%d", i), network(group, public),
		fmt.Sprintf("LoadBalancers: [{ContainerName: back%d, ContainerPort: %d, TargetGroupArn: !Ref Pool%d}]", i, port, i),
		fmt.Sprintf("ServiceRegistries: [{RegistryArn: !GetAtt Record%d.Arn}]", i),
		fmt.Sprintf("ServiceConnectConfiguration: {Enabled: true, Namespace: !GetAtt Space.Arn, Services: [{PortName: http, DiscoveryName: back%d, ClientAliases: [{Port: 8080, DnsName: back%d}]%s}]}", i, i, override))
}

// fleet writes an Auto Scaling group as the targets of one more rule, and a
// service in bridge mode on its instances.
func (w *writer) fleet() {
	w.res("NodeGroup", "AWS::EC2::SecurityGroup", "", "GroupDescription: nodes", "VpcId: !Ref Vpc",
		"SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, SourceSecurityGroupId: !Ref EdgeGroup}, {IpProtocol: tcp, FromPort: 32768, ToPort: 65535, SourceSecurityGroupId: !Ref EdgeGroup}]")
	w.res("NodeTemplate", "AWS::EC2::LaunchTemplate", "", "LaunchTemplateData: {ImageId: ami-0, SecurityGroupIds: [!Ref NodeGroup]}")
	w.res("OldPool", "AWS::ElasticLoadBalancingV2::TargetGroup", "", "VpcId: !Ref Vpc", "Port: 80", "Protocol: HTTP")
	w.res("Nodes", "AWS::AutoScaling::AutoScalingGroup", "", "MinSize: '1'", "MaxSize: '2'", "VPCZoneIdentifier: [!Ref NetA, !Ref NetB]",
		"TargetGroupARNs: [!Ref OldPool]", "LaunchTemplate: {LaunchTemplateId: !Ref NodeTemplate, Version: !GetAtt NodeTemplate.LatestVersionNumber}")
	w.res("OldRule", "AWS::ElasticLoadBalancingV2::ListenerRule", "", "ListenerArn: !Ref Http", "Priority: 50",
		"Conditions: [{Field: path-pattern, Values: ['/old/*']}]", "Actions: [{Type: forward, TargetGroupArn: !Ref OldPool}]")
	w.res("BridgePool", "AWS::ElasticLoadBalancingV2::TargetGroup", "", "VpcId: !Ref Vpc", "Port: 80", "Protocol: HTTP", "TargetType: instance")
	w.res("BridgeRule", "AWS::ElasticLoadBalancingV2::ListenerRule", "", "ListenerArn: !Ref Http", "Priority: 51",
		"Conditions: [{Field: path-pattern, Values: ['/bridge/*']}]", "Actions: [{Type: forward, TargetGroupArn: !Ref BridgePool}]")
	w.res("BridgeTask", "AWS::ECS::TaskDefinition", "", "NetworkMode: bridge", "Family: bridge",
		"ContainerDefinitions: [{Name: web, Image: nginx, Memory: 256, PortMappings: [{ContainerPort: 80, HostPort: 0}]}]")
	w.res("Bridge", "AWS::ECS::Service", "DependsOn: BridgeRule", "Cluster: !Ref Cluster", "LaunchType: EC2", "DesiredCount: 1", "HealthCheckGracePeriodSeconds: 60",
		"TaskDefinition: !Ref BridgeTask", "LoadBalancers: [{ContainerName: web, ContainerPort: 80, TargetGroupArn: !Ref BridgePool}]")
}
