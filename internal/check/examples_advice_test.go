package check

import (
	"maps"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// The examples of what works, and could be better.
func init() {
	maps.Copy(examples, map[string]example{
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
	})
}
