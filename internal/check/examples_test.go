package check

import (
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// example is a change to the healthy fixture on which a rule fires, and a
// near miss on which it must not.
type example struct {
	story string // what the firing template does, for docs/rules.md
	fires func(*topologytest.Fixture)
	quiet func(*topologytest.Fixture)
}

func nothing(*topologytest.Fixture) {}

// examples has an entry for every registered rule; TestEveryRuleHasExamples sees to that.
var examples = map[string]example{
	"override-privileged-port": {
		"`ingressPortOverride: 1024`",
		func(f *topologytest.Fixture) { f.Endpoint().IngressPortOverride = topology.Known(1024) },
		func(f *topologytest.Fixture) {
			f.Endpoint().IngressPortOverride = topology.Known(1025)
			f.AppGroup.Ingress[1] = topologytest.TCP(1025, 1025, topologytest.Group(f.ClientGroup))
		},
	},
	"override-out-of-range": {
		"`ingressPortOverride: 65536`",
		func(f *topologytest.Fixture) { f.Endpoint().IngressPortOverride = topology.Known(65536) },
		func(f *topologytest.Fixture) {
			f.Endpoint().IngressPortOverride = topology.Known(65535)
			f.AppGroup.Ingress[1] = topologytest.TCP(65535, 65535, topologytest.Group(f.ClientGroup))
		},
	},
	"desync-monitored": {
		"`routing.http.desync_mitigation_mode: monitor`",
		func(f *topologytest.Fixture) {
			f.Topology.LoadBalancers[0].Attributes = map[string]topology.Opt[string]{"routing.http.desync_mitigation_mode": topology.Known("monitor")}
		},
		func(f *topologytest.Fixture) {
			f.Topology.LoadBalancers[0].Attributes = map[string]topology.Opt[string]{"routing.http.desync_mitigation_mode": topology.Known("strictest")}
		},
	},
	"value-malformed": {
		"`ingressPortOverride: abc`",
		func(f *topologytest.Fixture) {
			f.Topology.Malformed = []topology.Note{{Origin: f.Server.Origin, Text: `expected an integer, found "abc"`}}
		},
		func(*topologytest.Fixture) {},
	},
	"port-out-of-range": {
		"a client alias on port 65536",
		func(f *topologytest.Fixture) { f.Endpoint().Aliases[0].Port = topology.Known(65536) },
		func(f *topologytest.Fixture) { f.Endpoint().Aliases[0].Port = topology.Known(65535) },
	},
	"override-equals-container-port": {
		"`ingressPortOverride: 8080` on an app that listens on 8080",
		func(f *topologytest.Fixture) {
			f.Mapping().Port = topology.Known(8080)
			f.Server.LoadBalancers[0].Port = topology.Known(8080)
		},
		func(f *topologytest.Fixture) {
			// The same number over UDP is no clash.
			f.App().Ports = append(f.App().Ports, topology.PortMapping{Port: topology.Known(8080), Protocol: topology.Known("udp")})
		},
	},
	"override-collision": {
		"two endpoints with `ingressPortOverride: 8080`",
		func(f *topologytest.Fixture) { f.SecondEndpoint().IngressPortOverride = topology.Known(8080) },
		func(f *topologytest.Fixture) { f.SecondEndpoint().IngressPortOverride = topology.Known(8081) },
	},
	"port-name-unknown": {
		"`PortName: web` and a port mapping named `app`",
		func(f *topologytest.Fixture) { f.Endpoint().PortName = topology.Known("web") },
		func(f *topologytest.Fixture) {
			f.Endpoint().PortName = topology.Known("web")
			f.Mapping().Name = topology.Known("web")
		},
	},
	"timeout-needs-app-protocol": {
		"`PerRequestTimeoutSeconds: 30` without `AppProtocol`",
		func(f *topologytest.Fixture) {
			f.Endpoint().PerRequestSeconds = topology.Known(30)
			f.Mapping().AppProtocol = topology.Opt[string]{}
		},
		func(f *topologytest.Fixture) { f.Endpoint().PerRequestSeconds = topology.Known(30) },
	},
	"unsupported-deployment-controller": {
		"`DeploymentController: {Type: CODE_DEPLOY}`",
		func(f *topologytest.Fixture) { f.Server.DeploymentController = topology.Known("CODE_DEPLOY") },
		func(f *topologytest.Fixture) { f.Server.DeploymentController = topology.Known("ECS") },
	},
	"unsupported-network-mode": {
		"`NetworkMode: host`",
		func(f *topologytest.Fixture) { f.Server.Task.NetworkMode = topology.Known("host") },
		func(f *topologytest.Fixture) { f.Server.Task.NetworkMode = topology.Known("awsvpc") },
	},
	"platform-version-too-old": {
		"`PlatformVersion: 1.3.0`",
		func(f *topologytest.Fixture) { f.Server.PlatformVersion = topology.Known("1.3.0") },
		func(f *topologytest.Fixture) { f.Server.PlatformVersion = topology.Known("LATEST") },
	},
	"task-memory-missing": {
		"a task definition without `Memory`",
		func(f *topologytest.Fixture) { f.Server.Task.MemoryMiB = topology.Opt[int]{} },
		func(f *topologytest.Fixture) { f.Server.Task.MemoryMiB = topology.Unknown[int]("Ref Memory") },
	},
	"namespace-by-ref": {
		"`Namespace: {Ref: Namespace}`",
		func(f *topologytest.Fixture) { f.Server.Connect.NamespaceVia = "id" },
		func(f *topologytest.Fixture) { f.Server.Connect.NamespaceVia = "arn" },
	},
	"name-not-allowed": {
		"`DiscoveryName: App`",
		func(f *topologytest.Fixture) { f.Endpoint().DiscoveryName = topology.Known("App") },
		func(f *topologytest.Fixture) { f.Endpoint().DiscoveryName = topology.Known("app_v2-x") },
	},
	"too-many-aliases": {
		"one endpoint with two client aliases",
		func(f *topologytest.Fixture) {
			f.Endpoint().Aliases = []topology.Alias{{Port: topology.Known(80)}, {Port: topology.Known(81)}}
		},
		func(f *topologytest.Fixture) { f.Endpoint().Aliases = []topology.Alias{{Port: topology.Known(81)}} },
	},
	"load-balancer-port-undeclared": {
		"the service registers the override port 8080 with its target group",
		func(f *topologytest.Fixture) { f.Server.LoadBalancers[0].Port = topology.Known(8080) },
		nothing,
	},
	"target-type-not-ip": {
		"a target group without `TargetType`",
		func(f *topologytest.Fixture) { f.TargetGroup.TargetType = topology.Opt[string]{} },
		func(f *topologytest.Fixture) { f.TargetGroup.TargetType = topology.Unknown[string]("Ref Type") },
	},
	"duplicate-discovery-name": {
		"two services that publish port name `app` in one namespace",
		func(f *topologytest.Fixture) { f.Twin() },
		func(f *topologytest.Fixture) { f.Twin().Connect.Endpoints[0].DiscoveryName = topology.Known("other") },
	},
	"https-without-certificate": {
		"an HTTPS listener without `Certificates`",
		func(f *topologytest.Fixture) { f.HTTPS() },
		func(f *topologytest.Fixture) {
			f.HTTPS().Certificates = []topology.Opt[string]{topology.Known("arn:aws:acm:example")}
		},
	},
	"slow-start-with-least-outstanding": {
		"`slow_start.duration_seconds: 30` with `least_outstanding_requests`",
		func(f *topologytest.Fixture) {
			f.TargetGroup.Attributes = attributes("least_outstanding_requests", "30")
		},
		func(f *topologytest.Fixture) { f.TargetGroup.Attributes = attributes("round_robin", "30") },
	},
	ruleUnusedSuppression: {
		"a suppression of `needless-agent-hop` in override mode",
		func(f *topologytest.Fixture) {
			f.Server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop", Reason: "wanted"}}
		},
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.Server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop", Reason: "wanted"}}
		},
	},
	ruleBareSuppression: {
		"a suppression without `reason`",
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.Server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop"}}
		},
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.Server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop", Reason: "wanted"}}
		},
	},
}

func attributes(algorithm, slow string) map[string]topology.Opt[string] {
	return map[string]topology.Opt[string]{"load_balancing.algorithm.type": topology.Known(algorithm),
		"slow_start.duration_seconds": topology.Known(slow)}
}
