package reach

import (
	"slices"

	"github.com/hoplab/hoplab/internal/topology"
)

// example is a change to the healthy fixture on which a rule fires, and a
// near miss on which it must not.
type example struct {
	story string // what the firing template does, for docs/rules.md
	fires func(*fixture)
	quiet func(*fixture)
}

func nothing(*fixture) {}

// examples has an entry for every registered rule; TestEveryRuleHasExamples sees to that.
var examples = map[string]example{
	"override-privileged-port": {
		"`ingressPortOverride: 1024`",
		func(f *fixture) { f.endpoint().IngressPortOverride = known(1024) },
		func(f *fixture) {
			f.endpoint().IngressPortOverride = known(1025)
			f.appSG.Ingress[1] = tcp(1025, 1025, group(f.clientSG))
		},
	},
	"override-out-of-range": {
		"`ingressPortOverride: 65536`",
		func(f *fixture) { f.endpoint().IngressPortOverride = known(65536) },
		func(f *fixture) {
			f.endpoint().IngressPortOverride = known(65535)
			f.appSG.Ingress[1] = tcp(65535, 65535, group(f.clientSG))
		},
	},
	"override-equals-container-port": {
		"`ingressPortOverride: 8080` on an app that listens on 8080",
		func(f *fixture) { f.mapping().Port = known(8080); f.server.LoadBalancers[0].Port = known(8080) },
		func(f *fixture) {
			// The same number over UDP is no clash.
			f.app().Ports = append(f.app().Ports, topology.PortMapping{Port: known(8080), Protocol: known("udp")})
		},
	},
	"override-collision": {
		"two endpoints with `ingressPortOverride: 8080`",
		func(f *fixture) { f.secondEndpoint().IngressPortOverride = known(8080) },
		func(f *fixture) { f.secondEndpoint().IngressPortOverride = known(8081) },
	},
	"port-name-unknown": {
		"`PortName: web` and a port mapping named `app`",
		func(f *fixture) { f.endpoint().PortName = known("web") },
		func(f *fixture) { f.endpoint().PortName = known("web"); f.mapping().Name = known("web") },
	},
	"timeout-needs-app-protocol": {
		"`PerRequestTimeoutSeconds: 30` without `AppProtocol`",
		func(f *fixture) {
			f.endpoint().PerRequestSeconds = known(30)
			f.mapping().AppProtocol = topology.Opt[string]{}
		},
		func(f *fixture) { f.endpoint().PerRequestSeconds = known(30) },
	},
	"unsupported-deployment-controller": {
		"`DeploymentController: {Type: CODE_DEPLOY}`",
		func(f *fixture) { f.server.DeploymentController = known("CODE_DEPLOY") },
		func(f *fixture) { f.server.DeploymentController = known("ECS") },
	},
	"unsupported-network-mode": {
		"`NetworkMode: host`",
		func(f *fixture) { f.server.Task.NetworkMode = known("host") },
		func(f *fixture) { f.server.Task.NetworkMode = known("awsvpc") },
	},
	"platform-version-too-old": {
		"`PlatformVersion: 1.3.0`",
		func(f *fixture) { f.server.PlatformVersion = known("1.3.0") },
		func(f *fixture) { f.server.PlatformVersion = known("LATEST") },
	},
	"task-memory-missing": {
		"a task definition without `Memory`",
		func(f *fixture) { f.server.Task.MemoryMiB = topology.Opt[int]{} },
		func(f *fixture) { f.server.Task.MemoryMiB = topology.Unknown[int]("Ref Memory") },
	},
	"namespace-by-ref": {
		"`Namespace: {Ref: Namespace}`",
		func(f *fixture) { f.server.Connect.NamespaceVia = "id" },
		func(f *fixture) { f.server.Connect.NamespaceVia = "arn" },
	},
	"name-not-allowed": {
		"`DiscoveryName: App`",
		func(f *fixture) { f.endpoint().DiscoveryName = known("App") },
		func(f *fixture) { f.endpoint().DiscoveryName = known("app_v2-x") },
	},
	"too-many-aliases": {
		"one endpoint with two client aliases",
		func(f *fixture) { f.endpoint().Aliases = []topology.Alias{{Port: known(80)}, {Port: known(81)}} },
		func(f *fixture) { f.endpoint().Aliases = []topology.Alias{{Port: known(81)}} },
	},
	"load-balancer-port-undeclared": {
		"the service registers the override port 8080 with its target group",
		func(f *fixture) { f.server.LoadBalancers[0].Port = known(8080) },
		nothing,
	},
	"target-type-not-ip": {
		"a target group without `TargetType`",
		func(f *fixture) { f.tg.TargetType = topology.Opt[string]{} },
		func(f *fixture) { f.tg.TargetType = topology.Unknown[string]("Ref Type") },
	},
	"duplicate-discovery-name": {
		"two services that publish port name `app` in one namespace",
		func(f *fixture) { f.twin() },
		func(f *fixture) { f.twin().Connect.Endpoints[0].DiscoveryName = known("other") },
	},
	"https-without-certificate": {
		"an HTTPS listener without `Certificates`",
		func(f *fixture) { f.https() },
		func(f *fixture) { f.https().Certificates = []topology.Opt[string]{known("arn:aws:acm:example")} },
	},
	"slow-start-with-least-outstanding": {
		"`slow_start.duration_seconds: 30` with `least_outstanding_requests`",
		func(f *fixture) { f.tg.Attributes = attributes("least_outstanding_requests", "30") },
		func(f *fixture) { f.tg.Attributes = attributes("round_robin", "30") },
	},
	"ingress-port-closed": {
		"`ingressPortOverride: 8080`, and the app's group opens only 80",
		func(f *fixture) { f.appSG.Ingress[1] = tcp(80, 80, group(f.clientSG)) },
		func(f *fixture) { f.appSG.Ingress[1] = tcp(8000, 9000, cidr("10.0.0.0/16")) },
	},
	"client-egress-closed": {
		"the client's group lets out only 443",
		func(f *fixture) { f.clientSG.Egress = []topology.Rule{tcp(443, 443, cidr("0.0.0.0/0"))} },
		func(f *fixture) {
			f.clientSG.Egress = []topology.Rule{tcp(8080, 8080, group(f.appSG)), tcp(80, 80, group(f.albSG))}
		},
	},
	"alb-ingress-closed": {
		"the listener is on 80, and the load balancer's group opens only 443",
		func(f *fixture) { f.albSG.Ingress = []topology.Rule{tcp(443, 443, cidr("10.0.0.0/16"))} },
		func(f *fixture) { f.albSG.Ingress = []topology.Rule{tcp(80, 80, cidr("10.0.7.0/24"))} },
	},
	"alb-egress-closed": {
		"the load balancer's group has no egress (Terraform without an `egress` block)",
		func(f *fixture) { f.albSG.Egress = nil },
		func(f *fixture) { f.albSG.Egress = []topology.Rule{tcp(0, 65535, cidr("10.0.0.0/8"))} },
	},
	"target-ingress-closed": {
		"the app's group lets in only the clients",
		func(f *fixture) { f.appSG.Ingress = f.appSG.Ingress[1:] },
		func(f *fixture) { f.appSG.Ingress[0] = tcp(80, 80, cidr("10.0.1.0/24")) },
	},
	"health-check-port-closed": {
		"the health check asks 9000, and only 80 is open",
		func(f *fixture) { f.tg.Health.Port = known("9000") },
		func(f *fixture) { f.tg.Health.Port = known("80") },
	},
	"target-unhealthy": {
		"the health check uses HTTPS against an agent without TLS",
		func(f *fixture) { f.defaultMode(); f.tg.Health.Protocol = known("HTTPS") },
		func(f *fixture) { f.defaultMode(); f.tg.Health.Protocol = known("HTTP") },
	},
	"needless-agent-hop": {
		"a load balancer and Service Connect on the same port, no override, no TLS",
		func(f *fixture) { f.defaultMode() },
		func(f *fixture) {
			f.defaultMode()
			f.endpoint().TLS = true
			f.tg.Protocol, f.tg.Health.Protocol = known("HTTPS"), known("HTTPS")
		},
	},
	"tls-with-http-target-group": {
		"Service Connect TLS in default mode, target group HTTP",
		func(f *fixture) { f.defaultMode(); f.endpoint().TLS = true },
		func(f *fixture) {
			f.defaultMode()
			f.endpoint().TLS = true
			f.tg.Protocol, f.tg.Health.Protocol = known("HTTPS"), known("HTTPS")
		},
	},
	"listener-without-targets": {
		"a target group that no service names",
		func(f *fixture) { f.server.LoadBalancers = nil },
		nothing,
	},
	"path-unknown": {
		"the override is a parameter without a default",
		func(f *fixture) {
			f.endpoint().IngressPortOverride = topology.Unknown[int]("Ref Override has no value")
		},
		nothing,
	},
	"client-without-dependency": {
		"a client service without `DependsOn`",
		func(f *fixture) { f.client.After = nil },
		nothing,
	},
	"namespace-mismatch": {
		"the client is in another namespace than the server",
		func(f *fixture) {
			f.client.Connect.Namespace, f.client.Connect.NamespaceByID = known("other"), false
		},
		func(f *fixture) {
			// The same namespace, by its name instead of its ARN.
			f.client.Connect.Namespace, f.client.Connect.NamespaceByID = known("sample-namespace"), false
		},
	},
	"wrong-url-port": {
		"a client with `API_URL=http://app.sample-namespace:8080`",
		func(f *fixture) { f.clientEnv("API_URL", "http://app.sample-namespace:8080/v1") },
		func(f *fixture) { f.clientEnv("API_URL", "http://app.sample-namespace/v1") },
	},
	"endpoint-needs-service-connect": {
		"a scheduled task with `API_URL=http://app.sample-namespace`",
		func(f *fixture) {
			d := task("Batch", f.role.ID)
			d.Containers = []topology.Container{{Name: "batch", Environment: map[string]topology.Opt[string]{"API_URL": known("http://app.sample-namespace")}}}
			f.Standalone = append(f.Standalone, d)
		},
		func(f *fixture) {
			d := task("Batch", f.role.ID)
			d.Containers = []topology.Container{{Name: "batch", Environment: map[string]topology.Opt[string]{"API_URL": known("http://internal-alb.example")}}}
			f.Standalone = append(f.Standalone, d)
		},
	},
	"app-protocol-unset": {
		"a port mapping without `AppProtocol`",
		func(f *fixture) { f.mapping().AppProtocol = topology.Opt[string]{} },
		nothing,
	},
	"idle-timeout-cuts-request-timeout": {
		"`IdleTimeoutSeconds: 10` with a per-request timeout of 15 s",
		func(f *fixture) { f.endpoint().IdleTimeoutSeconds = known(10) },
		func(f *fixture) { f.endpoint().IdleTimeoutSeconds = known(15) },
	},
	"keepalive-shorter-than-idle-timeout": {
		"default mode with `IdleTimeoutSeconds: 30` behind a load balancer with 60 s",
		func(f *fixture) { f.defaultMode(); f.endpoint().IdleTimeoutSeconds = known(30) },
		func(f *fixture) { f.defaultMode(); f.endpoint().IdleTimeoutSeconds = known(300) },
	},
	"tls-with-override": {
		"an endpoint with TLS and `ingressPortOverride: 8080`",
		func(f *fixture) { f.endpoint().TLS = true },
		func(f *fixture) { f.endpoint().TLS = true; f.server.LoadBalancers = nil },
	},
	"access-log-without-log-configuration": {
		"`AccessLogConfiguration` without `LogConfiguration`",
		func(f *fixture) { f.server.Connect.AccessLog = known("JSON"); f.server.Connect.HasLog = false },
		func(f *fixture) { f.server.Connect.AccessLog = known("JSON") },
	},
	"two-open-doors": {
		"override mode, and the app's group still opens 80 to the clients",
		func(f *fixture) { f.appSG.Ingress = append(f.appSG.Ingress, tcp(80, 80, group(f.clientSG))) },
		nothing,
	},
	"alias-port-in-rule": {
		"client port 8000, and the app's group opens 8000",
		func(f *fixture) {
			f.endpoint().Aliases[0].Port = known(8000)
			f.appSG.Ingress = append(f.appSG.Ingress, tcp(8000, 8000, group(f.clientSG)))
		},
		func(f *fixture) { f.endpoint().Aliases[0].Port = known(8000) },
	},
	"desired-count-zero": {
		"`DesiredCount: 0`",
		func(f *fixture) { f.server.DesiredCount = known(0) },
		func(f *fixture) { f.server.DesiredCount = topology.Opt[int]{} },
	},
	"world-open-internal-alb": {
		"an internal load balancer with ingress from 0.0.0.0/0",
		func(f *fixture) { f.albSG.Ingress[1] = tcp(80, 80, cidr("0.0.0.0/0")) },
		func(f *fixture) { f.albSG.Ingress[1] = tcp(80, 80, cidr("0.0.0.0/0")); f.alb.Internal = known(false) },
	},
	"ipv6-rule-on-ipv4-alb": {
		"ingress from ::/0 on an `ipv4` load balancer",
		func(f *fixture) { f.albSG.Ingress = append(f.albSG.Ingress, tcp(80, 80, cidr("::/0"))) },
		func(f *fixture) {
			f.albSG.Ingress = append(f.albSG.Ingress, tcp(80, 80, cidr("::/0")))
			f.alb.IPAddressType = known("dualstack")
		},
	},
	"dualstack-alb-without-ipv6-ingress": {
		"a `dualstack` load balancer with IPv4 rules only",
		func(f *fixture) {
			f.alb.IPAddressType = known("dualstack")
			f.albSG.Ingress = []topology.Rule{tcp(80, 80, cidr("10.0.0.0/16"))}
		},
		func(f *fixture) { f.alb.IPAddressType = known("dualstack") }, // a rule for a group covers both families
	},
	"target-group-without-listener": {
		"a service with a target group that no listener forwards to",
		func(f *fixture) {
			f.listener.Default = []topology.Action{{Type: "fixed-response", Fixed: &topology.FixedResponse{Status: "404"}}}
		},
		nothing,
	},
	"health-check-matcher-too-wide": {
		"`Matcher: {HttpCode: 200-499}`",
		func(f *fixture) { f.tg.Health.Matcher = known("200-499") },
		func(f *fixture) { f.tg.Health.Matcher = known("200-399") },
	},
	"health-check-port-undeclared": {
		"the health check asks the override port 8080",
		func(f *fixture) { f.tg.Health.Port = known("8080") },
		func(f *fixture) { f.tg.Health.Port = known("traffic-port") },
	},
	"grace-period-missing": {
		"a load-balanced service without `HealthCheckGracePeriodSeconds`",
		func(f *fixture) { f.server.GraceSeconds = topology.Opt[int]{} },
		func(f *fixture) { f.server.GraceSeconds = topology.Unknown[int]("Ref Grace") },
	},
	"tls-policy-default": {
		"an HTTPS listener without `SslPolicy`",
		func(f *fixture) { f.https() },
		func(f *fixture) { f.https().SSLPolicy = known("ELBSecurityPolicy-TLS13-1-2-2021-06") },
	},
	"http-not-redirected": {
		"listeners 80 and 443 forward to the same target group",
		func(f *fixture) { f.https() },
		func(f *fixture) {
			f.https()
			f.listener.Default = []topology.Action{{Type: "redirect", Redirect: &topology.Redirect{Protocol: "HTTPS", Port: "443", Status: "HTTP_301"}}}
		},
	},
	"egress-order-dependent": {
		"an explicit allow-all egress beside a standalone egress rule",
		func(f *fixture) {
			f.albSG.UncertainEgress = "an explicit allow-all rule stands beside standalone egress rules"
		},
		nothing,
	},
	"no-headroom-for-agent": {
		"a task of 256 CPU units and 512 MiB, whose container takes all of it",
		func(f *fixture) { f.server.Task.CPU, f.server.Task.MemoryMiB = known(256), known(512) },
		func(f *fixture) { f.server.Task.CPU, f.server.Task.MemoryMiB = known(512), known(1024) },
	},
	"over-wide-task-role": {
		"a task role with `AmazonS3FullAccess`",
		func(f *fixture) {
			f.role.Managed = []topology.Opt[string]{known("arn:aws:iam::aws:policy/AmazonS3FullAccess")}
		},
		func(f *fixture) {
			f.role.Managed = []topology.Opt[string]{known("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")}
		},
	},
	"exec-without-permissions": {
		"`EnableExecuteCommand: true` and a task role without ssmmessages",
		func(f *fixture) { f.client.ExecuteCommand = known(true) },
		func(f *fixture) {
			f.client.ExecuteCommand = known(true)
			f.role.Statements = []topology.Statement{{Actions: []string{"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"}, Resources: []string{"*"}}}
		},
	},
	"app-bound-to-loopback": {
		"`HOST=127.0.0.1` behind a load balancer in override mode",
		func(f *fixture) { f.app().Environment = map[string]topology.Opt[string]{"HOST": known("127.0.0.1")} },
		func(f *fixture) {
			f.defaultMode()
			f.app().Environment = map[string]topology.Opt[string]{"HOST": known("127.0.0.1")}
		},
	},
	"port-variable-differs": {
		"`PORT=3000` and container port 80",
		func(f *fixture) { f.app().Environment = map[string]topology.Opt[string]{"PORT": known("3000")} },
		func(f *fixture) { f.app().Environment = map[string]topology.Opt[string]{"PORT": known("80")} },
	},
	ruleUnusedSuppression: {
		"a suppression of `needless-agent-hop` in override mode",
		func(f *fixture) {
			f.server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop", Reason: "wanted"}}
		},
		func(f *fixture) {
			f.defaultMode()
			f.server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop", Reason: "wanted"}}
		},
	},
	ruleBareSuppression: {
		"a suppression without `reason`",
		func(f *fixture) {
			f.defaultMode()
			f.server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop"}}
		},
		func(f *fixture) {
			f.defaultMode()
			f.server.Suppress = []topology.Suppression{{Rule: "needless-agent-hop", Reason: "wanted"}}
		},
	},
}

func attributes(algorithm, slow string) map[string]topology.Opt[string] {
	return map[string]topology.Opt[string]{"load_balancing.algorithm.type": known(algorithm), "slow_start.duration_seconds": known(slow)}
}

// secondEndpoint publishes a second port of the server and opens its ingress port.
func (f *fixture) secondEndpoint() *topology.Endpoint {
	f.app().Ports = append(f.app().Ports, topology.PortMapping{Name: known("admin"), Port: known(81), AppProtocol: known("http")})
	f.server.Connect.Endpoints = append(f.server.Connect.Endpoints, topology.Endpoint{PortName: known("admin"), Aliases: []topology.Alias{{Port: known(81)}}})
	f.appSG.Ingress = append(f.appSG.Ingress, tcp(8081, 8081, group(f.clientSG)))
	return &f.server.Connect.Endpoints[1]
}

// twin adds a second service that publishes the same port name.
func (f *fixture) twin() *topology.Service {
	s, c := *f.server, *f.server.Connect
	s.Origin, s.Name, s.LoadBalancers = origin("Twin", "AWS::ECS::Service"), known("twin"), nil
	c.Endpoints = slices.Clone(c.Endpoints)
	s.Connect = &c
	f.Services = append(f.Services, &s)
	f.client.After = append(f.client.After, s.ID)
	return &s
}

// https adds an HTTPS listener that forwards to the target group.
func (f *fixture) https() *topology.Listener {
	l := *f.listener
	l.Origin, l.Port, l.Protocol = origin("Https", "AWS::ElasticLoadBalancingV2::Listener"), known(443), known("HTTPS")
	f.alb.Listeners = append(f.alb.Listeners, &l)
	f.albSG.Ingress = append(f.albSG.Ingress, tcp(443, 443, cidr("10.0.0.0/16")))
	return &l
}

func (f *fixture) clientEnv(k, v string) {
	f.client.Task.Containers[0].Environment = map[string]topology.Opt[string]{k: known(v)}
}
