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
	"ingress-port-closed": {
		"`ingressPortOverride: 8080`, and the app's group opens only 80",
		func(f *topologytest.Fixture) {
			f.AppGroup.Ingress[1] = topologytest.TCP(80, 80, topologytest.Group(f.ClientGroup))
		},
		func(f *topologytest.Fixture) {
			f.AppGroup.Ingress[1] = topologytest.TCP(8000, 9000, topologytest.CIDR("10.0.0.0/16"))
		},
	},
	"client-egress-closed": {
		"the client's group lets out only 443",
		func(f *topologytest.Fixture) {
			f.ClientGroup.Egress = []topology.Rule{topologytest.TCP(443, 443, topologytest.CIDR("0.0.0.0/0"))}
		},
		func(f *topologytest.Fixture) {
			f.ClientGroup.Egress = []topology.Rule{topologytest.TCP(8080, 8080, topologytest.Group(f.AppGroup)),
				topologytest.TCP(80, 80, topologytest.Group(f.ALBGroup))}
		},
	},
	"alb-ingress-closed": {
		"the listener is on 80, and the load balancer's group opens only 443",
		func(f *topologytest.Fixture) {
			f.ALBGroup.Ingress = []topology.Rule{topologytest.TCP(443, 443, topologytest.CIDR("10.0.0.0/16"))}
		},
		func(f *topologytest.Fixture) {
			f.ALBGroup.Ingress = []topology.Rule{topologytest.TCP(80, 80, topologytest.CIDR("10.0.7.0/24"))}
		},
	},
	"alb-egress-closed": {
		"the load balancer's group has no egress (Terraform without an `egress` block)",
		func(f *topologytest.Fixture) { f.ALBGroup.Egress = nil },
		func(f *topologytest.Fixture) {
			f.ALBGroup.Egress = []topology.Rule{topologytest.TCP(0, 65535, topologytest.CIDR("10.0.0.0/8"))}
		},
	},
	"target-ingress-closed": {
		"the app's group lets in only the clients",
		func(f *topologytest.Fixture) { f.AppGroup.Ingress = f.AppGroup.Ingress[1:] },
		func(f *topologytest.Fixture) {
			f.AppGroup.Ingress[0] = topologytest.TCP(80, 80, topologytest.CIDR("10.0.1.0/24"))
		},
	},
	"health-check-port-closed": {
		"the health check asks 9000, and only 80 is open",
		func(f *topologytest.Fixture) { f.TargetGroup.Health.Port = topology.Known("9000") },
		func(f *topologytest.Fixture) { f.TargetGroup.Health.Port = topology.Known("80") },
	},
	"target-unhealthy": {
		"the health check uses HTTPS against an agent without TLS",
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.TargetGroup.Health.Protocol = topology.Known("HTTPS")
		},
		func(f *topologytest.Fixture) { f.DefaultMode(); f.TargetGroup.Health.Protocol = topology.Known("HTTP") },
	},
	"needless-agent-hop": {
		"a load balancer and Service Connect on the same port, no override, no TLS",
		func(f *topologytest.Fixture) { f.DefaultMode() },
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.Endpoint().TLS = topology.Known(true)
			f.TargetGroup.Protocol, f.TargetGroup.Health.Protocol = topology.Known("HTTPS"), topology.Known("HTTPS")
		},
	},
	"tls-with-http-target-group": {
		"Service Connect TLS in default mode, target group HTTP",
		func(f *topologytest.Fixture) { f.DefaultMode(); f.Endpoint().TLS = topology.Known(true) },
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.Endpoint().TLS = topology.Known(true)
			f.TargetGroup.Protocol, f.TargetGroup.Health.Protocol = topology.Known("HTTPS"), topology.Known("HTTPS")
		},
	},
	"listener-without-targets": {
		"a target group that no service names",
		func(f *topologytest.Fixture) { f.Server.LoadBalancers = nil },
		nothing,
	},
	"path-unknown": {
		"the override is a parameter without a default",
		func(f *topologytest.Fixture) {
			f.Endpoint().IngressPortOverride = topology.Unknown[int]("Ref Override has no value")
		},
		nothing,
	},
	"client-without-dependency": {
		"a client service without `DependsOn`",
		func(f *topologytest.Fixture) { f.Client.After = nil },
		nothing,
	},
	"namespace-mismatch": {
		"the client is in another namespace than the server",
		func(f *topologytest.Fixture) {
			f.Client.Connect.Namespace, f.Client.Connect.NamespaceByID = topology.Known("other"), false
		},
		func(f *topologytest.Fixture) {
			// The same namespace, by its name instead of its ARN.
			f.Client.Connect.Namespace, f.Client.Connect.NamespaceByID = topology.Known("sample-namespace"), false
		},
	},
	"wrong-url-port": {
		"a client with `API_URL=http://app.sample-namespace:8080`",
		func(f *topologytest.Fixture) { f.ClientEnv("API_URL", "http://app.sample-namespace:8080/v1") },
		func(f *topologytest.Fixture) { f.ClientEnv("API_URL", "http://app.sample-namespace/v1") },
	},
	"endpoint-needs-service-connect": {
		"a scheduled task with `API_URL=http://app.sample-namespace`",
		func(f *topologytest.Fixture) {
			d := topologytest.Task("Batch", f.Role.ID)
			d.Containers = []topology.Container{{Name: "batch",
				Environment: map[string]topology.Opt[string]{"API_URL": topology.Known("http://app.sample-namespace")}}}
			f.Standalone = append(f.Standalone, d)
		},
		func(f *topologytest.Fixture) {
			d := topologytest.Task("Batch", f.Role.ID)
			d.Containers = []topology.Container{{Name: "batch",
				Environment: map[string]topology.Opt[string]{"API_URL": topology.Known("http://internal-alb.example")}}}
			f.Standalone = append(f.Standalone, d)
		},
	},
	"app-protocol-unset": {
		"a port mapping without `AppProtocol`",
		func(f *topologytest.Fixture) { f.Mapping().AppProtocol = topology.Opt[string]{} },
		nothing,
	},
	"idle-timeout-cuts-request-timeout": {
		"`IdleTimeoutSeconds: 10` with a per-request timeout of 15 s",
		func(f *topologytest.Fixture) { f.Endpoint().IdleTimeoutSeconds = topology.Known(10) },
		func(f *topologytest.Fixture) { f.Endpoint().IdleTimeoutSeconds = topology.Known(15) },
	},
	"keepalive-shorter-than-idle-timeout": {
		"default mode with `IdleTimeoutSeconds: 30` behind a load balancer with 60 s",
		func(f *topologytest.Fixture) { f.DefaultMode(); f.Endpoint().IdleTimeoutSeconds = topology.Known(30) },
		func(f *topologytest.Fixture) { f.DefaultMode(); f.Endpoint().IdleTimeoutSeconds = topology.Known(300) },
	},
	"tls-with-override": {
		"an endpoint with TLS and `ingressPortOverride: 8080`",
		func(f *topologytest.Fixture) { f.Endpoint().TLS = topology.Known(true) },
		func(f *topologytest.Fixture) { f.Endpoint().TLS = topology.Known(true); f.Server.LoadBalancers = nil },
	},
	"access-log-without-log-configuration": {
		"`AccessLogConfiguration` without `LogConfiguration`",
		func(f *topologytest.Fixture) {
			f.Server.Connect.AccessLog = topology.Known("JSON")
			f.Server.Connect.HasLog = false
		},
		func(f *topologytest.Fixture) { f.Server.Connect.AccessLog = topology.Known("JSON") },
	},
	"two-open-ports": {
		"override mode, and the app's group still opens 80 to the clients",
		func(f *topologytest.Fixture) {
			f.AppGroup.Ingress = append(f.AppGroup.Ingress, topologytest.TCP(80, 80, topologytest.Group(f.ClientGroup)))
		},
		nothing,
	},
	"alias-port-in-rule": {
		"client port 8000, and the app's group opens 8000",
		func(f *topologytest.Fixture) {
			f.Endpoint().Aliases[0].Port = topology.Known(8000)
			f.AppGroup.Ingress = append(f.AppGroup.Ingress, topologytest.TCP(8000, 8000, topologytest.Group(f.ClientGroup)))
		},
		func(f *topologytest.Fixture) { f.Endpoint().Aliases[0].Port = topology.Known(8000) },
	},
	"desired-count-zero": {
		"`DesiredCount: 0`",
		func(f *topologytest.Fixture) { f.Server.DesiredCount = topology.Known(0) },
		func(f *topologytest.Fixture) { f.Server.DesiredCount = topology.Opt[int]{} },
	},
	"world-open-internal-alb": {
		"an internal load balancer with ingress from 0.0.0.0/0",
		func(f *topologytest.Fixture) {
			f.ALBGroup.Ingress[1] = topologytest.TCP(80, 80, topologytest.CIDR("0.0.0.0/0"))
		},
		func(f *topologytest.Fixture) {
			f.ALBGroup.Ingress[1] = topologytest.TCP(80, 80, topologytest.CIDR("0.0.0.0/0"))
			f.ALB.Internal = topology.Known(false)
		},
	},
	"ipv6-rule-on-ipv4-alb": {
		"ingress from ::/0 on an `ipv4` load balancer",
		func(f *topologytest.Fixture) {
			f.ALBGroup.Ingress = append(f.ALBGroup.Ingress, topologytest.TCP(80, 80, topologytest.CIDR("::/0")))
		},
		func(f *topologytest.Fixture) {
			f.ALBGroup.Ingress = append(f.ALBGroup.Ingress, topologytest.TCP(80, 80, topologytest.CIDR("::/0")))
			f.ALB.IPAddressType = topology.Known("dualstack")
		},
	},
	"dualstack-alb-without-ipv6-ingress": {
		"a `dualstack` load balancer with IPv4 rules only",
		func(f *topologytest.Fixture) {
			f.ALB.IPAddressType = topology.Known("dualstack")
			f.ALBGroup.Ingress = []topology.Rule{topologytest.TCP(80, 80, topologytest.CIDR("10.0.0.0/16"))}
		},
		func(f *topologytest.Fixture) { f.ALB.IPAddressType = topology.Known("dualstack") }, // a rule for a group covers both families
	},
	"target-group-without-listener": {
		"a service with a target group that no listener forwards to",
		func(f *topologytest.Fixture) {
			f.Listener.Default = []topology.Action{{Type: "fixed-response", Fixed: &topology.FixedResponse{Status: "404"}}}
		},
		nothing,
	},
	"health-check-matcher-too-wide": {
		"`Matcher: {HttpCode: 200-499}`",
		func(f *topologytest.Fixture) { f.TargetGroup.Health.Matcher = topology.Known("200-499") },
		func(f *topologytest.Fixture) { f.TargetGroup.Health.Matcher = topology.Known("200-399") },
	},
	"health-check-port-undeclared": {
		"the health check asks the override port 8080",
		func(f *topologytest.Fixture) { f.TargetGroup.Health.Port = topology.Known("8080") },
		func(f *topologytest.Fixture) { // the port of an admin interface, opened by a rule of its own
			f.TargetGroup.Health.Port = topology.Known("2020")
			f.AppGroup.Ingress = append(f.AppGroup.Ingress, topologytest.TCP(2020, 2020, topologytest.Group(f.ALBGroup)))
		},
	},
	"grace-period-missing": {
		"a load-balanced service without `HealthCheckGracePeriodSeconds`",
		func(f *topologytest.Fixture) { f.Server.GraceSeconds = topology.Opt[int]{} },
		func(f *topologytest.Fixture) { f.Server.GraceSeconds = topology.Unknown[int]("Ref Grace") },
	},
	"tls-policy-default": {
		"an HTTPS listener without `SslPolicy`",
		func(f *topologytest.Fixture) { f.HTTPS() },
		func(f *topologytest.Fixture) {
			f.HTTPS().SSLPolicy = topology.Known("ELBSecurityPolicy-TLS13-1-2-2021-06")
		},
	},
	"http-not-redirected": {
		"listeners 80 and 443 forward to the same target group",
		func(f *topologytest.Fixture) { f.HTTPS() },
		func(f *topologytest.Fixture) {
			f.HTTPS()
			f.Listener.Default = []topology.Action{{Type: "redirect",
				Redirect: &topology.Redirect{Protocol: "HTTPS", Port: "443", Status: "HTTP_301"}}}
		},
	},
	"egress-order-dependent": {
		"an explicit allow-all egress beside a standalone egress rule",
		func(f *topologytest.Fixture) {
			f.ALBGroup.Conflict = "an explicit allow-all rule stands beside standalone egress rules"
		},
		nothing,
	},
	"no-headroom-for-agent": {
		"a task of 256 CPU units and 512 MiB, whose container takes all of it",
		func(f *topologytest.Fixture) {
			f.Server.Task.CPU, f.Server.Task.MemoryMiB = topology.Known(256), topology.Known(512)
		},
		func(f *topologytest.Fixture) {
			f.Server.Task.CPU, f.Server.Task.MemoryMiB = topology.Known(512), topology.Known(1024)
		},
	},
	"over-wide-task-role": {
		"a task role with `AmazonS3FullAccess`",
		func(f *topologytest.Fixture) {
			f.Role.Managed = []topology.Opt[string]{topology.Known("arn:aws:iam::aws:policy/AmazonS3FullAccess")}
		},
		func(f *topologytest.Fixture) {
			f.Role.Managed = []topology.Opt[string]{topology.Known("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")}
		},
	},
	"exec-without-permissions": {
		"`EnableExecuteCommand: true` and a task role without ssmmessages",
		func(f *topologytest.Fixture) { f.Client.ExecuteCommand = topology.Known(true) },
		func(f *topologytest.Fixture) {
			f.Client.ExecuteCommand = topology.Known(true)
			f.Role.Statements = []topology.Statement{{Actions: []string{"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
				"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"}, Resources: []string{"*"}}}
		},
	},
	"app-bound-to-loopback": {
		"`HOST=127.0.0.1` behind a load balancer in override mode",
		func(f *topologytest.Fixture) {
			f.App().Environment = map[string]topology.Opt[string]{"HOST": topology.Known("127.0.0.1")}
		},
		func(f *topologytest.Fixture) {
			f.DefaultMode()
			f.App().Environment = map[string]topology.Opt[string]{"HOST": topology.Known("127.0.0.1")}
		},
	},
	"port-variable-differs": {
		"`PORT=3000` and container port 80",
		func(f *topologytest.Fixture) {
			f.App().Environment = map[string]topology.Opt[string]{"PORT": topology.Known("3000")}
		},
		func(f *topologytest.Fixture) {
			f.App().Environment = map[string]topology.Opt[string]{"PORT": topology.Known("80")}
		},
	},
	"client-may-take-ipv6": {
		"an nginx with `UPSTREAM=http://app.sample-namespace:80`",
		func(f *topologytest.Fixture) {
			f.Client.Task.Containers[0].Image = topology.Known("public.ecr.aws/nginx/nginx:1.27")
			f.ClientEnv("UPSTREAM", "http://app.sample-namespace:80")
		},
		func(f *topologytest.Fixture) { f.ClientEnv("UPSTREAM", "http://app.sample-namespace:80") },
	},
	"grpc-without-app-protocol": {
		"a port named `grpc` without `AppProtocol`",
		func(f *topologytest.Fixture) {
			f.Mapping().Name, f.Endpoint().PortName = topology.Known("grpc"), topology.Known("grpc")
			f.Mapping().AppProtocol = topology.Opt[string]{}
		},
		func(f *topologytest.Fixture) {
			f.Mapping().Name, f.Endpoint().PortName = topology.Known("grpc"), topology.Known("grpc")
			f.Mapping().AppProtocol = topology.Known("grpc")
		},
	},
	"http-on-a-raw-port": {
		"`AppProtocol: http` on container port 4222",
		func(f *topologytest.Fixture) { f.Mapping().Port = topology.Known(4222) },
		func(f *topologytest.Fixture) {
			f.Mapping().Port, f.Mapping().AppProtocol = topology.Known(4222), topology.Opt[string]{}
		},
	},
	"agent-outlives-keep-alive": {
		"an app from the image `node:22`",
		func(f *topologytest.Fixture) { f.App().Image = topology.Known("node:22") },
		func(f *topologytest.Fixture) {
			f.App().Image = topology.Known("node:22")
			f.Endpoint().IdleTimeoutSeconds = topology.Known(5)
		},
	},
	"blue-green-test-header": {
		"`Strategy: BLUE_GREEN` without `TestTrafficRules`",
		func(f *topologytest.Fixture) { f.Server.Strategy = topology.Known("BLUE_GREEN") },
		func(f *topologytest.Fixture) {
			f.Server.Strategy = topology.Known("BLUE_GREEN")
			f.Endpoint().Aliases[0].TestHeader = topology.Known("x-test")
		},
	},
	"namespace-by-name": {
		"`Namespace: sample-namespace` beside a private DNS namespace of that name",
		func(f *topologytest.Fixture) {
			f.Server.Connect.NamespaceVia = "name"
			f.Namespaces[0].Kind = "private-dns"
		},
		func(f *topologytest.Fixture) { f.Server.Connect.NamespaceVia = "name" },
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
