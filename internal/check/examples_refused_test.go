package check

import (
	"maps"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// The examples of what AWS refuses, and of names.
func init() {
	maps.Copy(examples, map[string]example{
		"network-mode-missing": {
			"a task definition without `NetworkMode`",
			func(f *topologytest.Fixture) { f.Server.Task.NetworkMode = topology.Opt[string]{} },
			func(f *topologytest.Fixture) { f.Server.Task.NetworkMode = topology.Unknown[string]("Ref Mode") },
		},
		"host-port-differs": {
			"`ContainerPort: 80` with `HostPort: 8080` in awsvpc",
			func(f *topologytest.Fixture) { f.Mapping().HostPort = topology.Known(8080) },
			func(f *topologytest.Fixture) { f.Mapping().HostPort = topology.Known(80) },
		},
		"grace-period-without-load-balancer": {
			"`HealthCheckGracePeriodSeconds: 60` on a service without `LoadBalancers`",
			func(f *topologytest.Fixture) { f.Client.GraceSeconds = topology.Known(60) },
			func(f *topologytest.Fixture) { f.Client.GraceSeconds = topology.Known(0) },
		},
		"listener-after-service": {
			"a service without `DependsOn: Listener`",
			func(f *topologytest.Fixture) { f.Server.BeforeListeners = []topology.ID{f.Listener.ID} },
			func(f *topologytest.Fixture) {
				f.Server.BeforeListeners = []topology.ID{f.Listener.ID}
				f.TargetGroup.OpenForwards = "a nested stack"
			},
		},
		"fargate-network-mode": {
			"a Fargate service whose task definition has `NetworkMode: bridge`",
			func(f *topologytest.Fixture) { f.Client.Task.NetworkMode = topology.Known("bridge") },
			func(f *topologytest.Fixture) { f.Client.Task.NetworkMode = topology.Unknown[string]("Ref Mode") },
		},
		"network-configuration-missing": {
			"a service without `NetworkConfiguration`",
			func(f *topologytest.Fixture) { f.Client.Subnets, f.Client.Groups = nil, nil },
			func(f *topologytest.Fixture) {
				f.Client.Subnets, f.Client.Groups = nil, nil
				f.Client.DeploymentController = topology.Known("EXTERNAL")
			},
		},
		"execution-role-missing": {
			"a Fargate task with `LogDriver: awslogs` and no `ExecutionRoleArn`",
			func(f *topologytest.Fixture) { logging(f, topology.Opt[topology.ID]{}) },
			func(f *topologytest.Fixture) { logging(f, topology.Unknown[topology.ID]("Ref Role")) },
		},
		"namespace-missing": {
			"`ServiceConnectConfiguration: {Enabled: true}` in a cluster without a default namespace",
			func(f *topologytest.Fixture) {
				f.Client.Connect.Namespace, f.Client.Connect.NoNamespace = topology.Opt[string]{}, true
			},
			func(f *topologytest.Fixture) {
				f.Client.Connect.Namespace = topology.Unknown[string]("the cluster is elsewhere")
			},
		},
		"duplicate-listener-port": {
			"two listeners on port 80",
			func(f *topologytest.Fixture) { listenAgain(f, 80) },
			func(f *topologytest.Fixture) { listenAgain(f, 81) },
		},
		"no-way-to-registry": {
			"Fargate in a public subnet with `AssignPublicIp: DISABLED`",
			func(f *topologytest.Fixture) { f.Subnets[0].Public = topology.Known(true) },
			func(f *topologytest.Fixture) {
				f.Subnets[0].Public, f.VPCs[0].OtherWay = topology.Known(true), "an endpoint"
			},
		},
		"duplicate-rule-priority": {
			"two rules with `Priority: 1` on one listener",
			func(f *topologytest.Fixture) { prioritised(f, 1, 1) },
			func(f *topologytest.Fixture) { prioritised(f, 1, 2) },
		},
		"grpc-without-https": {
			"`ProtocolVersion: GRPC` behind an HTTP listener",
			func(f *topologytest.Fixture) { f.TargetGroup.ProtocolVersion = topology.Known("GRPC") },
			func(f *topologytest.Fixture) {
				f.TargetGroup.ProtocolVersion, f.Listener.Protocol = topology.Known("GRPC"), topology.Known("HTTPS")
			},
		},
		"health-check-timeout-too-long": {
			"an interval of 10 s with a timeout of 10 s",
			func(f *topologytest.Fixture) { times(f, 10, 10) },
			func(f *topologytest.Fixture) { times(f, 10, 9) },
		},
		"vpc-differs": {
			"a service in the subnets of one VPC with a security group of another",
			func(f *topologytest.Fixture) { f.ClientGroup.VPC = topology.Known(otherVPC(f).ID) },
			func(f *topologytest.Fixture) {
				otherVPC(f)
				f.ClientGroup.VPC = topology.Known(topology.ID("vpc-0123"))
			},
		},
		"protocol-of-other-load-balancer": {
			"`Protocol: TCP` of a target group behind an Application Load Balancer",
			func(f *topologytest.Fixture) { f.TargetGroup.Protocol = topology.Known("TCP") },
			func(f *topologytest.Fixture) { f.TargetGroup.Protocol = topology.Unknown[string]("Ref Protocol") },
		},
		"health-check-path-relative": {
			"`HealthCheckPath: health`",
			func(f *topologytest.Fixture) { f.TargetGroup.Health.Path = topology.Known("health") },
			func(f *topologytest.Fixture) { f.TargetGroup.Health.Path = topology.Known("/health") },
		},
		"namespace-created-twice": {
			"a cluster with `ServiceConnectDefaults: {Namespace: sample-namespace}` beside the namespace of that name",
			func(f *topologytest.Fixture) { cluster(f, "AWS::ECS::Cluster") },
			func(f *topologytest.Fixture) { cluster(f, "AWS::ECS::Cluster").After = []topology.ID{"Main/Namespace"} },
		},
		"cluster-default-by-name": {
			"`service_connect_defaults { namespace = \"sample-namespace\" }`",
			func(f *topologytest.Fixture) { cluster(f, "aws_ecs_cluster") },
			func(f *topologytest.Fixture) { cluster(f, "aws_ecs_cluster").DefaultVia = "arn" },
		},
		"unknown-protocol": {
			"`IpProtocol: http`",
			func(f *topologytest.Fixture) { f.AppGroup.Ingress[0].Protocol = "http" },
			func(f *topologytest.Fixture) { f.AppGroup.Ingress[0].Protocol = "50" },
		},
		"name-unresolved": {
			"a client with `SERVER_URL=http://app:80`, when the endpoint is called app.sample-namespace",
			func(f *topologytest.Fixture) { f.ClientEnv("SERVER_URL", "http://app:80") },
			func(f *topologytest.Fixture) {
				f.ClientEnv("SERVER_URL", "http://app:80")
				f.OpenServices = "a nested stack"
			},
		},
		"dns-port-closed": {
			"a client with `SERVER_URL=http://app.internal:80`, a Cloud Map name, when the app's group lets the client in on 8080 alone",
			func(f *topologytest.Fixture) { cloudMap(f, "http://app.internal:80") },
			func(f *topologytest.Fixture) { cloudMap(f, "http://app.internal:8080") },
		},
	})
}

func otherVPC(f *topologytest.Fixture) *topology.VPC {
	v := &topology.VPC{Origin: topologytest.Origin("Other", "AWS::EC2::VPC")}
	f.VPCs = append(f.VPCs, v)
	return v
}

func prioritised(f *topologytest.Fixture, priorities ...int) {
	for i, n := range priorities {
		path := []string{"/a/*", "/b/*"}[i]
		f.Listener.Rules = append(f.Listener.Rules, &topology.ListenerRule{
			Origin:     topologytest.Origin([]string{"RuleA", "RuleB"}[i], "AWS::ElasticLoadBalancingV2::ListenerRule"),
			Priority:   topology.Known(n),
			Conditions: []topology.Condition{{Field: "path-pattern", Values: []topology.Opt[string]{topology.Known(path)}}},
			Actions:    f.Listener.Default,
		})
	}
}

func times(f *topologytest.Fixture, interval, timeout int) {
	f.TargetGroup.Health.IntervalSeconds, f.TargetGroup.Health.TimeoutSeconds = topology.Known(interval), topology.Known(timeout)
}

func cluster(f *topologytest.Fixture, typ string) *topology.Cluster {
	k := &topology.Cluster{Origin: topologytest.Origin("Cluster", typ), DefaultVia: "name", DefaultName: "sample-namespace"}
	f.Clusters = append(f.Clusters, k)
	return k
}

func cloudMap(f *topologytest.Fixture, url string) {
	f.Records = []*topology.Record{{
		Origin: topologytest.Origin("Record", "AWS::ServiceDiscovery::Service"), Name: topology.Known("app.internal"),
	}}
	f.Server.Registries = []topology.ID{"Main/Record"}
	f.ClientEnv("SERVER_URL", url)
}

func logging(f *topologytest.Fixture, role topology.Opt[topology.ID]) {
	f.Server.Task.Fargate, f.Server.Task.ExecRole = true, role
	f.Server.Task.Containers[0].LogDriver = topology.Known("awslogs")
}

func listenAgain(f *topologytest.Fixture, port int) {
	again := *f.Listener
	again.Origin = topologytest.Origin("Again", "AWS::ElasticLoadBalancingV2::Listener")
	again.Port = topology.Known(port)
	f.ALB.Listeners = append(f.ALB.Listeners, &again)
	f.ALBGroup.Ingress[0].From, f.ALBGroup.Ingress[0].To = 80, 81
}
